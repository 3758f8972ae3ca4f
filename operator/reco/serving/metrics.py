"""What a pod of the data plane says of itself, for Prometheus: a registry of its own."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCIES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
REFLECTIONS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)


class Metrics:
    """Requests of one pod, and the registry that its other metrics join."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "reco_requests",
            "Requests answered, by operation and code: OK or the error's.",
            ("operation", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "reco_request_seconds",
            "From the whole request read to the answer sent.",
            ("operation",),
            buckets=LATENCIES,
            registry=self.registry,
        )

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Add a counter."""
        return Counter(name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Add a gauge."""
        return Gauge(name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        """Add a histogram."""
        return Histogram(name, text, buckets=buckets, registry=self.registry)

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
