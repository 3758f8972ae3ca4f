"""What Kubernetes objects are doing, in words common to all engines: pure functions of manifests.

A Deployment that rolls keeps its old pods until the new ones are ready, so what serves is told
apart from what was applied. A Job that failed is told apart by what ended its last pod.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reco.decide.model import State
from reco.engines.incluster.objects import Manifest
from reco.workload.results import EXIT_KILLED, Outcome, Result

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""The taint by which an administrator says that nothing runs on a silent node any more."""

_SHOWN_ROWS = 10
_LOST = "{node} was lost"
_DISRUPTIONS = {
    "EvictionByEvictionAPI": "its pod was evicted",
    "PreemptionByScheduler": "its pod had to make room for a pod of higher priority",
    "DeletionByTaintManager": "{node} was lost or is no longer fit for it",
    "DeletionByPodGC": _LOST,
    "TerminationByKubelet": "{node} was short of resources and evicted the pod",
}


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a set of Deployments and StatefulSets is."""

    complete: bool
    available: bool
    """Whether each of them has a pod that answers."""
    doing: str | None = None
    failure: str | None = None
    """Why it does not go on."""


def rollout(workloads: Sequence[Manifest], pods: Sequence[Manifest]) -> Rollout:
    """Judge Deployments and StatefulSets with the pods of them all."""
    doing: list[str] = []
    failures: list[str] = []
    available = bool(workloads)
    for one in workloads:
        name, status = one["metadata"]["name"], one.get("status") or {}
        wanted = one["spec"].get("replicas", 1)
        ready = status.get("readyReplicas", 0)
        updated = status.get("updatedReplicas", 0)
        available = available and ready > 0
        if wanted == 0:
            doing.append(f"{name}: it was scaled to 0 pods: scale it up")
            continue
        current = status.get("observedGeneration", 0) >= one["metadata"].get("generation", 1)
        if current and updated >= wanted and status.get("replicas", 0) <= updated <= ready:
            continue
        why = pod_problem([pod for pod in pods if _of(one, pod)]) or _no_pod(one)
        text = f"{name}: {min(updated, ready)} of {wanted} pods are up to date and ready"
        doing.append(f"{text}; {why}" if why else text)
        if _gave_up(one):
            failures.append(f"{name}: {why or 'its new pods do not get ready'}")
    return Rollout(
        complete=bool(workloads) and not doing,
        available=available,
        doing="; ".join(doing) or None,
        failure="; ".join(failures) or None,
    )


def _no_pod(workload: Manifest) -> str | None:
    """Return why no pod can even be made: a quota or an admission rule, for one."""
    failure = _conditions(workload).get("ReplicaFailure")
    return None if failure is None else str(failure.get("message") or failure.get("reason"))


def _gave_up(workload: Manifest) -> bool:
    return "Progressing" in _conditions(workload, "False")


def _of(workload: Manifest, pod: Manifest) -> bool:
    labels = pod["metadata"].get("labels") or {}
    selector = workload["spec"].get("selector", {}).get("matchLabels") or {}
    return all(labels.get(name) == value for name, value in selector.items())


def ready_pods(pods: Sequence[Manifest]) -> list[Manifest]:
    """Return the pods that answer."""
    return [
        pod
        for pod in pods
        if pod["metadata"].get("deletionTimestamp") is None and "Ready" in _conditions(pod)
    ]


def is_cut_off(pod: Manifest) -> bool:
    """Say whether a pod's node does not answer.

    The cluster then says in the node's place that the pod is not ready, and alone says so without
    a reason.
    """
    ready = _conditions(pod, "False").get("Ready")
    return ready is not None and not ready.get("reason")


def _conditions(manifest: Manifest, status: str = "True") -> dict[str, Mapping[str, Any]]:
    """Return an object's conditions of this status by type."""
    shown = (manifest.get("status") or {}).get("conditions") or ()
    return {one["type"]: one for one in shown if one["status"] == status}


def _node_of(pod: Manifest) -> str:
    return f"its node {(pod.get('spec') or {}).get('nodeName') or ''}".rstrip()


def pod_problem(pods: Sequence[Manifest]) -> str | None:
    """Return why some pod does not get ready, the newest first, or None."""
    newest = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    for pod in newest:
        text = _problem_of(pod)
        if text is not None:
            return f"pod {pod['metadata']['name']}: {text}"
    return None


def _problem_of(pod: Manifest) -> str | None:
    status = pod.get("status") or {}
    if homeless := _conditions(pod, "False").get("PodScheduled"):
        return f"no node takes it: {homeless.get('message', homeless.get('reason', ''))}"
    if is_cut_off(pod):
        return f"{_node_of(pod)} does not answer"
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        waiting = state.get("waiting")
        ended = (container.get("lastState") or {}).get("terminated") or state.get("terminated")
        if ended is not None and ended.get("exitCode") != 0:
            text = _termination(ended)
            return text if waiting is None else f"{waiting['reason']}: {text}"
        if waiting is not None and waiting.get("reason") not in {None, *_NORMAL}:
            return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    return None


def waits(pod: Manifest) -> str:
    """Return what containers of a pod wait for before they start, in the kubelet's words."""
    shown = (pod.get("status") or {}).get("containerStatuses") or ()
    waiting = [(one.get("state") or {}).get("waiting") or {} for one in shown]
    return "; ".join(one["message"] for one in waiting if one.get("message"))


_NORMAL = ("ContainerCreating", "PodInitializing")


def _termination(ended: Mapping[str, Any]) -> str:
    result = Result.decode(ended.get("message") or "")
    if result is not None:
        return result.message or result.outcome.value
    if ended.get("reason") == "OOMKilled":
        return "it was killed because it used more memory than it may"
    message = (ended.get("message") or "").strip()
    text = f"it ended with code {ended.get('exitCode')}"
    return f"{text}: {message}" if message else text


@dataclass(frozen=True, slots=True)
class Ran:
    """What a Job is doing or has done."""

    state: State
    doing: str | None = None
    failure: str | None = None
    refused: bool = False
    """Whether it would fail again with the same settings and data."""
    lacks_base: bool = False
    """Whether it has nothing to go on from."""
    pod: str | None = None
    """The pod that runs now."""


def ran(job: Manifest, pods: Sequence[Manifest], *, advice: Mapping[str, str]) -> Ran:
    """Judge a Job with its pods.

    Args:
        job: the Job.
        pods: its pods.
        advice: what to change after `memory` or `deadline` was not enough.
    """
    conditions = _conditions(job)
    newest = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
    if "Complete" in conditions:
        return Ran(State.ACTIVE)
    if "Failed" in conditions:
        failed = conditions["Failed"]
        return Ran(
            State.FAILED,
            failure=_failure(failed, newest, advice),
            refused=_refused(failed, newest),
            lacks_base=(result := _result(newest)) is not None and result.lacks_base,
        )
    if job["spec"].get("suspend"):
        why = conditions.get("Suspended", {}).get("message") or "the Job is suspended"
        return Ran(State.CREATING, doing=f"queued: {why}")
    if newest is None:
        return Ran(State.CREATING)
    phase = (newest.get("status") or {}).get("phase")
    name = newest["metadata"]["name"]
    if phase == "Running" and newest["metadata"].get("deletionTimestamp") is not None:
        then = "given up" if "FailureTarget" in conditions else "tried again"
        return Ran(State.RUNNING, doing=f"pod {name}: {_ending(newest, then)}")
    if phase == "Running" and is_cut_off(newest):
        then = "if that lasts, the pod is evicted and tried again"
        return Ran(State.RUNNING, doing=f"{pod_problem([newest])}: {then}")
    if phase == "Running":
        return Ran(State.RUNNING, pod=name)
    if phase == "Succeeded":
        return Ran(State.RUNNING)  # the Job is about to say so
    problem = pod_problem([newest])
    if phase == "Failed":
        before = _disruption(newest) or problem or "its pod failed"
        return Ran(State.RUNNING, doing=f"tried again; before: {before}")
    return Ran(State.CREATING, doing=problem)


def _ending(pod: Manifest, then: str) -> str:
    """Say why a pod ends, and what holds up what is then done."""
    why = _disruption(pod)
    if is_cut_off(pod):
        silent = why or f"{_node_of(pod)} does not answer"
        known = f"the node is back, is deleted, or is tainted {OUT_OF_SERVICE}"
        return f"{silent}: {then} once {known}; to end it now, delete this resource"
    return f"{why or 'it is ending'}: {then} once it has ended; to end it, delete this resource"


def is_over(job: Manifest) -> bool:
    """Say whether a Job has ended, one way or the other: no pod of it runs any more."""
    return not _conditions(job).keys().isdisjoint({"Complete", "Failed"})


def _ended(pod: Manifest | None) -> Mapping[str, Any]:
    if pod is None:
        return {}
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        ended: Mapping[str, Any] | None = (container.get("state") or {}).get("terminated")
        if ended is not None:
            return ended
    return {}


def _result(pod: Manifest | None) -> Result | None:
    return Result.decode(_ended(pod).get("message") or "")


def _failure(condition: Mapping[str, Any], pod: Manifest | None, advice: Mapping[str, str]) -> str:
    if condition.get("reason") == "DeadlineExceeded":
        return f"it did not end in time; {advice['deadline']}"
    ended, result = _ended(pod), _result(pod)
    if result is not None:
        text = f"{result.word}: {result.message}{_bad_rows(result)}"
        short = result.outcome is Outcome.INSUFFICIENT_MEMORY
        return f"{text}; {advice['memory']}" if short else text
    if ended.get("reason") == "OOMKilled":
        return f"OutOfMemory: it used more memory than it may; {advice['memory']}"
    disrupted = _disruption(pod)
    if disrupted is not None:
        return f"Disrupted: {disrupted}, again and again; {condition.get('message', '')}"
    if ended.get("exitCode") == EXIT_KILLED:
        return "Killed: somebody ended its process; to try again, set reco.dev/run-now"
    if ended:
        return f"Crashed: {_termination(ended)}; its log says more"
    return str(condition.get("message") or condition.get("reason") or "it failed")


_REFUSALS = frozenset(
    {
        Outcome.INVALID_DATA,
        Outcome.INVALID_SETTINGS,
        Outcome.INSUFFICIENT_MEMORY,
        Outcome.NOT_FOUND,
    }
)
"""Ends of a Job that only other settings or other data can mend."""


def _refused(condition: Mapping[str, Any], pod: Manifest | None) -> bool:
    """Whether a Job would fail again with the same settings and data. Crashes may be anybody's."""
    if condition.get("reason") == "DeadlineExceeded":
        return True
    result = _result(pod)
    if result is not None:
        return result.outcome in _REFUSALS
    return _ended(pod).get("reason") == "OOMKilled"


def _disruption(pod: Manifest | None) -> str | None:
    found = None if pod is None else _conditions(pod).get("DisruptionTarget")
    if pod is None or found is None:
        return None
    told = _DISRUPTIONS.get(found.get("reason", ""), found.get("message", "it was disrupted"))
    if found.get("reason") == "DeletionByTaintManager" and is_cut_off(pod):
        told = _LOST
    return str(told).replace("{node}", _node_of(pod))


def _bad_rows(result: Result) -> str:
    rows = [
        f"{one.get('file', '')}:{one.get('line', '?')}: {one.get('reason', '')}".lstrip(":")
        for one in result.details.get("badRows", ())[:_SHOWN_ROWS]
        if isinstance(one, Mapping)
    ]
    return f" ({'; '.join(rows)})" if rows else ""
