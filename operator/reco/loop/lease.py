"""Leader election: of several replicas, one works and the others wait.

The algorithm is that of client-go's leaderelection, over a Lease. Nobody trusts anybody else's
clock: a lease counts as expired when its record has not changed for its duration, measured by the
waiting replica's own monotonic clock.

`valid` is the fence: it answers from the monotonic clock alone, so a leader that was stopped or cut
off for too long knows by itself, before any request, that it may no longer change anything. It
turns false earlier than anyone else can take over, by the difference between the lease's duration
and the renewal deadline: enough for an engine call that is under way.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from reco.cluster.errors import StoreConflict, StoreError, StoreExists

logger = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818 - a fact, not an error of this code
    """This process can't prove any more that it leads: it must stop at once."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a Lease says."""

    holder: str
    """Identity of the leader; empty when it has stepped down."""
    duration: float
    """Seconds after which an unrenewed lease may be taken."""
    acquired: datetime
    renewed: datetime
    transitions: int = 0
    resource_version: str = ""


class LeaseStore(Protocol):
    """Where the lease is kept. All methods raise `StoreError`."""

    async def read(self) -> LeaseRecord | None:
        """Return the record; None if there is none."""
        ...

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        """Make the record.

        Raises:
            StoreExists: if somebody else was faster.
        """
        ...

    async def replace(self, record: LeaseRecord) -> LeaseRecord:
        """Write the record.

        Raises:
            StoreConflict: if it changed since `record.resource_version` was read.
        """
        ...


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Durations in seconds; the defaults are those of client-go."""

    duration: float = 15.0
    """How long the others wait before they take an unrenewed lease."""
    renew_deadline: float = 10.0
    """How long the leader tries to renew before it gives up; less than the duration."""
    retry: float = 2.0
    """Between two attempts to acquire or renew."""

    def __post_init__(self) -> None:
        """Refuse durations that would let two replicas lead."""
        if not 0 < self.retry < self.renew_deadline < self.duration:
            raise ValueError(
                "lease timing needs retry < renew deadline < duration, all above 0; got"
                f" {self.retry:g}, {self.renew_deadline:g} and {self.duration:g} seconds"
            )


class Lease:
    """One replica's part in the election."""

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        timing: LeaseTiming | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Take no part yet.

        Args:
            store: where the lease is kept.
            identity: unique among the replicas.
            clock: monotonic seconds, also of the event loop.
            now: wall clock in UTC, for the record only.
            timing: durations.
            rng: spreads the attempts of several replicas.
        """
        self._store = store
        self._identity = identity
        self._clock = clock
        self._now = now
        self._timing = timing or LeaseTiming()
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._record: LeaseRecord | None = None
        self._observed_at = 0.0
        self._valid_until: float | None = None

    @property
    def leading(self) -> bool:
        """Whether this replica was elected and has not stepped down, lost or not."""
        return self._valid_until is not None

    def valid(self) -> bool:
        """Whether this replica may change anything right now."""
        return self._valid_until is not None and self._clock() < self._valid_until

    async def acquire(self) -> None:
        """Wait until this replica leads."""
        while not await self._attempt():  # noqa: ASYNC110 - nothing signals an expiry
            await asyncio.sleep(self._timing.retry * self._rng.uniform(1.0, 1.2))
        logger.info("leading", extra={"identity": self._identity})

    async def hold(self) -> None:
        """Renew the lease until cancelled.

        Raises:
            LeaseLost: if it was taken, or could not be renewed in time.
        """
        while True:
            await asyncio.sleep(self._timing.retry)
            if not self.valid():
                raise LeaseLost(
                    f"the lease was not renewed within {self._timing.renew_deadline:g} s"
                )
            try:
                async with asyncio.timeout_at(self._valid_until):
                    renewed = await self._attempt()
            except TimeoutError:
                continue
            if not renewed and self._record is not None and self._record.holder != self._identity:
                raise LeaseLost(f"the lease was taken by {self._record.holder or 'nobody'}")

    async def release(self) -> None:
        """Step down, so that another replica need not wait for the lease to expire."""
        if not self.valid() or self._record is None:
            self._valid_until = None
            return
        self._valid_until = None
        try:
            await self._store.replace(
                replace(self._record, holder="", duration=1.0, renewed=self._now())
            )
        except StoreError as error:
            logger.warning("could not release the lease; it will expire: %s", error)

    async def _attempt(self) -> bool:
        """Try once to acquire or renew; return whether this replica leads by it."""
        began = self._clock()
        try:
            written = await self._write(began)
        except (StoreConflict, StoreExists):
            return False  # somebody else was faster; the next attempt reads what they wrote
        except StoreError as error:
            logger.warning("could not reach the lease: %s", error)
            return False
        if written is None:
            return False
        self._observe(written)
        self._valid_until = began + self._timing.renew_deadline
        return True

    async def _write(self, began: float) -> LeaseRecord | None:
        now = self._now()
        found = await self._store.read()
        if found is None:
            return await self._store.create(
                LeaseRecord(self._identity, self._timing.duration, now, now)
            )
        self._observe(found)
        if found.holder == self._identity:
            return await self._store.replace(
                replace(found, duration=self._timing.duration, renewed=now)
            )
        if found.holder and began < self._observed_at + found.duration:
            return None
        return await self._store.replace(
            LeaseRecord(
                self._identity,
                self._timing.duration,
                acquired=now,
                renewed=now,
                transitions=found.transitions + 1,
                resource_version=found.resource_version,
            )
        )

    def _observe(self, record: LeaseRecord) -> None:
        if self._record is None or self._record.resource_version != record.resource_version:
            self._observed_at = self._clock()
        self._record = record
