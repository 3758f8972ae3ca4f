"""The operator, as a process of its own or in a thread of the test's."""

import asyncio
import gc
import json
import re
import sys
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from hack.processes import Process, free_port
from reco.cli.operate import engine_factory
from reco.cluster.api import KubernetesAPI, load_configuration
from reco.loop.metrics import Metrics
from reco.loop.operator import Operator
from reco.loop.settings import Settings

QUICK_LEASE = ("--lease", "--lease-duration=4", "--lease-renew-deadline=3", "--lease-retry=0.5")
# As much faster than the defaults as the emulator's time.
QUICK: dict[str, Any] = {
    "poll_fast": 0.2,
    "poll_slow": 2.0,
    "settle": 2.0,
    "backoff_base": 0.1,
    "backoff_cap": 2.0,
}


def flags(settings: dict[str, Any]) -> list[str]:
    """Return settings as flags of `reco operate`."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]


class OperatorProcess(Process):
    """One replica, with its health and metrics."""

    def __init__(self, kubeconfig: Path, log: Path, *options: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        super().__init__(
            "operator",
            [
                Path(sys.executable).with_name("reco"),
                "operate",
                f"--kubeconfig={kubeconfig}",
                f"--listen={self.url.removeprefix('http://')}",
                "--no-lease",
                *options,
            ],
            log=log,
        )

    def ready(self) -> Self:
        self.wait_ready(f"{self.url}/readyz", timeout=60)
        return self

    def role(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz") as answer:
                return str(json.load(answer)["role"])
        except urllib.error.HTTPError as error:
            with error:
                return str(json.load(error)["role"])

    def metric(self, sample: str) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            text = answer.read().decode()
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def until(self, what: Callable[[], bool], reason: str, timeout: float = 30) -> None:
        self.wait_until(lambda: None if what() else reason, timeout=timeout)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class OperatorThread:
    """The whole operator in a thread with an event loop of its own; starts in no time."""

    def __init__(
        self,
        kubeconfig: Path,
        *,
        now: Callable[[], datetime] | None = None,
        **settings: Any,
    ) -> None:
        self._now = now
        self._settings = Settings(kubeconfig=kubeconfig, **{"lease": False, **QUICK, **settings})
        self._stop: Callable[[], object] = lambda: None
        self._started = threading.Event()
        self._code: int | None = None
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join(timeout=30)
        with warnings.catch_warnings():  # a process that ends closes the connections it kept
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        assert self._code == 0, f"the operator ended with {self._code}"

    def _run(self) -> None:
        try:
            self._code = asyncio.run(self._operate())
        finally:
            self._started.set()

    async def _operate(self) -> int:
        loop, stop, metrics = asyncio.get_running_loop(), asyncio.Event(), Metrics()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        api = KubernetesAPI(
            await load_configuration(self._settings.kubeconfig),
            timeout=self._settings.request_timeout,
            observer=metrics,
        )
        try:
            operator = Operator(self._settings, engine_factory, api, metrics, now=self._now)
            self._started.set()
            return await operator.run(stop)
        finally:
            await api.close()
