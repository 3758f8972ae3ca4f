"""What clients get: bodies and headers of the runtime and events APIs.

Items of runtime answers have every member, null where there is nothing, as recordings of the
service show; SDKs drop the nulls.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from reco.serving.errors import STATUSES, ServiceError

SCORE_DECIMALS: Final = 7
Metadata = Callable[[str], Mapping[str, str]]
"""Tells of an item, by its id, what was asked for."""
Scores = Sequence[float] | NDArray[np.float64]
Headers = tuple[tuple[bytes, bytes], ...]


class _Scored(Protocol):
    """An item and its score, None where there is none."""

    @property
    def item_id(self) -> str: ...
    @property
    def score(self) -> float | None: ...


class PredictedItem(msgspec.Struct, gc=False):
    """An item of a runtime answer."""

    itemId: str  # noqa: N815 - the wire's
    score: float | None
    promotionName: str | None = None  # noqa: N815
    metadata: Mapping[str, str] | None = None
    reason: None = None


def items(
    ids: Sequence[str], scores: Scores, metadata: Metadata | None = None
) -> list[PredictedItem]:
    """Return the items of an answer, in order; scores have seven decimals, as the service's.

    Scores are those of the first items; the others, if there are any, have none.
    """
    rounded = np.asarray(scores, dtype=np.float64).round(SCORE_DECIMALS).tolist()
    found = list(map(PredictedItem, ids, chain(rounded, repeat(None))))
    if metadata is not None:
        for item in found:
            item.metadata = metadata(item.itemId)
    return found


def columns(scored: Iterable[_Scored]) -> tuple[list[str], list[float]]:
    """Return the ids, and the scores of those that have one, which come first."""
    ordered = list(scored)
    scores = [one.score for one in ordered if one.score is not None]
    return [one.item_id for one in ordered], scores


def encoded_items(ids: Sequence[str], scores: Scores, metadata: Metadata | None = None) -> bytes:
    """Return the items of an answer as JSON."""
    return msgspec.json.encode(items(ids, scores, metadata))


def recommendations(
    scored: Iterable[_Scored], recommendation_id: str, metadata: Metadata | None = None
) -> dict[str, Any]:
    """Return the answer to GetRecommendations."""
    return {
        "itemList": msgspec.to_builtins(items(*columns(scored), metadata)),
        "recommendationId": recommendation_id,
    }


def ranking(
    scored: Iterable[_Scored], recommendation_id: str, metadata: Metadata | None = None
) -> dict[str, Any]:
    """Return the answer to GetPersonalizedRanking."""
    return {
        "personalizedRanking": msgspec.to_builtins(items(*columns(scored), metadata)),
        "recommendationId": recommendation_id,
    }


def assembled(member: str, encoded_items: bytes, recommendation_id: str) -> bytes:
    """Return the body of a runtime answer around items that are JSON already."""
    return b'{"%b":%b,"recommendationId":"%b"}' % (
        member.encode(),
        encoded_items,
        recommendation_id.encode(),
    )


def recommendation_id(drawn: int, campaign_arn: str) -> str:
    """Return an id of 40 characters from 128 random bits; its last six are the campaign's."""
    text = str(uuid.UUID(int=drawn, version=4))
    return f"RID-{text[-25:]}-CID-{_endpoint(campaign_arn)}"


@lru_cache(maxsize=1024)
def _endpoint(campaign_arn: str) -> str:
    return hashlib.sha256(campaign_arn.encode()).hexdigest()[:6]


def encoded(answer: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Return JSON."""
    return orjson.dumps(answer)


def failed(error: ServiceError) -> tuple[int, bytes, Headers]:
    """Return status, body and headers of a refusal."""
    status = STATUSES.get(error.code, 400) if error.http_status == 400 else error.http_status  # noqa: PLR2004 - what a rule knows no better than
    body = orjson.dumps({"message": error.message} if error.message else {})
    return status, body, ((b"x-amzn-errortype", error.code.encode("latin-1", "replace")),)


def headers(body: bytes, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers of every answer; the content is JSON unless `more` says otherwise."""
    found = [
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
        *more,
    ]
    if not any(name == b"content-type" for name, _ in more):
        found.append((b"content-type", b"application/json"))
    return found
