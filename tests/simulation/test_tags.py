"""Tags follow the spec, however fast it is edited, and none is left behind."""

import asyncio

import pytest

from reco.decide import names
from tests.simulation.memory_store import key_of
from tests.simulation.staged import Stage, estate, key

GROUP = key("DatasetGroup", "movies")


def group(stage: Stage) -> None:
    """Have a class and a group of it."""
    stage.want(*(one for one in estate(stage) if key_of(one).kind in {"EngineClass", GROUP.kind}))
    stage.user.apply_all()
    stage.world.start("a")


def tags(stage: Stage) -> dict[str, str]:
    """Return the user's tags of the group."""
    (found,) = stage.world.external("DatasetGroup")
    return names.user_tags(stage.world.tags(found.arn))


def many(prefix: str, count: int = 25) -> dict[str, str]:
    return {f"{prefix}-{number}": "x" for number in range(count)}


def test_many_tags_are_replaced_by_as_many_others() -> None:
    async def scenario(stage: Stage) -> None:
        group(stage)
        stage.edit(GROUP, tags=many("a"))
        await stage.settled()
        stage.edit(GROUP, tags=many("b"))
        await stage.settled()
        assert tags(stage) == many("b")

    Stage().play(scenario)


EDITS = {
    "another, and a third": ["b", "c"],
    "another, and back": ["b", "a"],
    "another, and none": ["b", ""],
    "several": ["b", "c", "d", "b", "e"],
}


@pytest.mark.parametrize("pause", [0.0, 1.0, 3.0, 7.0])
@pytest.mark.parametrize("edits", EDITS)
def test_quick_edits_leave_no_tag_behind(edits: str, pause: float) -> None:
    async def scenario(stage: Stage) -> None:
        group(stage)
        stage.edit(GROUP, tags={"a": "x"})
        await stage.settled()
        for name in EDITS[edits]:
            stage.edit(GROUP, tags={name: "x"} if name else {})
            await asyncio.sleep(pause)
        await stage.settled()
        assert list(tags(stage)) == [name for name in EDITS[edits][-1:] if name]

    Stage().play(scenario)


@pytest.mark.parametrize("pause", range(0, 60, 6))
def test_an_edit_while_it_is_made_leaves_no_tag_behind(pause: int) -> None:
    async def scenario(stage: Stage) -> None:
        group(stage)
        stage.edit(GROUP, tags={"a": "x"})
        await asyncio.sleep(pause)
        stage.edit(GROUP, tags={"b": "x"})
        await stage.settled()
        assert tags(stage) == {"b": "x"}

    Stage().play(scenario)


def test_a_tag_of_somebody_else_stays() -> None:
    async def scenario(stage: Stage) -> None:
        group(stage)
        stage.edit(GROUP, tags={"a": "x"})
        await stage.settled()
        (found,) = stage.world.external("DatasetGroup")
        theirs = [{"tagKey": "theirs", "tagValue": "y"}]
        stage.world.execute("somebody", "TagResource", {"resourceArn": found.arn, "tags": theirs})
        stage.edit(GROUP, tags={"b": "x"})
        await stage.settled()
        assert tags(stage) == {"b": "x", "theirs": "y"}
        status = stage.world.server.objects[GROUP]["status"]
        assert status["applied"]["tagKeys"] == ["b"]
        assert "pendingTagKeys" not in status

    Stage().play(scenario)


def test_more_tags_than_the_service_holds_are_refused_before_any_call() -> None:
    async def scenario(stage: Stage) -> None:
        stage.want(*estate(stage))
        stage.user.apply_all()
        stage.world.start("a")
        await stage.settled()
        stage.edit(GROUP, tags=many("group", 30))
        solution = key("Solution", "for-you")
        stage.edit(solution, tags=many("own", 30))
        mark = len(stage.world.calls)
        await asyncio.sleep(1800)
        accepted = next(
            one
            for one in stage.world.server.objects[solution]["status"]["conditions"]
            if one["type"] == "Accepted"
        )
        assert accepted["reason"] == "InvalidSpec"
        assert "60 tags" in accepted["message"]
        refused = [call for call in stage.world.calls[mark:] if call.error is not None]
        assert not refused
        stage.edit(solution, tags=many("own", 10))
        await stage.settled()

    Stage().play(scenario)
