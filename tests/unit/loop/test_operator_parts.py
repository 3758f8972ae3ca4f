"""Settings, logs, health and the engines' registry."""

import argparse
import asyncio
import io
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import generate_latest
from pydantic import ValidationError

from reco.api.resource import Key, Resource, parse
from reco.cli import operate
from reco.loop import logs
from reco.loop.engines import Engines
from reco.loop.health import LOOP_HANGS_AFTER, Health, Server
from reco.loop.metrics import Metrics
from reco.loop.queue import WorkQueue
from reco.loop.settings import Settings

Body = dict[str, Any]


# --- settings -------------------------------------------------------------------------------


def test_the_environment_sets_and_a_flag_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECO_NAMESPACES", "shop, search")
    monkeypatch.setenv("RECO_WORKERS", "3")
    assert Settings().namespaces == ("shop", "search")
    assert Settings().workers == 3
    assert Settings(workers=5).workers == 5


def test_every_setting_is_a_flag_that_explains_itself() -> None:
    parser = argparse.ArgumentParser()
    text = operate.add_parser(parser.add_subparsers()).format_help()
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text
        assert field.description, name


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"listen": "8080"}, {"resync": -1}, {"log_level": "loud"}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)


def test_wrong_settings_end_the_command_with_their_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = argparse.ArgumentParser()
    operate.add_parser(parser.add_subparsers())
    assert operate.run(parser.parse_args(["operate", "--workers", "none"])) == 2
    assert "workers" in capsys.readouterr().err


# --- logs -----------------------------------------------------------------------------------


def test_a_log_line_is_an_object_with_the_callers_keys() -> None:
    record = logging.makeLogRecord(
        {"name": "reco", "levelname": "INFO", "msg": "made %s", "args": ("it",), "resource": "x"}
    )
    line = json.loads(logs.JSONFormatter().format(record))
    assert line["message"] == "made it"
    assert line["resource"] == "x"
    assert line["level"] == "info"
    assert set(line) == {"time", "level", "logger", "message", "resource"}


def test_libraries_are_quiet_and_ours_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    stream = io.StringIO()
    logs.configure("info", stream)
    try:
        logging.getLogger("kopf.objects").info("an event")
        logging.getLogger("reco.loop").info("hello")
    finally:
        root.setLevel(level)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["hello"]


# --- health ---------------------------------------------------------------------------------


def answer(server: Server, path: str) -> tuple[int, str]:
    host, port = server.address
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}") as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_says_which_check_failed() -> None:
    problems: dict[str, str | None] = {"queue": None, "caches": "not listed yet: solutions"}
    now = 0.0
    health = Health(
        alive={"queue": lambda: problems["queue"]},
        ready={"caches": lambda: problems["caches"]},
        facts=lambda: {"role": "leader"},
        clock=lambda: now,
    )
    metrics = Metrics()
    with Server(("127.0.0.1", 0), health, metrics.registry) as server:
        assert answer(server, "/healthz")[0] == 200
        status, text = answer(server, "/readyz")
        assert status == 503
        assert json.loads(text)["checks"]["caches"] == "not listed yet: solutions"
        problems["caches"] = None
        health.publish()
        assert answer(server, "/readyz")[0] == 200
        now = LOOP_HANGS_AFTER + 1  # nobody publishes any more
        status, text = answer(server, "/healthz")
        assert status == 503
        assert "no sign of life" in json.loads(text)["checks"]["event loop"]
        status, text = answer(server, "/metrics")
        assert status == 200
        assert "workqueue_depth" in text
        assert answer(server, "/")[0] == 404


# --- metrics --------------------------------------------------------------------------------


def test_conditions_are_counted_by_kind_type_status_and_reason(
    body: Callable[..., Body],
) -> None:
    def resource(status: str, reason: str) -> Resource:
        condition = {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        return parse(body("Solution", "a", status={"conditions": [condition]}))

    metrics = Metrics()
    value = metrics.registry.get_sample_value
    pending, ready = resource("False", "Pending"), resource("True", "InSync")
    labels = {"kind": "Solution", "type": "Ready", "status": "True", "reason": "InSync"}
    metrics.changed(None, pending)
    metrics.changed(pending, ready)
    assert value("reco_resource_conditions", labels) == 1
    assert value("reco_resources", {"kind": "Solution"}) == 1
    metrics.changed(ready, None)
    assert value("reco_resource_conditions", labels) == 0
    assert value("reco_resources", {"kind": "Solution"}) == 0


def test_the_names_are_those_that_dashboards_for_controllers_expect() -> None:
    metrics = Metrics()
    queue = WorkQueue[Key](lambda: 0.0, observer=metrics)
    queue.add(Key("Solution", "shop", "a"))
    metrics.sample(queue)
    metrics.requested("GET", "https://api", "200", 0.1)
    text = generate_latest(metrics.registry).decode()
    for name in (
        "controller_runtime_reconcile_total",
        "controller_runtime_reconcile_errors_total",
        "controller_runtime_reconcile_panics_total",
        "controller_runtime_reconcile_time_seconds_bucket",
        "controller_runtime_max_concurrent_reconciles",
        "controller_runtime_active_workers",
        'workqueue_depth{name="reco"} 1.0',
        'workqueue_adds_total{name="reco"} 1.0',
        "workqueue_queue_duration_seconds_bucket",
        "workqueue_work_duration_seconds_bucket",
        "workqueue_unfinished_work_seconds",
        "workqueue_longest_running_processor_seconds",
        "workqueue_retries_total",
        'rest_client_requests_total{code="200",host="https://api",method="GET"} 1.0',
        "rest_client_request_duration_seconds_bucket",
        "leader_election_master_status",
    ):
        assert name in text


# --- engines --------------------------------------------------------------------------------


class Recorder:
    """An engine that notes what is done with it as a whole."""

    def __init__(self) -> None:
        self.runs = 0
        self.stopped = False
        self.forgotten: list[Key] = []

    async def run(self, notify: Callable[[Key], None]) -> None:
        self.runs += 1
        notify(Key("Solution", "shop", "a"))
        if self.runs == 1:
            raise RuntimeError("the first watch fails")
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True

    def forget(self, key: Key) -> None:
        self.forgotten.append(key)


def test_a_class_has_one_engine_until_its_spec_changes(run: Any, body: Callable[..., Body]) -> None:
    made: list[Recorder] = []

    def factory(_: Resource) -> Any:
        made.append(Recorder())
        return made[-1]

    async def main() -> None:
        notified: list[Key] = []
        engines = Engines(factory, notified.append)
        first = parse(body("EngineClass", "aws", 1))
        assert engines.get(first) is engines.get(parse(body("EngineClass", "aws", 2)))
        await asyncio.sleep(10)
        assert made[0].runs == 2, "a watch that fails is started again"
        assert len(notified) == 2
        other = {"engine": "Personalize", "personalize": {"region": "us-east-1"}}
        engines.get(parse(body("EngineClass", "aws", 3, spec=other)))
        assert len(made) == 2
        await asyncio.sleep(10)
        assert made[0].stopped
        key = Key("Solution", "shop", "a")
        engines.forget(key)
        assert made[1].forgotten == [key]
        await engines.close()
        assert made[1].stopped

    run(main)
