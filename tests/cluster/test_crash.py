"""R4: wherever the operator dies, the next one finishes, and nothing is made or paid twice."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hack.control_plane import ControlPlane
from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource
from reco.api.vocabulary import ANNOTATION_RUN_NOW, ConditionType
from reco.decide import names
from reco.emulator import kinds as emulated
from reco.emulator.core import Emulator
from reco.emulator.testing import InstantTrainer, MemoryObjects, in_thread
from reco.emulator.world import Settings
from reco.engines.personalize.aws import AwsConnections
from reco.loop.cache import Cache
from tests.cluster.crashing import (
    Done,
    Fuse,
    Operator,
    Scope,
    World,
    connected,
    live_and_die,
    points,
)
from tests.cluster.emulated import ACCOUNT, interactions
from tests.cluster.estate import SCHEMA

Scenario = Callable[[World], Awaitable[None]]
REGION = "eu-west-1"
LAG = 20.0
MODES = {
    "names refused": Settings(),
    "names accepted": Settings(refuse_repeated_version_names=False),
    "names refused, lists lag": Settings(list_lag=LAG),
    "names accepted, lists lag": Settings(refuse_repeated_version_names=False, list_lag=LAG),
}

HARDEST = ("names refused", "names accepted, lists lag")


@dataclass(slots=True)
class Stage:
    """Where scenarios are played, each in its own event loop, beside an estate that serves."""

    plane: ControlPlane
    namespace: str
    emulator: Emulator
    url: str
    elapsed: float = 0.0
    engine_class: Resource | None = None

    def play(self, scenario: Scenario) -> None:
        asyncio.run(self._play(scenario))

    async def _play(self, scenario: Scenario) -> None:
        connections = AwsConnections()
        world = await connected(self.plane, self.namespace, self.emulator)
        world.elapsed = self.elapsed
        try:
            first = self.engine_class is None
            if first:
                await world.apply("EngineClass", self.namespace, **self._spec())
                self.engine_class = world.engine_class
            assert self.engine_class is not None
            world.engine_class = self.engine_class
            settings = self.engine_class.spec.personalize
            world.client = connections.client(settings, self.namespace)
            if first:
                await prepare(world)
            await scenario(world)
        finally:
            self.elapsed = world.elapsed
            await world.api.close()
            connections.close()

    def _spec(self) -> dict[str, Any]:
        settings = {
            "region": REGION,
            "roleARN": f"arn:aws:iam::{ACCOUNT}:role/personalize-s3",
            "endpointURL": self.url,
            "requestsPerSecond": 100,
        }
        return {"engine": "Personalize", "deletionPolicy": "Delete", "personalize": settings}


@pytest.fixture(scope="module", params=["names refused"])
def stage(crds: ControlPlane, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """An emulator in a mode, whose things take 5 seconds each, while 15 pass at each step."""
    emulator = Emulator(
        trainer=InstantTrainer(),
        objects=MemoryObjects({"s3://data/good.csv": interactions().encode()}),
        time=time.time,
        randomness=random.Random(1),
        settings=replace(
            MODES[request.param],
            durations=dict.fromkeys(emulated.PHASES, 5.0),
            quotas=dict.fromkeys(emulated.KINDS, 10_000),
        ),
    )
    namespace = f"crash-{secrets.token_hex(4)}"
    crds.kubectl("create", "namespace", namespace)
    with pytest.MonkeyPatch.context() as patch, in_thread(emulator) as url:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield Stage(crds, namespace, emulator, url)
    crds.kubectl("delete", "engineclass", namespace, "--wait=false")
    released = '{"metadata": {"finalizers": null}}'
    crds.kubectl("patch", "engineclass", namespace, "--type=merge", "-p", released)
    emulator.close()


# The estate ------------------------------------------------------------------------------------


async def prepare(world: World) -> None:
    """Make an estate that serves."""
    name = {"name": "base"}
    await world.apply("DatasetGroup", "base", engineClassName=world.namespace)
    await world.apply("Schema", "base", engineClassName=world.namespace, avro=SCHEMA)
    await world.apply(
        "Dataset",
        "base",
        datasetGroupRef=name,
        schemaRef=name,
        type="Interactions",
        **{"import": {"source": {"s3": "s3://data/good.csv"}}},
    )
    await world.apply("Solution", "base", datasetGroupRef=name, recipe="aws-sims")
    campaign = await world.apply("Campaign", "base", solutionRef=name)
    await Operator(world, Fuse()).work(lambda _: True, becomes_ready(campaign))


def becomes_ready(key: Key) -> Done:
    def done(cache: Cache) -> bool:
        resource = cache.get(key)
        return (
            resource is not None
            and resource.is_true(ConditionType.READY)
            and resource.status.observed_generation == resource.generation
        )

    return done


def is_gone(key: Key) -> Done:
    return lambda cache: cache.get(key) is None


def only(key: Key) -> Scope:
    return lambda other: other == key


def fresh(kind: str) -> str:
    """Return a name that was not used before."""
    return f"{kind.lower()}-{secrets.token_hex(4)}"


async def parents(world: World, kind: str) -> dict[str, Any]:
    """Return a spec of a kind, for whose sake a group of its own is made where that must be."""
    base = {"name": "base"}
    if kind in {"Dataset", "EventTracker"}:
        group = await world.apply("DatasetGroup", fresh("group"), engineClassName=world.namespace)
        await Operator(world, Fuse()).work(only(group), becomes_ready(group))
        spec = {"datasetGroupRef": {"name": group.name}}
        return spec | ({"schemaRef": base, "type": "Interactions"} if kind == "Dataset" else {})
    if kind == "SolutionVersion":
        # Versions of one solution are told apart by a Describe each: many would slow all down.
        return {"solutionRef": {"name": (await solution(world)).name}}
    specs: dict[str, dict[str, Any]] = {
        "DatasetGroup": {"engineClassName": world.namespace},
        "Schema": {"engineClassName": world.namespace, "avro": SCHEMA},
        "DatasetImportJob": {"datasetRef": base, "source": {"s3": "s3://data/good.csv"}},
        "Solution": {"datasetGroupRef": base, "recipe": "aws-sims"},
        "Campaign": {"solutionRef": base},
    }
    return specs[kind]


async def solution(world: World) -> Key:
    """Make a solution that trains on a person's word alone."""
    key = await world.apply(
        "Solution",
        fresh("Solution"),
        datasetGroupRef={"name": "base"},
        recipe="aws-sims",
        training={"owner": "Service"},
    )
    await Operator(world, Fuse()).work(only(key), becomes_ready(key))
    return key


KINDS_MADE = [kind for kind in KINDS if kind != "EngineClass"]


# Create ----------------------------------------------------------------------------------------


async def crash_while_creating(world: World, kind: str) -> int:
    """Die at every await of the creation of one resource; return how many there are."""
    for at, after in points():
        spec = await parents(world, kind)
        key = await world.apply(kind, fresh(kind), **spec)
        if kind == "Solution":
            await world.patch(key, {"spec": {"training": {"owner": "Service"}}})
        fuse, mark = Fuse(at, after), world.mark()
        died = await live_and_die(world, fuse, only(key), becomes_ready(key))
        made = await world.get(key)
        assert made is not None
        assert made.status.external.name == names.external_name(made)
        times = world.carried_out(f"Create{kind}", after=mark)
        assert times == 1, f"Create{kind} {times} times after a crash {fuse.blown}"
        if not died:
            return at - 1
    raise AssertionError("the crashes do not end")


@pytest.mark.parametrize("kind", [kind for kind in KINDS_MADE if kind != "SolutionVersion"])
def test_r4_a_crash_at_any_await_of_a_creation_makes_one_object(stage: Stage, kind: str) -> None:
    async def scenario(world: World) -> None:
        assert await crash_while_creating(world, kind) >= 5

    stage.play(scenario)


@pytest.mark.parametrize("stage", MODES, indirect=True)
def test_r4_a_crash_at_any_await_of_a_training_pays_for_one(stage: Stage) -> None:
    async def scenario(world: World) -> None:
        assert await crash_while_creating(world, "SolutionVersion") >= 5

    stage.play(scenario)


@pytest.mark.parametrize("stage", HARDEST, indirect=True)
def test_r4_a_crash_at_any_await_of_a_retraining_pays_for_one(stage: Stage) -> None:
    async def scenario(world: World) -> None:
        for at, after in points():
            parent, token = await solution(world), secrets.token_hex(4)
            annotations = {ANNOTATION_RUN_NOW: token}
            await world.patch(parent, {"metadata": {"annotations": annotations}})
            name = names.triggered_child(parent.name, f"1:{token}")
            version = Key("SolutionVersion", world.namespace, name)
            fuse, mark = Fuse(at, after), world.mark()

            def scope(key: Key, family: tuple[Key, Key] = (parent, version)) -> bool:
                return key in family

            died = await live_and_die(world, fuse, scope, becomes_ready(version))
            times = world.carried_out("CreateSolutionVersion", after=mark)
            assert times == 1, f"trained {times} times after a crash {fuse.blown}"
            if not died:
                assert at > 5
                return
        raise AssertionError("the crashes do not end")

    stage.play(scenario)


# Update ----------------------------------------------------------------------------------------


def test_r4_a_crash_at_any_await_of_an_update_ends_with_what_was_wanted(stage: Stage) -> None:
    async def scenario(world: World) -> None:
        campaign = Key("Campaign", world.namespace, "base")
        for tps, (at, after) in enumerate(points(), start=2):
            await world.patch(campaign, {"spec": {"minProvisionedTPS": tps % 400 + 1}})
            fuse, mark = Fuse(at, after), world.mark()
            died = await live_and_die(world, fuse, only(campaign), becomes_ready(campaign))
            times = world.carried_out("UpdateCampaign", after=mark)
            assert times == 1, f"updated {times} times after a crash {fuse.blown}"
            if not died:
                assert at > 3
                return
        raise AssertionError("the crashes do not end")

    stage.play(scenario)


# Delete ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        *((kind, "Delete") for kind in KINDS_MADE if kind not in {"Dataset", "EventTracker"}),
        ("Campaign", "Retain"),
        ("Solution", "Retain"),
    ],
)
def test_r5_a_crash_at_any_await_of_a_deletion_ends_with_what_the_policy_says(
    stage: Stage, kind: str, policy: str
) -> None:
    deletable = kind not in {"SolutionVersion", "DatasetImportJob"}
    expected = 1 if policy == "Delete" and deletable else 0

    async def scenario(world: World) -> None:
        for at, after in points():
            spec = await parents(world, kind) | {"deletionPolicy": policy}
            if kind == "Solution":
                spec["training"] = {"owner": "Service"}
            key = await world.apply(kind, fresh(kind), **spec)

            await Operator(world, Fuse()).work(only(key), becomes_ready(key))
            await world.delete(key)
            fuse, mark = Fuse(at, after), world.mark()
            died = await live_and_die(world, fuse, only(key), is_gone(key))
            times = world.carried_out(f"Delete{kind}", after=mark)
            assert times == expected, f"deleted {times} times after a crash {fuse.blown}"
            if not died:
                assert at > 1
                return
        raise AssertionError("the crashes do not end")

    stage.play(scenario)
