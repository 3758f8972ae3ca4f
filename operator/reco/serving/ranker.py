"""`reco serve ranker`: one campaign's answers, from one model and users' recent events."""

import asyncio
import logging
import random
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Final

import numpy as np

from reco import storage
from reco.recipes import RECIPES, ArtifactError, Model, load
from reco.recipes.model import Question
from reco.serving import answers, metadata_files, requests
from reco.serving.clients import guarding
from reco.serving.errors import no_such_resource, unavailable
from reco.serving.history import Keys
from reco.serving.http import Application, Request
from reco.serving.metadata import ItemColumns
from reco.serving.metrics import Metrics
from reco.serving.online import Histories, HistoryUnavailableError, connect
from reco.serving.requests import GetPersonalizedRankingRequest, GetRecommendationsRequest
from reco.serving.server import Pod, StartError, run
from reco.serving.sessions import Known, Sessions
from reco.serving.validation import decode
from reco.workload.addresses import named_in
from reco.workload.results import Outcome
from reco.workload.storage import Places
from reco.workload.tasks import RankerTask

logger = logging.getLogger(__name__)

_WARM_UP: Final = 20
"""Answers before the first client's: pages of the model are read, caches filled."""


class Ranker:
    """Answers with a model; `start` gives it one."""

    def __init__(self, task: RankerTask, metrics: Metrics) -> None:
        self._task = task
        self._metrics = metrics
        self._keys = Keys(task.group.name)
        self._kind = recipe_kind(task.recipe)
        self._exploration = exploration(task.exploration)
        self._explores = bool(self._exploration.get("exploration_weight"))
        self._random = random.Random()  # noqa: S311 - ids and exploration are no secrets
        self._model: Model | None = None
        self._columns: ItemColumns | None = None
        self._positions: dict[str, int] = {}
        self._sessions: Sessions | None = None
        self._histories: Histories | None = None
        self._fallbacks = metrics.counter(
            "reco_fallback", "Answers without a user's recent events, by reason.", "reason"
        )
        metrics.gauge("reco_model_info", "1, with the version that serves.", "version").labels(
            task.version
        ).set(1)
        self._remembered = metrics.gauge("reco_sessions", "Users whose scores are kept up.")
        self._bytes = metrics.gauge("reco_session_bytes", "What they take, about.")

    def start(self, model: Model, histories: Histories, columns: ItemColumns | None = None) -> None:
        """Answer with `model` from now on, and tell `columns` of items if there are any."""
        self._columns = columns
        if self._kind == requests.PERSONALIZED_RANKING:
            # Quicker than searching for each of hundreds of ids, at some 130 bytes an item.
            self._positions = {item: at for at, item in enumerate(model.item_ids.tolist())}
        self._sessions = Sessions(model, self._task.session_memory)
        self._histories = histories
        loaded = self._metrics.gauge(
            "reco_model_data_age_seconds", "Since the newest interaction that the model has seen."
        )
        loaded.set_function(lambda: time.time() - model.catalogue.latest)
        self._warm(model)
        self._model = model

    async def get_recommendations(self, given: Request) -> bytes:
        """Answer GetRecommendations."""
        request = decode(GetRecommendationsRequest, given.body)
        model = self._serving(requests.campaign_of(request))
        count = requests.results_of(request, self._kind, self._names)
        told = requests.told(request, self._names)
        known = await self._known(model, request.userId)
        asked = (request.itemId, count, told)
        items = known.answers.get(asked)
        if items is None:
            question = self._exploration.copy()
            question["item_id"] = request.itemId
            question["seed"] = self._random.getrandbits(32)
            found = model.top(known.session, count, **question)
            items = answers.encoded_items(*answers.columns(found), self._metadata(told))
            if not self._explores:
                known.answers = {asked: items}
        return answers.assembled("itemList", items, self._recommendation_id())

    async def get_personalized_ranking(self, asked: Request) -> bytes:
        """Answer GetPersonalizedRanking."""
        request = decode(GetPersonalizedRankingRequest, asked.body)
        model = self._serving(request.campaignArn)
        requests.check_ranking(request, self._kind, self._names)
        told = requests.told(request, self._names)
        given = request.inputList
        at = np.fromiter(map(self._positions.get, given, repeat(-1)), np.int32, len(given))
        known = await self._known(model, request.userId)
        order, scores = model.order(known.session, at)
        ids = [given[place] for place in order.tolist()]
        items = answers.encoded_items(ids, scores, self._metadata(told))
        return answers.assembled("personalizedRanking", items, self._recommendation_id())

    @property
    def _names(self) -> Sequence[str] | None:
        return None if self._columns is None else self._columns.names

    def _metadata(self, told: Sequence[str]) -> answers.Metadata | None:
        columns = self._columns
        return partial(columns.of, columns=told) if told and columns is not None else None

    def _serving(self, arn: str) -> Model:
        if named_in(arn) != self._task.campaign:
            raise no_such_resource(arn)
        if self._model is None:
            raise unavailable(f"A ranker of {arn} is starting.")
        return self._model

    async def _known(self, model: Model, user: str | None) -> Known:
        if not user or self._sessions is None or self._histories is None:
            return Known(b"", model.session())
        known = self._sessions.latest(user)
        if known is not None and self._histories.unchanged(known.keys):
            return known
        keys = known.keys if known is not None else self._places_of(model, user)
        try:
            history = await self._histories.of(keys)
        except HistoryUnavailableError as error:
            self._fallbacks.labels(error.reason).inc()
            history = None
        known = self._sessions.of(user, history, keys)
        self._remembered.set(len(self._sessions))
        self._bytes.set(self._sessions.size)
        return known

    def _places_of(self, model: Model, user: str) -> tuple[str, ...]:
        """Return where the store may have what an id did, the first that has anything counts.

        An anonymous visitor is asked for by the session's id, as in Amazon Personalize. An id that
        is a user's, of the training or with events, never gets what a session of that name did.
        """
        history = self._keys.history(user)
        rows = model.histories.rows_of(user)
        trained = rows.stop > rows.start
        return (history,) if trained else (history, self._keys.session(user))

    def _recommendation_id(self) -> str:
        return answers.recommendation_id(self._random.getrandbits(128), self._task.arn)

    def _warm(self, model: Model) -> None:
        users = model.histories.user_ids[:_WARM_UP].tolist()
        items = model.item_ids[: requests.MOST_RESULTS].tolist()
        for user in (*users, "nobody"):
            session = model.session(user_id=user)
            model.top(session, requests.DEFAULT_RESULTS, item_id=items[0])
            model.ranked(session, items)


def recipe_kind(recipe: str) -> str:
    """Return what campaigns of a recipe answer, by its name or ARN.

    Raises:
        StartError: there is no such recipe.
    """
    name = recipe.rpartition("/")[2]
    if name not in RECIPES:
        known = ", ".join(sorted(RECIPES))
        raise StartError(
            Outcome.INVALID_SETTINGS, f"there is no recipe '{name}'; there are {known}"
        )
    return RECIPES[name].kind


def exploration(config: Mapping[str, str]) -> Question:
    """Return a campaign's itemExplorationConfig as options of `Model.top`.

    Raises:
        StartError: a value is no number.
    """
    options = Question()
    try:
        if "explorationWeight" in config:
            options["exploration_weight"] = float(config["explorationWeight"])
        if "explorationItemAgeCutOff" in config:
            options["exploration_item_age_cut_off"] = float(config["explorationItemAgeCutOff"])
    except ValueError as error:
        raise StartError(
            Outcome.INVALID_SETTINGS, f"itemExplorationConfig must hold numbers: {error}"
        ) from error
    return options


def fetch(task: RankerTask, folder: Path) -> Model:
    """Download a campaign's model, check that it is the one, and map it into memory.

    Raises:
        StorageError: it can't be had, or is not what its digest says.
        StartError: it is a model of another release.
    """
    key = Places(task.group.name).artifact(task.artifact)
    path = folder / "model"
    files = storage.open_storage(task.group.storage)
    remedy = "Restore it, or train again"
    storage.download_checked(files, key, path, task.artifact, remedy)
    try:
        return load(path)
    except ArtifactError as error:
        raise StartError(Outcome.INVALID_DATA, str(error)) from error


def fetch_columns(task: RankerTask) -> ItemColumns:
    """Read what answers may tell of items; raises as `metadata_files.read`."""
    return metadata_files.read(storage.open_storage(task.group.storage), Places(task.group.name))


def serve(task: RankerTask) -> int:
    """Run a ranker until it is told to end; return the exit code."""
    return run(partial(_built, task), task.port)


def _built(task: RankerTask) -> Pod:
    metrics = Metrics()
    ranker = Ranker(task, metrics)
    operations = {
        "GetRecommendations": ranker.get_recommendations,
        "GetPersonalizedRanking": ranker.get_personalized_ranking,
    }
    names = (task.campaign,)
    guard = guarding(task.authentication, "campaign", lambda _: names)
    app = Application(operations, metrics, guard, task.allowed_origins)
    return app, _working(task, ranker)


@asynccontextmanager
async def _working(task: RankerTask, ranker: Ranker) -> AsyncIterator[None]:
    client = connect(task.online_store, timeout=task.online_store_timeout)
    histories = Histories(client, task.online_store_timeout)
    try:
        with tempfile.TemporaryDirectory(prefix="reco-ranker-") as folder:
            model = await asyncio.to_thread(fetch, task, Path(folder))
            columns = await asyncio.to_thread(fetch_columns, task) if task.metadata else None
            ranker.start(model, histories, columns)
            yield
    finally:
        await histories.close()
        await client.aclose()
