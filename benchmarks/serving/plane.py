"""What is measured: the pods of a dataset group and their peer, as processes of their own."""

import hashlib
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hack.datasets import Dataset
from hack.processes import LOOPBACK, Process, free_port
from hack.valkey import ValkeyServer
from reco.recipes import Interactions, save, train
from reco.workload import tasks
from reco.workload.addresses import READY, arn
from reco.workload.storage import Owner, Places

GROUP: Final = "bench_movies"
TRACKING: Final = "55d3a75d-f05d-4fd1-a503-8b740c13c67c"
RECIPES: Final = {
    "recommend": "aws-user-personalization-v2",
    "rank": "aws-personalized-ranking-v2",
}
PROFILE: Final = 50
"""Items in the history of every user that requests are made for."""


@dataclass(frozen=True, slots=True)
class Users:
    """Whom requests are for: users of the training, and others whose events alone are known."""

    known: tuple[str, ...]
    cold: dict[str, tuple[str, ...]]
    """User to items."""
    known_item: str
    """An item of the catalogue."""


def with_profiles(data: Dataset, known: int = 200, cold: int = 400) -> tuple[Interactions, Users]:
    """Return interactions where every user has at most 50 items, and the users to ask for."""
    interactions = data.interactions
    order = np.lexsort((interactions.timestamps, interactions.user_ids))
    users, starts = np.unique(interactions.user_ids[order], return_index=True)
    kept = []
    full: list[str] = []
    for user, rows in zip(users.tolist(), np.split(order, starts[1:]), strict=True):
        # An item may have several events; the newest 50 items count.
        items, last = np.unique(interactions.item_ids[rows][::-1], return_index=True)
        newest = rows[::-1][np.sort(last)][:PROFILE]
        kept.append(newest)
        if len(items) >= PROFILE:
            full.append(user)
    chosen = interactions.where(np.concatenate(kept))
    random = np.random.default_rng(0)
    catalogue = np.unique(chosen.item_ids)
    strangers = {
        f"cold-{at}": tuple(random.choice(catalogue, PROFILE, replace=False).tolist())
        for at in range(cold)
    }
    return chosen, Users(tuple(full[:known]), strangers, str(catalogue[0]))


@dataclass
class Plane:
    """The pods; each is started by its name. Use as ``with plane.store`` and call ``stop``."""

    folder: Path
    store: ValkeyServer
    pods: dict[str, Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def common(self) -> dict[str, Any]:
        """What every task has."""
        storage = tasks.Storage(path=str(self.folder / "storage"))
        owner = Owner(cluster="bench", namespace="bench", name="movies", uid="1")
        return {
            "group": tasks.Group(name=GROUP, storage=storage, owner=owner),
            "online_store": tasks.OnlineStore(url=self.store.url),
        }

    def artifact(self, recipe: str, interactions: Interactions) -> tuple[str, int]:
        """Train and keep a model; return its digest and size."""
        path = self.folder / "trained"
        save(train(recipe, interactions), path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        place = self.folder / "storage" / Places(GROUP).artifact(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        size = path.stat().st_size
        path.rename(place)
        return digest, size

    def ranker(self, name: str, digest: str) -> tasks.RankerTask:
        """Return the task of a campaign's ranker."""
        return tasks.RankerTask(
            **{
                **self.common,
                "campaign": name,
                "arn": arn("campaign", name),
                "version": "1",
                "artifact": digest,
                "recipe": RECIPES[name],
            }
        )

    def collector(self) -> tasks.CollectorTask:
        """Return the collector's task."""
        return tasks.CollectorTask(**self.common, tracking_id=TRACKING)

    def consumer(self) -> tasks.ConsumerTask:
        """Return the consumer's task."""
        return tasks.ConsumerTask(**self.common, flush_seconds=5.0)

    def start(self, role: str, name: str, task: tasks.Task) -> Process:
        """Start a pod and wait until it is ready; a name used again keeps its port."""
        port = self.ports.setdefault(name, free_port())
        told = task.model_copy(update={"port": port}).environment()
        environment = {
            tasks.TASK_VARIABLE: told,
            "RECO_DRAIN_SECONDS": "0",
            "RECO_CONSUMER_NAME": name,
        }
        return self._run(name, [_program("reco"), "serve", role], environment, READY)

    def peer(self, name: str, folder: Path, algorithm: str) -> Process:
        """Start the peer."""
        port = self.ports.setdefault(name, free_port())
        module = "benchmarks.serving.peer"
        command = [sys.executable, "-m", module, str(folder), algorithm, str(port)]
        return self._run(name, command, {}, "/docs")

    def url(self, name: str) -> str:
        """Return where a pod answers."""
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def stop(self, name: str) -> None:
        """End a pod."""
        self.pods.pop(name).stop()

    def stop_all(self) -> None:
        """End all pods."""
        for name in list(self.pods):
            self.stop(name)

    def processor_seconds(self, name: str) -> float:
        """Return how long a pod has kept processors busy."""
        fields = Path(f"/proc/{self.pods[name].pid}/stat").read_text("utf-8").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory(self, name: str) -> dict[str, float]:
        """Return a pod's resident memory in MiB: all, and what is no mapped file."""
        status = Path(f"/proc/{self.pods[name].pid}/status").read_text(encoding="utf-8")
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return {
            key: int(lines[given].split()[0]) / 1024
            for key, given in (("resident", "VmRSS"), ("anonymous", "RssAnon"))
        }

    def _run(
        self, name: str, command: list[str], environment: dict[str, str], ready: str
    ) -> Process:
        environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **environment}
        self.pods[name] = Process(name, command, log=self.folder / f"{name}.log", env=environment)
        self.pods[name].wait_ready(f"{self.url(name)}{ready}", timeout=120)
        return self.pods[name]


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
