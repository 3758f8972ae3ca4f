"""Looking: all that a decision about one resource may know, gathered from the cache and the engine.

Nothing is changed here. What the engine fails to tell is part of what was seen.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reco.api.resource import Key, Resource
from reco.api.vocabulary import ConditionType, ManagementPolicy
from reco.decide import (
    deletion,
    engine_class,
    owners,
    placement,
    requests,
    runs,
    tags,
    tenancy,
)
from reco.decide.decision import Decision
from reco.decide.model import (
    Desired,
    EngineView,
    Failure,
    Identity,
    NotAsked,
    Observation,
    Observed,
    Situation,
    Timing,
    Waiting,
    Wish,
)
from reco.decide.references import Lookup, References, blocker, parent_of, resolve
from reco.decide.rules import RULES, related
from reco.engines.port import Engine, EngineError

log = logging.getLogger(__name__)


class Engines(Protocol):
    """Where engines come from."""

    def get(self, engine_class: Resource) -> Engine:
        """Return the engine of a class.

        Raises:
            ValueError: if the class's settings make no engine.
        """
        ...

    def forget(self, key: Key) -> None:
        """Tell all engines that a resource is gone."""
        ...


class Namespaces(Protocol):
    """What is known of namespaces."""

    async def read(self, name: str) -> None:
        """Read a namespace's labels, unless they are known; raises `StoreError`."""
        ...

    def labels(self, name: str) -> Mapping[str, str] | str:
        """Return a namespace's labels as they were read last, or why they are not known."""
        ...

    def watched(self, name: str) -> bool:
        """Whether this operator sees the resources of a namespace."""
        ...


class View(Lookup, Protocol):
    """What is looked at of the cache."""

    def owned(self, uid: str) -> Sequence[Resource]:
        """Return the resources with an owner reference to `uid`."""
        ...


@dataclass(frozen=True, slots=True)
class Looker:
    """Gathers situations."""

    cache: View
    engines: Engines
    identity: Identity
    clock: Callable[[], datetime]
    """The time in UTC."""
    failures: Callable[[Key], int]
    """How often in a row a resource has failed."""
    timing: Timing
    namespaces: Namespaces
    """What is known of namespaces."""

    async def situation(self, resource: Resource) -> Situation:
        """Return what a decision about a resource with an external object may look at."""
        references = resolve(resource, self.cache)
        engine, desired = self._wanted(resource, references)
        view = engine.view if engine is not None else None
        if view is not None and tenancy.needs_labels(view.tenancy):
            await self.namespaces.read(resource.key.namespace)
        observation: Observation = NotAsked()
        asks = (
            deletion.asks_engine(resource, view)
            if resource.deleted is not None
            else resource.spec is not None and self._barred(resource, view) is None
        )
        if engine is not None and asks:
            observation = await _observed(resource, engine, desired, self.identity)
        return self._situation(resource, references, view, desired, observation)

    def renewed(self, situation: Situation, resource: Resource) -> Situation:
        """Return a situation with what is known of the cluster by now; the engine is not asked."""
        references = resolve(resource, self.cache)
        engine, desired = self._wanted(resource, references)
        view = engine.view if engine is not None else None
        return self._situation(resource, references, view, desired, situation.observation)

    def _wanted(self, resource: Resource, references: References) -> tuple[Engine | None, Wish]:
        engine, no_engine = self.engine(resource, references)
        if resource.spec is None or engine is None:
            return engine, no_engine
        return engine, self._desired(resource, references, engine)

    def _situation(
        self,
        resource: Resource,
        references: References,
        view: EngineView | None,
        desired: Wish,
        observation: Observation,
    ) -> Situation:
        owner, hidden = self._owner(resource, observation)
        owned = self._children(resource)
        owned_keys = {child.key for child in owned}
        return Situation(
            resource=resource,
            now=self.clock(),
            identity=self.identity,
            engine=view,
            desired=desired,
            observation=observation,
            children=owned,
            dependents=[
                other for other in self.cache.referring(resource.key) if other.key not in owned_keys
            ],
            parent=parent_of(resource, references),
            related=related(resource, references, self.cache),
            barred=self._barred(resource, view),
            owner=owner,
            owner_hidden=hidden,
            failures=self.failures(resource.key),
            timing=self.timing,
        )

    def _children(self, resource: Resource) -> Sequence[Resource]:
        """Return what a resource owns, and the runs it made that a restore took from it."""
        owned = {child.key: child for child in self.cache.owned(resource.uid)}
        for other in self.cache.referring(resource.key):
            if runs.is_run_of(resource, other):
                owned.setdefault(other.key, other)
        return [owned[key] for key in sorted(owned)]

    def _barred(self, resource: Resource, view: EngineView | None) -> str | None:
        """Return why the class lets nothing be done for a resource, or None."""
        if view is None or resource.deleted is not None:
            return None
        labels: Mapping[str, str] | str | None = None
        if tenancy.needs_labels(view.tenancy):
            labels = self.namespaces.labels(resource.key.namespace)
        return tenancy.barred(resource, view, labels)

    def _owner(self, resource: Resource, observation: Observation) -> tuple[Resource | None, bool]:
        """Return the other resource that stands for what was seen, and whether it may be hidden."""
        if not isinstance(observation, Observed):
            return None, False
        owner, namespace = owners.owner_of(resource, observation, self.identity, self.cache)
        hidden = owner is None and namespace is not None and not self.namespaces.watched(namespace)
        return owner, hidden

    async def engine_class(self, resource: Resource) -> Decision:
        """Ask what the engine of a class offers, and decide about the class."""
        offered: tuple[Sequence[str], Sequence[str]] | Failure | str
        users = self._users(resource) if resource.deleted is not None else []
        try:
            if resource.deleted is not None:
                offered = ((), ())
            elif resource.problem is not None:
                offered = resource.problem
            else:
                capabilities = await self.engines.get(resource).capabilities()
                offered = (capabilities.features, capabilities.recipes)
        except ValueError as error:
            offered = str(error)
        except EngineError as error:
            offered = error.failure
        return engine_class.decide(resource, offered=offered, users=users, timing=self.timing)

    def _users(self, engine_class: Resource) -> list[Resource]:
        """Return the resources that a class is in charge of, or that name it."""
        users = {user.key: user for user in self.cache.referring(engine_class.key)}
        for kind in RULES:
            for resource in self.cache.all(kind):
                if resource.status.engine_class_name == engine_class.key.name:
                    users[resource.key] = resource
        return [users[key] for key in sorted(users)]

    def engine(self, resource: Resource, references: References) -> tuple[Engine | None, Waiting]:
        """Return the engine in charge of a resource, or why there is none.

        The class recorded in the status stands in for one that can't be reached through the
        references any more, so that deletion works in any order.
        """
        found = references.engine_class
        if found is None and resource.status.engine_class_name is not None:
            found = self.cache.get(Key("EngineClass", "", resource.status.engine_class_name))
        waiting = blocker(resource, references) if resource.spec is not None else None
        none = waiting or Waiting("there is no EngineClass in charge")
        if found is None or found.problem is not None:
            return None, none
        try:
            return self.engines.get(found), none
        except ValueError as error:
            return None, Waiting(f"{found.key} can't be used: {error}")

    def _desired(self, resource: Resource, references: References, engine: Engine) -> Wish:
        completed = RULES[resource.key.kind].complete(resource, references, self.cache)
        waiting = blocker(resource, references)
        if waiting is not None:
            return waiting
        if isinstance(completed, Waiting):
            return completed
        misplaced = placement.misplaced(resource, references, self.cache, engine.view)
        if misplaced is not None:
            return misplaced
        elsewhere = tenancy.builds_on_others(resource, references, engine.view)
        if elsewhere is not None:
            return elsewhere
        wanted = engine.desired(resource, completed)
        return (tags.problem(wanted) or wanted) if isinstance(wanted, Desired) else wanted


async def _observed(
    resource: Resource, engine: Engine, desired: Wish, identity: Identity
) -> Observation:
    try:
        return await engine.observe(
            resource,
            desired,
            fresh=requests.forced(resource),
            tags=_tags_wanted(resource, desired, engine.view, identity),
        )
    except EngineError as error:
        log_failure(resource, error)
        return error.failure


def _tags_wanted(resource: Resource, desired: Wish, view: EngineView, identity: Identity) -> bool:
    """Whether tags must be read before it can be said that the wanted ones are there.

    Or whose the object is by now, where that may have changed by somebody's word.
    """
    if owners.offered_to(resource, identity) or tenancy.observes_others(resource, view):
        return True
    applied = resource.status.applied
    return (
        isinstance(desired, Desired)
        and desired.tags is not None
        and not resource.kind.runs_to_completion
        and resource.spec.management_policy is ManagementPolicy.MANAGE
        and (
            applied is None
            or applied.digest != desired.digest
            or bool(resource.status.pending_tag_keys)
            or resource.is_true(ConditionType.DRIFTED)  # it may be the tags that have drifted
        )
    )


def log_failure(resource: Resource, error: EngineError) -> None:
    """Log a call that an engine refused or failed; the status tells of it, too."""
    log.info(
        "the engine failed a call",
        extra={
            "resource": str(resource.key),
            "operation": error.failure.operation,
            "class": error.error_class.value,
            "error": error.failure.message,
        },
    )
