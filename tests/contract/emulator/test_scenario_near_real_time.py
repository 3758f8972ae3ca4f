"""The near-real-time scenario from end to end: AWS command line and boto3 against the process.

Solution, solution version, campaign, event tracker; five recommendations for user 429; one click on
item 185; five recommendations again, and the list has changed. Then everything is cleaned up.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.contract.emulator.estate import ACCOUNT, INTERACTIONS, RECIPES, REGION, ROLE

USER, ITEM = "429", "185"
COMMAND = """
import argparse, sys
from reco.cli import emulate
parser = argparse.ArgumentParser()
emulate.add_parser(parser.add_subparsers())
sys.exit(emulate.run(parser.parse_args()))
"""


def clicks() -> str:
    """Let 500 users wander along a ring of 250 items: what comes next is a little further on.

    They clicked 1 to 19 times; user 429 is nearly new.
    """
    drawn = random.Random(7)
    rows = ["USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE"]
    for user in range(500):
        item = drawn.randrange(250)
        for k in range(1 + (user - int(USER)) % 19):
            item = (item + drawn.randint(1, 3)) % 250
            rows.append(f"{user},{item},{1_600_000_000 + user + k * 600},click")
    return "\n".join(rows)


@dataclass
class Process:
    """One run of ``reco emulate`` and a command line that talks to it."""

    arguments: list[str]
    environment: dict[str, str]

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "emulate", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environment,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def aws(self, *arguments: str) -> Any:
        command = [str(Path(sys.executable).parent / "aws"), *arguments]
        done = subprocess.run(
            [*command, "--endpoint-url", self.url, "--output", "json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def boto3(self) -> Any:
        return boto3.client(
            "personalize",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path, data=json.dumps(body).encode() if body else None, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def pass_time(self, seconds: float) -> None:
        self.admin("POST", "/_reco/clock", {"advanceSeconds": seconds})

    def wait_until_trained(self, version: str) -> str:
        """Ask until the real training, which takes real time, is over."""
        personalize = self.boto3()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            shown = personalize.describe_solution_version(solutionVersionArn=version)
            status: str = shown["solutionVersion"]["status"]
            if status in {"ACTIVE", "CREATE FAILED"}:
                return status
            time.sleep(0.1)  # the end of another process has no event to wait for here
        raise AssertionError(f"{version} was not trained within 60 s")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Process]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_PAGER": "",
    }
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    s3.create_bucket(Bucket="movies")
    s3.put_object(Bucket="movies", Key="interactions/clicks.csv", Body=clicks().encode())
    process = Process(
        [
            *("--listen", "127.0.0.1:0"),
            *("--state", str(tmp_path / "state.db")),
            *("--s3-endpoint", endpoint),
            *("--account", ACCOUNT),
            *("--seed", "1"),
        ],
        environment,
    )
    process.start()
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.stop()
        s3.close()
        moto.stop()


def imported_clicks(emulator: Process, personalize: Any) -> tuple[str, str, str]:
    """Import the clicks with boto3, and give dataset group, schema and dataset."""
    group = personalize.create_dataset_group(name="movies")["datasetGroupArn"]
    schema = personalize.create_schema(name="clicks", schema=INTERACTIONS)["schemaArn"]
    emulator.pass_time(30)
    dataset = personalize.create_dataset(
        name="clicks", datasetType="Interactions", datasetGroupArn=group, schemaArn=schema
    )["datasetArn"]
    emulator.pass_time(30)
    personalize.create_dataset_import_job(
        jobName="clicks",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://movies/interactions/"},
        roleArn=ROLE,
    )
    emulator.pass_time(330)
    return group, schema, dataset


def test_a_click_changes_what_the_command_line_is_recommended(emulator: Process) -> None:
    group, schema, dataset = imported_clicks(emulator, emulator.boto3())
    solution = emulator.aws(
        "personalize", "create-solution", "--name", "for-you", "--dataset-group-arn", group,
        "--recipe-arn", f"{RECIPES}aws-user-personalization", "--no-perform-auto-training",
    )["solutionArn"]  # fmt: skip
    version = emulator.boto3().create_solution_version(solutionArn=solution, name="first")[
        "solutionVersionArn"
    ]
    emulator.pass_time(1350)

    assert emulator.stop(signal.SIGKILL) == -signal.SIGKILL
    emulator.start()
    assert emulator.wait_until_trained(version) == "ACTIVE", "also when killed in the middle"

    personalize = emulator.boto3()
    metrics = personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
    assert 0 < metrics["precision_at_5"] <= 1
    campaign = personalize.create_campaign(name="home", solutionVersionArn=version)["campaignArn"]
    tracker = personalize.create_event_tracker(name="clicks", datasetGroupArn=group)
    emulator.pass_time(600)

    def five_for_the_user() -> list[tuple[str, float]]:
        answer = emulator.aws(
            "personalize-runtime", "get-recommendations", "--campaign-arn", campaign,
            "--user-id", USER, "--num-results", "5",
        )  # fmt: skip
        return [(one["itemId"], one["score"]) for one in answer["itemList"]]

    before = five_for_the_user()
    event = {"eventType": "click", "itemId": ITEM, "sentAt": time.time()}
    emulator.aws(
        "personalize-events", "put-events", "--tracking-id", tracker["trackingId"],
        "--user-id", USER, "--session-id", "session", "--event-list", json.dumps([event]),
    )  # fmt: skip
    after = five_for_the_user()
    assert len(before) == len(after) == 5
    assert {item for item, _ in after} - {item for item, _ in before}, "a new item enters"
    assert dict(after) != dict(before), "scores move"

    personalize.delete_campaign(campaignArn=campaign)
    emulator.pass_time(990)
    emulator.aws("personalize", "delete-solution", "--solution-arn", solution)
    personalize.delete_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])
    emulator.pass_time(60)
    personalize.delete_dataset(datasetArn=dataset)
    emulator.pass_time(80)
    personalize.delete_dataset_group(datasetGroupArn=group)
    personalize.delete_schema(schemaArn=schema)
    emulator.pass_time(30)
    assert emulator.admin("GET", "/_reco/health")["resources"] == {}
    created = emulator.admin("GET", "/_reco/calls?operation=CreateSolutionVersion")["calls"]
    assert [call["outcome"] for call in created] == ["OK"]
    assert emulator.stop() == 0
