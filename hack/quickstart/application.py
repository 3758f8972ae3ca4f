"""An application: it knows boto3, two ARNs and two endpoints, and nothing of who answers."""

import time
from datetime import UTC, datetime
from typing import Final

import boto3
from rich.table import Table

from hack.processes import ProcessError
from hack.quickstart.estate import Estate
from hack.quickstart.screen import console

REFLECTION_SECONDS: Final = 10.0
"""How long an event may take until answers show it."""


def recommend(estate: Estate) -> None:
    """Ask for recommendations, send one event, and ask again.

    Raises:
        ProcessError: if the event did not change the answer.
    """
    campaign = estate.resource("campaign", "movies-for-you")["status"]
    tracker = estate.resource("eventtracker", "movies")["status"]
    data, reach = estate.data, estate.cluster.reach
    runtime = boto3.client("personalize-runtime", endpoint_url=reach(campaign["endpoint"]))
    events = boto3.client("personalize-events", endpoint_url=reach(tracker["endpoint"]))

    def ask() -> list[str]:
        answer = runtime.get_recommendations(
            campaignArn=campaign["external"]["arn"], userId=data.user, numResults=10
        )
        return [item["itemId"] for item in answer["itemList"]]

    before = ask()
    clicked = before[-1]
    events.put_events(
        trackingId=tracker["trackingID"],
        userId=data.user,
        sessionId="quickstart",
        eventList=[{"eventType": "watch", "itemId": clicked, "sentAt": datetime.now(UTC)}],
    )
    sent = time.monotonic()
    while (after := ask()) == before:
        if time.monotonic() - sent > REFLECTION_SECONDS:
            raise ProcessError("the event did not change the recommendations")
        time.sleep(0.05)
    took = time.monotonic() - sent
    console.print(
        f"\n[bold]GetRecommendations[/bold] for user {data.user}, before and {took:.2f} s after"
        f" [bold]PutEvents[/bold]: watched {data.title(clicked)}",
        highlight=False,
    )
    grid = Table(box=None, padding=(0, 2, 0, 2))
    for column in ("", "before", "after"):
        grid.add_column(column, no_wrap=True, overflow="ellipsis")
    for place, (old, new) in enumerate(zip(before, after, strict=True), start=1):
        text = data.title(new)
        mark = text if new in before else f"[green]{text}  (new)[/green]"
        grid.add_row(str(place), data.title(old), mark)
    console.print(grid)
