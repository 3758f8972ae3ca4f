"""Whatever arrives, the emulator answers in the service's manner and goes on."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reco.emulator import schemas
from reco.emulator.core import OPERATIONS, Emulator
from reco.emulator.errors import ServiceError
from reco.emulator.model import CONTROL, SERVICES, operation_model, service_model
from reco.emulator.testing import in_thread, simulated
from tests.contract.emulator.estate import INTERACTIONS, RECIPES, Service


def examples(count: int) -> settings:
    """Try as many examples, however long the shared machine takes for one."""
    slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(deadline=None, max_examples=count, suppress_health_check=slow)


WORDS = st.sampled_from(
    [
        "a",
        "",
        "x" * 70,
        "FULL",
        "INTERACTIONS",
        INTERACTIONS,
        "rate(7 days)",
        f"{RECIPES}aws-sims",
        "arn:aws:personalize:r:000000000000:solution/s",
        "arn:aws:personalize:r:000000000000:solution/s/$LATEST",
        "arn:aws:personalize:r:000000000000:campaign/c",
        "arn:aws:personalize:r:000000000000:dataset-group/g",
        "arn:aws:personalize:r:000000000000:schema/s",
        "arn:aws:personalize:r:000000000000:dataset/g/INTERACTIONS",
        "s3://b/k",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """Draw an operation and parameters, mostly under names that it knows."""
    service = draw(st.sampled_from(SERVICES))
    operation = draw(st.sampled_from(service_model(service).operation_names))
    model = operation_model(service, operation)
    assert model is not None
    known = sorted(model.input_shape.members) if model.input_shape else []
    names = st.sampled_from([*known, "colour"])
    fitting = draw(st.booleans())
    values = WORDS if fitting else VALUES
    return service, operation, draw(st.dictionaries(names, values, max_size=len(known)))


@pytest.fixture(scope="module")
def core() -> Iterator[Emulator]:
    emulator = simulated().emulator
    yield emulator
    emulator.close()


@examples(400)
@given(call=calls())
def test_any_parameters_meet_an_answer_or_a_refusal(
    core: Emulator, call: tuple[str, str, dict[str, Any]]
) -> None:
    core.reset()
    outcome = core.execute(*call, region="r")
    assert (outcome.answer is None) != (outcome.error is None)
    (logged,) = core.calls()
    assert logged["operation"] == call[1]


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("ListSchemas", {"maxResults": None}),
        ("CreateCampaign", {"campaignConfig": {"itemExplorationConfig": None}}),
        ("CreateSolution", {"solutionConfig": {"algorithmHyperParameters": {"a": None}}}),
        ("TagResource", {"tags": [None]}),
    ],
)
def test_a_null_member_is_an_absent_one(operation: str, parameters: dict[str, Any]) -> None:
    emulator = simulated().emulator
    outcome = emulator.execute(CONTROL, operation, parameters, region="r")
    assert outcome.error is None or outcome.error.code in {
        "ValidationException",
        "SerializationException",
    }
    emulator.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    world = simulated()
    with in_thread(world.emulator) as url:
        yield Service(url, world.emulator, world.trainer, world.objects)
    world.emulator.close()


def exchange(service: Service, raw: bytes, *, hang_up: bool = True) -> bytes:
    """Send bytes and read what comes until the connection ends; with ``hang_up`` it may be none."""
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as client:
        client.sendall(raw)
        if hang_up:
            client.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
        return received


def alive(service: Service) -> bool:
    return bool(service.admin("GET", "/_reco/health")["status"] == "ok")


@examples(100)
@given(
    body=st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()),
    target=st.sampled_from([*OPERATIONS[CONTROL], "Nothing", ""]),
    path=st.sampled_from(["/", "/recommendations", "/events", "/items", "/x", "/_reco/faults"]),
)
def test_any_body_meets_a_refusal_of_the_service(
    shared: Service, body: bytes, target: str, path: str
) -> None:
    headers = {
        "X-Amz-Target": f"AmazonPersonalize.{target}",
        "Authorization": shared.authorization(),
    }
    status, _, _ = shared.http("POST", path, body, headers)
    assert status == 200 or 400 <= status < 500 or status == 501


@examples(60)
@given(raw=st.binary(max_size=200))
def test_any_bytes_on_the_connection_leave_the_emulator_alive(shared: Service, raw: bytes) -> None:
    exchange(shared, raw)
    assert alive(shared)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "\\ud800"}',
        b'{"name": ' + b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a": ' * 600 + b"1" + b"}" * 600,
        b'{"maxResults": ' + b"9" * 5000 + b"}",
        b'{"maxResults": NaN}',
        b'{"maxResults": 1e999}',
        b"\xff\xfe",
        b"null",
        b'"text"',
        b'{"nextToken": "AYAD"}',
        b'{"nextToken": "W10="}',
        b'{"nextToken": "WzFd"}',
        b'{"nextToken": "W05hTl0="}',
    ],
    ids=range(14),
)
def test_a_hostile_body_is_refused(shared: Service, body: bytes) -> None:
    headers = {
        "X-Amz-Target": "AmazonPersonalize.ListDatasetGroups",
        "Authorization": shared.authorization(),
    }
    status, _, answer = shared.http("POST", "/", body, headers)
    assert status == 400
    assert answer["__type"] in {
        "InvalidNextTokenException",
        "SerializationException",
        "ValidationException",
    }


def test_a_body_that_is_too_large_is_refused(shared: Service) -> None:
    status, _, _ = shared.http("POST", "/", b" " * (5 * 1024 * 1024), {})
    assert status == 413


def test_a_connection_that_ends_in_the_middle_of_a_request_is_no_matter(shared: Service) -> None:
    exchange(shared, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert alive(shared)


CHUNKED = {"Content-Length": "", "Transfer-Encoding": "chunked"}


@pytest.mark.parametrize(
    ("line", "headers", "body", "status"),
    [
        ("POST / HTTP/1.1", {}, b"{}", 200),
        ("POST / HTTP/1.0", {}, b"{}", 200),
        ("POST / HTTP/1.1", {"Content-Type": "text/html"}, b"{}", 200),
        ("POST / HTTP/1.1", {"Expect": "100-continue"}, b"{}", 100),
        ("POST / HTTP/1.1", CHUNKED, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200),
        ("POST / HTTP/1.1", CHUNKED, b"zz\r\n{}", 400),
        ("POST / HTTP/1.1", CHUNKED, (b"80000\r\n" + b" " * 0x80000 + b"\r\n") * 9 + b"0\r\n\r\n",
         413),
        ("POST / HTTP/1.1", {"Content-Length": "-1"}, b"{}", 400),
        ("POST / HTTP/1.1", {"Content-Length": "two"}, b"{}", 400),
        ("POST / HTTP/1.1", {}, b'{"maxResults": 1, "maxResults": "x"}', 400),
        ("POST / HTTP/1.1", {"X-Amz-Target": "AmazonPersonalize.List\u00e9"}, b"{}", 400),
        ("POST / HTTP/1.1", {"X-Amz-Target": ""}, b"{}", 400),
        ("GET / HTTP/1.1", {}, b"", 400),
        ("OPTIONS * HTTP/1.1", {}, b"", 400),
        ("POST /%2e%2e/%ff%00 HTTP/1.1", {}, b"{}", 400),
        ("POST /?X-Amz-Credential=a%2F20260101%2Fr%2Fpersonalize%2Faws4_request HTTP/1.1",
         {"Authorization": ""}, b"{}", 400),
        ("POST /events HTTP/1.1", {}, b'{"eventList": [{"sentAt": NaN}]}', 400),
    ],
    ids=range(17),
)  # fmt: skip
def test_any_way_of_sending_a_request_is_answered(
    shared: Service, line: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    sent = {
        "Host": "x",
        "Connection": "close",
        "X-Amz-Target": "AmazonPersonalize.ListSchemas",
        "Authorization": shared.authorization(),
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
    raw = f"{line}\r\n{head}\r\n".encode("latin-1") + body
    answer = exchange(shared, raw, hang_up=False)
    assert answer.split(b" ", 2)[:2] == [b"HTTP/1.1", str(status).encode()]


@pytest.mark.parametrize(
    "header", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=a/b", "AWS4-HMAC-SHA256 " + "=" * 5000]
)
def test_a_malformed_signature_is_refused(shared: Service, header: str) -> None:
    status, _, body = shared.http(
        "POST",
        "/",
        b"{}",
        {"X-Amz-Target": "AmazonPersonalize.ListSchemas", "Authorization": header},
    )
    assert status == 400
    assert body["__type"] in {"MissingAuthenticationTokenException", "IncompleteSignatureException"}


def refused(function: Callable[..., Any], *arguments: Any) -> bool:
    """Say whether a function refuses its input in the service's manner."""
    try:
        function(*arguments)
    except ServiceError as error:
        return error.code == "InvalidInputException"
    return False


@examples(200)
@given(text=st.text(max_size=40) | VALUES.map(json.dumps))
def test_any_text_is_a_schema_or_refused(text: str) -> None:
    assert refused(schemas.parse, text) or schemas.parse(text)


@examples(200)
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_a_csv_or_refused(content: bytes) -> None:
    fields = schemas.parse(INTERACTIONS)
    for data in (content, b"USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n" + content):
        if not refused(schemas.read_csv, data, fields):
            columns = schemas.read_csv(data, fields)
            assert len({len(column) for column in columns.values()}) == 1
