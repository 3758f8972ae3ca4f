"""Child processes that start with a log, answer before they are used, and never outlive us.

Everything the developer tools and the cluster tests run beside themselves (etcd, kube-apiserver,
the emulator, the operator) goes through here, so that readiness, failure texts and teardown are
the same for all. A child gets a process group of its own: Ctrl-C reaches us alone and we end the
children in the order we choose. If we die without a word, ``guardian.py`` ends them.
"""

import atexit
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"
POLL_SECONDS: Final = 0.05
LOG_TAIL_LINES: Final = 25
# Below the range from which Linux and macOS serve port 0 and outgoing connections: a port that
# is free here is not given to somebody else's client between the look and the bind.
SERVER_PORTS: Final = range(20_000, 32_000)
# Loopback servers are reached directly whatever proxy the environment names, and readiness is
# asked before their certificate is known; no credentials go this way.
_OPENER: Final = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),  # noqa: S323, SLF001  (as said above)
)


class ProcessError(RuntimeError):
    """A child process did not start, did not become ready, or ended when it should not."""


def free_port() -> int:
    """Return a TCP port that nobody listens on at the loopback address just now."""
    random = SystemRandom()
    for _ in range(100):
        port = random.choice(SERVER_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise ProcessError(f"no free port found on {LOOPBACK} in 100 tries from {SERVER_PORTS}")


def heed_signals() -> None:
    """Let SIGTERM end this tool as Ctrl-C does, and Ctrl-C also where a shell made us deaf to it.

    A shell starts its background jobs with SIGINT ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def http_ready(url: str) -> Callable[[], str | None]:
    """Make a readiness check: None once ``url`` answers 2xx, before that the reason it is not."""

    def check() -> str | None:
        try:
            with _OPENER.open(url, timeout=5):
                return None
        except urllib.error.HTTPError as error:
            with error:
                return f"{url} answers {error.code}: {error.read(300).decode(errors='replace')}"
        except (OSError, urllib.error.URLError) as error:
            return f"{url} does not answer: {error}"

    return check


class Process:
    """One child process in its own group, from start to a certain end.

    Use it as a context manager, or call ``stop``. ``log`` receives standard output and error,
    appended, so a restarted process continues the file.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start ``command`` with ``env`` added to our environment.

        Raises:
            ProcessError: the program does not exist or may not be executed.
        """
        self.name = name
        self.log = log
        self._stopped = False
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as output:
                self._popen = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    start_new_session=True,
                )
        except OSError as error:
            raise ProcessError(f"{name} cannot be started as {command[0]}: {error}") from error
        _guardian.tell(f"+{self.pid}")

    @property
    def pid(self) -> int:
        """Process id, also the id of the process group."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while the process runs."""
        return self._popen.poll()

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """Return the last ``lines`` lines that the process has written."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, check: Callable[[], str | None], *, timeout: float) -> None:
        """Poll ``check`` until it returns None; a string says why not yet.

        Raises:
            ProcessError: the process ended, or ``timeout`` seconds passed. The text carries the
                last reason and the end of the log.
        """
        deadline = time.monotonic() + timeout
        while (reason := check()) is not None:
            if (code := self.returncode) is not None:
                raise self._failure(f"ended with exit code {code} before it was ready", reason)
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready after {timeout:g} s", reason)
            time.sleep(POLL_SECONDS)

    def wait_ready(self, url: str, *, timeout: float = 60) -> None:
        """Wait until ``url`` answers 2xx; errors as in ``wait_until``."""
        self.wait_until(http_ready(url), timeout=timeout)

    def wait(self, *, timeout: float) -> int:
        """Wait for the process to end by itself and return its exit code.

        Raises:
            ProcessError: it still runs after ``timeout`` seconds.
        """
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._failure("did not end", f"still running after {timeout:g} s") from None

    def stop(self, *, grace: float = 10) -> int:
        """End the whole group: SIGTERM, then SIGKILL after ``grace`` seconds; 0 kills at once.

        Returns the exit code. A process that has ended already is fine.
        """
        if self._stopped:
            return self._popen.wait()
        if grace > 0:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace)
        self._signal(signal.SIGKILL)  # also what a leader that obeyed left in its group
        code = self._popen.wait()
        self._stopped = True  # from here on the number may belong to somebody else
        _guardian.tell(f"-{self.pid}")
        return code

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _failure(self, what: str, reason: str) -> ProcessError:
        return ProcessError(
            f"{self.name} (pid {self.pid}) {what}.\n{reason}\n"
            f"End of its log, {self.log}:\n{self.log_tail()}"
        )

    def __enter__(self) -> Self:
        """Return the process, which runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the process whatever happened."""
        self.stop()


class Server(ABC):
    """What runs between ``start`` and ``stop``, or within a ``with`` block."""

    @abstractmethod
    def start(self) -> None:
        """Start and return once it answers; ``ProcessError`` if it does not."""

    @abstractmethod
    def stop(self) -> None:
        """End it; fine if it does not run."""

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, whatever happened."""
        self.stop()


class _Guardian:
    """Our end of the pipe to ``guardian.py``; started with the first child, one a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[str] | None = None

    def tell(self, message: str) -> None:
        with self._lock:
            if self._popen is None:
                script = Path(__file__).with_name("guardian.py")
                self._popen = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(script)],
                    stdin=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
                atexit.register(self._popen.communicate)  # closes the pipe and waits
            if self._popen.stdin is None:
                raise ProcessError("the guardian process has no standard input")
            self._popen.stdin.write(f"{message}\n")
            self._popen.stdin.flush()


_guardian: Final = _Guardian()
