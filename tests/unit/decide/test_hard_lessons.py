"""Situations in which an operator could waste money, or lie, without any call going wrong."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reco.api.resource import Key, Resource
from reco.api.vocabulary import ANNOTATION_RECONCILE
from reco.decide import runs
from reco.decide.decision import CreateResource, Decision, UpdateExternal
from reco.decide.lifecycle import decide
from reco.decide.model import Desired, ExternalVersion, NotAsked, Situation, State, Update, Waiting
from reco.decide.references import resolve, usable
from tests.support.situations import (
    CREATED,
    ENGINE,
    NOW,
    condition,
    desired,
    observed,
    resource,
    settled_status,
    shown,
    situation,
    written,
)

WANTED = Desired("shop_sol", {"recipeArn": "arn:recipe"}, tags={})
SCHEDULED = {"training": {"full": {"schedule": "0 * * * *"}, "onlyIfNewData": True}}


def version(owner: Resource, outcome: str, input_: str | None = None) -> Resource:
    reason = "Trained" if outcome == "True" else "ExternalFailure"
    conditions = [condition("Succeeded", outcome, reason)]
    if outcome == "False":
        conditions.append(condition("Stalled", "True", "ExternalFailure"))
    annotations = {runs.ANNOTATION_TRIGGER: "Initial"}
    annotations |= {runs.ANNOTATION_INPUT: input_} if input_ else {}
    return resource(
        "SolutionVersion",
        "sol-1",
        owner=owner,
        annotations=annotations,
        status={"conditions": conditions, "external": {"name": "shop_sol-1", "arn": "arn:sol-1"}},
    )


def of_solution(of: Resource, versions: list[Resource], **changes: Any) -> Situation:
    data = resource(
        "Dataset",
        "interactions",
        status={"import": {"lastSuccessfulJob": "import-1"}},
    )
    related = {"SolutionVersion": versions, "Dataset": [data], "Campaign": []}
    base = situation(
        of,
        desired=WANTED,
        observation=observed(of, WANTED, details={"versions": ()}),
        children=versions,
        related=related,
    )
    return replace(base, **changes)


def started(decision: Decision) -> list[str]:
    return [
        a.manifest["metadata"]["name"] for a in decision.actions if isinstance(a, CreateResource)
    ]


def test_r4_a_solution_that_waits_does_not_take_its_waiting_for_a_new_input() -> None:
    status = settled_status(WANTED, training={"lastInput": "x"})
    solution = resource("Solution", "sol", spec=SCHEDULED, status=status)
    waits = Waiting("DatasetGroup shop/movies is being deleted")

    for outcome in ("True", "False"):
        it = of_solution(solution, [version(solution, outcome)], desired=waits)
        assert started(decide(it)) == []


def test_r4_a_status_write_that_was_lost_does_not_pay_for_a_failed_training_again() -> None:
    fresh = resource("Solution", "sol", status=settled_status(WANTED))
    (action,) = [a for a in decide(of_solution(fresh, [])).actions if isinstance(a, CreateResource)]
    input_ = action.manifest["metadata"]["annotations"][runs.ANNOTATION_INPUT]
    status = settled_status(WANTED, training={"lastInput": "of-an-earlier-training"})
    solution = resource("Solution", "sol", status=status)

    assert started(decide(of_solution(solution, [version(solution, "False", input_)]))) == []


def test_a_version_deleted_within_the_second_it_is_known_by_stays_deleted() -> None:
    status = settled_status(
        WANTED, training={"lastInput": "x", "knownThrough": CREATED.isoformat()}
    )
    solution = resource("Solution", "sol", status=status)
    later = CREATED + timedelta(milliseconds=500)
    external = ExternalVersion("arn:bad", "shop_sol-2", State.ACTIVE, later, "Full", "Manual")
    there = observed(solution, WANTED, details={"versions": (external,)})

    assert started(decide(of_solution(solution, [], observation=there))) == []


def test_r3_a_class_that_cannot_be_used_does_not_make_a_serving_campaign_look_down() -> None:
    wanted = desired()
    campaign = resource("Campaign", status=settled_status(wanted))

    decision = decide(
        situation(
            campaign,
            engine=None,
            desired=Waiting("EngineClass aws can't be used"),
            observation=NotAsked(),
        )
    )

    conditions = shown(campaign, decision)
    assert conditions["Available"] == "True/InSync"
    assert conditions["DependenciesReady"] == "False/AwaitingDependency"
    assert "external" not in decision.status


def test_observe_does_not_stop_what_it_only_watches() -> None:
    wanted = desired()
    spec = {"managementPolicy": "Observe", "desiredState": "Stopped"}
    campaign = resource("Campaign", spec=spec, status=settled_status(wanted))

    assert decide(situation(campaign, observation=observed(campaign, wanted))).actions == ()


def test_a_version_that_cannot_go_yet_is_no_training_and_serves_nobody_new() -> None:
    owner = resource("Solution", "sol")
    going = replace(version(owner, "True"), deleted=NOW)
    blocked = situation(going, desired=WANTED, dependents=[resource("Campaign", "camp")])

    assert shown(going, decide(blocked))["Succeeded"] == "True/Trained"
    assert runs.finished(going)
    assert not usable(going)


class Cluster:
    """A lookup over a few resources."""

    def __init__(self, *resources: Resource) -> None:
        self.resources = {resource.key: resource for resource in resources}

    def get(self, key: Key) -> Resource | None:
        return self.resources.get(key)

    def all(self, kind: str, namespace: str | None = None) -> list[Resource]:
        del namespace
        return [resource for key, resource in self.resources.items() if key.kind == kind]

    def referring(self, key: Key, kind: str | None = None) -> list[Resource]:
        del key, kind
        return []


def engine_class(name: str, *, default: bool) -> Resource:
    blank = resource("DatasetGroup", name, namespace="")
    annotations = {"reco.dev/is-default-class": "true"} if default else {}
    return replace(blank, key=Key("EngineClass", "", name), annotations=annotations)


def test_another_default_class_moves_nothing_that_was_made() -> None:
    old = engine_class("old", default=False)
    new = engine_class("new", default=True)
    made = resource(
        "DatasetGroup",
        spec={"engineClassName": None},
        status=settled_status(WANTED, engineClassName="old"),
    )
    fresh = resource("DatasetGroup", "fresh", spec={"engineClassName": None})
    cluster = Cluster(old, new)

    assert resolve(made, cluster).engine_class is old
    assert resolve(fresh, cluster).engine_class is new


def test_r5_a_failed_object_that_can_be_changed_is_mended_and_not_deleted() -> None:
    wanted = replace(desired(), fields={"Deployment/movies-catalog": {}, "StatefulSet/s": {}})
    wanted = replace(wanted, mutable=frozenset(wanted.fields))
    refusal = {"digest": "of what failed", "reason": "ExternalFailure", "message": "no such image"}
    group = resource("DatasetGroup", status={"refusal": refusal})
    failed = observed(group, wanted, State.FAILED, failure="no such image")

    decision = decide(situation(group, desired=wanted, observation=failed))

    assert decision.actions == (UpdateExternal(failed, wanted.fields, wanted),)


def test_a_mended_spec_is_applied_while_the_bad_one_does_not_get_on() -> None:
    wanted = desired(image="good", rollout="complete")
    as_applied = {**wanted.fields, "image": "no such", "rollout": "1 of 2 pods are ready"}
    campaign = resource("Campaign", generation=2, status=settled_status(WANTED))
    rolling = observed(
        campaign,
        wanted,
        fields=as_applied,
        update=Update(State.CREATING, {"rollout": "complete"}),
    )
    creating = observed(
        campaign, wanted, State.CREATING, fields={**as_applied, "rollout": "complete"}
    )

    for found in (rolling, creating):
        it = situation(campaign, desired=wanted, observation=found)
        in_cluster = replace(it, engine=replace(ENGINE, changes_any_time=True))

        assert [type(action) for action in decide(it).actions] == []
        (action,) = decide(in_cluster).actions
        assert isinstance(action, UpdateExternal)
        assert action.fields["image"] == "good"
    doing = "1 of 2 pods are ready"
    settled = replace(rolling, fields={**wanted.fields, "rollout": doing}, doing=doing)
    waits = situation(
        campaign,
        desired=wanted,
        observation=settled,
        engine=replace(ENGINE, changes_any_time=True),
    )
    assert decide(waits).actions == ()
    says = {one["type"]: one["message"] for one in written(campaign, decide(waits))["conditions"]}
    assert says["Ready"] == f"the engine is updating: {doing}"


@pytest.mark.parametrize(
    ("policy", "forced", "repaired"),
    [
        ("Correct", False, True),
        ("Warn", True, False),
        ("Ignore", False, False),
        ("Ignore", True, True),
    ],
)
def test_drift_of_what_is_being_made_is_treated_by_policy_as_any_other(
    policy: str, *, forced: bool, repaired: bool
) -> None:
    wanted = Desired("shop_c", {"image": "good"}, tags={}, mutable=frozenset({"image"}))
    campaign = resource(
        "Campaign",
        spec={"driftPolicy": policy},
        annotations={ANNOTATION_RECONCILE: "now"} if forced else {},
        status=settled_status(wanted),
    )
    creating = observed(campaign, wanted, State.CREATING, fields={"image": "another"})
    engine = replace(ENGINE, changes_any_time=True)
    it = situation(campaign, desired=wanted, observation=creating, engine=engine)
    assert bool(decide(it).actions) is repaired


def test_r4_a_training_that_runs_is_left_alone_when_its_class_changes() -> None:
    wanted = Desired("shop_sol-1", {"Job/sol-1-train": {"image": "new"}}, tags={})
    version = resource("SolutionVersion", "sol-1", status=settled_status(wanted))
    running = observed(version, wanted, State.RUNNING, fields={"Job/sol-1-train": {"image": "old"}})
    it = situation(version, desired=wanted, observation=running)

    assert decide(replace(it, engine=replace(ENGINE, changes_any_time=True))).actions == ()


def test_a_rollout_that_never_ends_can_be_turned_back_where_the_engine_allows_it() -> None:
    wanted = Desired("shop_c", {"version": "good", "rollout": "complete"}, tags={})
    wanted = replace(wanted, mutable=frozenset(wanted.fields))
    campaign = resource("Campaign", generation=2, status=settled_status(wanted))
    doing = "pod p: the model is corrupt"

    def decided(version: str, *, any_time: bool) -> Decision:
        update = Update(State.CREATING, {"rollout": "complete"})
        fields = {"version": version, "rollout": doing}
        seen = observed(campaign, wanted, fields=fields, update=update, doing=doing)
        engine = replace(ENGINE, changes_any_time=any_time)
        return decide(situation(campaign, desired=wanted, observation=seen, engine=engine))

    [action] = decided("broken", any_time=True).actions
    assert isinstance(action, UpdateExternal)
    assert action.fields == {"version": "good"}
    assert not decided("broken", any_time=False).actions
    waits = decided("good", any_time=True)
    assert not waits.actions
    says = {one["type"]: one["message"] for one in written(campaign, waits)["conditions"]}
    assert says["Ready"] == f"the engine is updating: {doing}"
