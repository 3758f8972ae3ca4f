"""What a restore from a backup leaves unknown, and what is not decided until it is known."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reco.api.resource import Resource
from reco.decide import runs
from reco.decide.decision import CreateResource, Decision, RecreateResource, RemoveFinalizer
from reco.decide.lifecycle import decide
from reco.decide.model import Desired, ExternalVersion, Observed, Situation, State
from tests.support.situations import (
    CREATED,
    NOW,
    desired,
    observed,
    resource,
    shown,
    situation,
)

SOLUTION = Desired("shop_sol", {"recipeArn": "arn:recipe"}, tags={})


def solution(status: dict[str, Any] | None = None, **annotations: str) -> Resource:
    marks = {f"reco.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return resource("Solution", "sol", status=status, annotations=marks)


def collected(cause: str = "Initial", number: int = 1) -> Resource:
    """Return a version that garbage collection deletes: its owner is one of before."""
    before = replace(resource("Solution", "sol"), uid="uid-before")
    marks = {runs.ANNOTATION_TRIGGER: cause, runs.ANNOTATION_NUMBER: str(number)}
    return resource("SolutionVersion", "sol-1", owner=before, annotations=marks, deleted=True)


def external(name: str) -> ExternalVersion:
    return ExternalVersion(
        id=f"arn:{name}",
        name=f"shop_{name}",
        state=State.ACTIVE,
        created=CREATED,
        training_mode="FULL",
        training_type="Manual",
    )


def looked_at(
    of: Resource, versions: list[Resource] | None = None, found: list[ExternalVersion] | None = None
) -> Situation:
    seen = observed(of, SOLUTION, details={"versions": tuple(found or ())})
    return situation(
        of,
        desired=SOLUTION,
        observation=seen,
        related={"SolutionVersion": versions or [], "Dataset": [], "Campaign": []},
    )


def training(decision: Decision) -> dict[str, Any]:
    return dict(decision.status["training"])


def made(decision: Decision) -> list[CreateResource]:
    return [action for action in decision.actions if isinstance(action, CreateResource)]


@pytest.mark.parametrize("told", [None, 1])
def test_a_run_is_made_again_once_its_parent_tells_of_it(told: int | None) -> None:
    run = collected(number=2)
    status = None if told is None else {"training": {"runNumber": told}}
    assert decide(situation(run, parent=solution(status))).actions == ()

    knows = solution({"training": {"runNumber": 2}})
    (action,) = decide(situation(run, parent=knows)).actions
    assert isinstance(action, RecreateResource)


def test_a_run_waits_for_its_parents_status_for_a_while_only() -> None:
    run = collected(number=2)
    later = NOW + timedelta(minutes=10)
    (action,) = decide(situation(run, parent=solution(None), now=later)).actions
    assert isinstance(action, RecreateResource)


@pytest.mark.parametrize("cause", ["Scheduled", "RunNow"])
def test_a_run_that_comes_back_and_left_nothing_is_not_carried_out_again(cause: str) -> None:
    marks = {
        runs.ANNOTATION_TRIGGER: cause,
        runs.ANNOTATION_STARTED: (CREATED - timedelta(hours=2)).isoformat(),
    }
    run = resource("SolutionVersion", "sol-1", annotations=marks)
    decision = decide(situation(run, desired=SOLUTION, parent=solution(None)))
    assert decision.actions == ()
    assert shown(run, decision)["Succeeded"] == "False/ExternalDeleted"


def test_a_run_of_a_parent_that_is_only_observed_waits_for_nothing() -> None:
    parent = resource("Solution", "sol", spec={"managementPolicy": "Observe"})
    (action,) = decide(situation(collected(), parent=parent)).actions
    assert isinstance(action, RecreateResource)


def test_a_run_without_a_parent_is_let_go() -> None:
    assert decide(situation(collected())).actions == (RemoveFinalizer(),)


def test_a_token_of_before_a_restore_asks_for_nothing() -> None:
    restored = decide(looked_at(solution(run_now="used"), found=[external("sol-1")]))
    assert training(restored)["lastRunNow"] == "used"
    names = {action.manifest["spec"].get("externalName") for action in made(restored)}
    assert names == {"shop_sol-1"}, "the version is adopted, and none is trained"


def test_the_token_of_a_run_is_remembered_without_the_run() -> None:
    run = collected("RunNow", 2)
    run = replace(run, annotations={**run.annotations, "reco.dev/run-now": "used"})
    decision = decide(looked_at(solution(run_now="used"), [run]))
    assert training(decision)["lastRunNow"] == "used"
    assert training(decision)["runNumber"] == 2
    assert made(decision) == []


def test_versions_are_all_found_only_once_none_is_collected() -> None:
    found = [external("sol-1"), external("sol-2")]
    assert training(decide(looked_at(solution(), [collected()], found)))["knownThrough"] is None


def campaign_that_serves(arn: str, parent: Resource) -> Situation:
    of = resource("Campaign", "camp", spec={"version": {"follow": "Latest"}})
    wanted = desired(solutionVersionArn="arn:older")
    seen: Observed = observed(
        of,
        wanted,
        fields={**wanted.fields, "solutionVersionArn": arn},
        details={"serves": arn},
    )
    older = resource(
        "SolutionVersion", "sol-1", status={"external": {"name": "x", "arn": "arn:older"}}
    )
    return situation(
        of,
        desired=wanted,
        observation=seen,
        parent=parent,
        related={"SolutionVersion": [older]},
    )


def test_a_campaign_keeps_a_version_that_is_not_found_again_yet() -> None:
    of = campaign_that_serves("arn:newer", solution())
    decision = decide(of)
    assert decision.actions == ()
    assert shown(of.resource, decision)["Available"] == "True/AwaitingDependency"

    found = solution({"training": {"knownThrough": CREATED.isoformat()}})
    assert decide(campaign_that_serves("arn:newer", found)).actions != ()
