"""Signatures of botocore's own signer, checked as the service checks them."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.auth
import pytest
import yaml
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from reco.serving.clients import Client, Guard
from reco.serving.errors import STATUSES, ServiceError
from reco.serving.signing import Headers, Verifier, headers_of
from reco.workload.tasks import Authentication

NOW = 1_700_000_000.0
KEY, SECRET = "AKIDSHOP", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PATH = "/recommendations"
BODY = b'{"campaignArn": "arn:aws:personalize:eu-west-1:1:campaign/shop_for-you"}'


def signed(
    body: bytes = BODY,
    *,
    path: str = PATH,
    at: float = NOW,
    region: str = "eu-west-1",
    service: str = "personalize",
    token: str | None = None,
    signer: Any = SigV4Auth,
    headers: dict[str, str] | None = None,
    secret: str = SECRET,
    query: str = "",
) -> dict[str, str]:
    """Return the headers of a request that botocore signed."""
    request = AWSRequest(
        method="POST",
        url=f"http://shop.example:8080{path}{query}",
        data=body,
        headers={
            "Content-Type": "application/json",
            "Host": "shop.example:8080",
            **(headers or {}),
        },
    )
    moment = datetime.fromtimestamp(at, UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment):
        signer(Credentials(KEY, secret, token), service, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def raw(headers: dict[str, str]) -> Headers:
    """Return headers as a server gives them."""
    pairs = [
        (k.encode("latin-1", "replace"), v.encode("latin-1", "replace")) for k, v in headers.items()
    ]
    return headers_of(pairs)


def verifier(region: str | None = None, **secrets: str) -> Verifier:
    return Verifier((secrets or {KEY: SECRET}).get, lambda: NOW, region)


def refusal(
    headers: dict[str, str], body: bytes = BODY, path: str = PATH, query: str = "", **options: Any
) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        verifier(**options).verify(path.encode(), query.encode(), raw(headers), body)
    assert STATUSES[caught.value.code] == 403
    return caught.value.code, caught.value.message


@given(
    st.binary(max_size=300),
    st.sampled_from(["/recommendations", "/personalize-ranking", "/events", "/items", "/users"]),
    st.floats(-299, 299),
    st.sampled_from(["eu-west-1", "us-east-1", "cn-north-1"]),
    st.text("abc  xyz", max_size=20),
)
def test_what_botocore_signs_is_right(
    body: bytes, path: str, late: float, region: str, agent: str
) -> None:
    headers = signed(
        body, path=path, at=NOW + late, region=region, headers={"X-Amz-User-Agent": agent}
    )
    check = verifier()
    for _ in range(2):
        assert check.verify(path.encode(), b"", raw(headers), body) == KEY, (
            "and again with the key derived"
        )


def test_a_query_is_signed_in_its_order() -> None:
    headers = signed(query="?b=2&a=1")
    assert verifier().verify(PATH.encode(), b"b=2&a=1", raw(headers), BODY) == KEY
    assert refusal(headers, query="b=2&a=2")[0] == "InvalidSignatureException"


def test_parts_of_the_header_come_in_any_order() -> None:
    headers = signed()
    name, _, rest = headers["authorization"].partition(" ")
    headers["authorization"] = f"{name} {','.join(reversed(rest.split(', ')))}"
    assert verifier().verify(PATH.encode(), b"", raw(headers), BODY) == KEY


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ("body", {"body": BODY + b" "}),
        ("path", {"path": "/events"}),
        ("secret", {KEY: SECRET[::-1]}),
        ("query", {"query": "a=1"}),
    ],
)
def test_what_was_changed_is_refused(change: str, given: dict[str, Any]) -> None:
    code, message = refusal(signed(), **given)
    assert code == "InvalidSignatureException", change
    assert message.startswith("The request signature we calculated does not match the signature")


@pytest.mark.parametrize("name", ["host", "x-amz-date", "content-type"])
def test_a_signed_header_may_not_change_or_go(name: str) -> None:
    headers = signed()
    other = {"x-amz-date": "20231114T221319Z"}.get(name, "x")
    assert refusal(headers | {name: other})[0] == "InvalidSignatureException"
    del headers[name]
    assert refusal(headers)[0] in {"InvalidSignatureException", "IncompleteSignatureException"}


@pytest.mark.parametrize("late", [-301, -86_400, 301, 86_400])
def test_a_skewed_clock_is_told_both_times(late: float) -> None:
    code, message = refusal(signed(at=NOW + late))
    assert code == "InvalidSignatureException"
    expected = "Signature expired: " if late < 0 else "Signature not yet current: "
    assert message.startswith(expected)
    assert message.endswith("(20231114T221320Z - 5 min.)" if late < 0 else "+ 5 min.)")


def test_an_unknown_key_is_refused() -> None:
    assert refusal(signed(), AKIDOTHER=SECRET) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_a_session_token_is_refused_with_a_reason() -> None:
    code, message = refusal(signed(token="t"))
    assert code == "UnrecognizedClientException"
    assert "Session tokens are not accepted here" in message


def test_nothing_signed_is_nothing() -> None:
    assert refusal({"host": "x"}) == (
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    )


def test_a_presigned_request_is_refused_with_a_reason() -> None:
    request = AWSRequest(method="POST", url=f"http://shop.example{PATH}", data=BODY)
    SigV4QueryAuth(Credentials(KEY, SECRET), "personalize", "eu-west-1").add_auth(request)
    code, message = refusal({"host": "shop.example"}, query=str(request.url).partition("?")[2])
    assert code == "IncompleteSignatureException"
    assert "Presigned requests are not accepted" in message


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=" + 64 * "0",
        "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/20231114/r/personalize/aws4_request, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/20231114/r/personalize/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256",
        "Basic dTpw",
        "AWS4-HMAC-SHA256 ,,,===\xff",
    ],
)
def test_half_a_signature_is_refused(header: str) -> None:
    headers = signed() | {"authorization": header}
    assert refusal(headers, a=SECRET)[0] == "IncompleteSignatureException"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ("x-amz-date;host", "InvalidSignatureException"),
        ("host;host;x-amz-date", "InvalidSignatureException"),
        ("Host;host;x-amz-date", "InvalidSignatureException"),
        ("host;x-amz-date;x\0", "InvalidSignatureException"),
        ("%b;host;x-amz-date", "InvalidSignatureException"),
        ("content-type;x-amz-date", "InvalidSignatureException"),
    ],
)
def test_names_of_signed_headers_are_as_they_should_be(names: str, code: str) -> None:
    headers = signed() | {"x\0": "1", "Host": "h"}
    now = re.sub(
        "SignedHeaders=[^,]*", lambda _: f"SignedHeaders={names}", headers["authorization"]
    )
    assert refusal(headers | {"authorization": now})[0] == code


def test_a_header_s_name_may_be_odd() -> None:
    headers = signed(headers={"x-amz-100%b": "%s  and %d"})
    for _ in range(2):
        assert verifier().verify(PATH.encode(), b"", raw(headers), BODY) == KEY


@pytest.mark.parametrize("date", ["", "2023", "20231113", "20231114T"])
def test_a_key_is_of_the_day_of_its_request(date: str) -> None:
    headers = signed()
    now = headers["authorization"].replace("/20231114/", f"/{date}/")
    code, message = refusal(headers | {"authorization": now})
    assert code == "InvalidSignatureException"
    assert message.startswith("Date in Credential scope does not match YYYYMMDD")


def test_other_scopes_are_refused() -> None:
    code, message = refusal(signed(service="s3"))
    assert (code, "'personalize'" in message) == ("InvalidSignatureException", True)
    assert "valid region" in refusal(signed(), region="us-east-1")[1]
    assert verifier(region="eu-west-1").verify(PATH.encode(), b"", raw(signed()), BODY) == KEY


def test_the_body_must_be_signed() -> None:
    class Unsigned(SigV4Auth):
        @override
        def payload(self, request: Any) -> str:
            return "UNSIGNED-PAYLOAD"

    unsigned = signed(signer=Unsigned, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    code, message = refusal(unsigned)
    assert code == "InvalidSignatureException"
    assert "SHA-256 of the body" in message


@given(st.text(max_size=200), st.text(max_size=30), st.text(max_size=60))
def test_no_header_is_a_fault_of_ours(header: str, date: str, credential: str) -> None:
    for authorization in (
        header,
        f"AWS4-HMAC-SHA256 {header}",
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={header}, Signature={64 * '0'}",
        f"AWS4-HMAC-SHA256 Credential={KEY}/{date}/r/personalize/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={header}",
    ):
        headers = {"authorization": authorization, "x-amz-date": date, "host": header}
        with pytest.raises(ServiceError):
            verifier().verify(PATH.encode(), b"", raw(headers), BODY)


# Who may do what ------------------------------------------------------------------------------


def entry(folder: Path, name: str, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text)


def guard(folder: Path, noun: str = "campaign", *names: str) -> Guard:
    task = Authentication(folder=str(folder), secret="clients")
    return Guard(task, noun, lambda _: names or ("shop_for-you",), lambda: NOW)


def check(guard: Guard, operation: str = "GetRecommendations", secret: str = SECRET) -> str:
    path = PATH if operation == "GetRecommendations" else "/events"
    try:
        guard.check(operation, b"", raw(signed(path=path, secret=secret)), BODY)
    except ServiceError as error:
        return error.code
    return "OK"


@pytest.mark.parametrize(
    ("limits", "noun", "expected"),
    [
        ({}, "campaign", "OK"),
        ({}, "event-tracker", "OK"),
        ({"operations": ["GetRecommendations"]}, "campaign", "OK"),
        ({"operations": ["PutEvents"]}, "campaign", "AccessDeniedException"),
        ({"operations": []}, "campaign", "AccessDeniedException"),
        ({"campaigns": ["shop_for-you"]}, "campaign", "OK"),
        ({"campaigns": ["arn:aws:personalize:::campaign/shop_for-you"]}, "campaign", "OK"),
        ({"campaigns": ["shop_for"]}, "campaign", "AccessDeniedException"),
        ({"campaigns": []}, "campaign", "AccessDeniedException"),
        ({"campaigns": ["shop_for-you"]}, "event-tracker", "AccessDeniedException"),
        ({"trackers": ["shop_for-you"]}, "campaign", "AccessDeniedException"),
        ({"trackers": ["shop_for-you"]}, "event-tracker", "OK"),
    ],
)
def test_a_key_is_limited(tmp_path: Path, limits: Any, noun: str, expected: str) -> None:
    entry(tmp_path, KEY, {"secretKey": SECRET, **limits})
    assert check(guard(tmp_path, noun)) == expected


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "null",
        SECRET,
        {"secretKey": ""},
        {"secretKey": "short"},
        {"secretKey": None},
        {"secretKey": SECRET, "operation": ["GetRecommendations"]},
        {"secretKey": SECRET, "operations": ["GetRecomendations"]},
        {"secretKey": SECRET, "campaigns": "shop_for-you"},
        {"secretKey": SECRET, "campaigns": [""]},
        b"\xff\xfe".decode("latin-1"),
    ],
)
def test_an_entry_that_is_not_right_lets_nobody_in(
    tmp_path: Path, content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    entry(tmp_path, KEY, content)
    shut = guard(tmp_path)
    secrets = (SECRET, "x")
    assert [check(shut, secret=one) for one in secrets] == 2 * ["UnrecognizedClientException"]
    problem = shut.clients.problem or ""
    assert "no client can sign in: the Secret clients" in problem
    assert KEY in problem
    for told in (problem, caplog.text):
        assert SECRET not in told.replace('"secretKey": "..."', "")
    entry(tmp_path, "AKIDGOOD", {"secretKey": SECRET})
    shut.clients.look()
    assert shut.clients.problem is None
    assert check(shut) == "UnrecognizedClientException"
    assert KEY in caplog.text


def test_without_the_secret_nobody_gets_in(tmp_path: Path) -> None:
    shut = guard(tmp_path / "none")
    assert check(shut) == "UnrecognizedClientException"
    assert "spec.inCluster.authentication.keysSecretRef" in (shut.clients.problem or "")


def test_keys_come_change_and_go_without_a_restart(tmp_path: Path) -> None:
    """As Kubernetes writes a Secret: another folder, then a link that is swapped."""
    versions: list[dict[str, object]] = [
        {KEY: {"secretKey": SECRET}},
        {KEY: {"secretKey": SECRET[::-1]}},
        {},
        {KEY: {"secretKey": SECRET}},
    ]
    opened = guard(tmp_path)
    found = []
    for number, entries in enumerate(versions):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        for name, content in entries.items():
            entry(folder, name, content)
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).symlink_to(Path("..data") / name)
        for name in {KEY} - entries.keys():
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "..next").symlink_to(folder.name)
        (tmp_path / "..next").rename(tmp_path / "..data")
        opened.clients.look()
        found.append((check(opened), check(opened, secret=SECRET[::-1])))
    refused = "InvalidSignatureException"
    nobody = "UnrecognizedClientException"
    assert found == [("OK", refused), (refused, "OK"), (nobody, nobody), ("OK", refused)]


def test_no_secret_is_printed() -> None:
    assert SECRET not in repr(Client(SECRET))


def test_the_documented_secret_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "serving.md").read_text()
    [block] = re.findall(r"```yaml\n(apiVersion: v1\nkind: Secret.*?)```", page, re.DOTALL)
    documented, engine_class = yaml.safe_load_all(block)
    for name, content in documented["stringData"].items():
        entry(tmp_path, name, content)
    opened = guard(tmp_path)
    assert (len(opened.clients), opened.clients.unreadable) == (2, {})
    settings = engine_class["spec"]["inCluster"]["authentication"]
    assert settings["keysSecretRef"]["name"] == documented["metadata"]["name"]
