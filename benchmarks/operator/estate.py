"""Where the operators are measured: a real Kubernetes API, the emulator, and what counts calls.

Nothing here asks the operators themselves: writes are counted by the API server, engine calls by
the emulator's log, memory and processor time by the kernel (so Linux only).
"""

import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from hack.control_plane import ControlPlane
from hack.processes import LOOPBACK, Process, Server, free_port

ROOT: Final = Path(__file__).resolve().parents[2]
REGION: Final = "eu-west-1"
NAMESPACE: Final = "default"
API_VERSION: Final = "reco.dev/v1alpha1"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": REGION,
}
APPLIERS: Final = 8
_TICK: Final = 0.5
_IDLE_SECONDS: Final = 30.0
_WRITES: Final = re.compile(
    r'^apiserver_request_total\{[^}]*group="(?:reco\.dev|events\.k8s\.io)"[^}]*'
    r'verb="(?:POST|PUT|PATCH|APPLY|DELETE)"[^}]*\} (\S+)$',
    re.MULTILINE,
)
_CORE_EVENTS: Final = re.compile(
    r'^apiserver_request_total\{[^}]*group=""[^}]*resource="events"[^}]*'
    r'verb="(?:POST|PUT|PATCH|APPLY)"[^}]*\} (\S+)$',
    re.MULTILINE,
)


class LateError(RuntimeError):
    """Something did not happen in time; the text says what."""


def wait_for(what: str, check: Callable[[], bool], *, timeout: float, tick: float = _TICK) -> None:
    """Ask `check` again and again until it holds.

    Raises:
        LateError: after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise LateError(f"not within {timeout:.0f} s: {what}")
        time.sleep(tick)


class Estate(Server):
    """A control plane with our kinds, and an emulator whose quotas are out of the way."""

    def __init__(self, folder: Path, *, in_flight: float, requests_per_second: int = 100) -> None:
        """Choose ports; nothing runs yet.

        Args:
            folder: for logs and data; must not exist.
            in_flight: seconds that a creation takes the engine.
            requests_per_second: of an operator that heeds it; 100 is the most that it may be.

        Raises:
            FileExistsError: the folder exists.
        """
        if folder.exists():
            raise FileExistsError(
                f"{folder} holds an earlier run, whose data would count: remove it"
            )
        self.folder = folder
        self._in_flight = in_flight
        self.plane = ControlPlane(folder / "control-plane")
        self._requests_per_second = requests_per_second
        self._port = free_port()
        self.emulator_url = f"http://{LOOPBACK}:{self._port}"
        self._newest = 0
        self._stack = ExitStack()
        self._connections = threading.local()
        self._appliers = ThreadPoolExecutor(APPLIERS)

    @override
    def start(self) -> None:
        """Start everything but an operator."""
        with ExitStack() as undo:
            undo.enter_context(self._appliers)
            emulator = undo.enter_context(self._emulator())
            undo.enter_context(self.plane)
            emulator.wait_ready(f"{self.emulator_url}/_reco/health")
            self.plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
            self.plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
            self._stack = undo.pop_all()
        self.apply([self._engine_class()])

    @override
    def stop(self) -> None:
        """Stop everything."""
        self._stack.close()

    def _emulator(self) -> Process:
        return Process(
            "emulator",
            [
                sys.executable, "-m", "reco.cli.main", "emulate",
                "--listen", f"{LOOPBACK}:{self._port}",
                "--duration", f"DatasetGroup={self._in_flight}",
                "--quota", "DatasetGroup=1000000",
            ],
            log=self.folder / "emulator.log",
            env=CREDENTIALS,
        )  # fmt: skip

    def _engine_class(self) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION,
            "kind": "EngineClass",
            "metadata": {
                "name": "benchmark",
                "annotations": {"reco.dev/is-default-class": "true"},
            },
            "spec": {
                "engine": "Personalize",
                "personalize": {
                    "region": REGION,
                    "endpointURL": self.emulator_url,
                    "requestsPerSecond": self._requests_per_second,
                },
            },
        }

    # --- Kubernetes -------------------------------------------------------------------------

    def apply(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Apply manifests, several at a time, by the request `kubectl apply --server-side` sends.

        kubectl itself would take a third of a second a start, and limit itself to a few a second.
        """
        list(self._appliers.map(self._apply, manifests))

    def _apply(self, manifest: Mapping[str, Any]) -> None:
        within = f"/namespaces/{NAMESPACE}" if manifest["kind"] == "DatasetGroup" else ""
        plural = {"DatasetGroup": "datasetgroups", "EngineClass": "engineclasses"}
        path = f"/apis/{API_VERSION}{within}/{plural[manifest['kind']]}"
        self._request(
            "PATCH",
            f"{path}/{manifest['metadata']['name']}?fieldManager=benchmark",
            json.dumps(manifest),
            {"Content-Type": "application/apply-patch+yaml"},
        )

    def groups(self) -> list[dict[str, Any]]:
        """Return all DatasetGroups, as the API shows them."""
        path = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/datasetgroups"
        found: list[dict[str, Any]] = json.loads(self._request("GET", path))["items"]
        return found

    def writes(self) -> int:
        """Return how often our kinds and Events were written until now, as the API server says."""
        text = self._request("GET", "/metrics").decode()
        counts = [*_WRITES.findall(text), *_CORE_EVENTS.findall(text)]
        return round(sum(float(count) for count in counts))

    def _request(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] = {}
    ) -> bytes:
        connection = getattr(self._connections, "connection", None)
        # The API server hangs up on who was silent for some minutes.
        if connection is not None and time.monotonic() > self._connections.used + _IDLE_SECONDS:
            connection.close()
            connection = None
        if connection is None:
            trust = ssl.create_default_context(cafile=str(self.plane.certificate_authority))
            host = self.plane.server.removeprefix("https://")
            connection = HTTPSConnection(host, context=trust, timeout=60)
            self._connections.connection = connection
        self._connections.used = time.monotonic()
        authorized = {"Authorization": f"Bearer {self.plane.token}", **headers}
        connection.request(method, path, body, authorized)
        response = connection.getresponse()
        answer: bytes = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: HTTP {response.status}: {answer[:500]!r}")
        return answer

    # --- the engine -------------------------------------------------------------------------

    def calls(self, after: int = 0, **only: str) -> list[dict[str, Any]]:
        """Return the engine's calls with ids above `after`, the oldest first."""
        found: list[dict[str, Any]] = []
        position: int | None = after
        query = "".join(f"&{name}={value}" for name, value in only.items())
        while position is not None:
            url = f"{self.emulator_url}/_reco/calls?after={position}{query}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                page = json.load(answer)
            found.extend(page["calls"])
            position = page["next"]
        return found

    def engine_time(self) -> float:
        """Return the engine's own time, epoch seconds; the calls' times are of it."""
        with urllib.request.urlopen(f"{self.emulator_url}/_reco/clock", timeout=60) as answer:
            return float(json.load(answer)["now"])

    def mark(self) -> int:
        """Return the id of the newest call."""
        found = self.calls(self._newest)
        if found:
            self._newest = found[-1]["id"]
        return self._newest


def group(name: str) -> dict[str, Any]:
    """Return a DatasetGroup's manifest: the simplest kind that stands for an engine's object."""
    return {
        "apiVersion": API_VERSION,
        "kind": "DatasetGroup",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"tags": {"team": "benchmark"}},
    }


def recorded(groups: Sequence[Mapping[str, Any]]) -> int:
    """Count the groups whose status names their external object."""
    return sum("external" in (item.get("status") or {}) for item in groups)


def ready(groups: Sequence[Mapping[str, Any]]) -> int:
    """Count the groups that are Ready."""
    return sum(
        any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in (item.get("status") or {}).get("conditions", ())
        )
        for item in groups
    )


def by_operation(calls: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count calls by operation."""
    return Counter(call["operation"] for call in calls)


def processor_seconds(process: Process) -> float:
    """Return the processor time, user and system, that a process has used."""
    stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def resident_mebibytes(process: Process, field: str = "VmRSS") -> float:
    """Return a process's resident memory now (`VmRSS`) or at its highest (`VmHWM`)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/{process.pid}/status shows no {field}")
    return int(found[1]) / 1024
