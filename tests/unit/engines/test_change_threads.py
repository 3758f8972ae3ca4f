"""A change that has waited for its turn is sent at once, however many reads hang."""

import asyncio
import time
from threading import Event
from typing import Any

from reco.engines.personalize.aws import THREADS, AwsClient, _Services
from reco.engines.personalize.threads import Threads
from reco.engines.personalize.throttle import TokenBucket


class Service:
    """A service whose reads hang until they are let go."""

    def __init__(self) -> None:
        self.go = Event()
        self.changed = Event()

    def list_campaigns(self) -> dict[str, Any]:
        self.go.wait(10)
        return {}

    def delete_campaign(self) -> dict[str, Any]:
        self.changed.set()
        return {}


def test_a_change_does_not_wait_for_reads_that_hang() -> None:
    async def scenario() -> None:
        service = Service()
        client = AwsClient(
            lambda: _Services(service, service, None, None),
            TokenBucket(1000.0, time.monotonic, asyncio.sleep),
            Threads(THREADS, "reads"),
            Threads(THREADS, "changes"),
            None,
        )
        reads = [asyncio.create_task(client.call("ListCampaigns")) for _ in range(2 * THREADS)]
        await asyncio.sleep(0)
        try:
            await asyncio.wait_for(client.call("DeleteCampaign"), 5)
        finally:
            service.go.set()
        assert service.changed.is_set()
        await asyncio.gather(*reads)

    asyncio.run(scenario())
