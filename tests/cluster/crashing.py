"""Operators that die at a chosen await, one after the other, in a world whose time stands still.

Everything but the process is real: a kube-apiserver, the emulator behind HTTP, the store, the
engine and the reconciler. A `Fuse` counts what is awaited of the Kubernetes API, of Personalize and
of S3, and blows at one of those calls, before it is made or after it took effect. What the operator
knew is then gone; the next one starts from what the two APIs say.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hack.control_plane import ControlPlane
from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource, parse
from reco.cluster.api import KubernetesAPI, load_configuration
from reco.cluster.errors import StoreNotFound
from reco.decide.model import Identity, Timing
from reco.emulator.core import Emulator
from reco.engines.personalize.aws import AwsClient
from reco.engines.personalize.engine import PersonalizeEngine
from reco.engines.personalize.polling import PollSettings, Timers
from reco.engines.port import Engine
from reco.loop.cache import Cache
from reco.loop.events import EventRecorder
from reco.loop.kubernetes import KubernetesStore, path_of
from reco.loop.reconciler import Reconciler
from reco.loop.routing import connect

STEP = 15.0
SETTLE = 30.0
MERGE_PATCH = "application/merge-patch+json"


class Crash(BaseException):
    """The process has died."""


@dataclass(slots=True)
class Fuse:
    """Counts calls and dies at one of them."""

    at: int = 0
    after: bool = False
    count: int = 0
    blown: str | None = None

    def around(self, port: Any) -> Any:
        """Return `port` with its methods counted."""
        return _Counted(port, self)

    async def call(self, label: str, made: Callable[[], Awaitable[Any]]) -> Any:
        self.count += 1
        mine = self.count == self.at
        if mine:
            self.blown = f"{'after' if self.after else 'before'} {label}"
        if mine and not self.after:
            raise Crash
        try:
            return await made()
        finally:
            if mine:
                raise Crash


class _Counted:
    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port, self._fuse = port, fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def counted(*args: Any, **kwargs: Any) -> Any:
            label = f"{name} {args[0] if args else ''}"
            return await self._fuse.call(label, lambda: method(*args, **kwargs))

        return counted


class _Queue:
    """Remembers what is due at once; what is due later is due at the next step."""

    def __init__(self) -> None:
        self.due: dict[Key, None] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        self.due[key] = None

    def add_after(self, key: Key, seconds: float) -> None:
        if seconds <= 1:
            self.add(key)

    def fail(self, key: Key) -> float:
        self._failures[key] = self.failures(key) + 1
        return 1.0

    def forget(self, key: Key) -> None:
        self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        return self._failures.get(key, 0)


@dataclass(frozen=True, slots=True)
class _OneEngine:
    engine: Engine

    def get(self, _engine_class: Resource) -> Engine:
        return self.engine

    def forget(self, key: Key) -> None:
        self.engine.forget(key)


@dataclass(slots=True)
class World:
    """What outlives an operator: the two APIs, and time."""

    api: KubernetesAPI
    store: KubernetesStore
    emulator: Emulator
    namespace: str
    elapsed: float = 0.0
    engine_class: Resource | None = None
    client: AwsClient | None = None
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.elapsed)

    def seconds(self) -> float:
        return self.now().timestamp()

    def advance(self) -> None:
        self.elapsed += STEP
        self.emulator.advance(STEP)

    async def apply(self, kind: str, name: str, **spec: Any) -> Key:
        """Make a resource, as a user does."""
        key = Key(kind, "" if kind == "EngineClass" else self.namespace, name)
        metadata = {"name": name} | ({"namespace": key.namespace} if key.namespace else {})
        made = await self.store.create(
            {"apiVersion": "reco.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        )
        if kind == "EngineClass":
            self.engine_class = made
        return key

    async def patch(self, key: Key, change: dict[str, Any]) -> None:
        """Change a resource, as a user does."""
        await self.api.request("PATCH", path_of(key), body=change, content_type=MERGE_PATCH)

    async def delete(self, key: Key) -> None:
        """Ask for a resource's deletion, as a user does."""
        await self.api.request("DELETE", path_of(key))

    async def get(self, key: Key) -> Resource | None:
        try:
            return parse(await self.api.request("GET", path_of(key)))
        except StoreNotFound:
            return None

    def mark(self) -> int:
        calls = self._calls(0)
        return calls[-1]["id"] if calls else 0

    def carried_out(self, operation: str, after: int = 0) -> int:
        """Return how often an operation was executed, answered or not."""
        return sum(
            call["operation"] == operation and call["outcome"] in {"OK", "LOST"}
            for call in self._calls(after)
        )

    def _calls(self, after: int) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        while page := self.emulator.calls(after=after, limit=10_000, mutating=True):
            calls += page
            after = page[-1]["id"]
        return calls


Scope = Callable[[Key], bool]
Done = Callable[[Cache], bool]


class Operator:
    """One incarnation, from its start to its end or its crash."""

    def __init__(self, world: World, fuse: Fuse) -> None:
        assert world.engine_class is not None
        self._world = world
        self._queue = _Queue()
        self.cache = connect(self._queue, world.seconds)
        engine = PersonalizeEngine(
            world.engine_class,
            fuse.around(world.client),
            Timers(world.now, world.seconds, asyncio.sleep, world.rng),
            PollSettings(fast=10, slow=10, settle=SETTLE, update=10, source=10),
        )
        self._reconciler = Reconciler(
            store=fuse.around(world.store),
            cache=self.cache,
            queue=self._queue,
            engines=_OneEngine(engine),
            identity=Identity("cluster"),
            clock=world.now,
            fence=lambda: True,
            timing=Timing(settle=SETTLE),
        )

    async def work(self, scope: Scope, done: Done, *, steps: int = 40) -> None:
        """Look at what is in `scope` until `done`.

        Raises:
            AssertionError: it took more than so many steps of time; the text shows what there is.
            Crash: the fuse has blown.
        """
        await self._sync()
        for _ in range(steps):
            for kind in KINDS:
                for resource in self.cache.all(kind):
                    if scope(resource.key):
                        self._queue.add(resource.key)
            await self._drain(scope)
            if done(self.cache):
                return
            self._world.advance()
        raise AssertionError(f"no end after {steps} steps\n{self._picture(scope)}")

    async def _sync(self) -> None:
        """List once: nobody else writes while it lives. No crash here, where nothing is done."""
        for kind in KINDS:
            mark = self.cache.mark()
            self.cache.merge(kind, await self._world.store.list(kind), mark)

    async def _drain(self, scope: Scope) -> None:
        looks = 0
        while self._queue.due:
            key = next(iter(self._queue.due))
            del self._queue.due[key]
            if scope(key):
                looks += 1
                assert looks < 300, f"looks at {key} again and again"
                await self._reconciler.reconcile(key)

    def _picture(self, scope: Scope) -> str:
        lines = []
        for kind in KINDS:
            for resource in self.cache.all(kind):
                if scope(resource.key):
                    shown = [f"{c.type}={c.status}/{c.reason}" for c in resource.status.conditions]
                    ready = next(iter(resource.status.conditions), None)
                    lines.append(f"{resource.key}: {' '.join(shown)} {ready and ready.message}")
        return "\n".join(lines)


async def live_and_die(world: World, fuse: Fuse, scope: Scope, done: Done) -> bool:
    """Run an operator; if it dies, run another one to the end. Returns whether it died."""
    try:
        await Operator(world, fuse).work(scope, done)
    except Crash:
        await Operator(world, Fuse()).work(scope, done)
        return True
    # A call in a task of its own dies there, and nobody may have waited for it.
    return fuse.blown is not None


def points() -> Iterable[tuple[int, bool]]:
    """Yield every point at which to die: before and after the first call, the second, ..."""
    return ((at, after) for at in range(1, 200) for after in (False, True))


async def connected(plane: ControlPlane, namespace: str, emulator: Emulator) -> World:
    """Return a world with connections of the running event loop."""
    api = KubernetesAPI(await load_configuration(plane.kubeconfig))
    recorder = EventRecorder(api, "test", lambda: datetime.now(UTC))
    return World(api, KubernetesStore(api, recorder, (namespace,)), emulator, namespace)
