"""One simulated world: a cluster, an engine, operators, and everybody who disturbs them.

All of it follows from one seed. First everything goes wrong at once while a user applies, edits and
deletes; then it grows calm, and what the user asked for must come to be; then nothing must happen.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from reco.api.resource import Resource
from reco.emulator.core import Emulator
from reco.emulator.errors import ServiceError
from reco.emulator.ports import ObjectStoreError, ServingModel, TrainingJob, TrainingResult
from reco.emulator.training import AUTOMATIC
from reco.emulator.world import Settings
from reco.engines.personalize.polling import PollSettings
from tests.simulation.loop import Life, SimulatedLoop
from tests.simulation.memory_store import Change, MemoryStore
from tests.simulation.processes import Process

if TYPE_CHECKING:
    from tests.simulation.estate import User

START = 1_772_452_800.0
REGION = "eu-west-1"
ACCOUNT = "111122223333"
OTHER_CLUSTER = "another-cluster"


@dataclass(slots=True)
class Weather:
    """How much goes wrong; all chances are per request or per event."""

    throttles: float = 0.0
    server_errors: float = 0.0
    lost: float = 0.0
    slow: float = 0.0
    denied: bool = False
    store_failures: float = 0.0
    crashes: float = 0.0
    watch_breaks: float = 0.0
    watch_repeats: float = 0.0
    watch_delay: float = 0.0
    stale: float = 0.0

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        for name, value in _field_defaults(Weather()).items():
            setattr(self, name, value)
        self.watch_delay = 0.05

    def draw(self, rng: random.Random) -> None:
        """Let some things go wrong."""
        for name, most in (
            ("throttles", 0.2),
            ("server_errors", 0.1),
            ("lost", 0.1),
            ("slow", 0.2),
            ("store_failures", 0.1),
            ("crashes", 0.03),
            ("watch_breaks", 0.2),
            ("watch_repeats", 0.5),
            ("watch_delay", 10.0),
            ("stale", 0.5),
        ):
            setattr(self, name, rng.uniform(0.0, most) if rng.random() < 0.5 else 0.0)
        self.denied = rng.random() < 0.05


def _field_defaults(weather: Weather) -> dict[str, Any]:
    return {name: getattr(weather, name) for name in Weather.__slots__}


@dataclass(slots=True)
class Fuse:
    """Kills a process at a chosen point, counting right before and right after each effect.

    A process that dies between two reads leaves behind what one leaves that dies before the next
    effect: only what it changed outlives it.
    """

    left: int | None = None
    """Points until the fuse blows; None while it is not set."""
    blown: str | None = None
    """The call at which it blew."""
    only: str = ""
    """The one operation that counts; empty: every one that has an effect."""

    def blows(self, what: str) -> bool:
        """Count one point, and say whether it is the one."""
        if self.left is None or what.startswith(_NO_EFFECT) or self.only not in {"", what}:
            return False
        self.left -= 1
        if self.left:
            return False
        self.left, self.blown = None, what
        return True


_NO_EFFECT = ("Describe", "List", "Get", "get ", "list ", "event ", "create lease", "renew lease")


SKEW = 300.0
"""Seconds by which the service lets a signature's time differ from its own."""


class Files(dict[str, bytes]):
    """Contents by location, and when each was written."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now
        self.written: dict[str, datetime] = {}

    @override
    def __setitem__(self, location: str, content: bytes) -> None:
        super().__setitem__(location, content)
        self.written[location] = self._now().replace(microsecond=0)


@dataclass(slots=True)
class Bucket:
    """Object storage for both sides."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def listed(self, location: str) -> list[tuple[str, bytes]]:
        """Return what lies at a location."""
        return [item for item in sorted(self.objects.items()) if item[0].startswith(location)]

    def read(self, location: str) -> Sequence[tuple[str, bytes]]:
        """Return the same, for the engine."""
        found = self.listed(location)
        if not found:
            raise ObjectStoreError(location)
        return found


@dataclass(slots=True)
class Trainer:
    """Trains in no time; some trainings fail."""

    rng: random.Random
    failing: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)

    def check(self, recipe: str, hyperparameters: Mapping[str, str], _hpo: object = None) -> None:
        if "refused" in hyperparameters:
            raise ValueError(f"{recipe} has no hyperparameter 'refused'")

    def start(self, job: TrainingJob) -> None:
        if self.rng.random() < self.failing:
            self.failures[job.arn] = "There are too few users in the interactions."

    def result(self, arn: str) -> TrainingResult:
        if arn in self.failures:
            return TrainingResult(failure_reason=self.failures[arn])
        return TrainingResult({"coverage": 0.5})

    def knows(self, arn: str) -> bool:
        del arn
        return True

    def model(self, arn: str) -> ServingModel:
        raise LookupError(arn)

    def discard(self, arn: str) -> None:
        """Remember: a failure stays one."""


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One call that reached the engine."""

    time: float
    caller: str
    operation: str
    parameters: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    error: str | None

    @property
    def mutating(self) -> bool:
        """Whether it may have changed something."""
        return not self.operation.startswith(("Describe", "List", "Get"))


class World:
    """Everything there is, and the record of what happened."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.loop = SimulatedLoop(  # type: ignore[abstract]  # it has what code without I/O needs
            random.Random(self.rng.getrandbits(64))
        )
        self.lines: list[str] = []
        self.calls: list[EngineCall] = []
        self.sent: dict[str, int] = {}
        """How many calls were sent to the engine, by operation."""
        self.cluster = "simulated-cluster"
        self.server = MemoryStore(self.now, self.new_uid)
        self.server.listeners.append(self._changed)
        self.weather = Weather()
        self.fuse = Fuse()
        self.clock_error = 0.0
        """Seconds by which the clock of the operator's node is ahead."""
        self.files = Files(self.now)
        self.bucket = Bucket(self.files)
        self.trainer = Trainer(random.Random(self.rng.getrandbits(64)))
        rng = self.rng
        self.polling = PollSettings(
            fast=rng.choice((10.0, 15.0)),
            slow=300.0,
            sweep=rng.choice((600.0, 1200.0)),
            settle=rng.choice((120.0, 180.0)),
        )
        self.relist = rng.choice((180.0, 300.0))
        self.backoff_cap = rng.choice((60.0, 300.0))
        self.requests_per_second = rng.choice((5, 20))
        self.emulator = Emulator(
            trainer=self.trainer,
            objects=self.bucket,
            time=lambda: START + self.loop.time(),
            randomness=random.Random(self.rng.getrandbits(64)),
            settings=Settings(
                account=ACCOUNT,
                refuse_repeated_version_names=rng.random() < 0.5,
                # Long enough that another leader may list before the lists show what was made.
                list_lag=rng.choice((0.0, 0.0, 5.0, 0.75 * self.polling.settle)),
                page_size=rng.choice((2, 100)),
                durations={
                    "DatasetImportJob": rng.uniform(20, 120),
                    "SolutionVersion": rng.uniform(60, 400),
                    "SolutionVersion/aws-sims": rng.uniform(60, 400),
                    "Campaign": rng.uniform(30, 200),
                    "CampaignUpdate": rng.uniform(30, 200),
                    "CampaignDelete": rng.uniform(30, 200),
                },
            ),
        )
        self.processes: dict[str, Process] = {}
        self._incarnations = 0
        self.problems: list[str] = []
        self.user: User
        self.observers: list[Any] = []
        """Told of changes (`changed`), calls (`called`) and Events (`told`): the rules."""

    # --- time, chance and the record ---------------------------------------------------------

    def now(self) -> datetime:
        """Return the time of day."""
        return datetime.fromtimestamp(START + self.loop.time(), UTC)

    def operators_now(self) -> datetime:
        """Return the time of day by the clock of the operator's node, which may be wrong."""
        return self.now() + timedelta(seconds=self.clock_error)

    def new_uid(self) -> str:
        """Draw a UID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def trace(self, text: str) -> None:
        """Record what happens."""
        self.lines.append(f"{self.loop.time():10.3f}  {text}")

    def problem(self, rule: str, text: str) -> None:
        """Record that a rule is broken."""
        line = f"{rule}: {text}"
        self.trace(f"BROKEN {line}")
        if line not in self.problems:
            self.problems.append(line)

    # --- processes ---------------------------------------------------------------------------

    def start(self, replica: str) -> None:
        """Start a process in place of a replica's last one."""
        if self.loop.ending:
            return
        self._incarnations += 1
        name = f"{replica}.{self._incarnations}"
        self.trace(f"{name} starts")
        self.processes[replica] = Process(self, name)

    def ended(self, process: Process) -> None:
        """Start a dead process again in a while, as a kubelet does."""
        replica = process.domain.name.partition(".")[0]
        if self.processes.get(replica) is process:
            self.loop.spawn(None, self._restart(replica, process))

    async def _restart(self, replica: str, dead: Process) -> None:
        await asyncio.sleep(self.rng.uniform(1.0, 20.0))
        if self.processes.get(replica) is dead:
            self.start(replica)

    async def pause(self, process: Process, seconds: float) -> None:
        """Stop a process for a while, as a node that is out of memory does."""
        if process.domain.life is Life.RUNNING:
            process.domain.life = Life.PAUSED
            self.trace(f"{process.domain.name} is paused for {seconds:.0f} s")
            await asyncio.sleep(seconds)
            if process.domain.life is Life.PAUSED:
                self.trace(f"{process.domain.name} goes on")
                self.loop.resume(process.domain)

    def resume_all(self) -> None:
        """Let every paused process go on."""
        for process in self.processes.values():
            self.loop.resume(process.domain)

    # --- the cluster -------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        metadata = change.body["metadata"]
        who = change.manager
        what = change.what
        shown = ""
        if what == "status":
            shown = _shown(change)
        elif what in {"create", "update"}:
            shown = f" {change.body['spec']}"
        key = f"{change.body['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
        self.trace(f"{who}: {change.type} {key} ({what}, v{metadata['resourceVersion']}){shown}")
        for observer in self.observers:
            observer.changed(change)

    def told(self, resource: Resource, type_: str, reason: str, message: str) -> None:
        """Take an Event."""
        for observer in self.observers:
            observer.told(resource, type_, reason, message)

    # --- the engine --------------------------------------------------------------------------

    def called(self, process: Process, operation: str) -> None:
        """Count a call that was sent."""
        del process
        self.sent[operation] = self.sent.get(operation, 0) + 1

    def execute(
        self, caller: Process | str, operation: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Carry out a call on the engine."""
        name = caller if isinstance(caller, str) else caller.domain.name
        if not isinstance(caller, str) and abs(self.clock_error) > SKEW:
            raise ServiceError("InvalidSignatureException", "Signature not yet current")
        for observer in self.observers:
            observer.calling(caller, operation, parameters)
        answer: dict[str, Any] | None = None
        error: str | None = None
        try:
            answer = self.emulator.call(
                "personalize", operation, parameters, region=REGION, account=ACCOUNT
            )
        except ServiceError as refused:
            error = f"{refused.code}: {refused.message}"
            raise
        finally:
            call = EngineCall(self.loop.time(), name, operation, parameters, answer, error)
            if call.mutating:
                self.calls.append(call)
                self.trace(f"{name}: {operation} {dict(parameters)} -> {error or answer}")
            for observer in self.observers:
                observer.called(caller, call)
        return answer

    def external(self, kind: str) -> list[Any]:
        """Return the engine's objects of a kind."""
        self.emulator.execute(
            "personalize", "ListRecipes", {}, region=REGION, account=ACCOUNT
        )  # settles what is due
        return self.emulator._world.store.find(kind, account=ACCOUNT, region=REGION)

    def stop_automatic_trainings(self) -> None:
        """Let the service train nothing by itself any more, also where no update gets through."""
        for solution in self.external("Solution"):
            solution.plan = [step for step in solution.plan if step.status != AUTOMATIC]
            self.emulator._world.store.put(solution)

    def tags(self, arn: str) -> dict[str, str]:
        """Return an object's tags."""
        return self.emulator._world.store.tags(arn)


def _shown(change: Change) -> str:
    parts = []
    status = change.body.get("status", {})
    for condition in status.get("conditions", ()):
        parts.append(f"{condition['type']}={condition['status']}/{condition['reason']}")
        if condition["type"] == "Ready":
            parts.append(f"({condition['message'][:120]})")
    rest = {
        name: value
        for name, value in status.items()
        if name not in {"conditions", "recipes", "supportedFeatures"}
    }
    return f" {' '.join(parts)} {rest}"
