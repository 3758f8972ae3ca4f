"""A campaign applied as stopped over one that lives is taken charge of, and then stopped."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from reco.api.vocabulary import FINALIZER
from reco.decide import names
from reco.decide.decision import AddFinalizer, DeleteExternal, TagExternal
from reco.decide.lifecycle import decide
from reco.decide.model import State
from tests.simulation.memory_store import key_of
from tests.simulation.staged import Stage, estate, key
from tests.support.situations import desired, observed, resource, situation

CAMPAIGN = key("Campaign", "for-you")
STOPPED = {"desiredState": "Stopped"}


async def reapplied_after_retain(stage: Stage) -> None:
    stage.edit(CAMPAIGN, deletionPolicy="Retain")
    wanted = stage.user.wanted[CAMPAIGN]
    stage.delete(CAMPAIGN)
    await stage.gone(CAMPAIGN)
    assert stage.world.external("Campaign")
    wanted["spec"] |= {**STOPPED, "deletionPolicy": "Delete"}
    stage.want(wanted)
    assert stage.user.apply(CAMPAIGN)


async def rebuilt_cluster(stage: Stage) -> None:
    stage.world.processes.pop("a").kill("its cluster is gone")
    stage.world.server.wipe()
    stage.user.wanted[CAMPAIGN]["spec"] |= STOPPED
    stage.world.start("b")
    stage.user.apply_all()


async def observed_before(stage: Stage) -> None:
    wanted = stage.user.wanted[CAMPAIGN]
    stage.edit(CAMPAIGN, deletionPolicy="Retain")
    stage.delete(CAMPAIGN)
    await stage.gone(CAMPAIGN)
    wanted["spec"] |= {"managementPolicy": "Observe"}
    stage.want(wanted)
    assert stage.user.apply(CAMPAIGN)
    await stage.settled()
    assert stage.world.external("Campaign")
    stage.edit(CAMPAIGN, managementPolicy="Manage", deletionPolicy="Delete", **STOPPED)


def not_held(stage: Stage) -> list[str]:
    found = stage.world.server.get(CAMPAIGN)
    held = found is not None and FINALIZER in found["metadata"].get("finalizers", ())
    return [] if held else [str(CAMPAIGN)]


WAYS = [reapplied_after_retain, rebuilt_cluster, observed_before]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("deleted_then", [False, True])
def test_a_campaign_applied_as_stopped_stops(
    way: Callable[[Stage], Awaitable[None]],
    deleted_then: bool,  # noqa: FBT001 - pytest hands it in
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.want(*(one for one in estate(stage) if key_of(one).kind != "EventTracker"))
        stage.user.apply_all()
        stage.world.start("a")
        await stage.settled()
        await way(stage)
        if deleted_then:
            await stage.until("taken charge of", lambda: not_held(stage))
            stage.delete(CAMPAIGN)
            await stage.gone(CAMPAIGN)
        else:
            await stage.settled()
        assert not stage.world.external("Campaign")

    Stage().play(scenario)


def test_stopping_takes_charge_first_and_marks_what_it_takes() -> None:
    wanted = desired()
    unmarked = {**STOPPED, "adoptionPolicy": "Adopt"}
    new = resource("Campaign", finalizers=(), spec=unmarked)
    found = observed(new, wanted, tags={})
    assert decide(situation(new, observation=found)).actions == (AddFinalizer(),)

    held = resource("Campaign", spec=unmarked)
    (mark,) = decide(situation(held, observation=found)).actions
    assert isinstance(mark, TagExternal)
    assert mark.set == names.ownership_tags(held, "cluster-1")
    assert not mark.remove

    marks = names.ownership_tags(held, "cluster-1")
    ours = replace(found, tags=marks)
    decision = decide(situation(held, observation=ours))
    assert decision.actions == (DeleteExternal(ours),)
    assert decision.status["external"]["arn"] == ours.id

    theirs = replace(found, tags=marks | {names.TAG_CLUSTER: "another"})
    assert decide(situation(held, observation=theirs)).actions == ()


def test_stopping_waits_for_what_is_being_made() -> None:
    held = resource("Campaign", spec=STOPPED)
    made = observed(held, desired(), State.CREATING)
    assert decide(situation(held, observation=made)).actions == ()
