"""The rules of trainings one by one: triggers, bases of updates, events as data, and retries."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reco.api.resource import Resource
from reco.api.runs import RunTrigger
from reco.api.solution import TrainingMode
from reco.decide import runs
from reco.decide.decision import CreateResource, Decision
from reco.decide.lifecycle import decide
from tests.support.situations import (
    CREATED,
    NOW,
    condition,
    observed,
    resource,
    settled_status,
    shown,
    situation,
)
from tests.unit.decide.test_training import (
    WANTED,
    at,
    dataset,
    in_force,
    input_now,
    pruned,
    solution,
    started,
    version,
)

UPDATABLE = {"recipe": "aws-user-personalization"}
HOURLY = {"training": {"full": {"schedule": "0 * * * *"}}}
TRACKER = resource(
    "EventTracker",
    "events",
    status={
        "external": {"name": "shop_events", "arn": "arn:tracker"},
        "applied": {"digest": "0", "generation": 1},
        "conditions": [condition("Ready", "True", "InSync")],
    },
)


def with_events(of: Resource, versions: Sequence[Resource] = (), streamed: Any = None) -> Decision:
    """Decide about a Solution whose only data is what a tracker streams."""
    events_only = resource("Dataset", "interactions", spec={"type": "Interactions"})
    base = at(of, versions, datasets=[events_only])
    details = {"versions": (), **({"streamed": streamed} if streamed is not None else {})}
    return decide(
        situation(
            of,
            desired=WANTED,
            observation=observed(of, WANTED, details=details),
            related={**base.related, "EventTracker": [TRACKER]},
        )
    )


def modes(decision: Decision) -> list[str]:
    """Return the modes of the trainings that start."""
    return [
        action.manifest["spec"]["trainingMode"]
        for action in decision.actions
        if isinstance(action, CreateResource)
    ]


# --- what an update starts from ------------------------------------------------------------------


def test_history_limits_keep_the_version_that_updates_start_from() -> None:
    of = solution(
        {
            **UPDATABLE,
            "successfulVersionsHistoryLimit": 2,
            "training": {"update": {"schedule": "0 * * * *"}},
        }
    )
    hours = timedelta(hours=1)
    versions = [
        version("full", of, made=CREATED),
        *[version(f"u{n}", of, mode="Update", made=CREATED + n * hours) for n in (1, 2, 3)],
    ]
    assert pruned(decide(at(of, versions))) == {"u1"}


def test_an_update_without_a_base_trains_from_scratch() -> None:
    of = solution(
        {**UPDATABLE, "training": {"update": {"schedule": "0 * * * *"}}},
        schedules=in_force("0 * * * *", "Update"),
    )
    updated = version("u1", of, mode="Update", made=CREATED - timedelta(days=1))
    assert modes(decide(at(of, [updated]))) == ["Full"]


def test_an_update_whose_base_is_gone_is_followed_by_a_full_training() -> None:
    of = solution(
        {**UPDATABLE, "training": {"update": {"schedule": "0 0 1 1 *"}}},
        schedules=in_force("0 0 1 1 *", "Update"),
    )
    base = version("full", of, made=CREATED - timedelta(days=1))
    bad = version("u1", of, "False", mode="Update", reason="TransientFailure")
    bad = replace(bad, status=bad.status.model_copy(update={"needs": TrainingMode.FULL}))
    assert modes(decide(at(of, [bad, base]))) == ["Full"]


def test_a_refused_update_does_not_hold_full_trainings_back() -> None:
    of = solution(
        {
            **UPDATABLE,
            "training": {
                "full": {"schedule": "0 * * * *"},
                "update": {"schedule": "30 * * * *"},
            },
        },
        schedules=in_force("0 * * * *") + in_force("30 * * * *", "Update"),
    )
    before = CREATED - timedelta(days=2)
    bad = version("u1", of, "False", mode="Update", input_=input_now(), made=before)
    good = version("full", of, made=before - timedelta(hours=1))
    decision = decide(at(of, [bad, good]))
    assert modes(decision) == ["Full"]
    assert shown(of, decision)["RunsHeld"] == "True/LastRunRefused"


# --- events are data -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("streamed", "trains"),
    [({"rows": 999}, False), ({"rows": 1000}, True), (None, True)],
    ids=["too few", "enough", "the engine does not count"],
)
def test_data_that_arrived_by_events_is_data(streamed: Any, trains: bool) -> None:  # noqa: FBT001
    decision = with_events(solution(), streamed=streamed)
    assert bool(started(decision)) is trains


def test_streamed_events_end_a_hold_where_they_are_counted() -> None:
    of = solution()
    (first,) = [
        action
        for action in with_events(of, streamed={"rows": 1000}).actions
        if isinstance(action, CreateResource)
    ]
    input_ = first.manifest["metadata"]["annotations"][runs.ANNOTATION_INPUT]
    bad = version("sol-1", of, "False", input_=input_)
    assert started(with_events(of, [bad], streamed={"rows": 1000})) == []
    assert len(started(with_events(of, [bad], streamed={"rows": 5000}))) == 1


def test_a_hold_on_events_that_nobody_counts_ends_by_itself() -> None:
    of = solution()
    bad = version("sol-1", of, "False", made=NOW - timedelta(minutes=30))
    recent = with_events(of, [bad])
    assert started(recent) == []
    assert shown(of, recent)["RunsHeld"] == "True/LastRunRefused"
    later = version("sol-1", of, "False", made=NOW - timedelta(minutes=61))
    assert len(started(with_events(of, [later]))) == 1


# --- incomplete pictures -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [(), (dataset(None, "Items"),), (resource("Dataset", "items", spec={"type": "Items"}),)],
    ids=["absent", "not imported yet", "not looked at yet"],
)
def test_what_is_not_known_of_the_data_is_no_change(items: Sequence[Resource]) -> None:
    both = [dataset(), dataset("items-1", "Items")]
    of = solution()
    bad = version("sol-1", of, "False", input_=input_now(both))
    good = version("sol-0", of, made=CREATED - timedelta(days=1))
    assert started(decide(at(of, [bad, good], datasets=[dataset(), *items]))) == []
    assert started(decide(at(of, [bad, good], datasets=both))) == []


def test_an_input_of_an_older_release_counts_as_the_present_one() -> None:
    of = solution(lastInput="0123456789abcdef")
    bad = version("sol-1", of, "False", input_="fedcba9876543210")
    assert started(decide(at(of, [bad]))) == []


# --- what is remembered --------------------------------------------------------------------------


def test_what_a_pruned_training_left_behind_holds_the_schedule() -> None:
    failed = {
        "trigger": RunTrigger.FULL.value,
        "name": "sol-1",
        "number": 1,
        "outcome": "Refused",
        "input": input_now(),
        "time": CREATED.isoformat(),
        "message": "too few rows",
    }
    of = solution(HOURLY, schedules=in_force("0 * * * *"), failures=[failed], runNumber=1)
    decision = decide(at(of))
    assert started(decision) == []
    assert shown(of, decision)["RunsHeld"] == "True/LastRunRefused"
    assert shown(of, decision)["Ready"] == "False/ExternalFailure"


@pytest.mark.parametrize(
    ("attempt", "minutes", "tries"),
    [(1, 4, False), (1, 6, True), (2, 29, False), (2, 31, True), (3, 121, True), (4, 9999, False)],
)
def test_transient_failures_are_tried_again_with_backoff(
    attempt: int,
    minutes: int,
    tries: bool,  # noqa: FBT001
) -> None:
    of = solution()
    bad = version(
        "sol-1",
        of,
        "False",
        reason="TransientFailure",
        attempt=attempt,
        made=NOW - timedelta(minutes=minutes),
    )
    (action, *_) = [
        *[a for a in decide(at(of, [bad])).actions if isinstance(a, CreateResource)],
        None,
    ]
    assert (action is not None) is tries
    if action is not None:
        marks = action.manifest["metadata"]["annotations"]
        assert marks[runs.ANNOTATION_ATTEMPT] == str(attempt + 1)


def test_a_retry_past_the_starting_deadline_is_left_to_the_next_time() -> None:
    deadline = {"training": {"full": {"schedule": "0 0 1 1 *"}, "startingDeadlineSeconds": 600}}
    of = solution(deadline, schedules=in_force("0 0 1 1 *"))
    scheduled = NOW - timedelta(hours=1)
    bad = resource(
        "SolutionVersion",
        "sol-1",
        owner=of,
        annotations={
            runs.ANNOTATION_TRIGGER: "Scheduled",
            runs.ANNOTATION_SCHEDULED: scheduled.isoformat(),
            runs.ANNOTATION_STARTED: scheduled.isoformat(),
        },
        status={
            "conditions": [
                condition("Succeeded", "False", "TransientFailure", since=scheduled),
                condition("Stalled", "True", "TransientFailure"),
            ]
        },
    )
    assert started(decide(at(of, [bad]))) == []


def test_the_time_of_the_last_training_is_the_models_own() -> None:
    of = solution()
    made = CREATED - timedelta(days=40)
    decision = decide(at(of, [version("sol-1", of, made=made)]))
    assert decision.status["training"]["lastTrainedTime"] == made.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_version_that_never_runs_is_not_waited_for() -> None:
    of = solution(HOURLY, schedules=in_force("0 * * * *"))
    missing = resource(
        "SolutionVersion",
        "theirs",
        spec={"managementPolicy": "Observe"},
        created=CREATED - timedelta(days=1),
        status={"conditions": [condition("Succeeded", "False", "ExternalMissing")]},
    )
    assert len(started(decide(at(of, [missing])))) == 1


def test_a_status_of_before_says_nothing_of_a_solution_made_anew() -> None:
    status = settled_status(
        WANTED,
        training={"lastInput": "x;Interactions=y", "objectTime": "2020-01-01T00:00:00Z"},
    )
    of = resource("Solution", "sol", status=status)
    assert len(started(decide(at(of)))) == 1
