"""A load generator in a process of its own: JSON on standard input, results on standard output.

Closed loop (no rate): each connection sends as soon as it has its answer; for throughput. Open loop
(a rate): request k is due at start + k / rate whatever happened to those before, goes out on the
first free connection, and its latency counts from when it was due. So a server that stalls is
charged for everybody who had to wait (no coordinated omission).
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import count, zip_longest
from urllib.parse import urlsplit

TIMEOUT = 30.0
WARM_UP = 1.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: bodies in turn, to one address, for some seconds, after some uncounted."""

    url: str
    bodies: tuple[str, ...]
    connections: int
    seconds: float
    rate: float | None = None
    """Requests a second, for an open loop."""
    warm_up: float = WARM_UP
    heads: tuple[str, ...] = ()
    """Lines of headers that go with each body."""


@dataclass(slots=True)
class Result:
    """What came of it; latencies in milliseconds."""

    sent: int = 0
    failed: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_failure: str = ""

    @property
    def throughput(self) -> float:
        """Good answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return the latency that this share of answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def run(load: Load) -> Result:
    """Send it from another process and return what came of it."""
    command = [sys.executable, "-m", "benchmarks.serving.load"]
    done = subprocess.run(
        command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=True
    )
    return Result(**json.loads(done.stdout))


class _Sender:
    """All connections of one load: each a thread with a blocking socket."""

    def __init__(self, load: Load) -> None:
        parts = urlsplit(load.url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._load = load
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        self._requests = [
            f"{head}Content-Type: application/json\r\n{more}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
            for body, more in zip_longest(load.bodies, load.heads, fillvalue="")
        ]
        self._next = count()
        self._lock = threading.Lock()
        self._result = Result()

    def send(self) -> Result:
        load = self._load
        self._start = time.perf_counter() + 0.05
        self._counted = self._start + load.warm_up
        self._end = self._counted + load.seconds
        threads = [threading.Thread(target=self._connection) for _ in range(load.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._result.seconds = load.seconds
        return self._result

    def _connection(self) -> None:
        connection = None
        rate = self._load.rate
        mine = Result()
        while True:
            number = next(self._next)
            due = self._start + number / rate if rate else max(time.perf_counter(), self._start)
            if due >= self._end:
                break
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            try:
                connection = connection or self._connect()
                connection = self._exchange(connection, number)
            except OSError as error:
                connection = None
                problem = str(error) or type(error).__name__
            else:
                problem = ""
            finished = time.perf_counter()
            if due < self._counted or (not rate and finished > self._end):
                continue
            mine.sent += 1
            if problem:
                mine.failed += 1
                mine.first_failure = mine.first_failure or problem
            else:
                mine.latencies.append((finished - due) * 1000)
        with self._lock:
            self._result.sent += mine.sent
            self._result.failed += mine.failed
            self._result.latencies += mine.latencies
            self._result.first_failure = self._result.first_failure or mine.first_failure

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _exchange(self, connection: socket.socket, number: int) -> socket.socket | None:
        """Send a request and read its answer; return the connection if it goes on."""
        connection.sendall(self._requests[number % len(self._requests)])
        received = b""
        while b"\r\n\r\n" not in received:
            received += _some(connection)
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        left = _content_length(lines) - len(body)
        while left > 0:
            left -= len(_some(connection))
        if not lines[0].startswith(b"http/1.1 200"):
            raise OSError(head.decode("latin-1").partition("\r\n")[0])
        if b"connection: close" in lines:
            connection.close()
            return None
        return connection


def _content_length(lines: Sequence[bytes]) -> int:
    for line in lines:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    raise OSError("an answer without content-length")


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(1 << 18)
    if not received:
        raise OSError("the connection ended")
    return received


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps(asdict(_Sender(Load(**given)).send())))
