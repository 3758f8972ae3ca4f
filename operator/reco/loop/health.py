"""Whether the operator does its work, told over HTTP: /healthz, /readyz and /metrics.

The checks run in the event loop, every second or so, and publish a report. The server has threads
of its own and shows the last report with its age: an event loop that hangs publishes nothing, and
that is what the server then says.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from typing_extensions import override

LOOP_HANGS_AFTER: Final = 30.0

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks found: problems by the name of the check, None where all is well."""

    at: float
    alive: Mapping[str, str | None]
    """Where a problem means that a restart may help."""
    ready: Mapping[str, str | None]
    """Where a problem means: not yet."""
    facts: Mapping[str, Any]
    """More to know, such as whether this replica leads."""


class Health:
    """The checks, and the last report of them."""

    def __init__(
        self,
        alive: Mapping[str, Check],
        ready: Mapping[str, Check],
        facts: Callable[[], Mapping[str, Any]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name the checks and run them once."""
        self._alive = alive
        self._ready = ready
        self._facts = facts
        self._clock = clock
        self.publish()

    def publish(self) -> None:
        """Run the checks. To be called from the event loop, often."""
        self._report = Report(
            at=self._clock(),
            alive={name: check() for name, check in self._alive.items()},
            ready={name: check() for name, check in self._ready.items()},
            facts=self._facts(),
        )

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Whether the process does its work; if not, restart it."""
        report = self._report
        return self._answer(report, report.alive)

    def readyz(self) -> tuple[bool, dict[str, Any]]:
        """Whether the process has started well."""
        report = self._report
        return self._answer(report, {**report.alive, **report.ready})

    def _answer(
        self, report: Report, checks: Mapping[str, str | None]
    ) -> tuple[bool, dict[str, Any]]:
        age = self._clock() - report.at
        hangs = f"no sign of life for {age:.0f} s" if age > LOOP_HANGS_AFTER else None
        problems = {"event loop": hangs, **checks}
        well = not any(problems.values())
        return well, {
            "status": "ok" if well else "failing",
            "checks": {name: problem or "ok" for name, problem in problems.items()},
            **report.facts,
        }


class Server:
    """Serves health and metrics from threads of its own; a context manager."""

    def __init__(
        self, address: tuple[str, int], health: Health, registry: CollectorRegistry
    ) -> None:
        """Listen already, so that a taken port is an error at once.

        Raises:
            OSError: if the address can't be listened at.
        """
        self._server = ThreadingHTTPServer(address, _handler(health, registry))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health and metrics", daemon=True
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens at."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    checks = {"/healthz": health.healthz, "/readyz": health.readyz}

    class Handler(BaseHTTPRequestHandler):
        """Answers GET."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._send(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path in checks:
                well, body = checks[path]()
                self._send(200 if well else 503, "application/json", json.dumps(body).encode())
            else:
                self._send(404, "text/plain", b"try /metrics, /healthz or /readyz\n")

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent: probes and scrapes are no news."""

    return Handler
