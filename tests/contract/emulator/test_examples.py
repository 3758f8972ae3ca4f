"""Scripts of the examples do what their guides say."""

import os
import subprocess
import sys
from pathlib import Path

from tests.contract.emulator.estate import ACCOUNT, Service

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_two_endpoints_are_compared_side_by_side(service: Service) -> None:
    _, campaign = service.serving()
    options = ["--arn", campaign, "--user", "7", "--results", "3"]
    done = subprocess.run(
        [
            sys.executable,
            EXAMPLES / "switch-engine" / "compare.py",
            *options,
            *("--left", service.url, "--right", service.url),
        ],
        env={**os.environ, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "any"},
        capture_output=True,
        text=True,
        check=True,
    )

    header, *rows, summary = done.stdout.splitlines()
    answer = service.runtime.get_recommendations(campaignArn=campaign, userId="7", numResults=3)
    items = [one["itemId"] for one in answer["itemList"]]
    assert header.split() == ["left", "right"]
    assert [row.split() for row in rows] == [
        [str(place), item, "*", item, "*"] for place, item in enumerate(items, start=1)
    ]
    assert summary == "3 of 3 are in both"
