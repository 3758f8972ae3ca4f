"""When a Solution trains, and when it does not."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from reco.api.resource import Resource
from reco.decide import runs
from reco.decide.decision import CreateResource, Decision, DeleteResource
from reco.decide.lifecycle import decide
from reco.decide.model import Desired, ExternalVersion, Situation, State
from tests.support.situations import (
    CREATED,
    NOW,
    condition,
    observed,
    resource,
    settled_status,
    shown,
    situation,
    written,
)

WANTED = Desired("shop_sol", {"recipeArn": "arn:recipe"}, tags={})


def solution(spec: dict[str, Any] | None = None, **training: Any) -> Resource:
    status = settled_status(WANTED)
    if training:
        status["training"] = training
    return resource("Solution", "sol", spec=spec, status=status)


def dataset(imported: str | None = "import-1", type_: str = "Interactions") -> Resource:
    status = {"import": {"lastSuccessfulJob": imported}} if imported else {}
    spec = {"type": type_, "import": {"source": {"s3": "s3://bucket/data/"}}}
    return resource("Dataset", type_.lower(), spec=spec, status=status)


def version(
    name: str,
    owner: Resource,
    outcome: str | None = "True",
    made: datetime = CREATED,
    *,
    reason: str = "ExternalFailure",
    cause: str = "Scheduled",
    mode: str = "Full",
    input_: str | None = None,
    number: int = 1,
    attempt: int = 1,
) -> Resource:
    conditions = []
    if outcome is not None:
        reason = "Trained" if outcome == "True" else reason
        conditions.append(condition("Succeeded", outcome, reason, "too few rows", made))
    if outcome == "False":
        conditions.append(condition("Stalled", "True", reason))
    marks = {
        runs.ANNOTATION_TRIGGER: cause,
        runs.ANNOTATION_NUMBER: str(number),
        runs.ANNOTATION_ATTEMPT: str(attempt),
        runs.ANNOTATION_STARTED: made.isoformat(),
        **({runs.ANNOTATION_INPUT: input_} if input_ else {}),
    }
    external = {"name": f"shop_{name}", "arn": f"arn:{name}", "creationTime": made.isoformat()}
    return resource(
        "SolutionVersion",
        name,
        spec={"trainingMode": mode},
        annotations=marks,
        owner=owner,
        status={"conditions": conditions, "external": external},
    )


def in_force(expression: str, trigger: str = "Full", zone: str = "Etc/UTC") -> list[dict[str, Any]]:
    """Return the status of a schedule that has been in force for longer than anything ran."""
    through = (CREATED - timedelta(days=60)).isoformat()
    return [{"trigger": trigger, "schedule": f"{expression} {zone}", "handledThrough": through}]


def input_now(datasets: Sequence[Resource] | None = None) -> str:
    """Return what a training would start from, as its annotation says."""
    (action,) = [
        a
        for a in decide(at(solution(), datasets=datasets)).actions
        if isinstance(a, CreateResource)
    ]
    return str(action.manifest["metadata"]["annotations"][runs.ANNOTATION_INPUT])


def at(
    of: Resource,
    versions: Sequence[Resource] = (),
    *,
    datasets: Sequence[Resource] | None = None,
    external: Sequence[ExternalVersion] = (),
    campaigns: Sequence[Resource] = (),
    now: datetime = NOW,
) -> Situation:
    return situation(
        of,
        now=now,
        desired=WANTED,
        observation=observed(of, WANTED, details={"versions": tuple(external)}),
        children=versions,
        related={
            "SolutionVersion": versions,
            "Dataset": [dataset()] if datasets is None else datasets,
            "Campaign": campaigns,
        },
    )


def started(decision: Decision) -> list[str]:
    return [
        a.manifest["metadata"]["name"] for a in decision.actions if isinstance(a, CreateResource)
    ]


def pruned(decision: Decision) -> set[str]:
    return {a.key.name for a in decision.actions if isinstance(a, DeleteResource)}


def external_version(
    name: str, state: State = State.ACTIVE, kind: str | None = "Manual"
) -> ExternalVersion:
    return ExternalVersion(f"arn:{name}", f"shop_{name}", state, CREATED, "Full", kind)


def test_the_first_training_starts_when_data_is_there() -> None:
    minute = int(CREATED.timestamp()) // 60

    assert started(decide(at(solution()))) == [f"sol-{minute}"]


def test_without_data_the_first_training_waits_and_names_the_dataset() -> None:
    of = solution()

    decision = decide(at(of, datasets=[dataset(imported=None)]))

    assert started(decision) == []
    assert shown(of, decision)["DependenciesReady"] == "False/AwaitingData"
    assert "Dataset shop/interactions" in written(of, decision)["conditions"][0]["message"]


def test_the_first_training_waits_for_every_dataset_that_declares_an_import() -> None:
    items = dataset(imported=None, type_="Items")

    assert started(decide(at(solution(), datasets=[dataset(), items]))) == []


def test_r4_looking_twice_before_the_child_is_seen_asks_for_the_same_child() -> None:
    assert started(decide(at(solution()))) == started(decide(at(solution())))


def test_r4_nothing_starts_while_a_training_runs() -> None:
    of = solution({"training": {"full": {"schedule": "* * * * *"}}})

    assert started(decide(at(of, [version("sol-1", of, outcome=None)]))) == []


def test_r4_the_input_that_failed_is_not_trained_again_on_schedule() -> None:
    of = solution(
        {"training": {"full": {"schedule": "0 * * * *"}}}, schedules=in_force("0 * * * *")
    )

    decision = decide(at(of, [version("sol-1", of, "False", input_=input_now())]))

    assert started(decision) == []
    assert "was refused" in decision.status["training"]["lastSkipped"]["reason"]
    assert shown(of, decision)["RunsHeld"] == "True/LastRunRefused"


def test_r4_a_try_by_hand_that_failed_holds_no_first_training_back() -> None:
    bad = [condition("Succeeded", "False", "ExternalFailure"), condition("Stalled", "True", "x")]
    by_hand = resource("SolutionVersion", "try", status={"conditions": bad})

    assert len(started(decide(at(solution(), [by_hand])))) == 1


def test_new_data_mends_a_failed_training_without_anybody_asking() -> None:
    of = solution()
    failed = [version("sol-1", of, "False", input_=input_now())]

    assert started(decide(at(of, failed))) == []
    assert len(started(decide(at(of, failed, datasets=[dataset("import-2")])))) == 1


def test_new_data_alone_does_not_retrain_what_is_good() -> None:
    of = solution(lastInput="0123456789abcdef")

    assert started(decide(at(of, [version("sol-1", of)]))) == []


def test_a_scheduled_training_is_named_after_its_minute_and_fires_once() -> None:
    spec = {"training": {"full": {"schedule": "0 3 * * *", "timeZone": "Europe/Paris"}}}
    of = solution(spec, schedules=in_force("0 3 * * *", zone="Europe/Paris"))
    due = datetime.fromisoformat("2026-03-02T02:00:00+00:00")

    decision = decide(at(of, [version("sol-1", of)]))
    again = solution(spec, schedules=decision.status["training"]["schedules"])

    assert started(decision) == [f"sol-{int(due.timestamp()) // 60}"]
    assert decision.status["training"]["nextScheduleTime"] == "2026-03-03T02:00:00Z"
    assert started(decide(at(again, [version("sol-1", again)]))) == []


def test_of_many_missed_times_only_the_latest_runs() -> None:
    of = solution(
        {"training": {"full": {"schedule": "*/5 * * * *"}}}, schedules=in_force("*/5 * * * *")
    )

    assert len(started(decide(at(of, [version("sol-1", of)], now=NOW + timedelta(days=30))))) == 1


def test_a_scheduled_time_past_its_deadline_is_skipped_and_says_so() -> None:
    of = solution(
        {"training": {"full": {"schedule": "0 3 * * *"}, "startingDeadlineSeconds": 600}},
        schedules=in_force("0 3 * * *"),
    )

    decision = decide(at(of, [version("sol-1", of)]))

    assert started(decision) == []
    assert "startingDeadlineSeconds" in decision.status["training"]["lastSkipped"]["reason"]


def test_without_new_data_a_schedule_can_be_told_to_save_the_money() -> None:
    spec = {"training": {"full": {"schedule": "0 3 * * *"}, "onlyIfNewData": True}}
    of = solution(spec, schedules=in_force("0 3 * * *"))
    trained = [version("sol-1", of, made=CREATED - timedelta(days=1), input_=input_now())]

    assert started(decide(at(of, trained))) == []
    assert len(started(decide(at(of, trained, datasets=[dataset("new")])))) == 1


def test_run_now_trains_once_for_each_value() -> None:
    of = resource(
        "Solution",
        "sol",
        status=settled_status(WANTED, training={"lastInput": "x"}),
        annotations={"reco.dev/run-now": "please"},
    )

    decision = decide(at(of, [version("sol-1", of)]))
    handled = resource(
        "Solution",
        "sol",
        status=settled_status(WANTED, training={"lastInput": "x", "lastRunNow": "please"}),
        annotations={"reco.dev/run-now": "please"},
    )

    assert len(started(decision)) == 1
    assert decision.status["training"]["lastRunNow"] == "please"
    assert started(decide(at(handled, [version("sol-1", handled)]))) == []


def test_r7_versions_that_the_engine_has_are_taken_over_instead_of_trained_again() -> None:
    decision = decide(at(solution(), external=[external_version("sol-29384756")]))

    (action,) = [a for a in decision.actions if isinstance(a, CreateResource)]
    assert action.manifest["metadata"]["name"] == "sol-29384756"
    assert action.manifest["spec"]["externalName"] == "shop_sol-29384756"
    assert action.manifest["spec"]["adoptionPolicy"] == "Adopt"


@pytest.mark.parametrize(
    ("training_type", "policy"), [("Manual", "Manage"), ("Automatic", "Observe"), (None, "Observe")]
)
def test_r6_what_may_be_the_services_own_training_is_only_observed(
    training_type: str | None, policy: str
) -> None:
    trained = external_version("sol-29384756", kind=training_type)

    (action,) = [
        a
        for a in decide(at(solution(), external=[trained])).actions
        if isinstance(a, CreateResource)
    ]

    assert action.manifest["spec"]["managementPolicy"] == policy


def test_r4_a_version_that_somebody_else_holds_is_no_reason_to_train_again() -> None:
    of = solution(lastInput="x")
    held = resource(
        "SolutionVersion",
        "sol-1",
        owner=of,
        annotations={runs.ANNOTATION_INPUT: "other"},
        status={
            "conditions": [
                condition("Succeeded", "False", "NameConflict"),
                condition("Stalled", "True", "NameConflict"),
            ]
        },
    )

    assert started(decide(at(of, [held]))) == []


def test_a_version_that_somebody_forgot_on_purpose_stays_forgotten() -> None:
    of = solution(knownThrough=CREATED.isoformat(), lastInput="x")

    assert started(decide(at(of, external=[external_version("sol-29384756")]))) == []


def test_history_limits_never_prune_what_serves_served_or_is_pinned() -> None:
    of = solution({"successfulVersionsHistoryLimit": 1}, lastInput="x")
    versions = [version(f"sol-{n}", of, made=CREATED + timedelta(hours=n)) for n in range(6)]
    serving = resource(
        "Campaign", "a", status={"serving": {"current": "sol-1", "previous": "sol-2"}}
    )
    pinning = resource("Campaign", "b", spec={"version": {"name": "sol-3"}})

    decision = decide(at(of, versions, campaigns=[serving, pinning]))

    assert pruned(decision) == {"sol-0", "sol-4"}


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize(
    ("field", "outcome"),
    [("successfulVersionsHistoryLimit", "True"), ("failedVersionsHistoryLimit", "False")],
)
def test_history_limits_keep_exactly_the_newest_so_many(
    limit: int, field: str, outcome: str
) -> None:
    of = solution({field: limit}, lastInput="x")
    ended = [
        version(f"sol-{n}", of, outcome, made=CREATED - timedelta(days=n), number=9 - n)
        for n in range(5)
    ]

    deleted = {a.key.name for a in decide(at(of, ended)).actions if isinstance(a, DeleteResource)}

    assert deleted == {f"sol-{n}" for n in range(limit, 5)}


def test_no_failed_version_is_kept_where_the_limit_is_none() -> None:
    of = solution({"failedVersionsHistoryLimit": 0}, lastInput="x")
    bad = version("sol-1", of, "False")

    assert DeleteResource(bad.key, bad.uid) in decide(at(of, [bad])).actions


def test_versions_made_by_hand_are_never_pruned() -> None:
    of = solution({"successfulVersionsHistoryLimit": 1}, lastInput="x")
    by_hand = [version(f"mine-{n}", resource("Solution", "other")) for n in range(4)]

    assert pruned(decide(at(of, by_hand))) == set()


def test_r3_a_failed_retraining_shows_without_taking_readiness() -> None:
    of = solution(lastInput="x")
    versions = [version("sol-1", of), version("sol-2", of, "False", CREATED + timedelta(hours=1))]
    # The data is what the last training saw, so that nothing new starts.
    decision = decide(at(of, versions))
    conditions = shown(of, decision)

    assert conditions["Ready"] == "True/InSync"
    assert conditions["LastTrainingSucceeded"] == "False/ExternalFailure"


def test_a_first_training_that_failed_leaves_the_solution_stalled_with_the_reason() -> None:
    of = solution()

    decision = decide(at(of, [version("sol-1", of, "False", input_=input_now())]))

    assert shown(of, decision)["Ready"] == "False/ExternalFailure"
    assert "too few rows" in written(of, decision)["conditions"][0]["message"]
    assert shown(of, decision)["Stalled"] == "True/ExternalFailure"


def test_with_the_service_as_owner_the_operator_starts_nothing() -> None:
    assert started(decide(at(solution({"training": {"owner": "Service"}})))) == []


def test_a_suspended_solution_starts_nothing() -> None:
    assert started(decide(at(solution({"suspend": True})))) == []


def test_a_schedule_that_no_calendar_has_is_refused_with_what_is_allowed() -> None:
    of = solution({"training": {"full": {"schedule": "0 0 31 2 *"}}})

    decision = decide(at(of))

    assert shown(of, decision)["Accepted"] == "False/InvalidSpec"
    assert "spec.training.full" in written(of, decision)["conditions"][0]["message"]
