"""HTTP as clients send it who are no SDK: what is refused, and what is answered all the same."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn

from hack.processes import LOOPBACK
from reco.serving.connections import MOST_HEAD_BYTES, Connection
from tests.serving.stack import ARN, Stack

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIA\r\n"


def request(user: str, headers: bytes = b"") -> bytes:
    body = json.dumps({"campaignArn": ARN, "userId": user, "numResults": 2}).encode()
    head = b"POST /recommendations HTTP/1.1\r\nHost: reco\r\nContent-Length: %d\r\n" % len(body)
    return head + headers + b"\r\n" + body


@pytest.fixture
def connection(stack: Stack) -> Iterator[socket.socket]:
    stack.start("ranker", stack.ranker())
    with socket.create_connection((LOOPBACK, stack.ports["ranker"]), timeout=10) as opened:
        yield opened


def answers(connection: socket.socket, count: int) -> list[tuple[int, dict[str, object]]]:
    """Read so many answers."""
    found = []
    with connection.makefile("rb") as lines:
        for _ in range(count):
            status = int(lines.readline().split()[1])
            length = 0
            while header := lines.readline().strip():
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            found.append((status, json.loads(lines.read(length))))
    return found


def test_an_offer_of_http_2_is_left_unanswered(connection: socket.socket) -> None:
    connection.sendall(request("u1", OFFER))
    [(status, answer)] = answers(connection, 1)
    assert (status, len(answer["itemList"])) == (200, 2)  # type: ignore[arg-type]
    connection.sendall(request("u1"))
    assert answers(connection, 1)[0][1]["itemList"] == answer["itemList"]


def test_requests_that_come_at_once_or_in_pieces_are_answered_in_turn(
    connection: socket.socket,
) -> None:
    connection.sendall(request("u1") + request("u2") + request("u1"))
    first, other, again = (answer["itemList"] for _, answer in answers(connection, 3))
    assert first == again != other
    for byte in request("u1"):
        connection.sendall(bytes([byte]))
    assert answers(connection, 1)[0][1]["itemList"] == first


def test_headers_without_end_are_cut_off(connection: socket.socket, stack: Stack) -> None:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nEndless: ")
    with pytest.raises(OSError, match=r"reset|pipe"):
        connection.sendall(b"x" * MOST_HEAD_BYTES * 1000)
    assert stack.readiness("ranker") == "ok"


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"\0" * 100],
)
def test_what_is_no_http_is_refused(connection: socket.socket, stack: Stack, sent: bytes) -> None:
    connection.sendall(sent)
    assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert stack.readiness("ranker") == "ok"


def test_an_answer_is_sent_as_a_whole() -> None:
    """Else a client gets headers alone of a process that is killed before it sends the rest."""
    begun, asked = threading.Event(), threading.Event()

    async def application(
        _: object, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await receive()
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        begun.set()
        assert asked.wait(10)
        await send({"type": "http.response.body", "body": b"body"})

    with socket.create_server((LOOPBACK, 0)) as listener:
        config = uvicorn.Config(application, http=Connection, ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=[server.serve([listener])])
        thread.start()
        try:
            with socket.create_connection(listener.getsockname(), timeout=10) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: reco\r\n\r\n")
                assert begun.wait(10)
                client.settimeout(0)
                with pytest.raises(BlockingIOError):
                    client.recv(1)
                asked.set()
                client.settimeout(10)
                assert client.recv(4096).endswith(b"\r\n\r\nbody")
        finally:
            server.should_exit = True
            thread.join()
