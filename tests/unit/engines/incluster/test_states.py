"""What objects are doing, from what Kubernetes says of them."""

from typing import Any

import pytest

from reco.decide.model import State
from reco.engines.incluster.states import pod_problem, ran, rollout
from reco.workload.results import Outcome, Result

ADVICE = {"memory": "raise the memory", "deadline": "raise the deadline"}


def deployment(**status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "for-you-ranker", "generation": 2},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "ranker"}}},
        "status": {"observedGeneration": 2, **status},
    }


def pod(name: str = "one", second: int = 0, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "ranker"},
            "creationTimestamp": f"2026-01-01T00:00:{second:02}Z",
        },
        "status": status,
    }


def ended(code: int, *, reason: str = "Error", message: str = "", **status: Any) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return pod(phase="Failed", containerStatuses=[{"state": state}], **status)


def job(*conditions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"kind": "Job", "spec": spec, "status": {"conditions": list(conditions)}}


def true(type_: str, **more: str) -> dict[str, Any]:
    return {"type": type_, "status": "True", **more}


FAILED = true("Failed", reason="PodFailurePolicy", message="by a rule")


def test_what_is_up_to_date_and_ready_is_rolled_out() -> None:
    seen = rollout([deployment(replicas=2, updatedReplicas=2, readyReplicas=2)], [])
    assert (seen.complete, seen.available, seen.doing) == (True, True, None)


@pytest.mark.parametrize(
    "status",
    [
        {"replicas": 3, "updatedReplicas": 1, "readyReplicas": 2},
        {"replicas": 3, "updatedReplicas": 2, "readyReplicas": 3},
        {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1},
        {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 1},
    ],
)
def test_what_rolls_answers_and_is_not_complete(status: dict[str, Any]) -> None:
    seen = rollout([deployment(**status)], [])
    assert (seen.complete, seen.available) == (False, True)
    assert seen.doing is not None


def test_a_rollout_that_does_not_go_on_says_which_pod_is_why() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    result = Result(outcome=Outcome.INVALID_DATA, message="the model is corrupt").encode()
    last = {"terminated": {"exitCode": 1, "message": result.decode()}}
    gave_up = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    seen = rollout(
        [deployment(replicas=3, updatedReplicas=1, readyReplicas=2, conditions=[gave_up])],
        [pod("new", containerStatuses=[{"state": waiting, "lastState": last}])],
    )
    assert seen.available
    assert seen.failure == "for-you-ranker: pod new: CrashLoopBackOff: the model is corrupt"


def test_the_newest_pod_with_a_problem_is_named() -> None:
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory.",
    }
    pulling = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    pods = [pod("old", 1, containerStatuses=[pulling]), pod("new", 2, conditions=[unscheduled])]
    assert pod_problem(pods) == (
        "pod new: no node takes it: 0/1 nodes are available: 1 Insufficient memory."
    )
    assert pod_problem(pods[:1]) == "pod old: ImagePullBackOff: no such image"
    starting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    assert pod_problem([pod(containerStatuses=[starting])]) is None


def test_a_suspended_job_is_queued_with_the_queue_s_reason() -> None:
    condition = true("Suspended", message="waits for quota of team-a")
    seen = ran(job(condition, suspend=True), [], advice=ADVICE)
    assert (seen.state, seen.doing) == (State.CREATING, "queued: waits for quota of team-a")


def test_a_job_is_followed_from_its_first_pod_to_its_end() -> None:
    assert ran(job(), [], advice=ADVICE).state is State.CREATING
    running = ran(job(), [pod("p", phase="Running")], advice=ADVICE)
    assert (running.state, running.pod) == (State.RUNNING, "p")
    assert ran(job(), [pod("p", phase="Succeeded")], advice=ADVICE).state is State.RUNNING
    assert ran(job(true("Complete")), [], advice=ADVICE).state is State.ACTIVE


BAD_ROWS = Result(
    outcome=Outcome.INVALID_DATA,
    message="3 of 9 rows are bad",
    details={"badRows": [{"file": "a.csv", "line": 3, "reason": "TIMESTAMP must be a number"}]},
)
SHORT = Result(outcome=Outcome.INSUFFICIENT_MEMORY, message="it needs 9Mi")
DISRUPTED = [true("DisruptionTarget", reason="DeletionByTaintManager")]


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (ended(137, reason="OOMKilled"), "OutOfMemory: it used more memory than it may; raise the"),
        (ended(137), "Killed: somebody ended its process"),
        (ended(2, message="Traceback"), "Crashed: it ended with code 2: Traceback; its log says"),
        (ended(143, conditions=DISRUPTED), "Disrupted: its node was lost"),
        (
            ended(1, message=BAD_ROWS.encode().decode()),
            "InvalidData: 3 of 9 rows are bad (a.csv:3: TIMESTAMP must be a number)",
        ),
        (
            ended(1, message=SHORT.encode().decode()),
            "InsufficientMemory: it needs 9Mi; raise the memory",
        ),
    ],
)
def test_ways_to_fail_are_told_apart(last: dict[str, Any], text: str) -> None:
    seen = ran(job(FAILED), [last], advice=ADVICE)
    assert seen.state is State.FAILED
    assert seen.failure is not None
    assert seen.failure.startswith(text)


def test_a_deadline_says_what_to_raise() -> None:
    seen = ran(job(true("Failed", reason="DeadlineExceeded")), [], advice=ADVICE)
    assert seen.failure == "it did not end in time; raise the deadline"


def test_a_quota_that_lets_no_pod_be_made_is_told() -> None:
    refused = true("ReplicaFailure", message='pods "x" is forbidden: exceeded quota: small')
    seen = rollout([deployment(replicas=0, conditions=[refused])], [])
    assert seen.doing is not None
    assert "exceeded quota: small" in seen.doing


CUT_OFF = {"type": "Ready", "status": "False"}
"""As the cluster says it of a pod whose node it does not hear of; a kubelet gives a reason."""


def lost(*conditions: dict[str, Any], ends: bool = True, **status: Any) -> dict[str, Any]:
    found = pod("p", phase="Running", conditions=conditions, **status)
    found["spec"] = {"nodeName": "worker-3"}
    if ends:
        found["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    return found


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (lost(CUT_OFF, ends=False), "pod p: its node worker-3 does not answer: if that lasts, the"),
        (lost(CUT_OFF), "pod p: its node worker-3 does not answer: tried again once the node is"),
        (lost(CUT_OFF, *DISRUPTED), "pod p: its node worker-3 was lost: tried again once the node"),
        (lost(*DISRUPTED), "pod p: its node worker-3 was lost or is no longer fit for it: tried"),
        (lost(), "pod p: it is ending: tried again once it has ended; to end it, delete this"),
    ],
)
def test_a_training_whose_node_is_silent_says_which_and_what_happens_next(
    seen: dict[str, Any], text: str
) -> None:
    found = ran(job(), [seen], advice=ADVICE)

    assert (found.state, found.pod) == (State.RUNNING, None)
    assert (found.doing or "").startswith(text)


def test_a_pod_that_nobody_can_end_says_what_an_administrator_can_do() -> None:
    text = ran(job(), [lost(CUT_OFF, *DISRUPTED)], advice=ADVICE).doing or ""
    assert "is deleted, or is tainted node.kubernetes.io/out-of-service" in text
    assert "delete this resource" in text


def test_what_is_out_of_time_on_a_lost_node_is_not_tried_again() -> None:
    out_of_time = true("FailureTarget", reason="DeadlineExceeded")
    found = ran(job(out_of_time), [lost(CUT_OFF)], advice=ADVICE)
    assert "does not answer: given up once the node is back" in (found.doing or "")


def test_a_ranker_on_a_silent_node_is_told() -> None:
    assert pod_problem([lost(CUT_OFF)]) == "pod p: its node worker-3 does not answer"
    starting = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
    assert pod_problem([lost(starting)]) is None


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("EvictionByEvictionAPI", "its pod was evicted"),
        ("DeletionByPodGC", "its node worker-3 was lost"),
        ("TerminationByKubelet", "its node worker-3 was short of resources"),
    ],
)
def test_disruptions_are_told_apart_while_a_pod_ends_and_when_it_has(
    reason: str, text: str
) -> None:
    why = true("DisruptionTarget", reason=reason)
    assert text in (ran(job(), [lost(why)], advice=ADVICE).doing or "")
    over = {**lost(why), "status": ended(75, conditions=[why])["status"]}
    seen = ran(job(), [over], advice=ADVICE)
    assert (seen.doing or "").startswith(f"tried again; before: {text}")


def test_a_pod_that_is_tried_again_says_what_happened_before() -> None:
    seen = ran(job(), [ended(75, message="")], advice=ADVICE)
    assert seen.state is State.RUNNING
    assert seen.doing == "tried again; before: pod one: it ended with code 75"


def test_what_was_scaled_to_nothing_does_not_answer() -> None:
    none = deployment()
    none["spec"]["replicas"] = 0

    seen = rollout([none], [])

    assert (seen.complete, seen.available) == (False, False)
    assert "scaled to 0" in (seen.doing or "")


def test_an_update_without_a_base_says_so_in_its_first_word() -> None:
    left = Result(
        outcome=Outcome.INVALID_SETTINGS, message="train with mode Full", details={"needs": "Full"}
    )
    found = ran(job(FAILED), [ended(1, message=left.encode().decode())], advice=ADVICE)
    assert found.failure == "BaseGone: train with mode Full"
