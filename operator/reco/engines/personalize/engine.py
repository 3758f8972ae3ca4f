"""Amazon Personalize as an engine: table of kinds, pollers and client, tied together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reco.api.resource import Key, Resource
from reco.decide import names
from reco.decide.model import (
    MOVING,
    Absent,
    Desired,
    EngineView,
    ErrorClass,
    Observed,
    Unsupported,
    Update,
    Waiting,
)
from reco.decide.references import References, blocker
from reco.engines.personalize import details, errors, resuming
from reco.engines.personalize.client import PersonalizeClient, pages
from reco.engines.personalize.finding import Finder
from reco.engines.personalize.kinds import ROWS, TRANSITIONAL, Row, created, update_state
from reco.engines.personalize.listing import Description, states_below
from reco.engines.personalize.polling import Interest, Poller, PollSettings, Timers
from reco.engines.personalize.render import Place, Rendered
from reco.engines.port import Capabilities, EngineError

_FEATURES = (
    *(kind for kind in ROWS),
    "Campaign.syncWithLatestSolutionVersion",
    "Dataset.import",
    "Solution.training.owner.Service",
)


class PersonalizeEngine:
    """One EngineClass of engine `Personalize`.

    Args:
        engine_class: the EngineClass; its `spec.personalize` holds region, role and tags.
        client: a connection to that account and region.
        timers: clock, monotonic time, sleep and chance.
        settings: how often to look.

    Raises:
        ValueError: if the class has no `spec.personalize`.
    """

    def __init__(
        self,
        engine_class: Resource,
        client: PersonalizeClient,
        timers: Timers,
        settings: PollSettings | None = None,
    ) -> None:
        if engine_class.spec is None or engine_class.spec.personalize is None:
            raise ValueError(
                f"{engine_class.key} can't be used: spec.personalize is missing or can't be read"
                f" ({engine_class.problem or 'left out'})"
            )
        self._class = engine_class
        self._place = Place(engine_class.spec.personalize)
        self._client = client
        self._timers = timers
        self._settings = settings or PollSettings()
        self._pollers = {
            kind: Poller(row, client, timers, self._settings) for kind, row in ROWS.items()
        }
        self._versions = details.Versions(ROWS["SolutionVersion"], client)
        self._sources = details.Sources(client, timers, self._settings)
        self._finder = Finder(
            self._place, client, timers, self._settings, self._pollers, self._versions
        )
        self._recipes: frozenset[str] | None = None
        self._capabilities: Capabilities | None = None
        self._capabilities_due = 0.0
        self._sweep_due: dict[str, float] = {}

    @property
    def view(self) -> EngineView:
        """What decisions need to know: the account is known once anything was seen in it."""
        return EngineView(
            class_name=self._class.key.name,
            region=self._place.region,
            account=self._finder.account,
            deletion_policy=self._class.spec.deletion_policy,
        )

    async def capabilities(self) -> Capabilities:
        """List the recipes; this also proves that the service lets us in.

        The class is looked at whenever one of its resources changes, so an answer is kept for a
        while; a failure is not.
        """
        if self._capabilities is not None and self._timers.time() < self._capabilities_due:
            return self._capabilities
        recipes = [
            recipe["name"]
            async for page in pages(self._client, "ListRecipes")
            for recipe in page.get("recipes", ())
        ]
        self._recipes = frozenset(recipes)
        self._capabilities = Capabilities(sorted(_FEATURES), sorted(self._recipes))
        self._capabilities_due = self._timers.time() + self._settings.slow
        return self._capabilities

    # What is wanted

    def desired(
        self, resource: Resource, references: References
    ) -> Desired | Waiting | Unsupported:
        """Translate a spec into what the external object should be."""
        if resource.spec is None:
            return Unsupported(f"the spec can't be read: {resource.problem}")
        waiting = blocker(resource, references)
        if waiting is not None:
            return waiting
        row = ROWS[resource.key.kind]
        unsupported = self._unknown_recipe(resource)
        if unsupported is not None:
            return unsupported
        rendered = row.render(resource, references, self._place)
        if not isinstance(rendered, Rendered):
            return rendered
        return Desired(
            name=names.external_name(resource),
            fields=rendered.fields,
            mutable=rendered.mutable,
            tags=self._tags(resource, references) if row.taggable else None,
            once=rendered.once,
        )

    def _tags(self, resource: Resource, references: References) -> dict[str, str]:
        """Return the user's tags: the class's, under the group's, under the resource's own."""
        groups = [r for r in references.lineage if r.key.kind == "DatasetGroup"]
        layers = [self._place.settings.tags]
        layers += [group.spec.tags for group in groups if group.spec is not None]
        layers.append(resource.spec.tags)
        return {key: value for tags in layers if tags for key, value in tags.items()}

    def _unknown_recipe(self, resource: Resource) -> Unsupported | None:
        """Refuse a recipe the service does not list; what was made with one long ago goes on."""
        if resource.key.kind != "Solution" or self._recipes is None:
            return None
        recipe = resource.spec.recipe
        if recipe is None or resource.status.external is not None:
            return None
        if recipe.rpartition("/")[2] in self._recipes:
            return None
        return Unsupported(
            f"spec.recipe: Personalize offers no {recipe!r} in {self._place.region}; it offers"
            f" {', '.join(sorted(self._recipes))}"
        )

    # What is there

    async def observe(
        self, resource: Resource, desired: Desired | Waiting | Unsupported, *, fresh: bool = False
    ) -> Observed | Absent:
        """Find a resource's external object: by the recorded ARN, else by name."""
        row = ROWS[resource.key.kind]
        poller = self._pollers[row.kind]
        wanted = desired if isinstance(desired, Desired) else None
        name = wanted.name if wanted is not None else names.external_name(resource)
        external = resource.status.external
        recorded = external.arn if external is not None else None
        found: str | Absent = recorded or await self._finder.find(
            row, resource, wanted, name, fresh=fresh
        )
        if isinstance(found, Absent):
            poller.watch(resource.key, Interest(None, name))
            return found
        if recorded is not None and not fresh:
            resumed = await self._resumed(row, resource, wanted, recorded)
            if resumed is not None:
                return resumed
        answer = await self._described(row, found, fresh=fresh)
        if answer is None:
            poller.watch(resource.key, Interest(None, name))
            return Absent()
        try:
            observed = self._observed(row, answer, wanted)
        except ValueError as error:
            raise errors.refused_here(
                f"Describe{row.kind}", str(error), ErrorClass.UNKNOWN
            ) from error
        updating = observed.update is not None and observed.update.state in MOVING
        poller.watch(
            resource.key,
            Interest(found, name, moving=updating or observed.state in MOVING, updating=updating),
        )
        return await self._completed(
            row,
            resource,
            observed,
            answer,
            read_tags=(fresh or recorded is None or self._due_for_sweep(found)),
            fresh=fresh,
        )

    async def _resumed(
        self, row: Row, resource: Resource, wanted: Desired | None, id_: str
    ) -> Observed | None:
        """Know an object from the list and the status alone, where that can be."""
        poller = self._pollers[row.kind]
        if id_ in poller.descriptions or self._due_for_sweep(id_) or resource.deleted is not None:
            return None
        if resource.status.applied is None:
            return None  # not worth a list
        entry = (await poller.snapshot(poller.good_since)).entries.get(id_)
        observed = resuming.resumed(row, resource, wanted, entry)
        if observed is None or entry is None:
            return None
        poller.unchanged[id_] = entry.signature
        poller.watch(resource.key, Interest(id_, observed.name))
        answer = resuming.recorded(row, resource, entry)
        return await self._completed(row, resource, observed, answer, read_tags=False)

    async def _described(self, row: Row, id_: str, *, fresh: bool) -> Mapping[str, Any] | None:
        """Describe an object, unless a list shows that nothing has changed since the last time."""
        self._finder.check_place(row, id_)
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
            answer = await self._client.call(f"Describe{row.kind}", **{row.arn_member: id_})
        except EngineError as error:
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise
            poller.descriptions.pop(id_, None)
            return None
        description: Mapping[str, Any] = answer[row.member]
        entry = poller.last.entries.get(id_) if poller.last is not None else None
        poller.descriptions[id_] = Description(
            description, at, entry.signature if entry is not None else None
        )
        if row.kind == "SolutionVersion":
            self._versions.learn(description)
        return description

    def _observed(self, row: Row, answer: Mapping[str, Any], wanted: Desired | None) -> Observed:
        expected = wanted.fields if wanted is not None else {}
        arn = answer[row.arn_member]
        _, _, _, region, account, _ = arn.split(":", 5)
        latest = answer.get(row.update_member)
        update = None
        if latest is not None and row.read_update is not None:
            update = Update(
                update_state(latest),
                row.read_update(latest, expected),
                latest.get("failureReason"),
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
            update=update,
        )

    async def _completed(
        self,
        row: Row,
        resource: Resource,
        observed: Observed,
        answer: Mapping[str, Any],
        *,
        read_tags: bool,
        fresh: bool = False,
    ) -> Observed:
        """Add tags and details."""
        tags: dict[str, str] | None = None
        if row.taggable and read_tags:
            found = await self._client.call("ListTagsForResource", resourceArn=observed.id)
            tags = {tag["tagKey"]: tag["tagValue"] for tag in found.get("tags", ())}
        if read_tags or observed.id not in self._sweep_due:
            self._plan_sweep(observed.id, swept=read_tags)
        more: Mapping[str, Any] = {}
        match row.kind:
            case "Campaign":
                more = details.campaign(self._place)
            case "EventTracker":
                more = details.event_tracker(answer, self._place)
            case "SolutionVersion":
                more = await self._versions.details(resource, answer)
            case "Solution":
                more = {"versions": await self._external_versions(resource, observed.id)}
            case "Dataset":
                more = await self._sources.details(resource, fresh=fresh)
            case _:
                pass
        return replace(observed, tags=tags, details=more)

    async def _external_versions(
        self, resource: Resource, solution: str
    ) -> tuple[details.ExternalVersion, ...]:
        """Return a solution's versions, and watch for new ones."""
        poller = self._pollers["SolutionVersion"]
        snapshot = await poller.snapshot(poller.good_since)
        children = states_below(snapshot, solution)
        moving = any(status in TRANSITIONAL for _, status in children)
        poller.watch(
            resource.key,
            Interest(solution, resource.key.name, moving=moving, children=children),
        )
        training = resource.status.training
        known_through = training.known_through if training is not None else None
        return await self._versions.below(solution, snapshot, known_through)

    def _due_for_sweep(self, id_: str) -> bool:
        return self._timers.time() >= self._sweep_due.get(id_, float("inf"))

    def _plan_sweep(self, id_: str, *, swept: bool) -> None:
        """Plan the next look at details and tags; after a restart, spread over the period."""
        chance = self._timers.random.random()
        share = 1 + self._settings.jitter * chance if swept else chance
        self._sweep_due[id_] = self._timers.time() + self._settings.sweep * share

    # What to do

    async def create(self, kind: str, desired: Desired, tags: Mapping[str, str]) -> str:
        """Make an external object and return its ARN."""
        row = ROWS[kind]
        parameters = {row.name_member: desired.name, **row.send(desired.fields), **desired.once}
        if row.taggable and tags:
            parameters["tags"] = _tag_list(tags)
        try:
            answer = await self._client.call(f"Create{kind}", **parameters)
        except EngineError as error:
            # What exists already may be what an earlier call of ours made.
            if error.failure.outcome_unknown or error.error_class is ErrorClass.EXISTS:
                self._finder.called(kind, desired.name)
            raise
        self._finder.called(kind, desired.name)
        arn: str = answer[row.arn_member]
        return arn

    async def update(
        self, kind: str, observed: Observed, fields: Mapping[str, Any], desired: Desired
    ) -> None:
        """Change `fields` of an external object in place."""
        row = ROWS[kind]
        if row.send_update is None:
            raise errors.refused_here(
                f"Update{kind}", f"a {kind} can't be changed", ErrorClass.INVALID
            )
        parameters = row.send_update(fields, desired.fields, observed.fields)
        await self._change(row, observed, f"Update{kind}", parameters)

    async def tag(
        self, kind: str, observed: Observed, set_: Mapping[str, str], remove: Sequence[str]
    ) -> None:
        """Set and remove tags of an external object."""
        if not ROWS[kind].taggable:
            return
        self._sweep_due[observed.id] = self._timers.time()
        if set_:
            await self._client.call("TagResource", resourceArn=observed.id, tags=_tag_list(set_))
        if remove:
            await self._client.call(
                "UntagResource", resourceArn=observed.id, tagKeys=sorted(remove)
            )

    async def stop(self, kind: str, observed: Observed) -> None:
        """Stop a training that has not ended."""
        row = ROWS[kind]
        if row.stop is not None:
            await self._change(row, observed, row.stop, {})

    async def delete(self, kind: str, observed: Observed) -> None:
        """Delete an external object; imports and versions go only with their parents."""
        row = ROWS[kind]
        if not row.deletable:
            return
        try:
            await self._change(row, observed, f"Delete{kind}", {})
        except EngineError as error:
            if error.error_class is not ErrorClass.NOT_FOUND:
                raise

    async def _change(
        self, row: Row, observed: Observed, operation: str, parameters: Mapping[str, Any]
    ) -> None:
        # The next look describes it, whatever becomes of the call.
        self._sweep_due[observed.id] = self._timers.time()
        try:
            await self._client.call(operation, **{row.arn_member: observed.id}, **parameters)
        except EngineError as error:
            refused = not error.failure.outcome_unknown
            if refused and error.error_class is not ErrorClass.NOT_FOUND:
                raise  # nothing has changed, so nobody needs to be told to look: backoff rules
            self._forget(row, observed)
            raise
        self._forget(row, observed)

    def _forget(self, row: Row, observed: Observed) -> None:
        """Forget what is known of an object that was just changed, and look at it soon."""
        poller = self._pollers[row.kind]
        poller.descriptions.pop(observed.id, None)
        poller.unchanged.pop(observed.id, None)
        self._finder.called(row.kind, observed.name)

    # Watching

    async def run(self, notify: Callable[[Key], None]) -> None:
        """Watch what is in flight until cancelled, and name each resource whose object changed."""
        async with asyncio.TaskGroup() as group:
            for poller in self._pollers.values():
                group.create_task(poller.run(notify))

    def forget(self, key: Key) -> None:
        """Stop watching for a resource that is gone."""
        for poller in self._pollers.values():
            poller.forget(key)


def _updating(row: Row, answer: Mapping[str, Any]) -> bool:
    latest = answer.get(row.update_member)
    return latest is not None and latest.get("status") in TRANSITIONAL


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"tagKey": key, "tagValue": value} for key, value in sorted(tags.items())]
