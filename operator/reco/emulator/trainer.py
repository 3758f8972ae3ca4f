"""Real training: the only module of the emulator that knows the recipes library.

Trainings run one at a time in a process of their own, so that calls are answered meanwhile; each
leaves a model file and a result file, which outlive the emulator.
"""

import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np

from reco.emulator.ports import Columns, Event, Scored, TrainingJob, TrainingResult
from reco.recipes import artifact, training, tuning
from reco.recipes.data import Event as RecipeEvent
from reco.recipes.data import Interactions, Items, TrainingDataError
from reco.recipes.model import Model
from reco.recipes.refreshing import refresh
from reco.recipes.registry import Type, recipe_named

logger = logging.getLogger(__name__)

_MODELS_IN_MEMORY = 4
_INTERNAL = "The training failed with an internal error."
_MOST_TRIES = 4
"""Trainings that a search for hyperparameters may cost here, whatever the service would allow."""


class RecipeTrainer:
    """Trains with ``reco.recipes`` and serves from the models' files below ``folder``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._running: dict[str, Future[TrainingResult]] = {}
        self._models: dict[str, RecipeModel] = {}
        self._pool: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """Stop; a training that runs is given up and starts again with the emulator."""
        if self._pool is None:
            return
        workers = list((self._pool._processes or {}).values())  # noqa: SLF001 - no public way to stop them before 3.14
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()

    def check(
        self, recipe: str, hyperparameters: Mapping[str, str], hpo: Mapping[str, Any] | None = None
    ) -> None:
        """Raise ``ValueError`` if the recipe refuses the hyperparameters or ranges of them."""
        recipe_named(recipe).settings(hyperparameters)
        if hpo is not None:
            tuning.search_space(recipe, _ranges(hpo))
        # A training is to be expected, and a worker takes a second to start.
        self._worker()

    def start(self, job: TrainingJob) -> None:
        """Begin a training, unless it was begun before."""
        if not self.knows(job.arn):
            try:
                future = self._submit(job)
            except BrokenProcessPool:
                logger.warning("The training worker died; another one takes its place")
                self._pool = None
                future = self._submit(job)
            self._running[job.arn] = future

    def _submit(self, job: TrainingJob) -> Future[TrainingResult]:
        if job.base is None:
            return self._worker().submit(_train, job, self._stem(job.arn))
        return self._worker().submit(_refresh, job, self._stem(job.arn), self._stem(job.base))

    def _worker(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_be_a_worker)
            self._pool.submit(os.getpid)  # a pool starts its processes with its first job
        return self._pool

    def result(self, arn: str) -> TrainingResult | None:
        """Give the end of a training; None while it runs."""
        file = _result_file(self._stem(arn))
        if file.exists():
            return TrainingResult(**json.loads(file.read_text()))
        future = self._running.get(arn)
        if future is None or not future.done():
            return None
        # The worker leaves a result for all it can foresee: this one died, or met a defect.
        logger.error("The training of %s broke off", arn, exc_info=future.exception())
        return TrainingResult(failure_reason=_INTERNAL)

    def knows(self, arn: str) -> bool:
        """Say whether a training was started here, or has left its result."""
        return arn in self._running or _result_file(self._stem(arn)).exists()

    def model(self, arn: str) -> "RecipeModel":
        """Load the model of a training that ended well, once."""
        if arn not in self._models:
            while len(self._models) >= _MODELS_IN_MEMORY:
                del self._models[next(iter(self._models))]
            self._models[arn] = RecipeModel(artifact.load(_model_file(self._stem(arn))))
        return self._models[arn]

    def discard(self, arn: str) -> None:
        """Forget a training; one that runs goes on unheeded until its end."""
        future = self._running.pop(arn, None)
        self._models.pop(arn, None)
        stem = self._stem(arn)
        if future is not None and not future.cancel() and not future.done():
            future.add_done_callback(lambda _: _remove(stem))
        _remove(stem)

    def _stem(self, arn: str) -> Path:
        return self._folder / sha256(arn.encode()).hexdigest()[:32]


class RecipeModel:
    """A trained model behind the emulator's port."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def knows(self, user: str) -> bool:
        """Say whether the user was in the data that it was trained with."""
        rows = self._model.histories.rows_of(user)
        return bool(rows.stop > rows.start)

    def recommend(
        self,
        *,
        user: str | None,
        item: str | None,
        count: int,
        events: Sequence[Event],
        exploration: Mapping[str, str],
    ) -> list[Scored]:
        """Give up to ``count`` items for a user's history, or like an item."""
        options: dict[str, float] = {}
        if "explorationWeight" in exploration:
            options["exploration_weight"] = float(exploration["explorationWeight"])
        if "explorationItemAgeCutOff" in exploration:
            cut_off = float(exploration["explorationItemAgeCutOff"])
            options["exploration_item_age_cut_off"] = cut_off
        found = self._model.recommend(
            user_history=_heard(events),
            user_id=user,
            item_id=item,
            count=count,
            **options,  # type: ignore[arg-type] # the names above are those of float parameters
        )
        return [Scored(one.item_id, one.score) for one in found]

    def rank(self, *, user: str, items: Sequence[str], events: Sequence[Event]) -> list[Scored]:
        """Order all given items; those unknown come last without a score."""
        found = self._model.rank(candidates=items, user_history=_heard(events), user_id=user)
        return [Scored(one.item_id, one.score) for one in found]


def _heard(events: Sequence[Event]) -> list[RecipeEvent]:
    return [RecipeEvent(one.item, int(one.timestamp), one.event_type) for one in events]


def _be_a_worker() -> None:
    # Ctrl-C is for the server, which then stops the worker; and answers go before training.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)
    threading.Thread(target=_follow_the_server, daemon=True).start()


def _follow_the_server() -> None:
    """End when the server is killed without a chance to stop its worker."""
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(1)


def _train(job: TrainingJob, stem: Path) -> TrainingResult:
    """Train in the worker process and leave model and result as files, the result last."""
    data = _interactions(job.interactions)
    options: training.Options = {
        "items": _items(job.items, job.categories),
        "hyperparameters": job.hyperparameters,
        "event_type": job.event_type,
        "event_value_threshold": job.event_value_threshold,
        "seed": job.seed,
    }
    try:
        tuned: dict[str, str] = {}
        if job.hpo is not None:
            asked = job.hpo.get("hpoResourceConfig", {}).get("maxNumberOfTrainingJobs", _MOST_TRIES)
            space = tuning.search_space(job.recipe, _ranges(job.hpo))
            tries = min(int(asked), _MOST_TRIES)
            tuned = tuning.tune(job.recipe, data, space, tries=tries, **options)
            options["hyperparameters"] = {**job.hyperparameters, **tuned}
        model, metrics = training.train_and_evaluate(job.recipe, data, **options)
        artifact.save(model, _model_file(stem))
        result = TrainingResult(metrics=metrics, tuned=tuned)
    except TrainingDataError as error:
        result = TrainingResult(failure_reason=str(error))
    return _left(result, stem)


def _ranges(hpo: Mapping[str, Any]) -> list[tuning.Range]:
    """Read the ranges of an hpoConfig; what a range lacks is for ``tuning`` to say."""
    given = hpo.get("algorithmHyperParameterRanges", {})
    found: list[tuning.Range] = []
    for kind in get_args(Type):
        for one in given.get(f"{kind.lower()}HyperParameterRanges", ()):
            values = one.get("values", [one.get("minValue"), one.get("maxValue")])
            known = tuple(str(value) for value in values if value is not None)
            found.append(tuning.Range(one.get("name", ""), kind, known))
    return found


def _refresh(job: TrainingJob, stem: Path, base: Path) -> TrainingResult:
    """Take the model of another training to newer data; its metrics stay those of that training."""
    model = refresh(
        artifact.load(_model_file(base)),
        _interactions(job.interactions),
        items=_items(job.items, job.categories),
        event_value_threshold=job.event_value_threshold,
    )
    artifact.save(model, _model_file(stem))
    return _left(TrainingResult(**json.loads(_result_file(base).read_text())), stem)


def _left(result: TrainingResult, stem: Path) -> TrainingResult:
    unfinished = stem.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(asdict(result)))
    unfinished.rename(_result_file(stem))
    return result


def _interactions(columns: Columns) -> Interactions:
    values = columns["EVENT_VALUE"]
    known = any(value is not None for value in values)
    return Interactions(
        user_ids=np.asarray(columns["USER_ID"], dtype=np.str_),
        item_ids=np.asarray(columns["ITEM_ID"], dtype=np.str_),
        timestamps=np.asarray(columns["TIMESTAMP"], dtype=np.int64),
        event_types=np.asarray([one or "" for one in columns["EVENT_TYPE"]], dtype=np.str_),
        event_values=np.asarray(
            [np.nan if value is None else value for value in values], dtype=np.float64
        )
        if known
        else None,
    )


def _items(columns: Columns, categories: Sequence[str]) -> Items | None:
    if not columns:
        return None
    created: list[Any] = columns.get("CREATION_TIMESTAMP", [None])
    return Items.of(
        columns["ITEM_ID"],
        None if None in created else created,
        {name: [one or "" for one in columns[name]] for name in categories if name in columns},
    )


def _model_file(stem: Path) -> Path:
    return stem.with_suffix(".model")


def _result_file(stem: Path) -> Path:
    return stem.with_suffix(".json")


def _remove(stem: Path) -> None:
    for file in (_model_file(stem), _result_file(stem)):
        file.unlink(missing_ok=True)
