"""The HTTP around every pod of the data plane: operations, health, readiness, metrics.

A thin ASGI application. Whatever arrives, an operation answers in the service's manner; a defect
of ours is logged and answers `InternalFailure`, which SDKs try again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple

from reco.serving import answers
from reco.serving.clients import Guard
from reco.serving.errors import ServiceError, throttled
from reco.serving.metrics import Metrics
from reco.serving.origins import Origins
from reco.serving.requests import OPERATIONS
from reco.serving.signing import headers_of
from reco.workload.addresses import HEALTH, METRICS, READY

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = Sequence[tuple[bytes, bytes]]


class Request(NamedTuple):
    """A request for an operation: its body, and its headers as they came, names in lower case."""

    body: bytes
    headers: RawHeaders


Operation = Callable[[Request], Awaitable[bytes]]
"""Takes a request and returns an answer's body; raises `ServiceError` to refuse."""

MOST_BYTES: Final = 1 << 20
"""Of a request's body; the largest that the services' models allow has less than half of it."""
MOST_IN_FLIGHT: Final = 1024
CLOSING: Final = 512
"""One answer in so many closes its connection, so that clients with a pool find new replicas."""


class Application:
    """One pod's ASGI application: `operations` by their names in the services' models.

    `problem` says why the pod is not ready, None once it is; while it drains, it is not, nor while
    no client can sign in. `stop` ends it. With `guard`, requests for operations must be signed;
    `origins` may call from a browser.
    """

    def __init__(
        self,
        operations: Mapping[str, Operation],
        metrics: Metrics,
        guard: Guard | None = None,
        origins: Collection[str] = (),
    ) -> None:
        self.problem: str | None = "starting"
        self.draining = False
        self.stop = asyncio.Event()
        self.metrics = metrics
        self._guard = guard
        self._origins = Origins(origins)
        if guard is not None:
            told = metrics.gauge("reco_clients", "Entries of the Secret of clients.", "state")
            told.labels("usable").set_function(lambda: len(guard.clients))
            told.labels("unreadable").set_function(lambda: len(guard.clients.unreadable))
        self._broken: asyncio.Task[None] | None = None
        self._operations = {OPERATIONS[name][0]: (name, run) for name, run in operations.items()}
        self._in_flight = 0
        self._answered = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        operation, run = self._operations.get(path, (None, None))
        if operation is None or run is None or scope["method"] != "POST":
            await receive()
            asks = operation is not None and scope["method"] == "OPTIONS" and self._origins
            await self._send(send, *(self._preflight(scope) if asks else self._page(path)))
            return
        self._in_flight += 1
        self._idle.clear()
        try:
            await self._operate(operation, run, scope, receive, send)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    def start(self) -> None:
        """Look after who may call, as long as the event loop runs."""
        if self._guard is not None:
            self.needs(asyncio.create_task(self._guard.clients.watch(), name="clients"))

    def needs(self, task: "asyncio.Task[None]") -> None:
        """End the process when this task ends by an error of its own: it can't go on without."""

        def ended(task: "asyncio.Task[None]") -> None:
            if not task.cancelled() and task.exception() is not None:
                self._broken = task
                self.stop.set()

        task.add_done_callback(ended)

    def check(self) -> None:
        """Raise the error of a task that was needed and ended."""
        if self._broken is not None:
            self._broken.result()

    async def idle(self) -> None:
        """Wait until no request is being worked on."""
        await self._idle.wait()

    async def _operate(
        self, operation: str, run: Operation, scope: Message, receive: Receive, send: Send
    ) -> None:
        more: answers.Headers = ()
        status, code = 200, "OK"
        try:
            request = Request(await _body(receive), scope["headers"])
            started = time.perf_counter()
            if self._guard is not None:
                headers = headers_of(request.headers)
                self._guard.check(operation, scope["query_string"], headers, request.body)
            body = await run(request) if self._in_flight <= MOST_IN_FLIGHT else _too_many()
        except _GoneError:
            return
        except ServiceError as error:
            code = error.code
            status, body, more = answers.failed(error)
        except Exception:
            logger.exception("%s failed", operation)
            code = "InternalFailure"
            status, body, more = answers.failed(ServiceError(code, "", 500))
        else:
            self.metrics.seconds.labels(operation).observe(time.perf_counter() - started)
        self.metrics.requests.labels(operation, code).inc()
        if self._origins:
            more = (*more, *self._origins.headers(scope["headers"]))
        await self._send(send, status, body, *more)

    async def _send(self, send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
        headers = answers.headers(body, *more)
        self._answered += 1
        if self.draining or self._answered % CLOSING == 0:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _preflight(self, scope: Message) -> tuple[Any, ...]:
        status, more = self._origins.preflight(scope["headers"])
        return status, b"", *more

    def _page(self, path: str) -> tuple[Any, ...]:
        if path == HEALTH:
            return 200, b'{"status":"ok"}'
        if path == READY:
            problem = "draining" if self.draining else self.problem
            if self._guard is not None:
                problem = problem or self._guard.clients.problem
            if problem:
                return 503, answers.encoded({"message": problem})
            return 200, b'{"status":"ok"}'
        if path == METRICS:
            return 200, self.metrics.page(), (b"content-type", b"text/plain; version=0.0.4")
        status, body, more = answers.failed(ServiceError("UnknownOperationException", "", 404))
        return status, body, *more


def _too_many() -> bytes:
    raise throttled(f"More than {MOST_IN_FLIGHT} requests are being worked on.")


class _GoneError(Exception):
    """The client went before its request was whole."""


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and len(body) <= MOST_BYTES:
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        size += len(message.get("body", b""))
        if size <= MOST_BYTES:
            parts.append(message.get("body", b""))
    if size > MOST_BYTES:
        raise ServiceError(
            "RequestEntityTooLargeException", f"A request has at most {MOST_BYTES} bytes.", 413
        )
    return b"".join(parts)
