"""A job's Ready says what its Succeeded says, whatever happened between the two."""

from dataclasses import replace
from typing import Any

import pytest

from reco.api.vocabulary import ANNOTATION_PAUSED
from reco.decide.lifecycle import decide
from reco.decide.model import Absent, ErrorClass, Failure, Observation, State
from tests.support.situations import condition, desired, observed, resource, shown, situation

PAUSED = {ANNOTATION_PAUSED: "true"}
OWN = {"external": {"name": "shop_thing", "arn": "arn:thing"}}
RUNS = [condition("Ready", "Unknown", "Training"), condition("Succeeded", "Unknown", "Training")]
BROKEN_BEFORE = [RUNS[0], condition("Succeeded", "True", "Trained", "made")]
AWAY = Failure(ErrorClass.TRANSIENT, "no answer")


@pytest.mark.parametrize("kind", ["SolutionVersion", "DatasetImportJob"])
@pytest.mark.parametrize("paused_by", [{"annotations": PAUSED}, {"spec": {"suspend": True}}])
@pytest.mark.parametrize(
    ("state", "ready"), [(State.ACTIVE, "True"), (State.FAILED, "False"), (State.STOPPED, "False")]
)
def test_a_job_that_ends_while_paused_is_ready_or_not(
    kind: str, paused_by: dict[str, Any], state: State, ready: str
) -> None:
    job = resource(kind, status={**OWN, "conditions": RUNS}, **paused_by)
    found = observed(job, desired(), state)
    conditions = shown(job, decide(situation(job, observation=found)))
    assert conditions["Ready"] == conditions["Succeeded"]
    assert conditions["Ready"].partition("/")[0] == ready
    assert conditions["Paused"] == "True/Paused"


@pytest.mark.parametrize("paused", [{}, PAUSED])
@pytest.mark.parametrize("sees", [Absent(), AWAY, "there"])
@pytest.mark.parametrize("kind", ["SolutionVersion", "DatasetImportJob"])
def test_what_an_earlier_operator_left_undecided_is_put_right(
    kind: str, sees: Observation | str, paused: dict[str, str]
) -> None:
    job = resource(kind, status={**OWN, "conditions": BROKEN_BEFORE}, annotations=paused)
    seen = observed(job, desired()) if isinstance(sees, str) else sees
    conditions = shown(job, decide(situation(job, observation=seen)))
    status = {name: conditions[name].partition("/")[0] for name in ("Ready", "Succeeded")}
    assert status["Ready"] == status["Succeeded"]


def test_a_job_that_is_deleted_is_not_ready_and_stays_succeeded() -> None:
    job = resource("SolutionVersion", status={**OWN, "conditions": BROKEN_BEFORE}, deleted=True)
    blocked = replace(situation(job), dependents=(resource("Campaign"),))
    conditions = shown(job, decide(blocked))
    assert conditions["Ready"] == "False/Deleting"
    assert conditions["Succeeded"] == "True/Trained"
