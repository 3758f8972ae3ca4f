"""Confirming: whether a decision still holds once its turn has come.

A call may wait for minutes for its turn at an engine's rate. Meanwhile a person says Retain, pauses
the resource or edits its spec, and a parent or the class changes. So the decision is taken again
right before the call, from what is known of the cluster by then, and the call is made only if it is
decided again. What can't be taken back goes by what the API server says, because the cache may lag
behind it: one read for the resource, and one for its class where that has the say.
"""

from dataclasses import dataclass
from typing import Protocol

from reco.api.resource import Key, Resource
from reco.decide import deletion, lifecycle
from reco.decide.decision import Action, DeleteExternal, RemoveFinalizer, StopExternal
from reco.decide.model import Situation
from reco.loop.looking import Looker
from reco.loop.store import Store


class Outdated(Exception):  # noqa: N818 - a signal, not an error of this code
    """What was decided would not be decided again: look again."""


class Known(Protocol):
    """What is known of the cluster, and where a newer reading of it is noted: the cache."""

    def get(self, key: Key) -> Resource | None:
        """Return a resource, or None."""
        ...

    def observe_write(self, resource: Resource) -> None:
        """Take in what the API server has just answered."""
        ...

    def remove(self, key: Key, uid: str) -> Resource | None:
        """Forget a resource that is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Confirmer:
    """Takes decisions again."""

    store: Store
    cache: Known
    looker: Looker

    async def confirm(self, situation: Situation, action: Action) -> Resource:
        """Return the resource as it now is, if the action would be decided again.

        Raises:
            Outdated: if not, or if the resource is gone.
            StoreError: if the API server can't be asked.
        """
        before = situation.resource
        for key in _to_read(situation, action):
            await self.refresh(key)
        resource = self.cache.get(before.key)
        if resource is None or _identity(resource) != _identity(before):
            raise Outdated
        if action not in lifecycle.decide(self.looker.renewed(situation, resource)).actions:
            raise Outdated
        return resource

    async def refresh(self, key: Key) -> Resource | None:
        """Read a resource from the API server and tell the cache; return it, or None."""
        found = await self.store.get(key)
        known = self.cache.get(key)
        if known is not None and (found is None or found.uid != known.uid):
            self.cache.remove(key, known.uid)
        if found is not None:
            self.cache.observe_write(found)
        return found


def _identity(resource: Resource) -> tuple[object, ...]:
    return resource.uid, resource.generation, resource.deleted


def _to_read(situation: Situation, action: Action) -> list[Key]:
    """Return what decides an action that can't be taken back.

    The finalizer is taken off the very version of the resource that was looked at, or not at all,
    so the resource need not be read for that.
    """
    resource = situation.resource
    keys = [resource.key] if isinstance(action, DeleteExternal | StopExternal) else []
    goes = isinstance(action, DeleteExternal | StopExternal | RemoveFinalizer)
    if goes and situation.engine is not None and deletion.class_decides(resource):
        keys.append(Key("EngineClass", "", situation.engine.class_name))
    return keys
