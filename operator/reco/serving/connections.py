"""HTTP connections: uvicorn's by httptools, and what these get wrong for us."""

import asyncio
import re
from typing import Any, Final, cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES: Final = 64 << 10
"""Of a request's line and headers; whoever sends more is cut off."""
_OFFER: Final = re.compile(rb"\r\nUpgrade:(?= *h2c\r\n)", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """A connection that sends an answer as a whole, or nothing of it.

    Headers that go out before their body are all that a client gets of a process which is killed
    then, and botocore takes that for an answer with nothing in it.

    It keeps no endless headers, and leaves offers of HTTP/2 unanswered. Java's client makes one
    with its first request. A server may ignore it (RFC 9110, 7.8); httptools takes it for the end
    of HTTP, and would give us the request without its body.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        super().connection_made(cast("asyncio.Transport", _Joining(transport, self.loop)))

    @override
    def data_received(self, data: bytes) -> None:
        if self._in_head and b"h2c" in data:
            data = _OFFER.sub(b"\r\nIgnored:", data, count=1)
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MOST_HEAD_BYTES:
                self.logger.warning("A request's headers have more than %d bytes", MOST_HEAD_BYTES)
                self.transport.abort()

    @override
    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()


class _Joining:
    """A transport that sends at once what was written to it in one turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the transport's
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._written:
            self._loop.call_soon(self._send)
        self._written.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._written:
            self._transport.write(b"".join(self._written))
            self._written.clear()
