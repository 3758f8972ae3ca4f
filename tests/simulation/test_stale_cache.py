"""A cache that lags behind the API server costs few refused writes, and no endless ones."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from reco.api.resource import Key
from tests.simulation.desk import CAMPAIGN, Desk, OneObjectEngine, campaign, opened, standing
from tests.support.virtual_loop import VirtualLoop

LAG = 213.0
"""Seconds for which a watch once lagged behind."""


def run(main: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


async def work(desk: Desk, seconds: float) -> None:
    """Look at the campaign whenever it is queued, for a while, as a worker does."""

    async def worker() -> None:
        while (key := await desk.queue.get()) is not None:
            if key == CAMPAIGN:
                await desk.look(key)
            desk.queue.done(key)

    with suppress(TimeoutError):
        await asyncio.wait_for(worker(), seconds)


def writes(desk: Desk, key: Key) -> list[str]:
    return [request for request in desk.requests if request == f"patch status of {key}"]


def test_a_lagging_watch_costs_few_refused_writes() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign())
        desk.lagging = True
        desk.server.update(CAMPAIGN, {"metadata": {"labels": {"team": "media"}}})
        desk.queue.add(CAMPAIGN)
        await work(desk, LAG)
        assert len(writes(desk, CAMPAIGN)) == 2, "one that is refused, one after a fresh reading"
        assert desk.conditions(CAMPAIGN)["Ready"] == "True/InSync"

    run(scenario())


def test_refusals_that_a_fresh_reading_does_not_end_are_backed_off() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign())
        desk.before_write = lambda: desk.server.update(
            CAMPAIGN, {"metadata": {"annotations": {"write": str(len(desk.requests))}}}
        )
        desk.queue.add(CAMPAIGN)
        await work(desk, LAG)
        assert 3 < len(writes(desk, CAMPAIGN)) < 15

    run(scenario())


def test_what_went_while_the_cache_lagged_is_forgotten() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign())
        desk.lagging = True
        desk.server.update(CAMPAIGN, {"metadata": {"finalizers": []}})
        desk.server.delete(CAMPAIGN)
        desk.queue.add(CAMPAIGN)
        await work(desk, LAG)
        assert desk.cache.get(CAMPAIGN) is None
        assert len(writes(desk, CAMPAIGN)) == 1

    run(scenario())
