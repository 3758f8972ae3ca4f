"""Finding an external object that has no recorded ARN, and proving that there is none.

Names are unique in an account and region for most kinds, so a name is enough. The exceptions have
rules of their own: a dataset's ARN is made of its group and type, a group has one event tracker,
and lists of solution versions show no names at all.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from reco.api.resource import Resource
from reco.api.vocabulary import AdoptionPolicy, ManagementPolicy
from reco.decide import runs
from reco.decide.model import Absent, Desired, ErrorClass
from reco.engines.personalize import errors
from reco.engines.personalize.client import PersonalizeClient, pages
from reco.engines.personalize.details import Versions
from reco.engines.personalize.listing import Snapshot
from reco.engines.personalize.polling import Poller, PollSettings, Timers
from reco.engines.personalize.render import Place
from reco.engines.personalize.wire import Wire, place_of
from reco.engines.port import EngineError

_CLOCK_SKEW = timedelta(minutes=5)
"""By how much our clock may differ from the service's: it refuses signatures that are older."""

_SERVICE_NAME = re.compile(r"(?P<solution>[^/]+)/(?P<id>[0-9a-f]{8})")
"""The name the service gives a version that was made without one."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for."""

    wire: Wire
    resource: Resource
    desired: Desired | None
    """None where what the resource refers to is not there."""
    name: str
    fresh: bool
    """Whether to look closely, whatever was listed a moment ago."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of ours: when, and its place in the order of lists and calls of the kind."""

    at: float
    serial: int


_NO_CALL = _Call(float("-inf"), 0)


class Finder:
    """What all ways to find an object need. Remembers our calls, which lists may not show yet."""

    def __init__(
        self,
        place: Place,
        client: PersonalizeClient,
        timers: Timers,
        settings: PollSettings,
        pollers: Mapping[str, Poller],
        versions: Versions,
    ) -> None:
        self.client = client
        self.timers = timers
        self.settings = settings
        self.versions = versions
        self._place = place
        self._pollers = pollers
        self._calls: dict[tuple[str, str], _Call] = {}  # oldest first
        role = place.settings.assume_role
        self._account = place_of(role.role_arn)[1] if role is not None else None

    @property
    def account(self) -> str | None:
        """The account, once it is known: from the role to assume, or from an ARN in a list."""
        if self._account is None:
            listed = (poller.last.entries for poller in self._pollers.values() if poller.last)
            self._account = next((place_of(id_)[1] for ids in listed for id_ in ids), None)
        return self._account

    def called(self, kind: str, name: str) -> None:
        """Remember that a call about an object was just made, however it ended."""
        while self._calls and self._shown(next(iter(self._calls.values()))):
            del self._calls[next(iter(self._calls))]
        self._calls.pop((kind, name), None)
        self._calls[kind, name] = _Call(self.timers.time(), self._pollers[kind].called())

    def last_call(self, search: Search) -> _Call:
        """Return our last call that lists may not show yet, or one at the beginning of time."""
        call = self._calls.get((search.wire.kind, search.name), _NO_CALL)
        return _NO_CALL if self._shown(call) else call

    def _shown(self, call: _Call) -> bool:
        return self.timers.time() - call.at >= self.settings.settle

    async def confirm_place(self, wire: Wire, id_: str) -> None:
        """Make sure that whoever has no such object is the account that its ARN names.

        With the credentials of another account everything would look deleted. Asked each time,
        since ambient credentials may change while we run; a role to assume names its account.

        Raises:
            EngineError: if the credentials are another account's, or nobody can be asked.
        """
        if self._place.settings.assume_role is not None:
            return
        account = await self.client.account()
        if account is None:
            poller = self._pollers[wire.kind]
            await poller.snapshot(poller.good_since)  # its ARNs may tell
        self.check_place(wire, id_, account)

    def check_place(self, wire: Wire, id_: str, here: str | None = None) -> None:
        """Refuse an ARN of another region or account, where NotFound would say nothing.

        Args:
            wire: the kind.
            id_: the ARN.
            here: the account that the credentials belong to, where it was asked for just now.

        Raises:
            EngineError: if the ARN does not belong to the engine's region and account.
            ValueError: if it is no ARN.
        """
        region, account = place_of(id_)
        here = here or self.account
        if region != self._place.region:
            where = f"in {region}, and the EngineClass names {self._place.region}"
        elif here not in {None, account}:
            where = f"in account {account}, and the EngineClass works in {here}"
        else:
            return
        raise errors.refused_here(
            f"Describe{wire.kind}",
            f"{id_} lives {where}: put the class or its credentials back, or make a new resource"
            " under another class",
            ErrorClass.ACCESS_DENIED,
        )

    async def snapshot(self, search: Search) -> Snapshot:
        """List a kind, after our last call about what is looked for.

        Whoever would make a missing object may go by the poller's last list, however long the
        kind: the service refuses a name that was taken meanwhile, and then we look closely.
        """
        now = self.timers.time()
        not_before = now if search.fresh else now - self.settings.fast
        if not search.fresh and _would_make(search.resource):
            not_before = min(not_before, self._pollers[search.wire.kind].good_since)
        return await self.list(search, not_before)

    async def list(self, search: Search, not_before: float) -> Snapshot:
        """Return a list no older than `not_before`, in monotonic time, and than our last call."""
        serial = self.last_call(search).serial
        return await self._pollers[search.wire.kind].snapshot(not_before, serial)

    def doubts(self, search: Search) -> bool:
        """Whether a list that lacks an object is worth one call more.

        Right after a call of ours, before something is left behind for good, and when we are
        asked to look closely.
        """
        called = self.last_call(search) is not _NO_CALL
        return search.fresh or called or search.resource.deleted is not None

    def missing(self, search: Search) -> Absent:
        """Return that no list shows what is looked for."""
        return Absent(settled=self.last_call(search) is _NO_CALL)

    def arn(self, search: Search) -> str | None:
        """Return the ARN an object of the name must have, as far as it can be told."""
        noun = search.wire.noun
        if noun is None or self.account is None:
            return None
        partition, region = self._place.partition, self._place.region
        return f"arn:{partition}:personalize:{region}:{self.account}:{noun}/{search.name}"

    async def confirmed(self, search: Search, arn: str) -> str | Absent:
        """Ask for an object by the ARN it must have."""
        wire = search.wire
        try:
            await self.client.call(f"Describe{wire.kind}", **{wire.arn_member: arn})
        except EngineError as error:
            if error.error_class is ErrorClass.NOT_FOUND:
                return Absent()
            raise
        return arn


def _would_make(resource: Resource) -> bool:
    spec = resource.spec
    return (
        resource.deleted is None
        and spec is not None
        and spec.management_policy is ManagementPolicy.MANAGE
        and spec.adoption_policy is not AdoptionPolicy.ADOPT
    )


Find = Callable[[Finder, Search], Awaitable[str | Absent]]
"""How to find an object: returns its ARN, or `Absent`. Raises `EngineError`."""


async def by_name(finder: Finder, search: Search) -> str | Absent:
    """Find an object by the name that lists show."""
    entry = (await finder.snapshot(search)).by_name.get(search.name)
    if entry is not None:
        return entry.id
    arn = finder.arn(search)
    if arn is None or not finder.doubts(search):
        return finder.missing(search)
    return await finder.confirmed(search, arn)


async def dataset(finder: Finder, search: Search) -> str | Absent:
    """Find a group's dataset of a type, whatever its name: there can be but one."""
    if search.desired is None:
        return await by_name(finder, search)
    snapshot = await finder.snapshot(search)
    fields = search.desired.fields
    prefix, _, group = fields["datasetGroupArn"].partition(":dataset-group/")
    arn = f"{prefix}:dataset/{group}/{fields['datasetType']}"
    if arn in snapshot.entries:
        return arn
    return await finder.confirmed(search, arn) if finder.doubts(search) else Absent()


async def event_tracker(finder: Finder, search: Search) -> str | Absent:
    """Find a group's event tracker, and whether another one stands in its place."""
    found = await by_name(finder, search)
    if isinstance(found, str) or search.desired is None:
        return found
    wire, group = search.wire, search.desired.fields["datasetGroupArn"]
    listed = await pages(finder.client, "ListEventTrackers", datasetGroupArn=group)
    entries = [entry for page in listed for entry in page.get(wire.list_member, ())]
    for entry in entries:
        if entry.get("name") == search.name:
            return str(entry[wire.arn_member])
    for other in entries:
        if not str(other.get("status", "")).startswith("DELETE"):
            return Absent(
                blocked_by=f"a dataset group has one event tracker, and {group} has"
                f" {other.get('name')} ({other[wire.arn_member]}) already: set spec.externalName to"
                " its name and spec.adoptionPolicy to 'Adopt' to take it, or delete it"
            )
    return finder.missing(search)


async def solution_version(finder: Finder, search: Search) -> str | Absent:
    """Find a solution version by name; lists show none, so candidates are described.

    What a Solution started has a name that was free when it did: only what was made since then can
    be it, also where the resource was restored from a backup that had no status. What was made by
    hand, or names its external, may stand for a version of long ago.
    """
    resource, desired, timers = search.resource, search.desired, finder.timers
    solution = desired.fields["solutionArn"] if desired is not None else None
    intent = resource.status.intent
    named = resource.spec is not None and resource.spec.external_name is not None
    started = runs.started(resource) if resource.owners and not named else None
    # A clock that was ahead has written down nothing that the service's times compare with.
    trusted = started is not None and started <= timers.clock() + _CLOCK_SKEW
    since = started - _CLOCK_SKEW if started is not None and trusted else None
    by_service = _SERVICE_NAME.fullmatch(search.name)
    if by_service is not None and solution is not None:
        return await finder.confirmed(search, f"{solution}/{by_service['id']}")
    now = timers.time()
    called = finder.last_call(search).at
    if intent is not None:
        ago = max(0.0, (timers.clock() - intent.time).total_seconds())
        called = max(called, now - ago)
    snapshot = await finder.list(search, max(called, now - finder.settings.fast))
    # Without the solution at hand, the name alone has to do: it holds the namespace.
    candidates = (
        snapshot.by_parent.get(solution, ())
        if solution is not None
        else tuple(snapshot.entries.values())
    )
    for entry in candidates:
        if since is not None and entry.created < since:
            continue
        if await finder.versions.name_if_there(entry.id) == search.name:
            return entry.id
    return Absent(settled=snapshot.started >= called + finder.settings.settle)
