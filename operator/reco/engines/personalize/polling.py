"""One list for everything in flight: API calls grow with pages, not with objects.

A `Poller` lists all objects of one kind in the account and region. Whoever needs a list that is
fresh enough shares one call with all others who do; in the background the list is repeated, fast
while something of ours moves and slowly when nothing does, and what changed is reported.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from reco.api.resource import Key
from reco.decide.model import ErrorClass
from reco.engines.personalize.client import PersonalizeClient
from reco.engines.personalize.listing import (
    Description,
    Snapshot,
    states_below,
    take_snapshot,
)
from reco.engines.personalize.wire import TRANSITIONAL, Wire
from reco.engines.port import EngineError

_DOUBLINGS = 16
"""More than any period takes, and few enough for a float."""

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Time = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class PollSettings:
    """How often to look, in seconds."""

    fast: float = 10.0
    """Between two lists of a kind of which something of ours moves."""
    slow: float = 300.0
    """Between two lists of a kind of which nothing moves."""
    sweep: float = 21_600.0
    """Between two looks at the details and tags of an object that no list shows as changed."""
    update: float = 60.0
    """Between two looks at an object whose update is in flight, which lists may not show."""
    settle: float = 180.0
    """How long a list may lag behind a call whose outcome is unknown."""
    source: float = 60.0
    """How long a listing of bulk data is good for."""
    jitter: float = 0.1
    """By how much of itself a period may be longer."""


@dataclass(frozen=True, slots=True)
class Timers:
    """Time and chance, injected: a simulation brings its own."""

    clock: Clock
    """The time of day, aware."""
    time: Time
    """A monotonic time in seconds."""
    sleep: Sleep
    random: random.Random


@dataclass(slots=True)
class Interest:
    """One resource that wants to know of changes."""

    id: str | None
    name: str
    moving: bool = False
    """Whether it will change by itself."""
    updating: bool = False
    """Whether an update is in flight."""
    children: tuple[tuple[str, str], ...] | None = None
    """Ids and states of what lies below `id`, for a resource that watches those instead."""
    reported: object = None
    """What was last reported, so that it is reported once."""


class Poller:
    """Lists one kind, for all who need it."""

    def __init__(
        self, wire: Wire, client: PersonalizeClient, timers: Timers, settings: PollSettings
    ) -> None:
        self.wire = wire
        self.descriptions: dict[str, Description] = {}
        self.unchanged: dict[str, tuple[str, datetime]] = {}
        """Signatures of entries that are known without a description."""
        self._client = client
        self._timers = timers
        self._settings = settings
        self._interests: dict[Key, Interest] = {}
        self._moving: dict[Key, None] = {}  # a set in the order of arrival
        self._last: Snapshot | None = None
        self._failure: tuple[int, float, EngineError] | None = None
        self._denied = 0  # times in a row
        self._told = float("-inf")
        self._refused = float("-inf")
        self._serial = 0
        self._listing: asyncio.Task[Snapshot] | None = None
        self._notify: Callable[[Key], None] | None = None
        self._hurry_until = float("-inf")
        self._wake = asyncio.Event()

    @property
    def period(self) -> float:
        """Seconds between two lists as things are; ever longer while we are refused."""
        if self._denied:
            backoff = self._settings.fast * 2.0 ** min(self._denied, _DOUBLINGS)
            return min(self._settings.slow, backoff)
        hurried = self._timers.time() < self._hurry_until
        fast = hurried or (self._moving and not self._one_by_one)
        return self._settings.fast if fast else self._settings.slow

    @property
    def _one_by_one(self) -> bool:
        """Whether to describe what moves takes fewer calls than to list the kind.

        Versions and imports can't be deleted, so their lists grow for as long as an account lives.
        """
        return self._last is not None and 0 < len(self._moving) < self._last.pages

    def unseen(self, id_: str) -> bool:
        """Whether an object that is followed by descriptions is due for one."""
        described = self.descriptions.get(id_)
        if described is None or not self._one_by_one or not self.wire.moves(described.answer):
            return False
        return self._timers.time() - described.at >= self._settings.fast / 2

    @property
    def last(self) -> Snapshot | None:
        """The newest list."""
        return self._last

    @property
    def good_since(self) -> float:
        """The start of the oldest list that need not be repeated, in monotonic time."""
        return max(self._refused, self._timers.time() - self.period * (1 + self._settings.jitter))

    def watch(self, key: Key, interest: Interest) -> None:
        """Report changes of an object from now on."""
        known = self._interests.get(key)
        self._interests[key] = interest
        if interest.moving:
            self._moving[key] = None
        else:
            self._moving.pop(key, None)
        if known is None or (interest.moving and not known.moving):
            self._wake.set()

    def forget(self, key: Key) -> str | None:
        """Report no more changes to a resource; return the id of its object, where it had one."""
        interest = self._interests.pop(key, None)
        self._moving.pop(key, None)
        if interest is None or interest.id is None or interest.children is not None:
            return None
        self.descriptions.pop(interest.id, None)
        self.unchanged.pop(interest.id, None)
        return interest.id

    def called(self) -> int:
        """Take note that a call was made: look soon and often for a while.

        Returns:
            the serial of the call; lists with a higher one were started after it.
        """
        self._hurry_until = self._timers.time() + self._settings.update
        self._wake.set()
        return self._next_serial()

    def refused(self) -> None:
        """Take note that a call other than a list was refused: no older list is to be gone by."""
        self._refused = self._timers.time()

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    async def snapshot(self, not_before: float, after: int = 0) -> Snapshot:
        """Return a list that was started no earlier than `not_before`, in monotonic time.

        All who wait at the same time share one listing. With `after`, the list was also started
        after the call of that serial, where time alone is too coarse to tell.

        Raises:
            EngineError: if the newest listing failed.
        """
        while True:
            last = self._last if not self._denied else None  # we may no longer go by it
            if last is not None and last.started >= not_before and last.serial > after:
                return last
            if self._failure is not None:
                serial, failed, failure = self._failure
                if failed >= not_before and serial > after:
                    raise failure
            if self._listing is None:
                self._listing = asyncio.create_task(self._list())
                self._listing.add_done_callback(self._listed)
            listing = self._listing
            # Not awaited itself: who gives up waiting must not cancel it for the others.
            await asyncio.wait({listing})
            if listing.cancelled():
                continue
            error = listing.exception()
            if error is not None and not isinstance(error, EngineError):
                raise error

    async def _list(self) -> Snapshot:
        serial, started = self._next_serial(), self._timers.time()
        try:
            return await take_snapshot(
                self.wire, self._client, serial, started, self._timers.clock()
            )
        except EngineError as error:
            self._failure = (serial, started, error)
            raise

    def _listed(self, listing: asyncio.Task[Snapshot]) -> None:
        self._listing = None
        if listing.cancelled():
            return
        error = listing.exception()
        if error is None:
            let_in_again, self._denied = self._denied > 0, 0
            self._failure = None
            self._last = listing.result()
            self._report(self._last, everything=let_in_again)
        elif isinstance(error, EngineError):
            _log.debug("can't list %s: %s", self.wire.kind, error)
            if error.error_class is ErrorClass.ACCESS_DENIED:
                self._denied += 1
                if self._denied == 1:
                    # All should know. A hiccup concerns only those who need a list just now.
                    self._report_all()

    async def run(self, notify: Callable[[Key], None]) -> None:
        """List again and again until cancelled, and name each resource whose object changed."""
        self._notify = notify
        try:
            while True:
                if await self._pause():
                    try:
                        await self.snapshot(self._timers.time())
                    except EngineError:
                        continue  # the resources were told when the listing ended
                else:
                    self._told = self._timers.time()
                    for key in list(self._moving):
                        notify(key)
        finally:
            self._notify = None
            if self._listing is not None:
                self._listing.cancel()  # whoever still waits for it lists anew

    async def _pause(self) -> bool:
        """Wait until the next list is due, or a look at what moves without one.

        What is asked for meanwhile may make it due earlier. Returns whether a list is due.
        """
        stretch = 1 + self._settings.jitter * self._timers.random.random()
        while True:
            self._wake.clear()
            due = self._newest_try() + self.period * stretch
            now = self._timers.time()
            left = due - now
            if self._interests and left <= 0:
                return True
            if self._one_by_one:
                look = self._told + self._settings.fast * stretch - now
                if look <= 0:
                    return False
                left = min(left, look)
            waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self._wake.wait())]
            if self._interests:
                waits.append(asyncio.ensure_future(self._timers.sleep(left)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def _newest_try(self) -> float:
        listed = self._last.started if self._last is not None else float("-inf")
        failed = self._failure[1] if self._failure is not None else float("-inf")
        return max(listed, failed)

    def current(self, id_: str, snapshot: Snapshot) -> bool:
        """Whether the last description of an object still holds, by a list."""
        described, entry = self.descriptions.get(id_), snapshot.entries.get(id_)
        if described is None:
            return entry is not None and self.unchanged.get(id_) == entry.signature
        if entry is None:
            # Gone, or the list lags behind: only a description tells.
            return described.at >= snapshot.started
        if entry.updated < described.signature[1]:
            return True  # the list lags behind
        return entry.signature in (described.signature, described.listed)

    def carry_over(self, id_: str, snapshot: Snapshot) -> bool:
        """Take a new status from a list where nothing else can have changed with it."""
        described, entry = self.descriptions.get(id_), snapshot.entries.get(id_)
        if described is None or entry is None:
            return False
        if not {described.answer.get("status"), entry.status} <= TRANSITIONAL:
            return False
        described.answer = {
            **described.answer,
            "status": entry.status,
            "lastUpdatedDateTime": entry.updated,
        }
        described.listed = entry.signature
        return True

    def _report(self, snapshot: Snapshot, *, everything: bool) -> None:
        if self._notify is None:
            return
        for key, interest in list(self._interests.items()):
            change = self._change(interest, snapshot)
            if everything or (change is not None and change != interest.reported):
                interest.reported = change
                self._notify(key)

    def _report_all(self) -> None:
        if self._notify is not None:
            for key in list(self._interests):
                self._notify(key)

    def _change(self, interest: Interest, snapshot: Snapshot) -> object:
        """Return what is new for a resource, or None."""
        if interest.children is not None:
            now = states_below(snapshot, interest.id)
            return now if now != interest.children else None
        if interest.id is None:
            found = snapshot.by_name.get(interest.name)
            return found.signature if found is not None else None
        if not self.current(interest.id, snapshot):
            entry = snapshot.entries.get(interest.id)
            return entry.signature if entry is not None else "missing"
        described = self.descriptions.get(interest.id)
        waited = snapshot.started - described.at if described is not None else 0.0
        if interest.updating and waited >= self._settings.update:
            return waited
        return None
