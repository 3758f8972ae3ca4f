"""Keeps the cache true: watch events as they come, and complete lists to catch what they miss.

A watch that was interrupted is replayed with what exists, but nobody says what has vanished
meanwhile. So every kind is also listed: once before any work begins, soon after each replay, and
every few minutes. What a list shows that the watch did not is counted, for it should not happen.

This class knows nothing of kopf or HTTP: a simulation can feed it directly.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from reco.api.kinds import KINDS
from reco.api.resource import Key, parse
from reco.cluster.errors import StoreError
from reco.loop.cache import Cache
from reco.loop.store import Store

_SETTLED: Final = 2.0
_TICK: Final = 1.0
_RETRY: Final = 5.0

logger = logging.getLogger(__name__)


class Informer:
    """Feeds a cache."""

    def __init__(
        self,
        cache: Cache,
        store: Store,
        *,
        clock: Callable[[], float],
        relist: float = 300.0,
        missed: Callable[[str, int], None] | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            cache: what to feed.
            store: lists.
            clock: monotonic seconds, of the event loop.
            relist: seconds between two lists of a kind.
            missed: told the kind and how many changes a list has found that the watch missed.
        """
        self._cache = cache
        self._store = store
        self._clock = clock
        self._relist = relist
        self._missed = missed or (lambda _kind, _count: None)
        self._heard: dict[str, float] = {}
        self._next_list: dict[str, float] = {}

    def handle(self, type_: str | None, body: Mapping[str, Any]) -> None:
        """Take in one watch event.

        Args:
            type_: `ADDED`, `MODIFIED`, `DELETED`, or None for the replay of what exists.
            body: the object.
        """
        metadata = body["metadata"]
        key = Key(body["kind"], metadata.get("namespace") or "", metadata["name"])
        self._heard[key.kind] = self._clock()
        if type_ == "DELETED":
            self._cache.remove(key, metadata["uid"])
            return
        if type_ is None and key.kind in self._next_list:
            soon = self._clock() + _SETTLED
            self._next_list[key.kind] = min(self._next_list[key.kind], soon)
        known = self._cache.get(key)
        if (
            known is not None
            and known.uid == metadata["uid"]
            and known.resource_version == metadata["resourceVersion"]
        ):
            self._cache.replace(known)  # an echo, which need not be parsed
        else:
            self._cache.replace(parse(slim(body)))

    async def list(self, kind: str) -> None:
        """List one kind and correct the cache by it.

        Raises:
            StoreError: if the API can't be asked.
        """
        first = kind not in self._next_list
        mark = self._cache.mark()
        found = await self._store.list(kind)
        missed = self._cache.merge(kind, found, mark)
        self._heard[kind] = self._clock()
        self._next_list[kind] = self._clock() + self._relist
        if missed and not first:
            logger.debug("a list of %s showed %d changes before the watch", kind, missed)
            self._missed(kind, missed)

    async def sync(self) -> None:
        """List every kind, for as long as it takes, so that absence from the cache means something.

        No worker may begin before.
        """
        for position, kind in enumerate(KINDS):
            while not await self._try_to_list(kind):  # noqa: ASYNC110 - nothing signals recovery
                await asyncio.sleep(_RETRY)
            # Lists of different kinds are spread over the period.
            self._next_list[kind] += self._relist * position / len(KINDS)

    async def run(self) -> None:
        """Keep the cache true until cancelled; `sync` comes first."""
        while True:
            await asyncio.sleep(_TICK)
            await self.tick()

    async def tick(self) -> None:
        """Do what is due now: lists, and news that were held back for an echo that never came."""
        self._cache.release()
        now = self._clock()
        for kind in [kind for kind, due in self._next_list.items() if due <= now]:
            if not await self._try_to_list(kind):
                self._next_list[kind] = self._clock() + _RETRY

    def silence(self) -> float:
        """Return the seconds since anything was heard of the kind that was heard of least."""
        if not self._heard:
            return 0.0
        return self._clock() - min(self._heard.values())

    async def _try_to_list(self, kind: str) -> bool:
        try:
            await self.list(kind)
        except StoreError as error:
            logger.warning("can't list %s, and try again: %s", KINDS[kind].plural, error)
            return False
        return True


_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def slim(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource without what nobody here reads but everybody would keep in memory.

    kubectl's annotation holds the whole spec a second time.
    """
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and _LAST_APPLIED in annotations:
        metadata["annotations"] = {
            name: value for name, value in annotations.items() if name != _LAST_APPLIED
        }
    return {**body, "metadata": metadata}
