"""What two endpoints recommend to a user, side by side: the same call with the same ARN to both.

An endpoint that is left out is Amazon Personalize itself, with the credentials of the environment.
"""

import argparse
import itertools
from typing import Any

import boto3


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--arn", required=True, help="of the campaign, as the application has it")
    options.add_argument("--user", required=True, help="whom to recommend to")
    options.add_argument("--results", type=int, default=10, help="how many items (default 10)")
    options.add_argument("--left", metavar="URL", help="endpoint on the left (default: AWS)")
    options.add_argument("--right", metavar="URL", required=True, help="endpoint on the right")
    return options


def recommended(endpoint: str | None, options: argparse.Namespace) -> list[str]:
    """Return the items that an endpoint recommends, best first."""
    region = options.arn.split(":")[3] or None
    runtime: Any = boto3.client("personalize-runtime", endpoint_url=endpoint, region_name=region)
    answer = runtime.get_recommendations(
        campaignArn=options.arn, userId=options.user, numResults=options.results
    )
    return [item["itemId"] for item in answer["itemList"]]


def table(left: list[str], right: list[str]) -> str:
    """Return two lists as columns; a star marks what is in both."""
    both = set(left) & set(right)
    rows = [
        [f"{item} *" if item in both else item for item in pair]
        for pair in itertools.zip_longest(left, right, fillvalue="")
    ]
    width = max([len("left"), *(len(row[0]) for row in rows)])
    lines = [f"{place:>3}  {a:<{width}}  {b}" for place, (a, b) in enumerate(rows, start=1)]
    header = f"     {'left':<{width}}  right"
    return "\n".join([header, *lines, f"{len(both)} of {len(left)} are in both"])


if __name__ == "__main__":
    arguments = parser().parse_args()
    print(table(recommended(arguments.left, arguments), recommended(arguments.right, arguments)))
