"""What lies in a group's storage and in sources, for whoever may not look there.

A list costs a call for each thousand files; manifests are read once, for they never change while
their place in the list says that they are the same.
"""

import hashlib
import time
from collections.abc import Iterable
from itertools import chain, islice
from typing import Any, Final

from reco.storage import (
    Corrupt,
    ObjectStore,
    OwnedElsewhere,
    Sources,
    StorageError,
    claim,
    read,
)
from reco.storage.versions import drop_version
from reco.workload.claims import name_of
from reco.workload.storage import MANIFEST, CurrentData, Owner, Places, SnapshotManifest, Stored
from reco.workload.storage import VersionManifest as Version
from reco.workload.tasks import Group

_INTERACTIONS: Final = "Interactions"
_AT_ONCE: Final = 1000
_SECONDS: Final = 20.0


class InUse(Exception):  # noqa: N818 - a decision, not a fault
    """What was to be deleted is needed; the text says by what."""


class Contents:
    """One group's storage. Calls block, and may come from several threads."""

    def __init__(self, store: ObjectStore, group: Group, sources: Sources) -> None:
        """Name the group; nothing is called yet."""
        self._store = store
        self._group = group
        self._places = Places(group.name)
        self._sources = sources
        self._known: dict[str, dict[str, tuple[str, Stored]]] = {}

    def claim(self) -> None:
        """Make the group ours.

        Raises:
            OwnedElsewhere: it is not.
            StorageError: storage fails.
        """
        claim(self._store, self._group)

    def check(self) -> None:
        """Make sure that storage can be reached, and that nobody has taken the group over.

        Raises:
            OwnedElsewhere: somebody has.
            StorageError: storage fails.
        """
        owner = self._owner()
        if owner is not None and owner != self._group.owner:
            raise OwnedElsewhere(
                f"{self._store.location}/{self._places.root} was taken over by {name_of(owner)}: "
                f"nothing of it is deleted here any more"
            )

    def _owner(self) -> Owner | None:
        return read(self._store, self._places.owner, Owner)

    def versions(self) -> dict[str, Any]:
        """Return all versions, and what is damaged among them."""
        return self._manifests("versions", self._places.versions, Version)

    def snapshots(self) -> dict[str, Any]:
        """Return all snapshots, and what is damaged among them."""
        return self._manifests("snapshots", f"{self._places.root}/datasets", SnapshotManifest)

    def source(self, location: str) -> dict[str, Any]:
        """Return a digest of names, sizes and versions of a source's files, or the problem."""
        digest = hashlib.sha256()
        objects = 0
        try:
            source = self._sources.open(location)
            for entry in source.files():
                digest.update(f"{entry.key}\0{entry.size}\0{entry.version}\n".encode())
                objects += 1
        except StorageError as error:
            return {"problem": str(error)}
        return {"digest": digest.hexdigest(), "objects": objects}

    def delete_version(self, solution: str, version: str) -> None:
        """Delete a version, and its model unless another names it; raises as `check`."""
        self.check()
        drop_version(self._store, self._places, solution, version)

    def delete_snapshot(self, type_: str, job: str) -> None:
        """Delete an import's rows, if the group is ours.

        Raises:
            InUse: they count.
            StorageError: storage fails.
        """
        if not self._is_ours():
            return
        current = read(self._store, self._places.current(type_), CurrentData)
        if current is not None and job in current.snapshots:
            raise InUse(
                f"{job} is part of the current data of {type_}: import with mode Full first, then "
                f"it can be deleted"
            )
        # The manifest first: without it nothing of the rest counts.
        self._store.delete(self._places.snapshot_manifest(type_, job))
        folder = self._places.snapshot(type_, job)
        self._store.delete(*(entry.key for entry in self._store.entries(folder)))

    def delete_dataset(self, type_: str, seconds: float = _SECONDS) -> bool:
        """Delete a dataset's data, imported and streamed, as `delete_group` does.

        What says which imports count goes first: from then on no training uses any of them.
        """
        if not self._is_ours():
            return True
        self._store.delete(self._places.current(type_))
        streamed = self._places.events if type_ == _INTERACTIONS else self._places.records(type_)
        return self._delete((self._places.dataset(type_), streamed), seconds)

    def delete_group(self, seconds: float = _SECONDS) -> bool:
        """Delete everything of the group, as far as the time goes; say whether it is all gone.

        What is not marked as ours is not deleted: of ours nothing is left there.
        """
        if not self._is_ours():
            return True
        if not self._delete((self._places.root,), seconds):
            return False
        self._store.delete(self._places.owner)  # last: as long as there is anything, it is ours
        return True

    def _is_ours(self) -> bool:
        return self._owner() == self._group.owner

    def _delete(self, folders: Iterable[str], seconds: float) -> bool:
        """Delete all files but the owner's, as far as the time goes; say whether that was all.

        What is written meanwhile, of files that a list has shown, is found by the next list.
        """
        deadline = time.monotonic() + seconds
        while True:
            entries = chain.from_iterable(map(self._store.entries, folders))
            keys = (entry.key for entry in entries if entry.key != self._places.owner)
            found = False
            while some := list(islice(keys, _AT_ONCE)):
                found = True
                self._store.delete(*some)
                if time.monotonic() > deadline:
                    return False
            if not found:
                return True

    def _manifests(self, name: str, folder: str, document: type[Stored]) -> dict[str, Any]:
        before, known = self._known.get(name, {}), {}
        damaged = []
        for entry in self._store.entries(folder):
            if not entry.key.endswith(MANIFEST):
                continue
            version, manifest = before.get(entry.key, ("", None))
            if version != entry.version:
                try:
                    manifest = read(self._store, entry.key, document)
                except Corrupt as error:
                    damaged.append(str(error))
                    continue
            if manifest is not None:
                known[entry.key] = (entry.version, manifest)
        self._known[name] = known
        found = [manifest.model_dump(mode="json") for _, manifest in known.values()]
        return {name: found, "damaged": damaged} if damaged else {name: found}
