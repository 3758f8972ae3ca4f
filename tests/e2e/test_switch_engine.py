"""From Amazon Personalize into the cluster, as `examples/switch-engine` says, on real pods."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.images import Images, class_settings
from hack.node import NodeCluster
from hack.s3 import S3Server
from tests.cluster.emulated import EmulatorProcess, interactions
from tests.e2e.estate import Estate, Manifest, within
from tests.e2e.setting import estate_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "switch-engine"
BUCKET = "movies"
RIGHT = "our-movies-for-you"

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def emulator(
    operator: NodeCluster, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("emulator")
    with EmulatorProcess(folder, s3, address=operator.host_address) as running:
        yield running


@pytest.fixture(scope="module")
def estate(
    operator: NodeCluster, images: Images, s3: S3Server, emulator: EmulatorProcess
) -> Iterator[Estate]:
    """Both sides of the example at work, with the settings that its text asks for."""
    s3.create_bucket(BUCKET)
    s3.upload(BUCKET, "interactions/interactions.csv", interactions())
    left, right = side("10-personalize.yaml"), side("20-in-cluster.yaml")
    personalize, in_cluster = left.pop(0), right.pop(0)
    personalize["spec"]["personalize"] |= {"endpointURL": emulator.url, "s3EndpointURL": s3.url}
    settings = in_cluster["spec"]["inCluster"]
    settings["images"] = class_settings(images)
    settings["storage"]["s3"] |= {"endpointURL": s3.url, "credentialsSecretRef": {"name": "s3"}}
    small = {"resources": {"cpu": "50m", "memory": "256Mi"}}
    settings |= {"serving": {"minReplicas": 1, **small}, "events": small}
    settings |= {"jobs": {"resources": {"cpu": "100m", "memory": "512Mi"}}}
    settings |= {"training": {"resources": {"cpu": "100m", "memory": "1Gi"}}}
    with ExitStack() as stack:
        estate = stack.enter_context(estate_in(operator, in_cluster, s3))
        operator.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(personalize))
        for one in (*left, *right):
            one["metadata"]["namespace"] = estate.namespace
        estate.apply(*left, *right)
        estate.watch.ready("Campaign", "movies-for-you", timeout=400)
        estate.watch.ready("Campaign", RIGHT, timeout=400)
        estate.watch.ready("EventTracker", "our-movies", timeout=60)
        yield estate


def side(file: str) -> list[Manifest]:
    return list(yaml.safe_load_all((EXAMPLE / file).read_text()))


def told(estate: Estate, config_map: str) -> dict[str, str]:
    """Return what the application's pods are told, at addresses that this machine reaches."""
    data: dict[str, str] = estate.get("configmap", config_map)["data"]
    return data | {"endpoint": estate.node.reach(data["endpoint"])}


def test_an_application_compares_moves_and_lets_the_old_side_go(
    estate: Estate, emulator: EmulatorProcess
) -> None:
    arn = estate.arn()
    options = [
        f"--left={emulator.url}",
        f"--right={told(estate, f'{RIGHT}-endpoint')['endpoint']}",
        f"--arn={arn}",
        "--user=u1",
        "--results=5",
    ]
    shown = subprocess.run(
        [sys.executable, EXAMPLE / "compare.py", *options],
        env={"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # One recipe, one data set, one seed.
    assert shown.splitlines()[-1] == "5 of 5 are in both"

    runtime = estate.client("personalize-runtime", told(estate, f"{RIGHT}-endpoint")["endpoint"])
    tracker = told(estate, "our-movies-events-endpoint")
    events = estate.client("personalize-events", tracker["endpoint"])
    estate.kubectl("delete", "campaign", "movies-for-you")
    estate.kubectl("delete", "-f", str(EXAMPLE / "10-personalize.yaml"), "--ignore-not-found")
    deleted = {call["operation"] for call in emulator.calls("eu-west-1", mutating=True)}
    assert "DeleteCampaign" in deleted
    assert not deleted & {"DeleteDatasetGroup", "DeleteDataset", "DeleteSolution"}  # retained

    def recommended() -> list[str]:
        answer: Any = runtime.get_recommendations(campaignArn=arn, userId="u1", numResults=5)
        return [item["itemId"] for item in answer["itemList"]]

    first = recommended()[0]
    events.put_events(
        trackingId=tracker["trackingId"],
        userId="u1",
        sessionId="s1",
        eventList=[{"eventType": "watch", "itemId": first, "sentAt": datetime.now(UTC)}],
    )
    within(10, lambda: first not in recommended(), "what was watched is not recommended")
