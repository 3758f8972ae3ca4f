"""Whose an external object is, and what may happen to it when the resource goes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reco.api.tenancy import Tenancy
from reco.api.vocabulary import DeletionPolicy
from reco.decide import names
from reco.decide.decision import (
    CreateExternal,
    DeleteExternal,
    DeleteResource,
    RemoveFinalizer,
    StopExternal,
    TagExternal,
)
from reco.decide.deletion import asks_engine
from reco.decide.lifecycle import decide
from reco.decide.model import Absent, ErrorClass, Failure, NotAsked, State, Timing, Waiting
from reco.decide.references import usable
from tests.support.situations import (
    ENGINE,
    IDENTITY,
    condition,
    desired,
    observed,
    resource,
    settled_status,
    shown,
    situation,
    written,
)

WANTED = desired()
THEIRS = {names.TAG_CLUSTER: "cluster-2", names.TAG_NAMESPACE: "shop", names.TAG_NAME: "thing"}
OTHERS_HERE = {
    names.TAG_CLUSTER: IDENTITY.cluster,
    names.TAG_NAMESPACE: "other",
    names.TAG_NAME: "thing",
}
BEFORE_US = {
    names.TAG_CLUSTER: IDENTITY.cluster,
    names.TAG_NAMESPACE: "shop",
    names.TAG_NAME: "thing",
    names.TAG_UID: "an-earlier-life",
}

OBSERVING = replace(
    ENGINE,
    tenancy=Tenancy.model_validate({"adoption": [{"namespaces": ["shop"], "observe": True}]}),
)

POLICY_TABLE = [
    ({}, "AdoptOrCreate", "NameConflict"),
    ({}, "Adopt", "adopted"),
    ({}, "Never", "NameConflict"),
    (BEFORE_US, "AdoptOrCreate", "adopted"),
    (BEFORE_US, "Adopt", "adopted"),
    (BEFORE_US, "Never", "NameConflict"),
    (OTHERS_HERE, "AdoptOrCreate", "OwnedElsewhere"),
    (OTHERS_HERE, "Adopt", "OwnedElsewhere"),
    (THEIRS, "AdoptOrCreate", "OwnedElsewhere"),
    (THEIRS, "Adopt", "OwnedElsewhere"),
    (THEIRS, "Never", "OwnedElsewhere"),
]


@pytest.mark.parametrize(("tags", "policy", "outcome"), POLICY_TABLE)
def test_r6_what_stands_under_our_name_is_taken_only_as_the_table_says(
    tags: dict[str, str], policy: str, outcome: str
) -> None:
    campaign = resource("Campaign", spec={"adoptionPolicy": policy})

    decision = decide(situation(campaign, observation=observed(campaign, WANTED, tags=tags)))

    if outcome == "adopted":
        (action,) = decision.actions
        assert isinstance(action, TagExternal)
        assert action.set[names.TAG_UID] == campaign.uid
    else:
        assert decision.actions == ()
        assert shown(campaign, decision)["Ready"] == f"False/{outcome}"


def test_r6_without_tags_only_an_identical_object_is_adopted() -> None:
    schema = resource("Schema")
    there = observed(schema, WANTED, tags=None)
    other = replace(there, fields={**WANTED.fields, "minProvisionedTPS": 9})
    untagged = replace(WANTED, tags=None)

    same = decide(situation(schema, desired=untagged, observation=there))
    different = decide(situation(schema, desired=untagged, observation=other))

    assert shown(schema, same)["Ready"] == "True/InSync"
    assert shown(schema, different)["Ready"] == "False/NameConflict"


def test_adopt_never_creates() -> None:
    decision = decide(situation(resource("Campaign", spec={"adoptionPolicy": "Adopt"})))

    assert decision.actions == ()


def test_observe_changes_nothing_whatever_differs() -> None:
    campaign = resource("Campaign", spec={"managementPolicy": "Observe"}, finalizers=())
    there = observed(
        campaign, WANTED, tags=THEIRS, fields={**WANTED.fields, "minProvisionedTPS": 9}
    )

    decision = decide(situation(campaign, engine=OBSERVING, observation=there))

    assert decision.actions == ()
    picture = shown(campaign, decision)
    assert picture["Ready"] == "True/InSync"
    assert picture["Available"].startswith("True")
    assert picture["Drifted"] == "True/Drifted"
    assert "Reconciling" not in picture, "nothing is being carried out"


def test_others_can_build_on_what_may_be_observed_whoever_owns_it() -> None:
    group = resource("DatasetGroup", spec={"managementPolicy": "Observe"}, finalizers=())
    there = observed(group, WANTED, tags=THEIRS)

    decision = decide(situation(group, engine=OBSERVING, observation=there))

    assert shown(group, decision)["Ready"] == "True/InSync"
    assert usable(resource("DatasetGroup", status=written(group, decision)))


def test_r6_whose_it_is_is_asked_again_once_it_is_no_longer_only_observed() -> None:
    watched = resource("Campaign", spec={"managementPolicy": "Observe"}, finalizers=())
    seen = decide(situation(watched, observation=observed(watched, WANTED, tags=None)))
    managed = resource("Campaign", status=written(watched, seen), finalizers=())
    assert managed.status.applied.digest != WANTED.digest, "so that its tags are read"

    decision = decide(situation(managed, observation=observed(managed, WANTED, tags=THEIRS)))

    assert decision.actions == ()
    assert shown(managed, decision)["Ready"] == "False/OwnedElsewhere"


def going(kind: str = "Campaign", policy: str = "Delete", **more: Any) -> Any:
    return resource(
        kind,
        spec={"deletionPolicy": policy},
        status=settled_status(WANTED),
        deleted=True,
        **more,
    )


@pytest.mark.parametrize("kind", ["DatasetGroup", "Dataset", "Solution", "SolutionVersion"])
def test_what_holds_data_or_cost_a_training_is_retained_unless_somebody_says_otherwise(
    kind: str,
) -> None:
    of = resource(kind, deleted=True)

    assert not asks_engine(of, ENGINE)
    assert asks_engine(of, replace(ENGINE, deletion_policy=DeletionPolicy.DELETE))


def test_r5_retain_lets_go_without_asking_the_engine() -> None:
    campaign = going(policy="Retain")

    assert not asks_engine(campaign, ENGINE)
    decision = decide(situation(campaign, engine=None, observation=NotAsked()))
    assert [type(action) for action in decision.actions] == [RemoveFinalizer]


def test_r5_silence_is_not_taken_for_absence() -> None:
    there = going()
    never_made = resource("Campaign", spec={"deletionPolicy": "Delete"}, deleted=True)
    live = resource("Campaign", status=settled_status(WANTED))

    held = decide(situation(there, observation=NotAsked()))
    free = decide(situation(never_made, observation=NotAsked()))
    kept = decide(situation(live, observation=NotAsked(), desired=Waiting("no class")))

    assert held.actions == ()
    assert shown(there, held)["DeletionBlocked"] == "True/AwaitingDependency"
    assert [type(action) for action in free.actions] == [RemoveFinalizer]
    assert kept.actions == ()
    assert shown(live, kept)["Available"] == "True/InSync"


def test_r5_the_finalizer_stays_until_the_engine_says_that_nothing_is_there() -> None:
    campaign = going()

    deleting = decide(situation(campaign, observation=observed(campaign, WANTED, State.DELETING)))
    gone = decide(situation(campaign, observation=Absent()))

    assert deleting.actions == ()
    assert [type(action) for action in gone.actions] == [RemoveFinalizer]


def test_r5_what_lists_may_not_show_yet_is_not_let_go() -> None:
    version = resource("SolutionVersion", spec={"deletionPolicy": "Delete"}, deleted=True)

    unsure = decide(situation(version, observation=Absent(settled=False)))
    sure = decide(situation(version, observation=Absent()))

    assert unsure.actions == ()
    assert unsure.look_again is not None
    assert sure.actions == (RemoveFinalizer(),)


def test_r5_what_is_not_ours_survives_our_deletion() -> None:
    campaign = resource("Campaign", spec={"deletionPolicy": "Delete"}, deleted=True)

    decision = decide(situation(campaign, observation=observed(campaign, WANTED, tags=THEIRS)))

    assert [type(action) for action in decision.actions] == [RemoveFinalizer]


def test_r5_nothing_is_deleted_while_somebody_still_refers_to_it() -> None:
    solution = going("Solution")
    there = observed(solution, WANTED)

    decision = decide(
        situation(solution, observation=there, dependents=[resource("Campaign", "camp")])
    )

    assert decision.actions == ()
    assert shown(solution, decision)["DeletionBlocked"] == "True/DependentsExist"


def test_children_that_it_made_go_first() -> None:
    solution = going("Solution")
    child = resource("SolutionVersion", "sol-1", owner=solution)

    decision = decide(situation(solution, observation=observed(solution, WANTED), children=[child]))

    assert decision.actions == (DeleteResource(child.key, child.uid),)


def test_a_training_that_runs_is_stopped_before_it_is_left() -> None:
    version = going("SolutionVersion")

    decision = decide(situation(version, observation=observed(version, WANTED, State.RUNNING)))

    assert [type(action) for action in decision.actions] == [StopExternal]


def test_r5_an_engine_that_refuses_to_delete_is_quoted_and_asked_again() -> None:
    group = going("DatasetGroup")
    failure = Failure(ErrorClass.CONFLICT, "referenced by one or more solutions", "Delete")

    decision = decide(situation(group, observation=failure))

    assert shown(group, decision)["DeletionBlocked"] == "True/DependentsExist"
    assert decision.retry


def test_pause_never_blocks_deletion() -> None:
    campaign = resource(
        "Campaign",
        spec={"suspend": True, "deletionPolicy": "Delete"},
        status=settled_status(WANTED),
        deleted=True,
    )

    decision = decide(situation(campaign, observation=observed(campaign, WANTED)))

    assert [type(action) for action in decision.actions] == [DeleteExternal]


def test_r4_an_intent_without_a_result_is_looked_into_before_another_call() -> None:
    now = situation(resource("SolutionVersion")).now
    status = {
        "intent": {
            "operation": "CreateSolutionVersion",
            "name": "shop_thing",
            "time": now.isoformat(),
        }
    }
    version = resource("SolutionVersion", status=status)

    unsure = decide(situation(version, observation=Absent(settled=False)))
    sure = decide(situation(resource("SolutionVersion"), observation=Absent()))

    assert unsure.actions == ()
    (action,) = sure.actions
    assert isinstance(action, CreateExternal)
    assert action.record_intent


def test_r4_a_training_is_not_started_while_lists_may_hide_one_of_the_same_name() -> None:
    version = resource("SolutionVersion")
    schema = resource("Schema")

    assert decide(situation(version, observation=Absent(settled=False))).actions == ()
    assert decide(situation(schema, observation=Absent(settled=False))).actions != ()


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_r4_a_version_is_let_go_only_once_whoever_applies_it_again_will_find_it(
    policy: str,
) -> None:
    now = situation(resource("SolutionVersion")).now
    intent = {"operation": "CreateSolutionVersion", "name": "shop_thing"}

    def leaving(age: float, *, ended: bool = False) -> Any:
        status = settled_status(WANTED) | {
            "intent": {**intent, "time": (now - timedelta(seconds=age)).isoformat()}
        }
        conditions = [one for one in status.get("conditions", []) if one["type"] != "Succeeded"]
        verdict = {
            "type": "Succeeded",
            "status": "True" if ended else "Unknown",
            "reason": "Trained",
        }
        status["conditions"] = [*conditions, verdict | {"lastTransitionTime": now.isoformat()}]
        spec = {"deletionPolicy": policy}
        version = resource("SolutionVersion", spec=spec, status=status, deleted=True)
        seen = observed(version, WANTED) if policy == "Delete" else NotAsked()
        return decide(situation(version, observation=seen))

    assert leaving(20).actions == ()
    assert leaving(20).look_again == Timing().settle - 20
    assert [type(action) for action in leaving(200).actions] == [RemoveFinalizer]
    assert [type(action) for action in leaving(20, ended=True).actions] == [RemoveFinalizer]


def test_r4_the_intent_of_a_training_outlives_its_start() -> None:
    now = situation(resource("SolutionVersion")).now
    status = {"intent": {"operation": "Create", "name": "shop_thing", "time": now.isoformat()}}

    def kept(kind: str) -> bool:
        of = resource(kind, status=status)
        return "intent" not in decide(situation(of, observation=observed(of, WANTED))).status

    assert kept("SolutionVersion")
    assert not kept("Schema")


def test_another_region_in_the_class_stops_everything_and_says_so() -> None:
    status = settled_status(WANTED)
    status["external"]["region"] = "us-east-1"
    campaign = resource("Campaign", status=status)

    decision = decide(situation(campaign))

    assert decision.actions == ()
    assert shown(campaign, decision)["Stalled"] == "True/EngineMismatch"


def test_r11_a_spec_that_was_refused_is_not_called_accepted_for_being_deleted() -> None:
    status = {"conditions": [condition("Accepted", "False", "UnsupportedFeature")]}
    solution = resource("Solution", status=status, deleted=True)

    decision = decide(situation(solution, dependents=[resource("Campaign", "camp")]))

    assert shown(solution, decision)["Accepted"] == "False/UnsupportedFeature"
