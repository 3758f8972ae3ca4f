"""Looking at external objects: what is there, at the price of as few calls as will do.

An object is described when a list shows that it has changed, when nothing is known of it, and on a
slow sweep. Everything else is known from the newest list, the last description or the status.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from reco.api.campaign import DesiredState
from reco.api.resource import Key, Resource
from reco.decide import names
from reco.decide.model import MOVING, Absent, Desired, ErrorClass, Observed, State, Update
from reco.engines.personalize import details, errors, resuming
from reco.engines.personalize.client import PersonalizeClient
from reco.engines.personalize.finding import Finder, Search
from reco.engines.personalize.kinds import ROWS, Row
from reco.engines.personalize.listing import Description
from reco.engines.personalize.polling import Interest, Poller, PollSettings, Timers
from reco.engines.personalize.render import Place
from reco.engines.personalize.wire import TRANSITIONAL, Answer, created, place_of, update_state
from reco.engines.port import EngineError

_TAGS_MATTER = frozenset({State.ACTIVE, State.FAILED})
"""States in which something is done that depends on whose an object is."""


class Observer:
    """Looks at the external objects of one engine, and watches them."""

    def __init__(
        self, place: Place, client: PersonalizeClient, timers: Timers, settings: PollSettings
    ) -> None:
        self._client = client
        self._timers = timers
        self._settings = settings
        self._pollers = {kind: Poller(row, client, timers, settings) for kind, row in ROWS.items()}
        versions = details.Versions(self._pollers["SolutionVersion"], client)
        sources = details.Sources(client, timers, settings)
        self._known = details.Known(place, versions, sources)
        self._finder = Finder(place, client, timers, settings, self._pollers, versions)
        self._sweep_due: dict[str, float] = {}

    @property
    def account(self) -> str | None:
        """The account, once anything was seen in it."""
        return self._finder.account

    async def observe(
        self, row: Row, resource: Resource, wanted: Desired | None, *, fresh: bool, tags: bool
    ) -> Observed | Absent:
        """Find a resource's external object; see `Engine.observe`.

        Raises:
            EngineError: if a call fails, or its answer makes no sense to us.
        """
        try:
            return await self._observe(row, resource, wanted, fresh=fresh, tags=tags)
        except ValueError as error:
            raise errors.refused_here(
                f"Describe{row.kind}", str(error), ErrorClass.UNKNOWN
            ) from error

    async def _observe(
        self, row: Row, resource: Resource, wanted: Desired | None, *, fresh: bool, tags: bool
    ) -> Observed | Absent:
        poller = self._pollers[row.kind]
        name = wanted.name if wanted is not None else names.external_name(resource)
        external = resource.status.external
        recorded = external.arn if external is not None else None
        found: str | Absent
        if recorded is None:
            found = await row.find(self._finder, Search(row, resource, wanted, name, fresh))
        else:
            found = recorded
            resumed = None if fresh else await self._resumed(row, resource, wanted, recorded)
            if resumed is not None:
                seen = details.Seen(resource, *resumed)
                return await self._completed(row, seen, swept=False, tags=tags)
        answer = None
        if isinstance(found, str):
            self._finder.check_place(row, found)
            answer = await self._described(row, found, fresh=fresh)
        if answer is None:
            poller.watch(resource.key, Interest(None, name))
            return found if isinstance(found, Absent) else Absent()
        observed = _observed(row, answer, wanted)
        updating = observed.update is not None and observed.update.state in MOVING
        moving = updating or observed.state in MOVING
        poller.watch(resource.key, Interest(observed.id, name, moving=moving, updating=updating))
        # Before anything is deleted it must be sure whose it is: somebody may have taken it over.
        doubtful = fresh or recorded is None or _ends(resource)
        swept = doubtful or self._due_for_sweep(observed.id)
        seen = details.Seen(resource, observed, answer, fresh)
        return await self._completed(row, seen, swept=swept, tags=tags)

    async def _resumed(
        self, row: Row, resource: Resource, wanted: Desired | None, id_: str
    ) -> tuple[Observed, Answer] | None:
        """Know an object from the list and the status alone, where that can be."""
        poller = self._pollers[row.kind]
        if id_ in poller.descriptions or self._due_for_sweep(id_) or resource.deleted is not None:
            return None
        since = resuming.settled_since(resource, wanted)
        if since is None or wanted is None:
            return None  # not worth a list
        entry = (await poller.snapshot(poller.good_since)).entries.get(id_)
        if entry is None:
            return None
        observed = resuming.resumed(row, resource, wanted, entry, since)
        if observed is None:
            return None
        poller.unchanged[id_] = entry.signature
        poller.watch(resource.key, Interest(id_, observed.name))
        return observed, entry.raw

    async def _described(self, row: Row, id_: str, *, fresh: bool) -> Answer | None:
        """Describe an object, unless a list shows that nothing has changed since the last time."""
        poller = self._pollers[row.kind]
        known = poller.descriptions.get(id_)
        due = fresh or self._due_for_sweep(id_) or poller.unseen(id_)
        if known is not None and not due:
            # Lists may not show updates.
            waited = self._timers.time() - known.at < self._settings.update
            if waited or not _updating(row, known.answer):
                snapshot = await poller.snapshot(poller.good_since)
                if poller.current(id_, snapshot) or poller.carry_over(id_, snapshot):
                    # Somebody may have invalidated it while we waited for the list.
                    known = poller.descriptions.get(id_)
                    if known is not None:
                        return known.answer
        at = self._timers.time()
        try:
            answer = await self._asked(row, f"Describe{row.kind}", **{row.arn_member: id_})
        except EngineError as error:
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise
            poller.descriptions.pop(id_, None)
            await self._finder.confirm_place(row, id_)
            return None
        description: Answer = answer[row.member]
        entry = poller.last.entries.get(id_) if poller.last is not None else None
        poller.descriptions[id_] = Description(
            description, at, entry.signature if entry is not None else None
        )
        return description

    async def _asked(self, row: Row, operation: str, /, **parameters: str) -> Answer:
        """Ask about one object; a refusal is news that older lists know nothing of."""
        try:
            return await self._client.call(operation, **parameters)
        except EngineError as error:
            if error.error_class is ErrorClass.ACCESS_DENIED:
                self._pollers[row.kind].refused()
            raise

    async def _completed(
        self, row: Row, seen: details.Seen, *, swept: bool, tags: bool
    ) -> Observed:
        """Add tags and details."""
        observed = seen.observed
        read: dict[str, str] | None = None
        if row.taggable and (swept or (tags and observed.state in _TAGS_MATTER)):
            found = await self._asked(row, "ListTagsForResource", resourceArn=observed.id)
            read = {tag["tagKey"]: tag["tagValue"] for tag in found.get("tags", ())}
        if swept or observed.id not in self._sweep_due:
            self._plan_sweep(observed.id, swept=swept)
        more = await row.details(self._known, seen)
        return replace(observed, tags=read, details=more)

    def _due_for_sweep(self, id_: str) -> bool:
        return self._timers.time() >= self._sweep_due.get(id_, float("inf"))

    def _plan_sweep(self, id_: str, *, swept: bool) -> None:
        """Plan the next look at details and tags; after a restart, spread over the period."""
        chance = self._timers.random.random()
        share = 1 + self._settings.jitter * chance if swept else chance
        self._sweep_due[id_] = self._timers.time() + self._settings.sweep * share

    def called(self, kind: str, name: str) -> None:
        """Remember that a call about an object was just made, which lists may not show yet."""
        self._finder.called(kind, name)

    def doubt(self, id_: str) -> None:
        """Read an object's details and tags at the next look."""
        self._sweep_due[id_] = self._timers.time()

    def changed(self, kind: str, observed: Observed) -> None:
        """Forget what is known of an object that was just changed, and look at it soon."""
        poller = self._pollers[kind]
        poller.descriptions.pop(observed.id, None)
        poller.unchanged.pop(observed.id, None)
        self._finder.called(kind, observed.name)

    async def run(self, notify: Callable[[Key], None]) -> None:
        """Watch what is in flight until cancelled, and name each resource whose object changed."""
        async with asyncio.TaskGroup() as group:
            for poller in self._pollers.values():
                group.create_task(poller.run(notify))

    def forget(self, key: Key) -> None:
        """Stop watching for a resource that is gone."""
        for poller in self._pollers.values():
            id_ = poller.forget(key)
            if id_ is not None:
                self._sweep_due.pop(id_, None)


def _ends(resource: Resource) -> bool:
    """Whether the external object is to be deleted: the resource goes, or is not to run."""
    state = getattr(resource.spec, "desired_state", None)
    return resource.deleted is not None or state is DesiredState.STOPPED


def _observed(row: Row, answer: Answer, wanted: Desired | None) -> Observed:
    expected = wanted.fields if wanted is not None else {}
    arn = answer[row.arn_member]
    region, account = place_of(arn)
    latest = answer.get(row.update_member)
    update = None
    if latest is not None and row.read_update is not None:
        update = Update(
            update_state(latest), row.read_update(latest, expected), latest.get("failureReason")
        )
    return Observed(
        id=arn,
        name=answer.get(row.name_member) or details.default_name(arn),
        state=row.state(answer),
        fields=row.read(answer, expected),
        created=created(answer),
        account=account,
        region=region,
        failure=answer.get("failureReason"),
        refused=errors.blames_input(answer.get("failureReason")),
        update=update,
    )


def _updating(row: Row, answer: Answer) -> bool:
    latest = answer.get(row.update_member)
    return latest is not None and latest.get("status") in TRANSITIONAL
