"""The peer: what a team writes by itself, FastAPI and uvicorn over an implicit model in memory.

It knows each user's items from the start and takes no events. Answers are plain lists, without the
service's members. Both of FastAPI's quick ways are taken: no response model, orjson.

    python -m benchmarks.serving.peer FOLDER ALS|ItemKNN PORT
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from orjson import dumps
from pydantic import BaseModel
from scipy import sparse


class RecommendationsRequest(BaseModel):
    """Asks for items."""

    userId: str  # noqa: N815
    numResults: int = 25  # noqa: N815
    campaignArn: str = ""  # noqa: N815


class RankingRequest(BaseModel):
    """Asks for an order."""

    userId: str  # noqa: N815
    inputList: list[str]  # noqa: N815
    campaignArn: str = ""  # noqa: N815


def application(folder: Path, algorithm: str) -> FastAPI:
    """Train on `users x items` in the folder, and answer from memory."""
    stored = np.load(folder / "interactions.npz")
    users, items = stored["users"].tolist(), stored["items"].tolist()
    seen = sparse.csr_matrix(
        (np.ones(len(stored["rows"]), np.float32), (stored["rows"], stored["columns"])),
        shape=(len(users), len(items)),
    )
    model: Any = (
        AlternatingLeastSquares(factors=64, iterations=15, random_state=0, num_threads=1)
        if algorithm == "ALS"
        else CosineRecommender(K=200, num_threads=1)
    )
    model.fit(seen, show_progress=False)
    user_at = {user: at for at, user in enumerate(users)}
    item_at = {item: at for at, item in enumerate(items)}
    app = FastAPI()

    @app.post("/recommendations")
    async def recommendations(request: RecommendationsRequest) -> Response:
        at = user_at[request.userId]
        found, scores = model.recommend(at, seen[at], N=request.numResults)
        return _json("itemList", [items[one] for one in found], scores)

    @app.post("/personalize-ranking")
    async def ranking(request: RankingRequest) -> Response:
        at = user_at[request.userId]
        wanted = [item_at[one] for one in request.inputList]
        found, scores = model.recommend(
            at, seen[at], N=len(wanted), items=wanted, filter_already_liked_items=False
        )
        return _json("personalizedRanking", [items[one] for one in found], scores)

    return app


def _json(name: str, ids: list[str], scores: Any) -> Response:  # noqa: ANN401 - numpy
    pairs = zip(ids, scores.tolist(), strict=True)
    answer = {name: [{"itemId": item, "score": score} for item, score in pairs]}
    return Response(dumps(answer), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        application(Path(sys.argv[1]), sys.argv[2]),
        port=int(sys.argv[3]),
        log_level="warning",
        access_log=False,
    )
