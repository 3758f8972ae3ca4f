"""A data plane of real processes: a store, a ranker, a collector, a consumer, a runtime."""

import hashlib
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from botocore.config import Config

from hack.processes import LOOPBACK, Process, free_port
from hack.valkey import ValkeyServer
from reco.emulator.conformance import watch
from reco.recipes import Interactions, save, train
from reco.workload import tasks
from reco.workload.storage import Owner, Places

GROUP = "shop_movies"
CAMPAIGN = "shop_for-you"
ARN = f"arn:aws:personalize:eu-west-1:123456789012:campaign/{CAMPAIGN}"
TRACKING = "55d3a75d-f05d-4fd1-a503-8b740c13c67c"
RECIPE = "aws-user-personalization"
OWNER = Owner(cluster="c", namespace="shop", name="movies", uid="u")


def trained(path: Path, recipe: str = RECIPE, users: int = 60, items: int = 80) -> None:
    """Train on users who like one of two kinds of items, and save the model."""
    random = np.random.default_rng(7)
    rows = []
    for user in range(users):
        liked = np.arange(user % 2, items, 2)
        for place, item in enumerate(random.choice(liked, size=24, replace=False)):
            rows.append((f"u{user}", f"i{item}", 1_700_000_000 + 60 * place))
    users_, items_, times = zip(*rows, strict=True)
    save(train(recipe, Interactions.of(users_, items_, times)), path)


@dataclass
class Stack:
    """Pods of one dataset group; each is started by its name and stopped at the end."""

    folder: Path
    store: ValkeyServer
    pods: dict[str, Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def group(self) -> tasks.Group:
        """What the pods work for."""
        return tasks.Group(
            name=GROUP, storage=tasks.Storage(path=str(self.folder / "storage")), owner=OWNER
        )

    @property
    def online_store(self) -> tasks.OnlineStore:
        """Where the store is."""
        return tasks.OnlineStore(url=self.store.url)

    def artifact(self, recipe: str = RECIPE) -> str:
        """Train a model, put it where rankers look, and return its digest."""
        path = self.folder / "model"
        trained(path, recipe)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        place = self.folder / "storage" / Places(GROUP).artifact(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return digest

    def ranker(self, recipe: str = RECIPE, artifact: str = "", **more: Any) -> tasks.RankerTask:
        """Return a ranker's task."""
        return tasks.RankerTask(
            **{
                "group": self.group,
                "campaign": CAMPAIGN,
                "arn": ARN,
                "version": "v1",
                "artifact": artifact or self.artifact(recipe),
                "recipe": recipe,
                "online_store": self.online_store,
                **more,
            }
        )

    def collector(self, **more: Any) -> tasks.CollectorTask:
        """Return a collector's task."""
        return tasks.CollectorTask(
            **{
                "group": self.group,
                "tracking_id": TRACKING,
                "online_store": self.online_store,
                **more,
            }
        )

    def consumer(self, **more: Any) -> tasks.ConsumerTask:
        """Return a consumer's task."""
        return tasks.ConsumerTask(
            **{
                "group": self.group,
                "online_store": self.online_store,
                "flush_seconds": 0.2,
                **more,
            }
        )

    def launch(self, role: str, task: tasks.Task, name: str = "") -> Process:
        """Start a pod without waiting for it; a name used again keeps its port."""
        name = name or role
        port = self.ports.setdefault(name, free_port())
        environment = {
            tasks.TASK_VARIABLE: task.model_copy(update={"port": port}).environment(),
            "RECO_DRAIN_SECONDS": "0.2",
            "RECO_CONSUMER_NAME": name,
            "OPENBLAS_NUM_THREADS": "1",
            **self.environment,
        }
        command = [str(Path(sys.executable).with_name("reco")), "serve", role]
        log = self.folder / f"{name}.log"
        self.pods[name] = Process(name, command, log=log, env=environment)
        return self.pods[name]

    def start(self, role: str, task: tasks.Task, name: str = "") -> Process:
        """Start a pod and wait until it is ready."""
        pod = self.launch(role, task, name)
        pod.wait_ready(f"{self.url(name or role)}/readyz", timeout=60)
        return pod

    def url(self, name: str) -> str:
        """Return where a pod answers."""
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def client(
        self,
        service: str,
        name: str,
        attempts: int = 1,
        keys: tuple[str, ...] = ("a", "s"),
    ) -> Any:
        """Return a boto3 client of a pod that checks answers against botocore's models.

        `keys` are access key id and secret, and maybe a session token.
        """
        client: Any = boto3.client(
            service,  # type: ignore[call-overload] # one of the two
            endpoint_url=self.url(name),
            region_name="eu-west-1",
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            aws_session_token="".join(keys[2:]) or None,
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=20
            ),
        )
        watch(client)
        return client

    def metric(self, pod: str, name: str) -> float:
        """Return the sum of a metric's samples."""
        with urllib.request.urlopen(f"{self.url(pod)}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.partition(" ")[0].partition("{")[0] == name
        )

    def readiness(self, pod: str) -> str:
        """Return `ok`, or why a pod is not ready."""
        try:
            with urllib.request.urlopen(f"{self.url(pod)}/readyz", timeout=5) as answer:
                return str(json.load(answer)["status"])
        except urllib.error.HTTPError as error:
            with error:
                return str(json.load(error)["message"])
        except OSError:
            return "away"

    def stop(self) -> None:
        """End every pod."""
        for pod in self.pods.values():
            pod.stop()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a condition of another process holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:g} s")
        time.sleep(0.01)


def items(client: Any, **parameters: Any) -> list[str]:
    """Return the items of a GetRecommendations answer."""
    answer = client.get_recommendations(**{"campaignArn": ARN, **parameters})
    return [one["itemId"] for one in answer["itemList"]]


def event(item: str, sent_at: float = 1_800_000_000, **more: Any) -> dict[str, Any]:
    """Return one event."""
    return {"eventType": "watch", "itemId": item, "sentAt": sent_at, **more}


def put(client: Any, *events: dict[str, Any], session: str = "s", **more: Any) -> None:
    """Call PutEvents."""
    client.put_events(trackingId=TRACKING, sessionId=session, eventList=list(events), **more)
