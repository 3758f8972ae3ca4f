"""Who has to look again when a resource changes.

The one that changed, if it is news to it: its own status is what it wrote itself. And whoever
builds on it: those that refer to it, those it refers to, which show or wait for it, and its owners.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource
from reco.api.vocabulary import GROUP
from reco.decide.owners import counterparts
from reco.decide.references import Lookup, target_of, targets
from reco.decide.rules import onlookers
from reco.loop.cache import Cache


class _Queue(Protocol):
    def add(self, key: Key) -> None: ...


def connect(
    queue: _Queue,
    clock: Callable[[], float],
    *,
    changed: Callable[[Resource | None, Resource | None], None] | None = None,
) -> Cache:
    """Return a cache whose changes queue whoever has to look again.

    Args:
        queue: receives the keys.
        clock: monotonic seconds.
        changed: also told of each change, for metrics.
    """

    def listener(before: Resource | None, after: Resource | None) -> None:
        if changed is not None:
            changed(before, after)
        for key in route(before, after, cache):
            queue.add(key)

    cache = Cache(clock, listener)
    return cache


def route(before: Resource | None, after: Resource | None, lookup: Lookup) -> list[Key]:
    """Return the keys that a change concerns, the changed one first, each once."""
    return list(dict.fromkeys(_concerned(before, after, lookup)))


def _concerned(before: Resource | None, after: Resource | None, lookup: Lookup) -> Iterator[Key]:
    resource = after or before
    if resource is None:
        return
    if before is None or after is None or _asks_for_a_look(before, after):
        yield resource.key
    if before is not None and after is not None and _same(before, after):
        return
    yield from (other.key for other in lookup.referring(resource.key))
    for state in (before, after):
        if state is not None:
            yield from _around(state, lookup)
    if resource.key.kind == "EngineClass":
        yield from _without_class(lookup)
        if before is None or after is None or before.generation != after.generation:
            yield from _in_charge_of(resource, lookup)
    if after is None:
        yield from _class_left(resource, lookup)


def _asks_for_a_look(before: Resource, after: Resource) -> bool:
    return any(
        read(before) != read(after)
        for read in (
            lambda r: r.uid,
            lambda r: r.generation,
            lambda r: r.deleted,
            lambda r: r.finalizers,
            lambda r: r.labels,
            lambda r: r.owners,
            _our_annotations,
        )
    )


def _our_annotations(resource: Resource) -> dict[str, str]:
    return {
        name: value
        for name, value in resource.annotations.items()
        if name.partition("/")[0] == GROUP
    }


def _same(before: Resource, after: Resource) -> bool:
    return replace(before, resource_version=after.resource_version) == after


def _around(resource: Resource, lookup: Lookup) -> Iterator[Key]:
    """Yield those that a resource refers to, its owners, and siblings that look at it.

    Also whom it hands its object over to, or takes one from, in whatever namespace.
    """
    yield from (key for key in counterparts(resource) if lookup.get(key) is not None)
    for target in targets(resource):
        if lookup.get(target) is not None:
            yield target
        for onlooker in onlookers(resource.key.kind):
            yield from (other.key for other in lookup.referring(target, onlooker))
    for owner in resource.owners:
        key = Key(owner.kind, resource.key.namespace, owner.name)
        found = lookup.get(key)
        if found is not None and found.uid == owner.uid:
            yield key


def _in_charge_of(engine_class: Resource, lookup: Lookup) -> Iterator[Key]:
    """Yield all that a class is in charge of: with other settings it is another engine."""
    for kind in KINDS:
        for resource in lookup.all(kind):
            if getattr(resource.status, "engine_class_name", None) == engine_class.key.name:
                yield resource.key


def _class_left(resource: Resource, lookup: Lookup) -> Iterator[Key]:
    """Yield the class that was in charge of a resource that is gone: it may be free to go now."""
    name = getattr(resource.status, "engine_class_name", None)
    if name is not None and lookup.get(Key("EngineClass", "", name)) is not None:
        yield Key("EngineClass", "", name)


def _without_class(lookup: Lookup) -> Iterator[Key]:
    """Yield the resources that leave the choice of a class to the default."""
    for kind in KINDS.values():
        for reference in kind.references:
            if reference.target == "EngineClass":
                yield from (
                    resource.key
                    for resource in lookup.all(kind.name)
                    if target_of(resource, reference) is None
                )
