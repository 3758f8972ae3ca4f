"""R4, R5: a process that dies at any point of an update or a deletion leaves no trace of it.

`tests/cluster/test_crash.py` does the same to creations, against a real API server.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation.estate import CLASS, SCHEMAS, Manifest, manifest
from tests.simulation.memory_store import key_of
from tests.simulation.staged import NAMESPACE, Stage, estate, key, schema

MOST_POINTS = 60

Edit = Callable[[Stage, int], None]
"""Changes something, differently each time, by the number of the time."""


def tags(kind: str, name: str) -> Edit:
    def edit(stage: Stage, number: int) -> None:
        stage.edit(key(kind, name), tags={"number": str(number)})

    return edit


def other_tags(kind: str, name: str) -> Edit:
    def edit(stage: Stage, number: int) -> None:
        stage.edit(key(kind, name), tags={f"number-{number}": "x"})

    return edit


def wider_schema(stage: Stage, number: int) -> None:
    more = [(f"MORE_{n}", ["null", "string"]) for n in range(number)]
    wider = schema(f"wider-{number}", [*SCHEMAS["items"], *more])
    stage.want(wider)
    assert stage.user.apply(key_of(wider))
    stage.edit(key("Dataset", "items"), schemaRef={"name": wider["metadata"]["name"]})


def more_throughput(stage: Stage, number: int) -> None:
    stage.edit(key("Campaign", "for-you"), minProvisionedTPS=number + 2)


def other_trainer(stage: Stage, number: int) -> None:
    owner = ("None", "Service")[number % 2]
    config = {} if owner == "None" else {"solutionConfig": AUTO_TRAINING}
    stage.edit(key("Solution", "for-you"), training={"owner": owner}, **config)


AUTO_TRAINING = {"autoTrainingConfig": {"schedulingExpression": "rate(30 days)"}}
TAGGED = {
    "Dataset": "interactions",
    "Solution": "for-you",
    "Campaign": "for-you",
    "EventTracker": "events",
}
EDITS: dict[str, tuple[Edit, dict[str, int]]] = {
    **{
        f"other values of tags of a {kind}": (tags(kind, name), {"TagResource": 1})
        for kind, name in TAGGED.items()
    },
    "other tags of a Campaign": (
        other_tags("Campaign", "for-you"),
        {"TagResource": 1, "UntagResource": 1},
    ),
    "other tags of a DatasetGroup, inherited by five": (
        tags("DatasetGroup", "movies"),
        {"TagResource": 6},
    ),
    "a wider schema of a Dataset": (wider_schema, {"CreateSchema": 1, "UpdateDataset": 1}),
    "more throughput of a Campaign": (more_throughput, {"UpdateCampaign": 1}),
    "another trainer of a Solution": (other_trainer, {"UpdateSolution": 1}),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("edit", EDITS)
def test_r4_a_crash_at_any_point_of_an_update_changes_everything_once(edit: str) -> None:
    change, expected = EDITS[edit]

    async def scenario(stage: Stage) -> None:
        await serve(stage, *items())
        change(stage, 0)
        await stage.settled()
        for point in range(1, MOST_POINTS):
            mark = len(stage.world.calls)
            stage.world.fuse.left, stage.world.fuse.blown = point, None
            change(stage, point)
            await stage.settled()
            made = stage.carried_out(mark)
            assert made == Counter(expected), f"after a crash at {stage.world.fuse.blown}"
            if stage.world.fuse.blown is None:
                assert point > 3, "there are some points to die at"
                return
        raise AssertionError("the crashes do not end")

    Stage().play(scenario)


async def serve(stage: Stage, *more: Manifest) -> None:
    """Have an estate that serves."""
    stage.want(*estate(stage), *more)
    stage.user.apply_all()
    stage.world.start("a")
    await stage.settled()


DELETED = {
    "DatasetGroup": "alone",
    "Schema": "spare",
    "Dataset": "spare",
    "Solution": "spare",
    "Campaign": "for-you",
    "EventTracker": "events",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", DELETED)
def test_r5_a_crash_at_any_point_of_a_deletion_deletes_once(kind: str) -> None:
    async def scenario(stage: Stage) -> None:
        await serve(stage, *spares())
        doomed = key(kind, DELETED[kind])
        wanted = stage.user.wanted[doomed]
        for point in range(1, MOST_POINTS):
            mark = len(stage.world.calls)
            stage.world.fuse.left, stage.world.fuse.blown = point, None
            stage.delete(doomed)
            await stage.gone(doomed)
            blown, stage.world.fuse.left = stage.world.fuse.blown, None
            made = stage.carried_out(mark)
            assert made == {f"Delete{kind}": 1}, f"after a crash at {blown}"
            if blown is None:
                assert point > 3, "there are some points to die at"
                return
            stage.want(wanted)
            assert stage.user.apply(doomed)
            await stage.settled()
        raise AssertionError("the crashes do not end")

    Stage().play(scenario)


def items() -> list[Manifest]:
    """Return a dataset whose schema can be changed."""
    spec = {"datasetGroupRef": {"name": "movies"}, "type": "Items", "schemaRef": {"name": "items"}}
    return [
        schema("items", SCHEMAS["items"]),
        manifest("Dataset", NAMESPACE, "items", spec),
    ]


def spares() -> list[Manifest]:
    """Return resources that nothing else builds on."""
    group = {"datasetGroupRef": {"name": "empty"}}
    return [
        manifest("DatasetGroup", NAMESPACE, "alone", {"engineClassName": CLASS}),
        manifest("DatasetGroup", NAMESPACE, "empty", {"engineClassName": CLASS}),
        schema("spare", SCHEMAS["interactions"]),
        manifest(
            "Dataset",
            NAMESPACE,
            "spare",
            {**group, "type": "Interactions", "schemaRef": {"name": "interactions"}},
        ),
        manifest(
            "Solution",
            NAMESPACE,
            "spare",
            {
                "datasetGroupRef": {"name": "movies"},
                "recipe": "aws-sims",
                "training": {"owner": "None"},
            },
        ),
    ]
