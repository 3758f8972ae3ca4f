"""What seeds have shown once and must never show again, each as small as it can be."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reco.api.resource import Key, Resource, parse
from reco.api.vocabulary import API_VERSION
from reco.decide.model import Absent, Desired, EngineView, ErrorClass, Failure, Identity
from reco.decide.references import References
from reco.engines.personalize.kinds import UNPROVEN
from reco.engines.port import EngineError
from reco.loop.queue import WorkQueue
from reco.loop.reconciler import Reconciler
from reco.loop.routing import connect
from tests.simulation.memory_store import MemoryStore, StoreClient

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
VERSION = Key("SolutionVersion", "shop", "by-hand")


@dataclass
class RefusingEngine:
    """An engine in which nothing is, and which refuses to make anything."""

    view: EngineView = field(default_factory=lambda: EngineView("personalize", unproven=UNPROVEN))
    created: list[str] = field(default_factory=list)

    def desired(self, _resource: Resource, _references: References) -> Desired:
        return Desired("shop_by-hand", {"solutionArn": "arn:solution"}, tags={})

    async def observe(self, *_: object, **__: object) -> Absent:
        return Absent()

    async def turn(self) -> None:
        pass

    async def create(self, _kind: str, desired: Desired, _tags: Mapping[str, str]) -> str:
        self.created.append(desired.name)
        raise EngineError(Failure(ErrorClass.INVALID, "There is no data.", "Create"))

    def get(self, _engine_class: Resource) -> "RefusingEngine":
        return self

    def forget(self, _key: Key) -> None:
        pass


def body(kind: str, name: str, spec: Mapping[str, Any], **status: Any) -> dict[str, Any]:
    conditions = [
        {
            "type": "Ready",
            "status": "True",
            "reason": "InSync",
            "message": "",
            "lastTransitionTime": "2026-03-02T12:00:00Z",
        }
    ]
    namespace = {} if kind == "EngineClass" else {"namespace": "shop"}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, **namespace},
        "spec": spec,
        "status": {"conditions": conditions, **status} if status else {},
    }


IN_SYNC: dict[str, Any] = {
    "external": {"name": "x", "arn": "arn:x"},
    "applied": {"digest": "0", "generation": 1},
}
ESTATE: Sequence[dict[str, Any]] = (
    body(
        "EngineClass",
        "personalize",
        {"engine": "Personalize", "personalize": {"region": "eu-west-1"}},
    ),
    body("DatasetGroup", "movies", {"engineClassName": "personalize"}, **IN_SYNC),
    body(
        "Solution", "sol", {"datasetGroupRef": {"name": "movies"}, "recipe": "aws-sims"}, **IN_SYNC
    ),
    body("SolutionVersion", "by-hand", {"solutionRef": {"name": "sol"}}),
)


async def at_once(_what: str, request: Any) -> Any:
    return request()


def test_a_paid_call_that_was_refused_is_recorded_and_not_made_again() -> None:
    async def scenario() -> None:
        numbers = iter(range(100))
        server = MemoryStore(lambda: NOW, lambda: f"uid-{next(numbers)}")
        server.create_namespace("shop")
        queue = WorkQueue[Key](asyncio.get_running_loop().time)
        cache = connect(queue, asyncio.get_running_loop().time)
        for one in ESTATE:
            made = server.create(one)
            key = Key(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
            if one["status"]:
                made = server.patch_status(key, one["status"], None, "test")
            cache.replace(parse(made))
        engine = RefusingEngine()
        reconciler = Reconciler(
            store=StoreClient(server, at_once),
            cache=cache,
            queue=queue,
            engines=engine,  # type: ignore[arg-type]  # the part of an engine that is asked here
            identity=Identity("cluster"),
            clock=lambda: NOW,
            fence=lambda: True,
        )
        for _ in range(4):
            await reconciler.reconcile(VERSION)
        status = server.objects[VERSION]["status"]
        assert engine.created == ["shop_by-hand"]
        assert status["refusal"]["message"] == "There is no data."
        assert "intent" not in status
        conditions = {one["type"]: one for one in status["conditions"]}
        assert conditions["Succeeded"]["reason"] == "ExternalFailure"

    asyncio.run(scenario())
