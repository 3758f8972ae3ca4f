"""One reconciler over a store in memory and an engine of one object: every wait can be held."""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from reco.api.resource import Key, Resource, parse
from reco.api.vocabulary import FINALIZER, DeletionPolicy
from reco.decide import names
from reco.decide.model import Absent, Desired, EngineView, Identity, Observed, State
from reco.decide.references import References
from reco.engines.personalize.kinds import GOES_WITH_PARENT, REPEATABLE, UNPROVEN
from reco.loop.queue import WorkQueue
from reco.loop.reconciler import Reconciler
from reco.loop.routing import connect
from tests.simulation.memory_store import MemoryStore, StoreClient
from tests.simulation.test_regressions import ESTATE, IN_SYNC, NOW, body

CLUSTER = "cluster"
VIEW = EngineView(
    "personalize", unproven=UNPROVEN, repeatable=REPEATABLE, goes_with_parent=GOES_WITH_PARENT
)


CAMPAIGN = Key("Campaign", "shop", "thing")
VERSION = Key("SolutionVersion", "shop", "thing")
CLASS = Key("EngineClass", "", "personalize")
HELD = {"finalizers": [FINALIZER]}
OWN: dict[str, Any] = {"external": {"name": "shop_thing", "arn": "arn:thing"}}


@dataclass
class OneObjectEngine:
    """An engine that shows what `seen` says, and notes what it is asked to change."""

    wanted: Desired = field(
        default_factory=lambda: Desired("shop_thing", {"size": 1}, frozenset({"size"}), tags={})
    )
    seen: Callable[[Resource], Observed | Absent] = lambda _resource: Absent()
    region: str | None = None
    view: EngineView = VIEW
    calls: list[str] = field(default_factory=list)
    asked_afresh: list[bool] = field(default_factory=list)
    """For each look whether it asked for everything anew."""
    refusal: Exception | None = None
    """What every change is answered with."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody waits for a turn."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets whoever waits for a turn through."""

    def get(self, engine_class: Resource) -> "OneObjectEngine":
        policy = engine_class.spec.deletion_policy
        chosen = policy and DeletionPolicy(policy)
        self.view = replace(self.view, deletion_policy=chosen, region=self.region)
        return self

    def forget(self, key: Key) -> None:
        """Do nothing."""

    def desired(self, _resource: Resource, _references: References) -> Desired:
        return self.wanted

    async def observe(
        self, resource: Resource, _wanted: object, *, fresh: bool, tags: bool
    ) -> Observed | Absent:
        del tags
        self.asked_afresh.append(fresh)
        return self.seen(resource)

    async def turn(self) -> None:
        self.waiting.set()
        await self.gate.wait()

    def _call(self, what: str) -> None:
        self.calls.append(what)
        if self.refusal is not None:
            raise self.refusal

    async def create(self, kind: str, desired: Desired, _tags: Mapping[str, str]) -> str:
        self._call(f"create {kind} {desired.name}")
        return "arn:thing"

    async def update(self, kind: str, _seen: Observed, fields: Any, _wanted: Desired) -> None:
        self._call(f"update {kind} {dict(fields)}")

    async def tag(
        self, kind: str, _seen: Observed, set_: Mapping[str, str], remove: Sequence[str]
    ) -> None:
        del set_, remove
        self._call(f"tag {kind}")

    async def stop(self, kind: str, _seen: Observed) -> None:
        self._call(f"stop {kind}")

    async def delete(self, kind: str, _seen: Observed) -> None:
        self._call(f"delete {kind}")


def standing(state: State = State.ACTIVE, **changes: Any) -> Callable[[Resource], Observed]:
    """Return what an engine shows of an object that is the resource's own."""

    def seen(resource: Resource) -> Observed:
        own = Observed(
            "arn:thing",
            "shop_thing",
            state,
            {"size": 1},
            NOW - timedelta(hours=1),
            tags=names.ownership_tags(resource, CLUSTER),
        )
        return replace(own, **changes)

    return seen


class Desk:
    """A reconciler with all that it needs; the cache follows the store unless `lagging`."""

    def __init__(self, engine: OneObjectEngine, bodies: Sequence[Mapping[str, Any]]) -> None:
        self.engine = engine
        self.now: datetime = NOW
        self.lagging = False
        self.requests: list[str] = []
        self.before_write: Callable[[], object] = lambda: None
        """Somebody else's doing right before each write of a status."""
        numbers = itertools.count()
        self.server = MemoryStore(lambda: self.now, lambda: f"uid-{next(numbers)}")
        self.server.create_namespace("shop")
        clock = asyncio.get_running_loop().time
        self.queue = WorkQueue[Key](clock, rng=random.Random(0))
        self.cache = connect(self.queue, clock)
        self.server.listeners.append(self._follow)
        self.events: list[tuple[str, str, str]] = []
        self.reconciler = Reconciler(
            store=StoreClient(self.server, self._carry, self._told),
            cache=self.cache,
            queue=self.queue,
            engines=engine,  # type: ignore[arg-type]  # the part of an engine that is asked here
            identity=Identity(CLUSTER),
            clock=lambda: self.now,
            fence=lambda: True,
        )
        for one in bodies:
            made = self.server.create(one)
            key = Key(made["kind"], made["metadata"].get("namespace", ""), made["metadata"]["name"])
            if one.get("status"):
                self.server.patch_status(key, one["status"], None, "test")

    def _follow(self, change: Any) -> None:
        if self.lagging:
            return
        resource = parse(change.body)
        if change.type == "DELETED":
            self.cache.remove(resource.key, resource.uid)
        else:
            self.cache.replace(resource)

    async def _carry(self, what: str, request: Callable[[], Any]) -> Any:
        self.requests.append(what)
        if what.startswith("patch status"):
            self.before_write()
        return request()

    def _told(self, _resource: Resource, type_: str, reason: str, message: str) -> None:
        self.events.append((type_, reason, message))

    async def look(self, key: Key) -> None:
        """Look once; nobody is held at the gate."""
        self.engine.gate.set()
        await self.reconciler.reconcile(key)

    async def look_and_meanwhile(self, key: Key, edit: Callable[[], object]) -> None:
        """Look once, and change something while a call waits for its turn."""
        self.engine.gate.clear()
        self.engine.waiting.clear()
        looking = asyncio.create_task(self.reconciler.reconcile(key))
        await asyncio.wait_for(self.engine.waiting.wait(), 5)
        edit()
        self.engine.gate.set()
        await looking

    def status(self, key: Key) -> dict[str, Any]:
        """Return a resource's status as the store has it."""
        found = self.server.get(key)
        assert found is not None
        return dict(found["status"])

    def conditions(self, key: Key) -> dict[str, str]:
        """Return a resource's conditions as `Status/Reason`."""
        return {
            one["type"]: f"{one['status']}/{one['reason']}"
            for one in self.status(key)["conditions"]
        }


def campaign(**spec: Any) -> dict[str, Any]:
    """Return a campaign that was in sync."""
    made = body("Campaign", "thing", {"solutionRef": {"name": "sol"}, **spec}, **IN_SYNC)
    made["status"] |= OWN
    made["metadata"] |= HELD
    return made


def version(**spec: Any) -> dict[str, Any]:
    """Return a version whose training has begun."""
    made = body("SolutionVersion", "thing", {"solutionRef": {"name": "sol"}, **spec}, **OWN)
    made["metadata"] |= HELD
    return made


def good_version() -> dict[str, Any]:
    """Return a version that can be served."""
    made = body("SolutionVersion", "good", {"solutionRef": {"name": "sol"}}, **IN_SYNC)
    made["status"]["conditions"].append(made["status"]["conditions"][0] | {"type": "Succeeded"})
    return made


def opened(engine: OneObjectEngine, *bodies: dict[str, Any]) -> Desk:
    """Return a desk with a class, a group, a solution with a good version, and more."""
    return Desk(engine, [*ESTATE[:3], good_version(), *bodies])
