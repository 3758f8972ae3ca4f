"""Namespaces: which of them this operator watches, and their labels where a class asks for them.

Labels are read from the API when they are needed and known for a while: few classes choose
namespaces by labels, and reading one namespace needs less permission than watching all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from reco.cluster.errors import StoreForbidden, StoreNotFound

LABELS_SECONDS: Final = 60.0
"""How long labels count as known."""


class _Store(Protocol):
    async def namespace_labels(self, name: str) -> Mapping[str, str]: ...


class Namespaces:
    """What is known of namespaces; safe to use from several workers."""

    def __init__(
        self, store: _Store, clock: Callable[[], float], watched: Sequence[str] = ()
    ) -> None:
        """Know nothing yet.

        Args:
            store: reads one namespace.
            clock: monotonic seconds.
            watched: the namespaces whose resources are seen; none means all.
        """
        self._store = store
        self._clock = clock
        self._watched = frozenset(watched)
        self._known: dict[str, tuple[float, Mapping[str, str] | str]] = {}

    def watched(self, name: str) -> bool:
        """Whether this operator sees the resources of a namespace."""
        return not self._watched or name in self._watched

    def labels(self, name: str) -> Mapping[str, str] | str:
        """Return a namespace's labels as they were read last, or in words why they are unknown."""
        return self._known.get(name, (0.0, f"those of namespace {name} were not read yet"))[1]

    async def read(self, name: str) -> None:
        """Read a namespace's labels, unless that was done a moment ago.

        Raises:
            StoreError: if the API can't be asked right now.
        """
        now = self._clock()
        at = self._known[name][0] if name in self._known else float("-inf")
        if now - at >= LABELS_SECONDS:
            self._known[name] = (now, await self._read(name))

    async def _read(self, name: str) -> Mapping[str, str] | str:
        try:
            return await self._store.namespace_labels(name)
        except StoreForbidden as error:
            return (
                f"the operator may not read those of namespace {name} ({error}): whoever runs it"
                " has to allow it to get namespaces"
            )
        except StoreNotFound:
            return f"there is no namespace {name} any more"
