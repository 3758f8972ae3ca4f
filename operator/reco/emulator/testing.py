"""For tests and simulations: an instant trainer, objects in memory, a server in a thread.

These stand at the emulator's own ports, so what uses them still meets every rule of the core.
"""

import asyncio
import random
import socket
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from reco.emulator.core import Emulator
from reco.emulator.ports import (
    Event,
    ObjectAccessError,
    ObjectStoreError,
    Scored,
    TrainingJob,
    TrainingResult,
)
from reco.emulator.server import uvicorn_config
from reco.emulator.world import Settings

EPOCH = 1_700_000_000.0
"""The base time of emulators made by ``simulated``; it stands still."""

METRICS: Mapping[str, float] = {
    "coverage": 0.0791,
    "mean_reciprocal_rank_at_25": 0.269,
    "normalized_discounted_cumulative_gain_at_10": 0.2687,
    "normalized_discounted_cumulative_gain_at_25": 0.3321,
    "normalized_discounted_cumulative_gain_at_5": 0.2279,
    "precision_at_10": 0.0571,
    "precision_at_25": 0.0379,
    "precision_at_5": 0.075,
}


class PopularityModel:
    """Counts interactions; leaves out what the user touched since the training."""

    def __init__(self, items: Sequence[str], users: Sequence[str]) -> None:
        self._items = sorted(set(items), key=lambda item: (-items.count(item), item))
        self._users = frozenset(users)

    def knows(self, user: str) -> bool:
        """Say whether the user has an interaction."""
        return user in self._users

    def recommend(
        self,
        *,
        user: str | None,  # noqa: ARG002 - the port's
        item: str | None,
        count: int,
        events: Sequence[Event],
        exploration: Mapping[str, str],  # noqa: ARG002 - the port's
    ) -> list[Scored]:
        """Give the most popular items that are new to the user."""
        touched = {event.item for event in events} | {item}
        fresh = [one for one in self._items if one not in touched]
        return [Scored(one, 1 / (place + 1)) for place, one in enumerate(fresh[:count])]

    def rank(
        self,
        *,
        user: str,  # noqa: ARG002 - the port's
        items: Sequence[str],
        events: Sequence[Event],
    ) -> list[Scored]:
        """Order by popularity, what was touched first."""
        touched = {event.item for event in events}
        known = [one for one in items if one in self._items]
        known.sort(key=lambda one: (one not in touched, self._items.index(one)))
        scored = [Scored(one, 1 / len(known)) for one in known]
        return [*scored, *(Scored(one, None) for one in items if one not in self._items)]


@dataclass(slots=True)
class InstantTrainer:
    """Ends every training at once: well, or with the reason in ``failures`` (by version ARN).

    ``held`` trainings don't end until they are taken out of the set. ``jobs`` tells what was
    asked for, in order. ``tuned`` is what every search for hyperparameters finds.
    """

    failures: dict[str, str] = field(default_factory=dict)
    fail_next: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    hold_all: bool = False
    jobs: dict[str, TrainingJob] = field(default_factory=dict)
    tuned: dict[str, str] = field(default_factory=lambda: {"bptt": "20"})

    def check(
        self,
        recipe: str,
        hyperparameters: Mapping[str, str],
        hpo: Mapping[str, Any] | None = None,  # noqa: ARG002 - the port's
    ) -> None:
        """Refuse the hyperparameter named ``refused``."""
        if "refused" in hyperparameters:
            raise ValueError(f"refused: {recipe} does not know it")

    def start(self, job: TrainingJob) -> None:
        """Take a job."""
        self.jobs[job.arn] = job
        if self.hold_all:
            self.held.add(job.arn)
        if self.fail_next:
            self.failures[job.arn] = self.fail_next.pop(0)

    def result(self, arn: str) -> TrainingResult | None:
        """Tell how it went."""
        if arn in self.held:
            return None
        if arn in self.failures:
            return TrainingResult(failure_reason=self.failures[arn])
        searched = arn in self.jobs and self.jobs[arn].hpo is not None
        return TrainingResult(metrics=METRICS, tuned=self.tuned if searched else {})

    def knows(self, arn: str) -> bool:
        """Say whether the job was taken."""
        return arn in self.jobs

    def model(self, arn: str) -> PopularityModel:
        """Give a model of the job's interactions."""
        interactions = self.jobs[arn].interactions
        return PopularityModel(interactions["ITEM_ID"], interactions["USER_ID"])

    def discard(self, arn: str) -> None:
        """Forget a job's outcome."""
        self.held.discard(arn)
        self.failures.pop(arn, None)


@dataclass(slots=True)
class MemoryObjects:
    """Objects by location (``s3://bucket/key``); a location in ``denied`` may not be read."""

    objects: dict[str, bytes] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)

    def read(self, location: str) -> list[tuple[str, bytes]]:
        """Read an object, or all below a prefix."""
        if location in self.denied:
            raise ObjectAccessError(location)
        if location in self.objects:
            return [(location, self.objects[location])]
        prefix = location.rstrip("/") + "/"
        found = [(key, self.objects[key]) for key in sorted(self.objects) if key.startswith(prefix)]
        if not found:
            raise ObjectStoreError(location)
        return found


@dataclass(frozen=True, slots=True)
class Simulated:
    """An emulator whose time moves by ``emulator.advance`` alone, with all it was given."""

    emulator: Emulator
    trainer: InstantTrainer
    objects: MemoryObjects


def simulated(
    *, seed: int = 0, state: str = ":memory:", settings: Settings | None = None
) -> Simulated:
    """Build a deterministic emulator: the same seed and the same calls give the same answers."""
    trainer, objects = InstantTrainer(), MemoryObjects()
    emulator = Emulator(
        trainer=trainer,
        objects=objects,
        time=lambda: EPOCH,
        randomness=random.Random(seed),  # noqa: S311 - repeatable by design
        state=state,
        settings=settings,
    )
    return Simulated(emulator, trainer, objects)


@contextmanager
def in_thread(emulator: Emulator, origins: Collection[str] = ()) -> Iterator[str]:
    """Serve an emulator on loopback in a thread, and give its URL.

    Web pages of ``origins`` may call.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn_config(emulator, origins))
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
