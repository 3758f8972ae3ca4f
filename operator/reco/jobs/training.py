"""`reco job train`: trains and evaluates a model of what storage holds, and keeps it.

The model is stored under the digest of its bytes, then the version's manifest: a version whose
manifest exists is trained, and is not trained again. A training that would need more memory than
the pod may use is refused before it starts, for a process that is killed can't say why.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from reco import recipes
from reco.jobs.history import History
from reco.jobs.progress import Progress
from reco.jobs.running import Refused
from reco.recipes import ArtifactError, Model, TrainingDataError
from reco.recipes.encoding import Log, longest
from reco.storage import (
    Corrupt,
    NotFound,
    ObjectStore,
    claim,
    digest_of,
    download_checked,
    open_storage,
    read,
    write,
)
from reco.storage.versions import Pending, bases, drop_artifact, newest_full, pending_of
from reco.workload.results import NEEDS_FULL, Outcome, Result
from reco.workload.storage import Places, VersionManifest
from reco.workload.tasks import TrainTask

_THREADS: Final = "OPENBLAS_NUM_THREADS"
_MEBIBYTE: Final = 1 << 20
_READING: Final = 64 << 20
"""Bytes that reading takes beside what training does: pyarrow, the S3 client, a batch of rows."""
_LEAST_USERS: Final = 25


@dataclass(frozen=True, slots=True)
class _Trained:
    model: Model
    metrics: dict[str, float]
    log: Log
    base: str | None = None


@dataclass(frozen=True, slots=True)
class _Base:
    """What an update goes on from."""

    version: str
    model: Model
    metrics: dict[str, float]


def run(
    task: TrainTask,
    progress: Progress,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Result:
    """Train a version, or say how its training ended before."""
    started = time.monotonic()
    store, places = open_storage(task.group.storage), Places(task.group.name)
    claim(store, task.group)
    manifest = read(store, places.version(task.solution, task.version), VersionManifest)
    if manifest is None:
        _check_settings(task)
        trained = _train(task, store, places, progress, int(now().timestamp()))
        with tempfile.TemporaryDirectory(prefix="reco-") as scratch:
            path = Path(scratch) / "model"
            progress("writing", 0.95)
            recipes.save(trained.model, path)
            digest = digest_of(path)
            manifest = VersionManifest(
                solution=task.solution,
                version=task.version,
                recipe=task.recipe,
                mode=task.mode,
                created=now(),
                artifact=digest,
                size=path.stat().st_size,
                metrics=trained.metrics,
                training_seconds=round(time.monotonic() - started, 3),
                peak_memory=_peak_memory(),
                rows=len(trained.log),
                users=len(trained.log.user_ids),
                items=len(trained.model.item_ids),
                base=trained.base,
                trained_through=trained.log.latest,
            )
            _keep(store, places, path, manifest)
    store.delete(pending_of(places, task.solution, task.version))
    progress("done", 1.0)
    return Result(
        outcome=Outcome.SUCCEEDED,
        message=f"{manifest.recipe} of {manifest.rows} interactions, {manifest.users} users and "
        f"{manifest.items} items",
        details={
            "artifact": manifest.artifact,
            "metrics": manifest.metrics,
            "trainingSeconds": manifest.training_seconds,
            "peakMemory": manifest.peak_memory,
        },
    )


def _check_settings(task: TrainTask) -> None:
    try:
        problems = recipes.validate_hyperparameters(task.recipe, task.hyperparameters)
    except ValueError as error:
        problems = [str(error)]
    if problems:
        raise Refused(Outcome.INVALID_SETTINGS, "; ".join(problems))


def _train(
    task: TrainTask, store: ObjectStore, places: Places, progress: Progress, now: int
) -> _Trained:
    base = _newest_full(task, store, places) if task.mode == "Update" else None
    history = History(store, places)
    # Users and items are known once they are read; what is sure to be too much is refused before.
    _check_memory(task, interactions=history.imported, users=_LEAST_USERS, items=0)
    try:
        items, users = history.items(), history.users()
        read_so_far = progress.part(0.0, 0.3)
        rows = history.interactions(read_so_far)
        log = Log.of(rows, task.event_type, task.event_value_threshold, now)
        known = log.item_ids if items is None else np.union1d(items.ids, log.item_ids)
        _check_memory(
            task,
            interactions=len(log),
            users=len(log.user_ids),
            items=len(known),
            longest_id=max(longest(log.user_ids), longest(known)),
            columns=_size(items) + _size(users),
        )
        if base is not None:
            progress("updating", 0.5)
            # Nothing is learned anew, so the metrics are those of what it goes on from.
            model = recipes.refresh(base.model, log, items=items)
            return _Trained(model, base.metrics, log, base.version)
        model, metrics = recipes.train_and_evaluate(
            task.recipe,
            log,
            items=items,
            users=users,
            hyperparameters=task.hyperparameters,
            seed=task.seed,
            threads=int(os.environ.get(_THREADS, "1")),
            progress=_unfinished(progress.part(0.3, 0.95)),
        )
    except TrainingDataError as error:
        raise Refused(
            Outcome.INVALID_DATA, f"{error}. Import or stream more interactions, then train again"
        ) from error
    return _Trained(model, {name: float(value) for name, value in metrics.items()}, log)


def _unfinished(progress: Callable[[str, float], None]) -> Callable[[str, float], None]:
    """Leave out the end of the computation: the model is not stored yet."""
    return lambda stage, share: progress(stage, share) if share < 1 else None


def _check_memory(
    task: TrainTask,
    *,
    interactions: int,
    users: int,
    items: int,
    longest_id: int = 0,
    columns: int = 0,
) -> None:
    """Refuse what needs too much.

    `longest_id` is in characters, `columns` the bytes of items' and users' own columns; both are 0
    as long as they are not known.
    """
    needed = _READING + columns
    needed += recipes.predict(
        task.recipe,
        users=users,
        items=items,
        interactions=interactions,
        hyperparameters=task.hyperparameters,
        longest_id=longest_id,
    )
    if task.memory_limit is None or needed <= task.memory_limit:
        return
    raise Refused(
        Outcome.INSUFFICIENT_MEMORY,
        f"Training {task.recipe} on {interactions} interactions of {users} users and {items} items "
        f"needs {needed // _MEBIBYTE + 1}Mi of memory, and its pod may use "
        f"{task.memory_limit // _MEBIBYTE}Mi",
        predictedBytes=needed,
        memoryLimit=task.memory_limit,
    )


def _size(rows: recipes.Items | recipes.Users | None) -> int:
    if rows is None:
        return 0
    return rows.ids.nbytes + sum(column.nbytes for column in rows.categories.values())


def _newest_full(task: TrainTask, store: ObjectStore, places: Places) -> _Base:
    """Find and load what an update goes on from."""
    if not recipes.RECIPES[task.recipe].updatable:
        raise Refused(
            Outcome.INVALID_SETTINGS,
            f"{task.recipe} knows no training mode Update: train with mode Full",
        )
    newest = newest_full(bases(store, places), task.solution)
    if newest is None or newest.recipe != task.recipe:
        raise Refused(
            Outcome.INVALID_SETTINGS,
            f"Training mode Update goes on from a version of {task.solution} that was trained with "
            f"mode Full and {task.recipe}, and there is none: train with mode Full",
            needs=NEEDS_FULL,
        )
    with tempfile.TemporaryDirectory(prefix="reco-") as scratch:
        path = Path(scratch) / "model"
        key = places.artifact(newest.artifact)
        try:
            download_checked(store, key, path, newest.artifact, "Train with mode Full")
            return _Base(newest.version, recipes.load(path), newest.metrics)
        except NotFound as error:
            text = f"the model of {newest.version} is gone. Train with mode Full ({error})"
            raise Refused(Outcome.NOT_FOUND, text, needs=NEEDS_FULL) from error
        except Corrupt as error:
            raise Refused(error.outcome, str(error), needs=NEEDS_FULL) from error
        except ArtifactError as error:
            raise Refused(
                Outcome.INVALID_SETTINGS,
                f"Training mode Update can't go on from {newest.version}: {error}. Train with mode "
                f"Full",
                needs=NEEDS_FULL,
            ) from error


def _keep(store: ObjectStore, places: Places, path: Path, manifest: VersionManifest) -> None:
    """Store the model, then the manifest; take back what an attempt that broke off stored."""
    pending = pending_of(places, manifest.solution, manifest.version)
    earlier = read(store, pending, Pending)
    write(store, pending, Pending(artifact=manifest.artifact))
    if earlier is not None and earlier.artifact != manifest.artifact:
        drop_artifact(store, places, earlier.artifact)
    key = places.artifact(manifest.artifact)
    store.upload(key, path)  # also over one that is there: it may be damaged
    write(store, places.version(manifest.solution, manifest.version), manifest)
    if store.find(key) is None:  # dropped with another version, before this one named it
        store.upload(key, path)


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
