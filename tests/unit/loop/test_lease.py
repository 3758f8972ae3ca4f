import asyncio
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reco.cluster.errors import StoreConflict, StoreExists, StoreUnavailable
from reco.loop.lease import Lease, LeaseLost, LeaseRecord, LeaseTiming


@dataclass
class Shelf:
    """Keeps one lease as the API server does: by resource version."""

    record: LeaseRecord | None = None
    version: int = 0
    away: bool = False

    async def read(self) -> LeaseRecord | None:
        self.answer()
        return self.record

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        self.answer()
        if self.record is not None:
            raise StoreExists("there is one")
        return self.keep(record)

    async def replace(self, record: LeaseRecord) -> LeaseRecord:
        self.answer()
        if self.record is None or record.resource_version != self.record.resource_version:
            raise StoreConflict("it changed")
        return self.keep(record)

    def answer(self) -> None:
        if self.away:
            raise StoreUnavailable("away")

    def keep(self, record: LeaseRecord) -> LeaseRecord:
        self.version += 1
        self.record = replace(record, resource_version=str(self.version))
        return self.record


def replica(shelf: Shelf, name: str) -> Lease:
    return Lease(
        shelf,
        name,
        clock=asyncio.get_running_loop().time,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        rng=random.Random(name),
    )


def test_the_first_replica_leads_and_the_second_waits(run: Any) -> None:
    async def main() -> None:
        shelf = Shelf()
        first, second = replica(shelf, "first"), replica(shelf, "second")
        await first.acquire()
        holding = asyncio.create_task(first.hold())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(second.acquire(), 3600)
        assert first.valid()
        assert not second.valid()
        holding.cancel()

    run(main)


def test_the_second_takes_over_within_the_duration_after_the_first_died(run: Any) -> None:
    async def main() -> None:
        shelf = Shelf()
        first, second = replica(shelf, "first"), replica(shelf, "second")
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        began = asyncio.get_running_loop().time()
        await waiting
        assert 15 <= asyncio.get_running_loop().time() - began <= 15 + 2.4
        assert shelf.record is not None
        assert shelf.record.transitions == 1

    run(main)


def test_a_released_lease_is_taken_at_once(run: Any) -> None:
    async def main() -> None:
        shelf = Shelf()
        first, second = replica(shelf, "first"), replica(shelf, "second")
        await first.acquire()
        await first.release()
        assert not first.valid()
        await second.acquire()
        assert asyncio.get_running_loop().time() == 0

    run(main)


def test_two_replicas_are_never_valid_at_the_same_time_when_the_leader_is_cut_off(run: Any) -> None:
    async def main() -> None:
        shelf = Shelf()
        first, second = replica(shelf, "first"), replica(shelf, "second")
        await first.acquire()
        # The first is frozen: it renews nothing, and its fence must fall by itself.
        waiting = asyncio.create_task(second.acquire())
        while not waiting.done():
            assert not (first.valid() and second.valid())
            await asyncio.sleep(0.1)
        assert not first.valid()
        with pytest.raises(LeaseLost):
            await first.hold()

    run(main)


def test_a_leader_that_can_not_renew_gives_up_at_the_deadline(run: Any) -> None:
    async def main() -> None:
        shelf = Shelf()
        leader = replica(shelf, "leader")
        await leader.acquire()
        shelf.away = True
        with pytest.raises(LeaseLost, match="not renewed within 10 s"):
            await leader.hold()
        assert asyncio.get_running_loop().time() <= 12

    run(main)


def test_a_short_outage_of_the_api_costs_nothing(run: Any) -> None:
    async def main() -> None:
        shelf = Shelf()
        leader = replica(shelf, "leader")
        await leader.acquire()
        holding = asyncio.create_task(leader.hold())
        for _ in range(10):
            shelf.away = True
            await asyncio.sleep(5)
            shelf.away = False
            await asyncio.sleep(5)
        assert leader.valid()
        assert not holding.done()
        holding.cancel()

    run(main)


def test_a_leader_stops_when_somebody_took_its_lease(run: Any) -> None:
    async def main() -> None:
        shelf = Shelf()
        leader = replica(shelf, "leader")
        await leader.acquire()
        assert shelf.record is not None
        shelf.keep(replace(shelf.record, holder="thief"))
        with pytest.raises(LeaseLost, match="thief"):
            await leader.hold()

    run(main)


@pytest.mark.parametrize("durations", [(10, 10, 2), (15, 10, 10), (15, 10, 0)])
def test_durations_that_would_let_two_lead_are_refused(durations: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="retry < renew deadline < duration"):
        LeaseTiming(*durations)
