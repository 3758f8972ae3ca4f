"""The online store stopped, frozen or full: answers go on, and events wait or are refused."""

import json
import time
from pathlib import Path

import pytest
import redis
from botocore.exceptions import ClientError

from hack.valkey import ValkeyServer
from tests.serving.stack import Stack, event, items, put, until


def serving(stack: Stack) -> None:
    """Start everything."""
    stack.launch("ranker", stack.ranker())
    stack.launch("collector", stack.collector())
    stack.launch("consumer", stack.consumer())
    for name, pod in stack.pods.items():
        pod.wait_ready(f"{stack.url(name)}/readyz")


@pytest.mark.parametrize("fault", ["stopped", "frozen"])
def test_answers_go_on_without_the_store_and_heed_events_when_it_is_back(
    stack: Stack, fault: str
) -> None:
    serving(stack)
    runtime = stack.client("personalize-runtime", "ranker")
    events = stack.client("personalize-events", "collector")
    before = items(runtime, userId="u1")
    put(events, event(before[0], time.time()), userId="u1")
    until(lambda: before[0] not in items(runtime, userId="u1"))
    (stack.store.kill if fault == "stopped" else stack.store.freeze)()
    started = time.monotonic()
    while stack.metric("ranker", "reco_fallback_total") < 100:
        assert before[0] not in items(runtime, userId="u1"), "what was known is still heeded"
        assert items(runtime, userId="u2"), "whom the model knows"
        assert items(runtime, userId="nobody"), "popular items"
        assert time.monotonic() - started < 10, "not every request waits for the store"
    with pytest.raises(ClientError) as caught:
        put(events, event(before[1], time.time()), userId="u1")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailableException"
    (stack.store.start if fault == "stopped" else stack.store.thaw)()
    again = stack.client("personalize-events", "collector", attempts=8)
    put(again, event(before[2], time.time()), userId="u1")
    until(lambda: not {before[0], before[2]} & set(items(runtime, userId="u1")))


def test_a_connection_that_the_store_closed_is_replaced_before_anybody_notices(
    stack: Stack,
) -> None:
    stack.start("ranker", stack.ranker())
    runtime = stack.client("personalize-runtime", "ranker")
    with redis.Redis.from_url(stack.store.url) as store:
        for _ in range(3):
            assert items(runtime, userId="u1")
            assert store.client_kill_filter(_type="normal", skipme=True) > 0
    assert items(runtime, userId="u1")
    assert stack.metric("ranker", "reco_fallback_total") == 0


def test_a_full_store_refuses_events_and_takes_them_again_when_the_log_is_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "storage").mkdir()
    with ValkeyServer(tmp_path / "store", maxmemory="3mb") as store:
        stack = Stack(tmp_path, store)
        try:
            stack.launch("ranker", stack.ranker())
            stack.start("collector", stack.collector())
            stack.start("ranker", stack.ranker(), "ranker-2")
            events = stack.client("personalize-events", "collector")
            padding = json.dumps({"a": "x" * 900})
            much = {"eventType": "login", "sentAt": 1, "properties": padding}
            accepted = 0

            def fill() -> None:
                nonlocal accepted
                while accepted < 100_000:
                    put(events, *[much] * 10, userId="u1")
                    accepted += 10

            with pytest.raises(ClientError) as caught:
                fill()
            assert caught.value.response["Error"]["Code"] == "ServiceUnavailableException"
            assert items(stack.client("personalize-runtime", "ranker-2"), userId="u1")
            stack.start("consumer", stack.consumer())
            until(lambda: stack.metric("consumer", "reco_rows_logged_total") >= accepted)
            put(stack.client("personalize-events", "collector", attempts=8), event("i1"))
        finally:
            stack.stop()


def test_a_store_that_takes_nothing_is_told_by_the_consumer_and_refused_by_collectors(
    stack: Stack,
) -> None:
    stack.start("collector", stack.collector())
    stack.start("consumer", stack.consumer())
    events = stack.client("personalize-events", "collector")
    put(events, event("i1"), userId="u1")
    with redis.Redis.from_url(stack.store.url) as client:
        client.config_set("maxmemory", 1)
        until(lambda: "is full" in stack.readiness("consumer"))
        assert "maxMemory" in stack.readiness("consumer")
        assert stack.readiness("collector") == "ok", "it must be reached, to refuse"
        with pytest.raises(ClientError) as caught:
            put(events, event("i2"), userId="u1")
        assert caught.value.response["Error"]["Code"] == "ServiceUnavailableException"
        client.config_set("maxmemory", 0)
    until(lambda: stack.readiness("consumer") == "ok")
    put(events, event("i3"), userId="u1")
    until(lambda: stack.metric("consumer", "reco_rows_logged_total") == 2)
