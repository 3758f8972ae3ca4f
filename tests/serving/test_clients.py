"""Clients that sign in with key pairs, and pages that call from browsers: real processes, boto3."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reco.workload import tasks
from tests.serving.stack import ARN, CAMPAIGN, TRACKING, Stack, event, items, put, until

OTHER = "shop_others"
ALL = ("AKIDALL", "all-may-be-done-with-this-secret")
LIMITED = ("AKIDLIMITED", "with-this-one-only-some-is-allowed")
UNKNOWN = ("UnrecognizedClientException", 403)
PAGE = "https://shop.example.com"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A Secret's volume with two key pairs."""
    folder = tmp_path / "clients"
    folder.mkdir()
    write(folder, ALL)
    write(folder, LIMITED, operations=["GetRecommendations", "PutItems"], campaigns=[CAMPAIGN])
    return folder


def write(folder: Path, pair: tuple[str, str], **limits: Any) -> None:
    """Write an entry as Kubernetes does: at once."""
    made = folder / f"..{pair[0]}"
    made.write_text(json.dumps({"secretKey": pair[1], **limits}))
    made.rename(folder / pair[0])


def guarded(secret: Path, **more: Any) -> dict[str, Any]:
    return {"authentication": tasks.Authentication(folder=str(secret), secret="clients"), **more}


def code(call: Any, **parameters: Any) -> tuple[str, int]:
    try:
        answer = call(**parameters)
    except ClientError as error:
        shown: Any = error.response
        return shown["Error"]["Code"], shown["ResponseMetadata"]["HTTPStatusCode"]
    return "OK", answer["ResponseMetadata"]["HTTPStatusCode"]


def test_an_unchanged_client_signs_in(stack: Stack, secret: Path) -> None:
    """At the ranker, and at the runtime, which hands the signature on."""
    digest = stack.artifact()
    other = stack.ranker(artifact=digest, campaign=OTHER, **guarded(secret))
    stack.launch("ranker", stack.ranker(artifact=digest, **guarded(secret)))
    stack.start("ranker", other, "other")
    stack.pods["ranker"].wait_ready(f"{stack.url('ranker')}/readyz")
    addresses = {CAMPAIGN: stack.url("ranker"), OTHER: stack.url("other")}
    runtime = tasks.RuntimeTask(namespace="shop", addresses=addresses, **guarded(secret))
    stack.start("runtime", runtime)
    for pod in ("ranker", "runtime"):
        one = stack.client("personalize-runtime", pod, keys=ALL)
        assert len(items(one, userId="u1")) == 25
        for keys, expected in {
            (ALL[0], "x" * 20): "InvalidSignatureException",
            ("AKIDNOBODY", ALL[1]): "UnrecognizedClientException",
            (*ALL, "a-session-token"): "UnrecognizedClientException",
        }.items():
            client = stack.client("personalize-runtime", pod, keys=keys)
            call = client.get_recommendations
            assert code(call, campaignArn=ARN, userId="u1") == (expected, 403), pod
        limited = stack.client("personalize-runtime", pod, keys=LIMITED)
        assert items(limited, userId="u1")
        ranking = {"campaignArn": ARN, "userId": "u1", "inputList": ["i1"]}
        refused = ("AccessDeniedException", 403)
        assert code(limited.get_personalized_ranking, **ranking) == refused
    runtime_of = stack.client("personalize-runtime", "runtime", keys=LIMITED)
    call = runtime_of.get_recommendations
    elsewhere = ARN.replace(CAMPAIGN, OTHER)
    assert code(call, campaignArn=elsewhere, userId="u1") == ("AccessDeniedException", 403)
    assert code(call, campaignArn=f"{ARN}-none", userId="u1") == ("AccessDeniedException", 403)
    assert code(call, userId="u1")[0] == "InvalidInputException"
    body = json.dumps({"campaignArn": ARN, "userId": "u1"}).encode()
    for pod in ("ranker", "runtime"):
        unsigned = urllib.request.Request(f"{stack.url(pod)}/recommendations", data=body)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(unsigned, timeout=10)
        with caught.value as answer:
            assert answer.code == 403
            assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
            assert json.load(answer) == {"message": "Request is missing Authentication Token"}


def test_a_runtime_that_asks_for_no_key_hands_signatures_on(stack: Stack, secret: Path) -> None:
    """As while the setting reaches one Deployment after the other."""
    stack.start("ranker", stack.ranker(**guarded(secret)))
    addresses = {CAMPAIGN: stack.url("ranker")}
    stack.start("runtime", tasks.RuntimeTask(namespace="shop", addresses=addresses))
    for keys, expected in ((ALL, ("OK", 200)), (("AKIDNOBODY", ALL[1]), UNKNOWN)):
        client = stack.client("personalize-runtime", "runtime", keys=keys)
        assert code(client.get_recommendations, campaignArn=ARN, userId="u1") == expected


def test_events_need_a_key_for_their_tracker(stack: Stack, secret: Path) -> None:
    write(secret, LIMITED, trackers=["shop_movies"], operations=["PutEvents"])
    write(secret, ("AKIDELSEWHERE", ALL[1]), trackers=["shop_other"])
    stack.start("collector", stack.collector(tracker="shop_movies", **guarded(secret)))
    for keys in (ALL, LIMITED):
        put(stack.client("personalize-events", "collector", keys=keys), event("a"), userId="ann")
    limited = stack.client("personalize-events", "collector", keys=LIMITED)
    users = {"datasetArn": "arn:aws:personalize:::dataset/a/USERS", "users": [{"userId": "1"}]}
    assert code(limited.put_users, **users) == ("AccessDeniedException", 403)
    elsewhere = stack.client("personalize-events", "collector", keys=("AKIDELSEWHERE", ALL[1]))
    given = {"trackingId": TRACKING, "sessionId": "s", "eventList": [event("a")]}
    assert code(elsewhere.put_events, **given) == ("AccessDeniedException", 403)
    assert stack.metric("collector", "reco_events_accepted_total") == 2


def test_keys_rotate_while_the_pod_runs(stack: Stack, secret: Path) -> None:
    stack.start("collector", stack.collector(**guarded(secret)))
    given = {"trackingId": TRACKING, "sessionId": "s", "eventList": [event("a")]}
    old = stack.client("personalize-events", "collector", keys=ALL).put_events
    fresh = ("AKIDNEW", "another-secret-for-the-new-key")
    new = stack.client("personalize-events", "collector", keys=fresh).put_events
    assert (code(old, **given)[0], code(new, **given)[0]) == ("OK", "UnrecognizedClientException")
    write(secret, fresh)
    until(lambda: code(new, **given)[0] == "OK")
    assert code(old, **given)[0] == "OK", "both are good while clients change over"
    (secret / ALL[0]).unlink()
    until(lambda: code(old, **given)[0] == "UnrecognizedClientException")
    (secret / fresh[0]).write_text("no json")
    until(lambda: code(new, **given)[0] == "UnrecognizedClientException")
    assert stack.readiness("collector") == "ok", "others can sign in"
    assert stack.metric("collector", "reco_clients") == 2
    assert "AKIDNEW lets nobody in" in stack.pods["collector"].log.read_text()
    assert fresh[1] not in stack.pods["collector"].log.read_text()


def test_without_a_usable_key_a_pod_says_why(stack: Stack, secret: Path) -> None:
    for path in secret.iterdir():
        path.unlink()
    stack.launch("collector", stack.collector(**guarded(secret)))
    told = "no client can sign in: the Secret clients (spec.inCluster.authentication.keysSecretRef)"
    until(lambda: told in stack.readiness("collector"))
    client = stack.client("personalize-events", "collector", keys=ALL)
    given = {"trackingId": TRACKING, "sessionId": "s", "eventList": [event("a")]}
    assert code(client.put_events, **given) == ("UnrecognizedClientException", 403)
    write(secret, ALL)
    until(lambda: stack.readiness("collector") == "ok")
    assert code(client.put_events, **given)[0] == "OK"


def ask(
    url: str, method: str = "POST", origin: str | None = PAGE, **headers: str
) -> tuple[int, Any]:
    """Send what a browser does, and return status and headers."""
    given = {"Origin": origin} if origin else {}
    request = urllib.request.Request(
        url, data=b"{}" if method == "POST" else None, method=method, headers=given | headers
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


SENT = (
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-type",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-target",
    "x-amz-user-agent",
)


def preflight(url: str, origin: str = PAGE) -> tuple[int, Any]:
    return ask(
        url,
        "OPTIONS",
        origin,
        **{
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": ",".join(SENT),
        },
    )


def test_a_page_of_an_allowed_origin_may_call(stack: Stack, secret: Path) -> None:
    collector = stack.collector(**guarded(secret, allowed_origins=(PAGE, "http://localhost:3000")))
    stack.start("collector", collector)
    url = f"{stack.url('collector')}/events"
    status, headers = preflight(url)
    assert status == 200, "and nobody signs a preflight"
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-methods"] == "POST"
    assert set(SENT) <= set(headers["access-control-allow-headers"].split(", "))
    assert int(headers["access-control-max-age"]) > 0
    assert headers["vary"] == "Origin"
    status, headers = ask(url)
    assert status == 403, "errors are for the page to read, too"
    assert headers["access-control-allow-origin"] == PAGE
    shown = set(headers["access-control-expose-headers"].split(", "))
    assert {"x-amzn-requestid", "x-amzn-errortype", "date"} <= shown
    assert headers["vary"] == "Origin"
    for stranger in ("https://evil.example", f"{PAGE}.evil.example", "null"):
        status, headers = preflight(url, stranger)
        assert status == 403
        assert "access-control-allow-origin" not in headers
        status, headers = ask(url, origin=stranger)
        assert "access-control-allow-origin" not in headers
        assert headers["vary"] == "Origin", "a cache must not give it to a page that may"


def test_any_origin_may_call_where_that_is_said(stack: Stack) -> None:
    stack.start("collector", stack.collector(allowed_origins=("*",)))
    url = f"{stack.url('collector')}/events"
    assert preflight(url)[1]["access-control-allow-origin"] == "*"
    assert ask(url)[1]["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in ask(url, origin=None)[1]


def test_without_the_setting_no_page_may_call(stack: Stack) -> None:
    stack.start("collector", stack.collector())
    url = f"{stack.url('collector')}/events"
    assert preflight(url)[0] == 404
    assert not {"access-control-allow-origin", "vary"} & {name.lower() for name in ask(url)[1]}
