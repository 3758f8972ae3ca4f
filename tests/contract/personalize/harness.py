"""An estate on the emulator in virtual time: what the loop does for a driver, and no more.

Resources are made through the engine as the loop makes them (desired, observe, create, observe),
but nothing is decided here. Time moves only when a test says so.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from reco.api.resource import Key, Resource, parse
from reco.api.vocabulary import API_VERSION
from reco.decide.conditions import timestamp
from reco.decide.model import Absent, Desired, Observed
from reco.decide.references import References, resolve
from reco.emulator.core import Emulator
from reco.emulator.errors import LostResponseError, ServiceError
from reco.emulator.ports import ServingModel, TrainingJob, TrainingResult
from reco.emulator.world import Settings
from reco.engines.personalize import errors
from reco.engines.personalize.client import SourceListing, SourceObject
from reco.engines.personalize.engine import PersonalizeEngine
from reco.engines.personalize.polling import PollSettings, Timers

REGION = "eu-west-1"
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/personalize"
START = 1_767_225_600.0

INTERACTIONS = {
    "type": "record",
    "name": "Interactions",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
}
ITEMS = {
    "type": "record",
    "name": "Items",
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "GENRES", "type": ["null", "string"], "categorical": True},
    ],
}


class VirtualTime:
    """Time that stands still until it is moved, and then wakes sleepers in their order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def clock(self) -> datetime:
        return datetime.fromtimestamp(START + self.now, UTC)

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + max(seconds, 0.0), self._count, waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            await settle()
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= end]
            if not due:
                break
            first = min(due, key=lambda sleeper: sleeper[:2])
            self._sleepers.remove(first)
            self.now = max(self.now, first[0])
            if not first[2].done():
                first[2].set_result(None)
        self.now = end
        await settle()


async def settle() -> None:
    """Let every task run until all of them wait for time."""
    for _ in range(50):
        await asyncio.sleep(0)


class InstantTrainer:
    """The emulator's way to a trainer: these trainings are over as soon as time says so."""

    def check(self, recipe: str, hyperparameters: Mapping[str, str], hpo: object = None) -> None:
        pass

    def start(self, job: TrainingJob) -> None:
        pass

    def result(self, arn: str) -> TrainingResult:
        del arn
        return TrainingResult({"coverage": 0.5, "precision_at_5": 0.0001})

    def knows(self, arn: str) -> bool:
        del arn
        return True

    def model(self, arn: str) -> ServingModel:
        raise LookupError(arn)

    def discard(self, arn: str) -> None:
        pass


@dataclass(slots=True)
class Bucket:
    """Object storage for both sides."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def read(self, location: str) -> Sequence[tuple[str, bytes]]:
        return [item for item in sorted(self.objects.items()) if item[0].startswith(location)]


@dataclass(slots=True)
class EmulatorClient:
    """`PersonalizeClient` on an emulator in this process; counts calls."""

    emulator: Emulator
    bucket: Bucket
    calls: list[str] = field(default_factory=list)
    hold: Callable[[str], Awaitable[None]] = lambda _: asyncio.sleep(0)
    """Awaited before each call."""
    garble: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    """Makes of each answer what the service might say one day."""
    credentials_of: str | None = None
    """Whose account the credentials say they are; None where they can't be asked."""

    async def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        await self.hold(operation)
        self.calls.append(operation)
        try:
            return self.garble(
                self.emulator.call(
                    "personalize", operation, parameters, region=REGION, account=ACCOUNT
                )
            )
        except LostResponseError as error:
            raise errors.no_answer(operation, "Connection was closed") from error
        except ServiceError as error:
            raise errors.service_error(
                operation, error.code, error.message, error.http_status
            ) from error

    async def turn(self) -> None:
        """Let everything through at once."""

    async def account(self) -> str | None:
        if self.credentials_of is not None:
            self.calls.append("GetCallerIdentity")
        return self.credentials_of

    async def list_source(self, location: str) -> SourceListing:
        await asyncio.sleep(0)
        self.calls.append("ListObjectsV2")
        if location.startswith("s3://forbidden"):
            raise errors.service_error("ListObjectsV2", "AccessDenied", "Access Denied", 403)
        found = self.bucket.read(location)
        return SourceListing(
            tuple(
                SourceObject(key, len(body), str(hash(body)), datetime.fromtimestamp(START, UTC))
                for key, body in found
            )
        )

    def take(self) -> list[str]:
        taken, self.calls = self.calls, []
        return taken


@dataclass(slots=True)
class Lookup:
    """The cache of resources."""

    resources: dict[Key, Resource] = field(default_factory=dict)

    def get(self, key: Key) -> Resource | None:
        return self.resources.get(key)

    def all(self, kind: str, namespace: str | None = None) -> Sequence[Resource]:
        return [
            r
            for k, r in sorted(self.resources.items())
            if k.kind == kind and (namespace in {None, k.namespace})
        ]

    def referring(self, key: Key, kind: str | None = None) -> Sequence[Resource]:
        raise NotImplementedError(f"{key} {kind}")


@dataclass(slots=True)
class Estate:
    """Emulator, engine and resources."""

    time: VirtualTime
    emulator: Emulator
    client: EmulatorClient
    engine: PersonalizeEngine
    bucket: Bucket
    lookup: Lookup
    poll: PollSettings
    notified: list[Key] = field(default_factory=list)

    def resource(
        self,
        kind: str,
        name: str,
        spec: Mapping[str, Any],
        *,
        status: Mapping[str, Any] | None = None,
        deleted: bool = False,
    ) -> Resource:
        """Put a resource into the cache as if somebody had applied it."""
        resource = manifest(kind, name, spec, status=status, deleted=deleted)
        self.lookup.resources[resource.key] = resource
        return resource

    def references(self, resource: Resource) -> References:
        found = resolve(resource, self.lookup)
        if resource.key.kind == "Campaign" and "version" not in found.direct:
            versions = [
                r
                for r in self.lookup.all("SolutionVersion")
                if r.spec.solution_ref == resource.spec.solution_ref
            ]
            if versions:
                found = replace(found, direct={**found.direct, "version": versions[-1]})
        return found

    def desired(self, resource: Resource) -> Desired:
        desired = self.engine.desired(resource, self.references(resource))
        assert isinstance(desired, Desired), desired
        return desired

    async def look(self, resource: Resource, *, fresh: bool = False) -> Observed | Absent:
        desired = self.engine.desired(resource, self.references(resource))
        return await self.engine.observe(resource, desired, fresh=fresh)

    async def observed(self, resource: Resource, *, fresh: bool = False) -> Observed:
        found = await self.look(resource, fresh=fresh)
        assert isinstance(found, Observed), found
        return found

    def record(self, resource: Resource, arn: str) -> Resource:
        """Write down the object of a resource, as the loop does."""
        status = {
            "external": {"arn": arn, "region": REGION},
            "applied": {"digest": "x", "generation": 1},
            "conditions": [
                {
                    "type": "Succeeded",
                    "status": "True",
                    "reason": "Trained",
                    "lastTransitionTime": self.time.clock().isoformat(),
                }
            ],
        }
        recorded = replace(
            resource, status=resource.kind.status.model_validate(status), raw_status=status
        )
        self.lookup.resources[resource.key] = recorded
        return recorded

    def in_sync(self, resource: Resource, observed: Observed) -> None:
        """Write down that a resource is in sync, as the loop does."""
        now = timestamp(self.time.clock())
        details = dict(observed.details)
        status = {
            "external": {"arn": observed.id, "name": observed.name, "region": REGION},
            "conditions": [
                {"type": type_, "status": "True", "reason": "InSync", "lastTransitionTime": now}
                for type_ in ("Synced", "Succeeded")
            ],
            "trackingID": details.get("tracking_id"),
            "metrics": details.get("metrics"),
            "trainingHours": details.get("training_hours"),
        }
        if not resource.kind.runs_to_completion:  # what has run is never compared
            status["applied"] = {"digest": self.desired(resource).digest, "generation": 1}
        self.lookup.resources[resource.key] = replace(
            resource, status=resource.kind.status.model_validate(status), raw_status=status
        )

    def restart(self) -> None:
        """Let a new process take over, which remembers nothing."""
        self.engine = engine_of(self.client, self.time, self.poll)

    async def create(self, resource: Resource, tags: Mapping[str, str] | None = None) -> Resource:
        desired = self.desired(resource)
        arn = await self.engine.create(resource.key.kind, desired, tags or desired.tags or {})
        return self.record(resource, arn)

    async def make(
        self, kind: str, name: str, spec: Mapping[str, Any], *, seconds: float = 60.0
    ) -> Resource:
        """Apply a resource, create its object and wait."""
        made = await self.create(self.resource(kind, name, spec))
        await self.pass_time(seconds)
        return made

    async def pass_time(self, seconds: float) -> None:
        await self.time.advance(seconds)

    async def group(self, name: str = "movies") -> Resource:
        return await self.make("DatasetGroup", name, {})

    async def dataset(
        self, name: str = "movies", spec: Mapping[str, Any] | None = None
    ) -> Resource:
        await self.make("Schema", "interactions", {"avro": INTERACTIONS})
        return await self.make(
            "Dataset",
            f"{name}-interactions",
            {
                "datasetGroupRef": {"name": name},
                "type": "Interactions",
                "schemaRef": {"name": "interactions"},
                **(spec or {}),
            },
        )

    async def solution(self, name: str = "movies", **spec: Any) -> Resource:
        """Make a solution whose group has data."""
        await self.group()
        await self.dataset()
        self.bucket.objects["s3://data/interactions.csv"] = csv()
        await self.make(
            "DatasetImportJob",
            "movies-1",
            {
                "datasetRef": {"name": "movies-interactions"},
                "source": {"s3": "s3://data/interactions.csv"},
            },
            seconds=600,
        )
        return await self.make(
            "Solution",
            name,
            {
                "datasetGroupRef": {"name": "movies"},
                "recipe": "aws-user-personalization-v2",
                **spec,
            },
        )

    async def version(self, name: str = "movies-1", solution: str = "movies") -> Resource:
        return await self.make(
            "SolutionVersion", name, {"solutionRef": {"name": solution}}, seconds=3600
        )

    async def serving(self) -> Resource:
        """Make a campaign, and all that it needs."""
        await self.solution()
        await self.version()
        return await self.campaign()

    async def campaign(self, **spec: Any) -> Resource:
        return await self.make(
            "Campaign", "movies", {"solutionRef": {"name": "movies"}, **spec}, seconds=1800
        )


def manifest(
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    *,
    status: Mapping[str, Any] | None = None,
    deleted: bool = False,
) -> Resource:
    metadata = {
        "name": name,
        "namespace": "" if kind == "EngineClass" else "shop",
        "uid": f"uid-{kind}-{name}",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"reco.dev/is-default-class": "true"},
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    resource = parse(
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": metadata,
            "spec": spec,
            "status": status or {},
        }
    )
    assert resource.problem is None, resource.problem
    return resource


def csv(rows: int = 1200) -> bytes:
    lines = [f"u{row % 60},i{row % 40},{1_600_000_000 + row}" for row in range(rows)]
    return "\n".join(["USER_ID,ITEM_ID,TIMESTAMP", *lines]).encode()


def engine_class(**settings: Any) -> Resource:
    personalize = {"region": REGION, "roleARN": ROLE, "tags": {"team": "media"}, **settings}
    return manifest(
        "EngineClass", "personalize", {"engine": "Personalize", "personalize": personalize}
    )


def build(
    *, settings: Settings | None = None, poll: PollSettings | None = None, **class_settings: Any
) -> Estate:
    time = VirtualTime()
    bucket = Bucket()
    emulator = Emulator(
        trainer=InstantTrainer(),
        objects=bucket,
        time=lambda: START + time.now,
        randomness=random.Random(1),
        settings=replace(
            settings or Settings(),
            account=ACCOUNT,
            quotas={"DatasetGroup": 10_000, "Schema": 10_000}
            | dict(settings.quotas if settings else {}),
        ),
    )
    client = EmulatorClient(emulator, bucket)
    class_ = engine_class(**class_settings)
    poll = poll or PollSettings()
    engine = engine_of(client, time, poll, class_)
    return Estate(time, emulator, client, engine, bucket, Lookup({class_.key: class_}), poll)


def engine_of(
    client: EmulatorClient,
    time: VirtualTime,
    poll: PollSettings,
    class_: Resource | None = None,
) -> PersonalizeEngine:
    timers = Timers(time.clock, lambda: time.now, time.sleep, random.Random(2))
    return PersonalizeEngine(class_ or engine_class(), client, timers, poll)


@asynccontextmanager
async def running(estate: Estate) -> AsyncIterator[list[Key]]:
    """Run the engine's pollers; gives the list of what they report."""
    task = asyncio.create_task(estate.engine.run(estate.notified.append))
    try:
        await settle()
        yield estate.notified
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            raise task.exception() or AssertionError
