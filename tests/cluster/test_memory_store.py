"""The simulation's store in memory against a real API server: same requests, same answers."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from hack.control_plane import ControlPlane
from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource, parse
from reco.api.vocabulary import API_VERSION, FINALIZER
from reco.cluster.api import KubernetesAPI, load_configuration
from reco.cluster.errors import StoreError
from reco.loop.events import EventRecorder
from reco.loop.informer import slim
from reco.loop.kubernetes import KubernetesStore, path_of
from reco.loop.store import Store
from tests.simulation.memory_store import MemoryStore, StoreClient

SEQUENCES = 12
REQUESTS = 40
NAMES = ("one", "two", "Not_A_Name")
SPECS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "DatasetGroup": ({}, {"tags": {"env": "a"}}, {"suspend": True, "engineClassName": "x"}),
    "Campaign": (
        {"solutionRef": {"name": "sol"}},
        {"solutionRef": {"name": "sol"}, "minProvisionedTPS": 7, "tags": {"env": "b"}},
        {"solutionRef": {"name": "sol"}, "minProvisionedTPS": 0},
        {"minProvisionedTPS": 1},
    ),
    "Solution": (
        {"datasetGroupRef": {"name": "g"}, "recipe": "aws-sims"},
        {"datasetGroupRef": {"name": "g"}, "recipe": "aws-sims", "training": {"owner": "Nobody"}},
    ),
}
EDITS: tuple[dict[str, Any], ...] = (
    {"spec": {"tags": {"env": "c"}}},
    {"spec": {"tags": None}},
    {"spec": {"suspend": True}},
    {"spec": {"suspend": None}},
    {"spec": {"suspend": "yes"}},
    {"spec": {"unknown": 1}},
    {"metadata": {"annotations": {"a": "1", "b": "2"}}},
    {"metadata": {"annotations": {"a": None}}},
    {"metadata": {"annotations": None, "labels": {"l": "1"}}},
    {"status": {"engineClassName": "not-by-this-way"}},
    {"metadata": {"generation": 99, "uid": None}},
    {},
)
STATUSES: tuple[dict[str, Any], ...] = (
    {"observedGeneration": 1, "engineClassName": "x"},
    {"engineClassName": None},
    {"external": {"name": "n", "arn": "a"}, "applied": {"digest": "d", "generation": 1}},
    {"external": {"name": None, "region": "eu-west-1"}},
    {"external": None},
    {"observedGeneration": "one"},
    {"unknown": 1},
    {"conditions": [{"type": "Ready", "status": "Perhaps"}]},
    {},
)
FINALIZERS: tuple[list[str], ...] = ([], [FINALIZER], [FINALIZER, "example.com/other"])


class RealUser:
    """What people do, on a real API server."""

    def __init__(self, api: KubernetesAPI) -> None:
        self._api = api

    async def edit(self, key: Key, patch: Mapping[str, Any]) -> Resource:
        answer = await self._api.request(
            "PATCH", path_of(key), body=patch, content_type="application/merge-patch+json"
        )
        return parse(slim(answer))

    async def delete(self, key: Key) -> None:
        await self._api.request("DELETE", path_of(key))


class MemoryUser:
    """The same in memory."""

    def __init__(self, server: MemoryStore) -> None:
        self._server = server

    async def edit(self, key: Key, patch: Mapping[str, Any]) -> Resource:
        return parse(slim(self._server.update(key, patch)))

    async def delete(self, key: Key) -> None:
        self._server.delete(key)


@dataclass
class Side:
    """One of the two servers, and what was learned from it."""

    store: Store
    user: RealUser | MemoryUser
    uids: list[str] = field(default_factory=list)
    versions: dict[Key, list[str]] = field(default_factory=dict)

    def version(self, key: Key, *, fresh: bool) -> str:
        seen = self.versions.get(key, ["1"])
        return seen[-1] if fresh else seen[0]

    def plain(self, answer: object) -> object:
        """Return an answer without what no two servers share."""
        if isinstance(answer, list | tuple):
            return [self.plain(one) for one in answer]
        if not isinstance(answer, Resource):
            return answer
        seen = self.versions.setdefault(answer.key, [])
        changed = answer.resource_version not in seen
        if changed:
            seen.append(answer.resource_version)
        if answer.uid not in self.uids:
            self.uids.append(answer.uid)
        return {
            "key": (answer.key.kind, answer.key.name),
            "uid": self.uids.index(answer.uid),
            "changed": changed,
            "generation": answer.generation,
            "deleted": answer.deleted is not None,
            "finalizers": answer.finalizers,
            "annotations": dict(answer.annotations),
            "labels": dict(answer.labels),
            "spec": answer.spec.manifest() if answer.spec is not None else answer.problem,
            "status": answer.raw_status,
        }


Request = Callable[[Side], Awaitable[object]]


def draw(rng: random.Random, namespace: str) -> tuple[str, Request]:
    """Draw one request, with its description."""
    kind = rng.choice(sorted(SPECS))
    key = Key(kind, namespace, rng.choice(NAMES[:2] * 10 + NAMES[2:]))
    fresh = rng.random() < 0.7
    match rng.choices(range(8), (6, 2, 1, 6, 6, 4, 2, 2))[0]:
        case 0:
            manifest = {
                "apiVersion": API_VERSION,
                "kind": kind,
                "metadata": {"name": key.name, "namespace": namespace},
                "spec": rng.choice(SPECS[kind]),
                "status": {"engineClassName": "not-at-first"},
            }
            return f"create {manifest}", lambda side: side.store.create(manifest)
        case 1:
            return f"get {key}", lambda side: side.store.get(key)
        case 2:
            return f"list {kind}", lambda side: _listed(side, kind, namespace)
        case 3:
            status = rng.choice(STATUSES)
            return (
                f"status of {key}: {status} (fresh: {fresh})",
                lambda side: side.store.patch_status(key, status, side.version(key, fresh=fresh)),
            )
        case 4:
            names = rng.choice(FINALIZERS)
            return (
                f"finalizers of {key}: {names} (fresh: {fresh})",
                lambda side: side.store.set_finalizers(key, names, side.version(key, fresh=fresh)),
            )
        case 5:
            patch = rng.choice(EDITS)
            return f"edit {key}: {patch}", lambda side: side.user.edit(key, patch)
        case 6:
            return f"user deletes {key}", lambda side: side.user.delete(key)
        case _:
            number = rng.randrange(6)
            return f"delete {key} of uid {number}", lambda side: side.store.delete(
                key, side.uids[number] if number < len(side.uids) else "no-such-uid"
            )


async def _listed(side: Side, kind: str, namespace: str) -> list[Resource]:
    return [one for one in await side.store.list(kind) if one.key.namespace == namespace]


async def answer(side: Side, request: Request) -> object:
    try:
        return side.plain(await request(side))
    except StoreError as error:
        return type(error).__name__


async def compare(plane: ControlPlane, namespace: str, seed: int) -> list[str]:
    """Send a drawn sequence to both servers; return what they answered differently."""
    rng = random.Random(seed)

    def now() -> datetime:
        return datetime.now(UTC)

    server = MemoryStore(now, lambda: f"memory-{rng.getrandbits(64)}")
    server.create_namespace(namespace)

    async def at_once(_what: str, request: Callable[[], Any]) -> Any:
        return request()

    api = KubernetesAPI(await load_configuration(plane.kubeconfig))
    try:
        real = Side(KubernetesStore(api, EventRecorder(api, "test", now)), RealUser(api))
        memory = Side(StoreClient(server, at_once), MemoryUser(server))
        history = []
        for _ in range(REQUESTS):
            text, request = draw(rng, namespace)
            expected, got = await answer(real, request), await answer(memory, request)
            history.append(f"{text}\n    real:   {expected}\n    memory: {got}")
            if expected != got:
                return history
    finally:
        await api.close()
    return []


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_the_store_in_memory_answers_as_the_api_server(
    crds: ControlPlane, namespace: str, seed: int
) -> None:
    history = asyncio.run(compare(crds, namespace, seed))
    assert not history, "\n".join(history[-6:])


def test_every_drawn_kind_is_one_of_ours() -> None:
    assert set(SPECS) <= set(KINDS)
