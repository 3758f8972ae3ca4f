"""What the operator knows of the cluster: typed resources by key, and who refers to whom.

The cache is fed by the watch, by lists, and by the operator's own writes. The watch lags behind
the writes, so a resource that we have just written is put in at once, and older news of it are
held back until the watch has caught up with the write (or a few seconds have passed: the watch may
have jumped over it). Resource versions are compared for equality only, as the API demands.

Absence from the cache proves nothing: deletions are decided from what the API and the engine say.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource
from reco.decide.references import targets

T = TypeVar("T")

_VERSIONS_REMEMBERED = 4
_WRITES_ARE_ANSWERED_WITHIN = 60.0

Listener = Callable[[Resource | None, Resource | None], None]
"""Told of each change as (before, after); None stands for absence."""


@dataclass(slots=True)
class _Pending:
    """A write of ours whose echo the watch has not brought yet."""

    deadline: float
    held: Resource | None = None
    """The latest news that the watch brought instead."""


class Cache:
    """Typed resources; a `reco.decide.references.Lookup` for decisions."""

    def __init__(
        self, clock: Callable[[], float], listener: Listener, *, echo_seconds: float = 5.0
    ) -> None:
        """Make an empty cache.

        Args:
            clock: monotonic seconds.
            listener: told of every change, also those by our own writes.
            echo_seconds: how long the watch may take to bring back a write of ours.
        """
        self._clock = clock
        self._listener = listener
        self._echo_seconds = echo_seconds
        self._resources: dict[Key, Resource] = {}
        self._buckets: dict[tuple[str, str | None], dict[Key, Resource]] = defaultdict(dict)
        self._sorted: dict[tuple[str, str | None], tuple[Resource, ...]] = {}
        self._referring: dict[Key, set[Key]] = defaultdict(set)
        self._owned: dict[str, set[Key]] = defaultdict(set)
        self._pending: dict[Key, _Pending] = {}
        self._seen: dict[Key, tuple[str, ...]] = {}
        self._gone: dict[str, float] = {}
        self._touched: dict[Key, int] = {}
        self._changes = 0
        self._synced: set[str] = set()

    # --- reading ----------------------------------------------------------------------------

    def get(self, key: Key) -> Resource | None:
        """Return a resource, or None."""
        return self._resources.get(key)

    def all(self, kind: str, namespace: str | None = None) -> Sequence[Resource]:
        """Return all resources of a kind, in one namespace or everywhere, sorted by key."""
        bucket = (kind, namespace)
        if bucket not in self._sorted:
            found = self._buckets.get(bucket, {})
            self._sorted[bucket] = tuple(found[key] for key in sorted(found))
        return self._sorted[bucket]

    def referring(self, key: Key, kind: str | None = None) -> Sequence[Resource]:
        """Return the resources whose specs name `key`, of one kind or of all, sorted by key."""
        return self._sorted_resources(
            other for other in self._referring.get(key, ()) if kind in {None, other.kind}
        )

    def owned(self, uid: str) -> Sequence[Resource]:
        """Return the resources with an owner reference to `uid`, sorted by key."""
        return self._sorted_resources(self._owned.get(uid, ()))

    def count(self, kind: str) -> int:
        """Return how many resources of a kind are known."""
        return len(self._buckets.get((kind, None), {}))

    # --- news from the API ------------------------------------------------------------------

    def replace(self, resource: Resource) -> None:
        """Take in what the watch or a list says of a resource."""
        known = self._resources.get(resource.key)
        if known is not None and known.uid == resource.uid:
            if known.resource_version == resource.resource_version:
                self._pending.pop(resource.key, None)
                return
            pending = self._pending.get(resource.key)
            if pending is not None and self._clock() < pending.deadline:
                pending.held = resource
                return
        self._pending.pop(resource.key, None)
        self._put(resource)

    def observe_write(self, resource: Resource) -> None:
        """Take in what a write of ours returned, ahead of the watch."""
        if resource.uid in self._gone or resource.resource_version in self._seen.get(
            resource.key, ()
        ):
            return  # the watch was faster than the answer to our write
        self._pending[resource.key] = _Pending(self._clock() + self._echo_seconds)
        self._put(resource)

    def release(self) -> None:
        """Take in held news of resources whose write the watch did not bring back in time.

        To be called every second or so.
        """
        now = self._clock()
        self._gone = {uid: until for uid, until in self._gone.items() if until > now}
        overdue = [key for key, pending in self._pending.items() if pending.deadline <= now]
        for key in overdue:
            held = self._pending.pop(key).held
            if held is not None:
                self._put(held)

    def remove(self, key: Key, uid: str) -> Resource | None:
        """Forget a resource that is gone and return it; None if the key has another UID now."""
        resource = self._resources.get(key)
        if resource is None or resource.uid != uid:
            return None
        self._pending.pop(key, None)
        self._seen.pop(key, None)
        self._gone[uid] = self._clock() + _WRITES_ARE_ANSWERED_WITHIN
        del self._resources[key]
        self._unindex(resource)
        self._touch(key)
        self._listener(resource, None)
        return resource

    # --- lists ------------------------------------------------------------------------------

    def mark(self) -> int:
        """Return a mark to be taken before a list is asked for; see `merge`."""
        return self._changes

    def merge(self, kind: str, listed: Iterable[Resource], mark: int) -> int:
        """Take in a complete list of a kind that was asked for after `mark` was taken.

        What changed here since the mark is left alone: it may be newer than the list. What the
        list lacks and was known before the mark has vanished while nobody watched.

        Returns:
            How many resources the watch had failed to tell us of.
        """
        found = {resource.key: resource for resource in listed}
        missed = 0
        for key, resource in found.items():
            if self._touched.get(key, 0) > mark:
                continue
            known = self._resources.get(key)
            if known is None or known.resource_version != resource.resource_version:
                missed += 1
                self._pending.pop(key, None)
                self._put(resource)
        vanished = [
            resource
            for key, resource in self._buckets.get((kind, None), {}).items()
            if key not in found and self._touched.get(key, 0) <= mark
        ]
        for resource in vanished:
            missed += 1
            self.remove(resource.key, resource.uid)
        self._synced.add(kind)
        self._touched = {
            key: change
            for key, change in self._touched.items()
            if key.kind != kind or key in self._resources
        }
        return missed

    @property
    def unsynced(self) -> list[str]:
        """Kinds that have not been listed once since the start, in the order of the table."""
        return [kind for kind in KINDS if kind not in self._synced]

    @property
    def synced(self) -> bool:
        """Whether every kind has been listed, so that a missing resource means something."""
        return len(self._synced) == len(KINDS)

    # --- within -----------------------------------------------------------------------------

    def _sorted_resources(self, keys: Iterable[Key]) -> list[Resource]:
        return [self._resources[key] for key in sorted(keys)]

    def _put(self, resource: Resource) -> None:
        before = self._resources.get(resource.key)
        self._touch(resource.key)
        if before is not None:
            self._unindex(before)
        self._resources[resource.key] = resource
        seen = self._seen.get(resource.key, ())
        self._seen[resource.key] = (*seen[1 - _VERSIONS_REMEMBERED :], resource.resource_version)
        self._index(resource)
        self._listener(before, resource)

    def _touch(self, key: Key) -> None:
        self._changes += 1
        self._touched[key] = self._changes

    def _bucket_names(self, key: Key) -> tuple[tuple[str, str | None], ...]:
        return (key.kind, None), (key.kind, key.namespace)

    def _index(self, resource: Resource) -> None:
        for name in self._bucket_names(resource.key):
            self._buckets[name][resource.key] = resource
            self._sorted.pop(name, None)
        for target in targets(resource):
            self._referring[target].add(resource.key)
        for owner in resource.owners:
            self._owned[owner.uid].add(resource.key)

    def _unindex(self, resource: Resource) -> None:
        for name in self._bucket_names(resource.key):
            del self._buckets[name][resource.key]
            self._sorted.pop(name, None)
        for target in targets(resource):
            _discard(self._referring, target, resource.key)
        for owner in resource.owners:
            _discard(self._owned, owner.uid, resource.key)


def _discard(index: dict[T, set[Key]], at: T, key: Key) -> None:
    index[at].discard(key)
    if not index[at]:
        del index[at]
