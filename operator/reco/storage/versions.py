"""Trained versions in storage, and when their models may go.

A model is named by its digest, so two versions may share one. What a training is about to store is
noted beside its manifest first: one that breaks off and is done again with newer data then leaves
no model that nobody names; what a deletion is about to drop is noted likewise. A deleted version
that updates go on from is noted as their base, which names its model as a manifest does.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from reco.storage.groups import read, write
from reco.storage.port import ObjectStore
from reco.workload.storage import MANIFEST, Places, Stored, VersionManifest

_PENDING: Final = "/pending.json"
_DROPPED: Final = "/dropped.json"
_BASE: Final = "/base.json"


class Pending(Stored):
    """A model that is being stored."""

    artifact: str


def pending_of(places: Places, solution: str, version: str) -> str:
    """Return where a training notes what it is about to store."""
    return places.version(solution, version).removesuffix(MANIFEST) + _PENDING


def drop_artifact(store: ObjectStore, places: Places, digest: str, *, but: str = "") -> None:
    """Delete a model unless a version names it, or is about to; the file `but` names nothing."""
    for entry in store.entries(places.versions):
        if entry.key.endswith(_DROPPED) or entry.key == but:
            continue
        # A manifest names its model in the same member as what is pending does.
        found = read(store, entry.key, Pending)
        if found is not None and found.artifact == digest:
            return
    store.delete(places.artifact(digest))


def newest_full(found: Iterable[VersionManifest], solution: str) -> VersionManifest | None:
    """Return what an update of a solution goes on from; None if there is nothing."""
    full = [one for one in found if (one.solution, one.mode) == (solution, "Full")]
    return max(full, key=lambda one: (one.created, one.version), default=None)


def bases(store: ObjectStore, places: Places) -> Iterator[VersionManifest]:
    """Give what updates may go on from: all versions, and deleted ones that are kept for it."""
    for entry in store.entries(places.versions):
        if entry.key.endswith((MANIFEST, _BASE)):
            found = read(store, entry.key, VersionManifest)
            if found is not None:
                yield found


def drop_version(store: ObjectStore, places: Places, solution: str, version: str) -> None:
    """Delete a version, and its model unless another names it; may be repeated until it ends.

    Of a Full version that updates go on from, the model and what is known of it stay for them: as
    long as there is an update that was made of it, and no newer Full one.
    """
    key = places.version(solution, version)
    dropped = key.removesuffix(MANIFEST) + _DROPPED
    found = read(store, key, Pending) or read(store, dropped, Pending)
    if found is not None:
        _keep_base(store, places, solution, version)
        write(store, dropped, Pending(artifact=found.artifact))
        store.delete(key, pending_of(places, solution, version))
        drop_artifact(store, places, found.artifact)
        store.delete(dropped)
    _drop_bases(store, places, solution)


def _keep_base(store: ObjectStore, places: Places, solution: str, version: str) -> None:
    """Write down a version as a base, before its manifest goes, if updates need it."""
    found = list(bases(store, places))
    base = newest_full(found, solution)
    if base is not None and base.version == version and _is_needed(base, found):
        write(store, _base_of(places, base), base)


def _drop_bases(store: ObjectStore, places: Places, solution: str) -> None:
    """Delete the bases of a solution that no update needs any more."""
    kept = [
        base
        for entry in store.entries(places.versions)
        if entry.key.endswith(_BASE)
        and (base := read(store, entry.key, VersionManifest)) is not None
        and base.solution == solution
    ]
    if not kept:
        return
    found = list(bases(store, places))
    for base in kept:
        if newest_full(found, solution) != base or not _is_needed(base, found):
            # The note goes last: it is what this can be done again by.
            drop_artifact(store, places, base.artifact, but=_base_of(places, base))
            store.delete(_base_of(places, base))


def _is_needed(base: VersionManifest, found: Iterable[VersionManifest]) -> bool:
    return any(
        (one.solution, one.recipe, one.mode) == (base.solution, base.recipe, "Update")
        and one.base in {None, base.version}
        for one in found
    )


def _base_of(places: Places, base: VersionManifest) -> str:
    return places.version(base.solution, base.version).removesuffix(MANIFEST) + _BASE
