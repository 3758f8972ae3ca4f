"""Runs to completion: what has succeeded stays so, and what can't be seen has not failed."""

import pytest

from reco.decide import runs
from reco.decide.decision import CreateResource
from reco.decide.failures import DENIED_BEFORE_STALLED
from reco.decide.lifecycle import decide
from reco.decide.model import Absent, Desired, ErrorClass, ExternalVersion, Failure, State, Waiting
from tests.support.situations import CREATED, condition, observed, resource, shown, situation

VERSION = Desired("shop_thing", {"solutionArn": "arn:solution"}, tags={})
TRAINED = {
    "observedGeneration": 1,
    "external": {"name": "shop_thing", "arn": "arn:thing"},
    "conditions": [
        condition("Ready", "True", "Trained"),
        condition("Succeeded", "True", "Trained"),
    ],
}
TRAINING = {
    **TRAINED,
    "conditions": [
        condition("Ready", "Unknown", "Training"),
        condition("Succeeded", "Unknown", "Training"),
    ],
}


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_no_trouble_with_the_engine_undoes_a_run_that_has_succeeded(
    error_class: ErrorClass,
) -> None:
    version = resource("SolutionVersion", status=TRAINED)
    decision = decide(
        situation(
            version,
            desired=VERSION,
            observation=Failure(error_class, "no"),
            failures=DENIED_BEFORE_STALLED,
        )
    )
    picture = shown(version, decision)
    assert picture["Succeeded"] == "True/Trained"
    assert picture["Ready"] == "True/Trained"
    assert "Stalled" not in picture


@pytest.mark.parametrize("error_class", [ErrorClass.ACCESS_DENIED, ErrorClass.QUOTA_EXHAUSTED])
def test_a_run_that_cannot_be_seen_has_not_ended(error_class: ErrorClass) -> None:
    version = resource("SolutionVersion", status=TRAINING)
    decision = decide(
        situation(
            version,
            desired=VERSION,
            observation=Failure(error_class, "no"),
            failures=DENIED_BEFORE_STALLED,
        )
    )
    assert shown(version, decision)["Succeeded"].startswith("Unknown/")


def test_a_run_whose_object_is_gone_is_of_no_use_any_more() -> None:
    version = resource("SolutionVersion", status=TRAINED)
    picture = shown(version, decide(situation(version, desired=VERSION, observation=Absent())))
    assert picture["Succeeded"] == "False/ExternalDeleted"


def test_a_solution_that_is_somebody_elses_is_neither_trained_nor_adopted_from() -> None:
    solution = resource("Solution", spec={"adoptionPolicy": "Never"})
    wanted = Desired("shop_thing", {}, tags={})
    theirs = observed(
        solution,
        wanted,
        tags={"reco.dev/cluster": "elsewhere"},
        details={
            "versions": (
                ExternalVersion(
                    "arn:solution/1", "shop_thing-1", State.ACTIVE, CREATED, "Full", "Manual"
                ),
            )
        },
    )
    decision = decide(situation(solution, desired=wanted, observation=theirs))
    assert not [action for action in decision.actions if isinstance(action, CreateResource)]


def test_a_waiting_run_is_not_finished() -> None:
    version = resource("SolutionVersion", finalizers=())
    picture = shown(version, decide(situation(version, desired=Waiting("no Solution"))))
    assert picture["Succeeded"] == "Unknown/AwaitingDependency"
    assert not runs.finished(version)


def test_a_version_that_the_service_trained_gets_a_name_that_kubernetes_allows() -> None:
    solution = resource("Solution", "sol")
    wanted = Desired("shop_sol", {}, tags={})
    trained = ExternalVersion(
        "arn:solution/shop_sol/0a1b2c3d",
        "shop_sol/0a1b2c3d",
        State.ACTIVE,
        CREATED,
        "Full",
        "Automatic",
    )
    seen = observed(solution, wanted, details={"versions": (trained,)})
    decision = decide(situation(solution, desired=wanted, observation=seen))
    made = [action for action in decision.actions if isinstance(action, CreateResource)]
    assert [one.manifest["metadata"]["name"] for one in made] == ["sol-0a1b2c3d"]
    assert made[0].manifest["spec"]["externalName"] == "shop_sol/0a1b2c3d"


def test_a_failed_version_of_unknown_input_is_not_paid_for_again() -> None:
    solution = resource("Solution", "sol")
    wanted = Desired("shop_sol", {}, tags={})
    failed = resource(
        "SolutionVersion",
        "sol-1",
        annotations={runs.ANNOTATION_TRIGGER: "Initial"},
        status={
            "conditions": [
                condition("Succeeded", "False", "ExternalFailure"),
                condition("Stalled", "True", "ExternalFailure"),
            ]
        },
    )
    data = resource(
        "Dataset",
        "data",
        spec={"import": {"source": {"s3": "s3://bucket/data/"}}},
        status={"import": {"lastSuccessfulJob": "import-1"}},
    )
    decision = decide(
        situation(
            solution,
            desired=wanted,
            observation=observed(solution, wanted, details={"versions": ()}),
            related={"SolutionVersion": [failed], "Dataset": [data]},
        )
    )
    assert not [action for action in decision.actions if isinstance(action, CreateResource)]
    assert decision.status["training"]["lastInput"]
