"""Finding an external object that has no recorded ARN, and proving that there is none.

Names are unique in an account and region for most kinds, so a name is enough. The exceptions have
rules of their own: a dataset's ARN is made of its group and type, a group has one event tracker,
and lists of solution versions show no names at all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from reco.api.resource import Resource
from reco.decide.model import Absent, Desired, ErrorClass
from reco.engines.personalize import errors
from reco.engines.personalize.client import PersonalizeClient, pages
from reco.engines.personalize.details import Versions
from reco.engines.personalize.kinds import Row
from reco.engines.personalize.listing import Snapshot
from reco.engines.personalize.polling import Poller, PollSettings, Timers
from reco.engines.personalize.render import Place
from reco.engines.port import EngineError

_CLOCK_SKEW = timedelta(minutes=5)
"""By how much our clock may differ from the service's: it refuses signatures that are older."""

_SERVICE_NAME = re.compile(r"(?P<solution>[^/]+)/(?P<id>[0-9a-f]{8})")
"""The name the service gives a version that was made without one."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of ours: when, and its place in the order of lists and calls of the kind."""

    at: float
    serial: int


_NO_CALL = _Call(float("-inf"), 0)


class Finder:
    """Finds objects by name. Remembers our own calls, which lists may not show yet."""

    def __init__(
        self,
        place: Place,
        client: PersonalizeClient,
        timers: Timers,
        settings: PollSettings,
        pollers: Mapping[str, Poller],
        versions: Versions,
    ) -> None:
        self._place = place
        self._client = client
        self._timers = timers
        self._settings = settings
        self._pollers = pollers
        self._versions = versions
        self._calls: dict[tuple[str, str], _Call] = {}
        role = place.settings.assume_role
        self.account: str | None = role.role_arn.split(":")[4] if role is not None else None
        """The account, once it is known: from the role to assume, or from an ARN in a list."""

    def called(self, kind: str, name: str) -> None:
        """Remember that a call about an object was just made, however it ended."""
        self._calls[kind, name] = _Call(self._timers.time(), self._pollers[kind].called())

    def _last_call(self, kind: str, name: str) -> "_Call":
        """Return our last call that lists may not show yet, or one at the beginning of time."""
        call = self._calls.get((kind, name), _NO_CALL)
        if self._timers.time() - call.at >= self._settings.settle:
            self._calls.pop((kind, name), None)
            return _NO_CALL
        return call

    def check_place(self, row: Row, id_: str) -> None:
        """Refuse an ARN of another region, where NotFound would say nothing.

        Raises:
            EngineError: if the ARN does not belong to the engine's region.
        """
        region = id_.split(":")[3]
        if region != self._place.region:
            raise errors.refused_here(
                f"Describe{row.kind}",
                f"{id_} lives in {region}, and the EngineClass names {self._place.region}",
                ErrorClass.ACCESS_DENIED,
            )

    async def find(
        self, row: Row, resource: Resource, desired: Desired | None, name: str, *, fresh: bool
    ) -> str | Absent:
        """Return the ARN of a resource's object, or `Absent`."""
        if row.kind == "SolutionVersion":
            return await self._version(resource, desired, name)
        snapshot = await self._snapshot(row, name, fresh=fresh)
        # A doubtful answer of a list is worth one call more: right after a call of ours, before
        # something is left behind for good, and when we are asked to look closely.
        doubtful = fresh or resource.deleted is not None or (row.kind, name) in self._calls
        if row.kind == "Dataset" and desired is not None:
            return await self._dataset(row, desired, snapshot, doubtful=doubtful)
        entry = snapshot.by_name.get(name)
        if entry is not None:
            return entry.id
        if row.kind == "EventTracker" and desired is not None:
            return await self._event_tracker(row, desired, name)
        if row.noun is None or self.account is None or not doubtful:
            return Absent(settled=self._settled(row.kind, name))
        return await self._confirmed(row, self._arn(self.account, f"{row.noun}/{name}"))

    async def _snapshot(self, row: Row, name: str, *, fresh: bool) -> Snapshot:
        """List a kind, after our last call about `name`."""
        now = self._timers.time()
        call = self._last_call(row.kind, name)
        not_before = now if fresh else now - self._settings.fast
        snapshot = await self._pollers[row.kind].snapshot(not_before, call.serial)
        if self.account is None:
            self.account = next((id_.split(":")[4] for id_ in snapshot.entries), None)
        return snapshot

    def _settled(self, kind: str, name: str) -> bool:
        return (kind, name) not in self._calls

    def _arn(self, account: str, resource: str) -> str:
        return f"arn:{self._place.partition}:personalize:{self._place.region}:{account}:{resource}"

    async def _confirmed(self, row: Row, arn: str) -> str | Absent:
        """Ask for an object by the ARN it must have."""
        try:
            await self._client.call(f"Describe{row.kind}", **{row.arn_member: arn})
        except EngineError as error:
            if error.error_class is ErrorClass.NOT_FOUND:
                return Absent()
            raise
        return arn

    async def _dataset(
        self, row: Row, desired: Desired, snapshot: Snapshot, *, doubtful: bool
    ) -> str | Absent:
        """Find a group's dataset of a type, whatever its name: there can be but one."""
        group = desired.fields["datasetGroupArn"]
        prefix, _, group_name = group.partition(":dataset-group/")
        arn = f"{prefix}:dataset/{group_name}/{desired.fields['datasetType']}"
        if arn in snapshot.entries:
            return arn
        return await self._confirmed(row, arn) if doubtful else Absent()

    async def _event_tracker(self, row: Row, desired: Desired, name: str) -> str | Absent:
        """Find a group's event tracker, and whether another one stands in its place."""
        group = desired.fields["datasetGroupArn"]
        others = []
        async for page in pages(self._client, "ListEventTrackers", datasetGroupArn=group):
            for entry in page.get(row.list_member, ()):
                if entry.get("name") == name:
                    return str(entry[row.arn_member])
                if not str(entry.get("status", "")).startswith("DELETE"):
                    others.append(entry)
        if others:
            other = others[0]
            return Absent(
                blocked_by=f"a dataset group has one event tracker, and {group} has"
                f" {other.get('name')} ({other[row.arn_member]}) already: set spec.externalName to"
                " its name and spec.adoptionPolicy to 'Adopt' to take it, or delete it"
            )
        return Absent(settled=self._settled(row.kind, name))

    async def _version(
        self, resource: Resource, desired: Desired | None, name: str
    ) -> str | Absent:
        """Find a solution version by name; lists show none, so candidates are described.

        What a Solution starts has a name that it has seen to be free: without a recorded intent
        there is nothing to look for, and with one, only what was made since then can be it. What
        was made by hand, or names its external, may stand for a version of long ago.
        """
        solution = desired.fields["solutionArn"] if desired is not None else None
        intent = resource.status.intent
        named = resource.spec is not None and resource.spec.external_name is not None
        anything = named or not resource.owners
        by_service = _SERVICE_NAME.fullmatch(name)
        if by_service is not None and solution is not None:
            return await self._confirmed(
                self._pollers["SolutionVersion"].row, f"{solution}/{by_service['id']}"
            )
        if intent is None and not anything:
            return Absent()
        now = self._timers.time()
        call = self._last_call("SolutionVersion", name)
        called = call.at
        since = None
        if intent is not None:
            called = max(called, now - (self._timers.clock() - intent.time).total_seconds())
            since = None if anything else intent.time - _CLOCK_SKEW
        not_before = max(called, now - self._settings.fast)
        snapshot = await self._pollers["SolutionVersion"].snapshot(not_before, call.serial)
        # Without the solution at hand, the name alone has to do: it holds the namespace.
        candidates = (
            snapshot.by_parent.get(solution, ())
            if solution is not None
            else tuple(snapshot.entries.values())
        )
        for entry in candidates:
            if since is not None and entry.created < since:
                continue
            if await self._versions.name_if_there(entry.id) == name:
                return entry.id
        return Absent(settled=snapshot.started >= called + self._settings.settle)
