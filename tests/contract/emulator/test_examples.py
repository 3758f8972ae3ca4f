"""Programs of the README and the examples do what is said of them."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.contract.emulator.estate import ACCOUNT, Service

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
COMPARE = ROOT / "examples" / "switch-engine" / "compare.py"


def run(command: Sequence[str | Path], **environment: str) -> str:
    keys = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "any"}
    env = {**os.environ, **keys, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def recommended(service: Service, campaign: str, *, user: str, count: int = 10) -> list[str]:
    answer = service.runtime.get_recommendations(
        campaignArn=campaign, userId=user, numResults=count
    )
    return [one["itemId"] for one in answer["itemList"]]


def test_two_endpoints_are_compared_side_by_side(service: Service) -> None:
    _, campaign = service.serving()
    endpoints = ["--left", service.url, "--right", service.url]
    options = ["--arn", campaign, "--user", "7", "--results", "3"]
    shown = run([sys.executable, COMPARE, *endpoints, *options])

    header, *rows, summary = shown.splitlines()
    assert header.split() == ["left", "right"]
    assert [row.split() for row in rows] == [
        [str(place), item, "*", item, "*"]
        for place, item in enumerate(recommended(service, campaign, user="7", count=3), start=1)
    ]
    assert summary == "3 of 3 are in both"


def test_the_readmes_application_gets_an_answer_and_sends_an_event(service: Service) -> None:
    group, campaign = service.serving()
    _, tracking = service.tracker(group)
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    before = recommended(service, campaign, user="42")
    environment = {
        "RUNTIME_ENDPOINT": service.url,
        "EVENTS_ENDPOINT": service.url,
        "CAMPAIGN_ARN": campaign,
        "TRACKING_ID": tracking,
        "AWS_DEFAULT_REGION": service.region,
    }
    run([sys.executable, "-c", program], **environment)

    assert before[0] not in recommended(service, campaign, user="42")
