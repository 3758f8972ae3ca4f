"""Metrics: controller-runtime's names, so that stock dashboards and alerts work, and a few more.

Labels are kinds, operations and outcomes, never names of resources: per-resource state is for
kube-state-metrics to show.
"""

from collections import Counter as Counts
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from reco.api.resource import Key, Resource
from reco.loop.queue import WorkQueue

CONTROLLER: Final = "reco"
_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WAITS: Final = (0.001, 0.01, 0.1, 0.5, 1, 5, 10, 60, 300)


class Metrics:
    """One registry of all that the operator tells; observes queue, requests and cache."""

    def __init__(self) -> None:
        """Make a registry of its own: nothing is global, so tests and embedders never collide."""
        self.registry = CollectorRegistry()
        self._queue_metrics()
        self._reconcile_metrics()
        self._request_metrics()
        self._resource_metrics()

    def _queue_metrics(self) -> None:
        registry = self.registry
        gauge = {
            name: Gauge(f"workqueue_{name}", text, ["name"], registry=registry).labels(CONTROLLER)
            for name, text in (
                ("depth", "Keys that are ready and wait for a worker."),
                ("unfinished_work_seconds", "Seconds that all held keys have been held, summed."),
                ("longest_running_processor_seconds", "Seconds the slowest worker holds its key."),
            )
        }
        self._depth = gauge["depth"]
        self._unfinished = gauge["unfinished_work_seconds"]
        self._longest = gauge["longest_running_processor_seconds"]
        self._adds = Counter(
            "workqueue_adds_total", "Keys added.", ["name"], registry=registry
        ).labels(CONTROLLER)
        self._retries = Counter(
            "workqueue_retries_total",
            "Keys queued again after a failure.",
            ["name"],
            registry=registry,
        ).labels(CONTROLLER)
        self._waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Seconds a key was ready before a worker took it.",
            ["name"],
            buckets=_WAITS,
            registry=registry,
        ).labels(CONTROLLER)
        self._worked = Histogram(
            "workqueue_work_duration_seconds",
            "Seconds a worker held a key.",
            ["name"],
            buckets=_DURATIONS,
            registry=registry,
        ).labels(CONTROLLER)

    def _reconcile_metrics(self) -> None:
        registry = self.registry
        self._reconciles = Counter(
            "controller_runtime_reconcile_total",
            "Looks at resources, by how they ended.",
            ["controller", "result"],
            registry=registry,
        )
        for result in ("success", "error"):
            self._reconciles.labels(CONTROLLER, result)
        self._errors = Counter(
            "controller_runtime_reconcile_errors_total",
            "Looks that ended in an error.",
            ["controller"],
            registry=registry,
        ).labels(CONTROLLER)
        self._panics = Counter(
            "controller_runtime_reconcile_panics_total",
            "Looks that ended in an unexpected exception.",
            ["controller"],
            registry=registry,
        ).labels(CONTROLLER)
        self._reconcile_seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Seconds a look took.",
            ["controller"],
            buckets=_DURATIONS,
            registry=registry,
        ).labels(CONTROLLER)
        self.max_workers = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Workers.",
            ["controller"],
            registry=registry,
        ).labels(CONTROLLER)
        self.active_workers = Gauge(
            "controller_runtime_active_workers",
            "Workers that hold a key.",
            ["controller"],
            registry=registry,
        ).labels(CONTROLLER)
        self.leader = Gauge(
            "leader_election_master_status",
            "1 on the replica that leads.",
            ["name"],
            registry=registry,
        ).labels(CONTROLLER)

    def _request_metrics(self) -> None:
        registry = self.registry
        self._requests = Counter(
            "rest_client_requests_total",
            "Requests to the Kubernetes API.",
            ["code", "method", "host"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Seconds a request to the Kubernetes API took.",
            ["verb", "host"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self._engine_requests = Counter(
            "reco_engine_requests_total",
            "Calls to engines, by what became of them: OK or the class of the error.",
            ["operation", "outcome"],
            registry=registry,
        )
        self._engine_seconds = Histogram(
            "reco_engine_request_duration_seconds",
            "Seconds a call to an engine took.",
            ["operation"],
            buckets=_DURATIONS,
            registry=registry,
        )

    def _resource_metrics(self) -> None:
        registry = self.registry
        self._resources = Gauge(
            "reco_resources", "Resources, by kind.", ["kind"], registry=registry
        )
        self._conditions = Gauge(
            "reco_resource_conditions",
            "Resources with a condition, by kind, type, status and reason.",
            ["kind", "type", "status", "reason"],
            registry=registry,
        )
        self._missed = Counter(
            "reco_watch_missed_changes_total",
            "Changes that only a list has found.",
            ["kind"],
            registry=registry,
        )
        self.silence = Gauge(
            "reco_watch_silence_seconds",
            "Seconds since anything was heard of the kind that was heard of least.",
            registry=registry,
        )

    # --- the queue's observer ---------------------------------------------------------------

    def added(self) -> None:
        """Count a key that was added."""
        self._adds.inc()

    def retried(self) -> None:
        """Count a key that will be tried again."""
        self._retries.inc()

    def taken(self, waited: float) -> None:
        """Record how long a key waited."""
        self._waited.observe(waited)
        self.active_workers.inc()

    def finished(self, worked: float) -> None:
        """Record how long a key was held."""
        self._worked.observe(worked)
        self.active_workers.dec()

    # --- the loop ---------------------------------------------------------------------------

    def reconciled(self, seconds: float, *, failed: bool, panicked: bool = False) -> None:
        """Count a look at a resource."""
        self._reconcile_seconds.observe(seconds)
        self._reconciles.labels(CONTROLLER, "error" if failed else "success").inc()
        if failed:
            self._errors.inc()
        if panicked:
            self._panics.inc()

    def sample(self, queue: WorkQueue[Key]) -> None:
        """Take the queue's gauges; called from the event loop, as the queue has no locks."""
        self._depth.set(len(queue))
        self._unfinished.set(queue.unfinished_work())
        self._longest.set(queue.longest_work())

    def requested(self, method: str, host: str, code: str, seconds: float) -> None:
        """Count a request to the Kubernetes API."""
        self._requests.labels(code, method, host).inc()
        self._request_seconds.labels(method, host).observe(seconds)

    def called_engine(self, operation: str, seconds: float, outcome: str) -> None:
        """Count a call to an engine; `outcome` is `OK` or the class of the error."""
        self._engine_requests.labels(operation, outcome).inc()
        self._engine_seconds.labels(operation).observe(seconds)

    def missed(self, kind: str, count: int) -> None:
        """Count changes that only a list has found."""
        self._missed.labels(kind).inc(count)

    def changed(self, before: Resource | None, after: Resource | None) -> None:
        """Keep the counts of resources and conditions; told by the cache."""
        for resource, step in ((before, -1), (after, 1)):
            if resource is not None:
                self._resources.labels(resource.key.kind).inc(step)
        counts = Counts(_conditions(after))
        counts.subtract(Counts(_conditions(before)))
        for labels, step in counts.items():
            if step:
                self._conditions.labels(*labels).inc(step)


def _conditions(resource: Resource | None) -> Iterable[tuple[str, str, str, str]]:
    if resource is None:
        return ()
    return (
        (resource.key.kind, condition.type, condition.status, condition.reason)
        for condition in resource.status.conditions
    )
