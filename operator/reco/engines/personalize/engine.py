"""Amazon Personalize as an engine: what specs come to, and the calls that change something."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reco.api.engine_class import PersonalizeSettings
from reco.api.resource import Key, Resource
from reco.api.tenancy import Tenancy
from reco.decide import names
from reco.decide.model import (
    Absent,
    Desired,
    EngineView,
    ErrorClass,
    Observed,
    Unsupported,
    Waiting,
)
from reco.decide.references import References, blocker, tags_of
from reco.engines.personalize import errors
from reco.engines.personalize.client import PersonalizeClient, pages
from reco.engines.personalize.kinds import (
    GOES_WITH_PARENT,
    REPEATABLE,
    ROWS,
    UNPROVEN,
    Row,
)
from reco.engines.personalize.observing import Observer
from reco.engines.personalize.polling import PollSettings, Timers
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
        self._class = engine_class
        self._place = Place(settings_of(engine_class))
        self._client = client
        self._timers = timers
        self._settings = settings or PollSettings()
        self._observer = Observer(self._place, client, timers, self._settings)
        self._capabilities: Capabilities | None = None
        self._capabilities_due = 0.0
        self._notify: Callable[[Key], None] = lambda _key: None
        self._unchecked: set[Key] = set()

    @property
    def view(self) -> EngineView:
        """What decisions need to know: the account is known once anything was seen in it."""
        return EngineView(
            class_name=self._class.key.name,
            region=self._place.region,
            account=self._observer.account,
            deletion_policy=self._class.spec.deletion_policy,
            tenancy=self._class.spec.tenancy or Tenancy(),
            unproven=UNPROVEN,
            repeatable=REPEATABLE,
            goes_with_parent=GOES_WITH_PARENT,
        )

    async def capabilities(self) -> Capabilities:
        """List the recipes; this also proves that the service lets us in.

        The class is looked at whenever one of its resources changes, so an answer is kept for a
        while; a failure is not.
        """
        if self._capabilities is not None and self._timers.time() < self._capabilities_due:
            return self._capabilities
        listed = await pages(self._client, "ListRecipes")
        recipes = {recipe["name"] for page in listed for recipe in page.get("recipes", ())}
        self._place = replace(self._place, recipes=frozenset(recipes))
        self._capabilities = Capabilities(sorted(_FEATURES), sorted(recipes))
        self._capabilities_due = self._timers.time() + self._settings.slow
        for key in sorted(self._unchecked):
            self._notify(key)
        self._unchecked.clear()
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
        rendered = row.render(resource, references, self._place)
        if not isinstance(rendered, Rendered):
            return rendered
        if self._place.recipes is None and "recipeArn" in rendered.fields:
            self._unchecked.add(resource.key)  # looked at again once the recipes are known
        tags = {**(self._place.settings.tags or {}), **tags_of(resource, references)}
        return Desired(
            name=names.external_name(resource),
            fields=rendered.fields,
            mutable=rendered.mutable,
            tags=tags if row.taggable else None,
            once=rendered.once,
        )

    # What is there

    async def observe(
        self,
        resource: Resource,
        desired: Desired | Waiting | Unsupported,
        *,
        fresh: bool = False,
        tags: bool = False,
    ) -> Observed | Absent:
        """Find a resource's external object: by the recorded ARN, else by name."""
        row = ROWS[resource.key.kind]
        wanted = desired if isinstance(desired, Desired) else None
        return await self._observer.observe(row, resource, wanted, fresh=fresh, tags=tags)

    # What to do

    async def turn(self) -> None:
        """Wait until one more change may be asked for."""
        await self._client.turn()

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
                self._observer.called(kind, desired.name)
            raise
        self._observer.called(kind, desired.name)
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
        """Remove and set tags of an external object; first remove, for an object holds only 50."""
        if not ROWS[kind].taggable:
            return
        self._observer.doubt(observed.id)
        if remove:
            await self._client.call(
                "UntagResource", resourceArn=observed.id, tagKeys=sorted(remove)
            )
        if set_:
            await self._client.call("TagResource", resourceArn=observed.id, tags=_tag_list(set_))

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
        self._observer.doubt(observed.id)
        try:
            await self._client.call(operation, **{row.arn_member: observed.id}, **parameters)
        except EngineError as error:
            refused = not error.failure.outcome_unknown
            if refused and error.error_class is not ErrorClass.NOT_FOUND:
                raise  # nothing has changed, so nobody needs to be told to look: backoff rules
            self._observer.changed(row.kind, observed)
            raise
        self._observer.changed(row.kind, observed)

    # Watching

    async def run(self, notify: Callable[[Key], None]) -> None:
        """Watch what is in flight until cancelled, and name each resource whose object changed."""
        self._notify = notify
        await self._observer.run(notify)

    def forget(self, key: Key) -> None:
        """Stop watching for a resource that is gone."""
        self._observer.forget(key)


def settings_of(engine_class: Resource) -> PersonalizeSettings:
    """Return what an EngineClass says of Personalize.

    Raises:
        ValueError: if it says nothing, or nothing that can be read.
    """
    settings: PersonalizeSettings | None = getattr(engine_class.spec, "personalize", None)
    if settings is None:
        why = engine_class.problem or "it is left out"
        raise ValueError(f"spec.personalize is needed, and can't be used: {why}")
    return settings


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"tagKey": key, "tagValue": value} for key, value in sorted(tags.items())]
