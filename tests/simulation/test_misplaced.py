"""What a spec names and the engine does not have is told as that, and not asked for for ever."""

import asyncio
from typing import Any

import pytest

from reco.api.resource import Key
from reco.api.vocabulary import FINALIZER
from reco.decide.model import ErrorClass, Failure
from reco.engines.port import EngineError
from tests.simulation.desk import Desk, OneObjectEngine, opened
from tests.simulation.test_regressions import IN_SYNC, body

DATASET = Key("Dataset", "shop", "data")
VERSION = Key("SolutionVersion", "shop", "thing")
MISSING = Failure(
    ErrorClass.NOT_FOUND, "ResourceNotFoundException: Could not find it.", "CreateDataset"
)
SCHEMA = {"type": "record", "name": "I", "fields": [{"name": "USER_ID", "type": "string"}]}


def engine_class(name: str, **settings: Any) -> dict[str, Any]:
    spec = {"engine": "Personalize", "personalize": {"region": "eu-west-1", **settings}}
    return body("EngineClass", name, spec)


def schema(engine_class: str, **external: str) -> dict[str, Any]:
    made = body("Schema", "avro", {"engineClassName": engine_class, "avro": SCHEMA}, **IN_SYNC)
    made["status"]["external"] |= external
    return made


def dataset() -> dict[str, Any]:
    spec = {
        "datasetGroupRef": {"name": "movies"},
        "type": "Interactions",
        "schemaRef": {"name": "avro"},
    }
    made = body("Dataset", "data", spec)
    made["metadata"]["finalizers"] = [FINALIZER]
    return made


def message(desk: Desk, key: Key, type_: str) -> str:
    conditions = desk.status(key)["conditions"]
    return str(next(one["message"] for one in conditions if one["type"] == type_))


@pytest.mark.parametrize(
    "other",
    [{"region": "us-east-1"}, {"assumeRole": {"roleARN": "arn:aws:iam::123456789012:role/else"}}],
    ids=["region", "account"],
)
def test_a_schema_of_another_class_is_refused_before_any_call(other: dict[str, Any]) -> None:
    async def scenario() -> None:
        bodies = (engine_class("other", **other), schema("other"), dataset())
        desk = opened(OneObjectEngine(), *bodies)
        await desk.look(DATASET)
        assert desk.engine.calls == []
        assert desk.conditions(DATASET)["Accepted"] == "False/InvalidSpec"
        said = message(desk, DATASET, "Accepted")
        assert "Schema shop/avro is of EngineClass other" in said
        assert "refer to a Schema of EngineClass personalize" in said

    asyncio.run(scenario())


def test_two_classes_of_one_account_and_region_share_schemas() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(), engine_class("twin"), schema("twin"), dataset())
        await desk.look(DATASET)
        assert desk.engine.calls == ["create Dataset shop_thing"]

    asyncio.run(scenario())


def test_a_schema_that_was_made_before_its_class_moved_is_waited_for() -> None:
    async def scenario() -> None:
        engine = OneObjectEngine(region="us-east-1")
        desk = opened(engine, schema("personalize", region="eu-west-1"), dataset())
        await desk.look(DATASET)
        assert engine.calls == []
        assert desk.conditions(DATASET)["DependenciesReady"] == "False/EngineMismatch"
        assert "lives in region eu-west-1" in message(desk, DATASET, "DependenciesReady")

    asyncio.run(scenario())


def test_a_create_that_names_what_is_not_there_becomes_an_invalid_spec() -> None:
    async def scenario() -> None:
        engine = OneObjectEngine(refusal=EngineError(MISSING))
        desk = opened(engine, schema("personalize"), dataset())
        shown = []
        for _ in range(8):
            await desk.look(DATASET)
            shown.append(desk.conditions(DATASET))
        assert shown[0]["Ready"] == "Unknown/Creating"
        assert "Could not find it" in message(desk, DATASET, "Ready")
        first = next(n for n, one in enumerate(shown) if one.get("Stalled"))
        assert first == 5
        for one in shown[first:]:
            assert one["Ready"] == one["Accepted"] == "False/InvalidSpec"
            assert "Throttled" not in str(one)
        assert desk.queue.failures(DATASET) == 0, "tried again at leisure"

        engine.refusal = None
        await desk.look(DATASET)
        assert "Stalled" not in desk.conditions(DATASET), "what was missing has come"

    asyncio.run(scenario())


def test_a_run_that_names_what_is_not_there_ends() -> None:
    async def scenario() -> None:
        engine = OneObjectEngine(refusal=EngineError(MISSING))
        made = body("SolutionVersion", "thing", {"solutionRef": {"name": "sol"}})
        made["metadata"]["finalizers"] = [FINALIZER]
        desk = opened(engine, made)
        for _ in range(10):
            await desk.look(VERSION)
        assert len(engine.calls) == 6
        assert desk.conditions(VERSION)["Succeeded"] == "False/TransientFailure"
        assert "intent" not in desk.status(VERSION)

    asyncio.run(scenario())
