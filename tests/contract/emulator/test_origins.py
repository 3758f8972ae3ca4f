"""Pages in browsers that call the emulator, as those of Amplify call the service."""

import http.client
from collections.abc import Iterator

import pytest

from reco.emulator.testing import in_thread, simulated

PAGE = "http://localhost:3000"
Answer = tuple[int, dict[str, str]]


@pytest.fixture
def address() -> Iterator[str]:
    world = simulated()
    with in_thread(world.emulator, [PAGE]) as url:
        yield url.removeprefix("http://")
    world.emulator.close()


def ask(address: str, method: str, path: str, origin: str, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request(method, path, b"{}", {"Origin": origin, **headers})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


@pytest.mark.parametrize("path", ["/", "/recommendations", "/events"])
def test_a_page_may_call_every_service(address: str, path: str) -> None:
    status, headers = ask(address, "OPTIONS", path, PAGE)
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    allowed = headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "x-amz-target", "x-amz-user-agent", "content-type"} <= set(allowed)
    status, headers = ask(address, "POST", path, PAGE)
    assert status >= 400, "nothing is signed"
    assert headers["access-control-allow-origin"] == PAGE
    assert "x-amzn-errortype" in headers["access-control-expose-headers"]


def test_another_page_may_not(address: str) -> None:
    status, headers = ask(address, "OPTIONS", "/events", "https://evil.example")
    assert (status, "access-control-allow-origin" in headers) == (403, False)
    _, headers = ask(address, "POST", "/events", "https://evil.example")
    assert "access-control-allow-origin" not in headers


def test_no_page_may_call_the_admin_api(address: str) -> None:
    _, headers = ask(address, "GET", "/_reco/health", PAGE)
    assert "access-control-allow-origin" not in headers
    status, headers = ask(address, "OPTIONS", "/_reco/clock", PAGE)
    assert "access-control-allow-origin" not in headers
    assert status >= 400
