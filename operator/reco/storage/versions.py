"""Trained versions in storage, and when their models may go.

A model is named by its digest, so two versions may share one. What a training is about to store is
noted beside its manifest first: one that breaks off and is done again with newer data then leaves
no model that nobody names; what a deletion is about to drop is noted likewise.
"""

from collections.abc import Iterator
from typing import Final

from reco.storage.groups import read, write
from reco.storage.port import Entry, ObjectStore
from reco.workload.storage import MANIFEST, Places, Stored, VersionManifest

_PENDING: Final = "/pending.json"
_DROPPED: Final = "/dropped.json"


class Pending(Stored):
    """A model that is being stored."""

    artifact: str


def manifests(store: ObjectStore, places: Places) -> Iterator[tuple[Entry, VersionManifest]]:
    """Give all versions of a group with their files."""
    for entry in store.entries(places.versions):
        if entry.key.endswith(MANIFEST):
            found = read(store, entry.key, VersionManifest)
            if found is not None:
                yield entry, found


def pending_of(places: Places, solution: str, version: str) -> str:
    """Return where a training notes what it is about to store."""
    return places.version(solution, version).removesuffix(MANIFEST) + _PENDING


def drop_artifact(store: ObjectStore, places: Places, digest: str) -> None:
    """Delete a model unless a version names it, or is about to."""
    for entry in store.entries(places.versions):
        if entry.key.endswith(_DROPPED):
            continue
        # A manifest names its model in the same member as what is pending does.
        found = read(store, entry.key, Pending)
        if found is not None and found.artifact == digest:
            return
    store.delete(places.artifact(digest))


def drop_version(store: ObjectStore, places: Places, solution: str, version: str) -> None:
    """Delete a version, and its model unless another names it; may be repeated until it ends."""
    key = places.version(solution, version)
    dropped = key.removesuffix(MANIFEST) + _DROPPED
    found = read(store, key, Pending) or read(store, dropped, Pending)
    if found is None:
        return
    write(store, dropped, Pending(artifact=found.artifact))
    store.delete(key, pending_of(places, solution, version))
    drop_artifact(store, places, found.artifact)
    store.delete(dropped)
