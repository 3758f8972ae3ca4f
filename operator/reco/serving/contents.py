"""What lies in a group's storage and in sources, for whoever may not look there.

A list costs a call for each thousand files; manifests are read once, for they never change while
their place in the list says that they are the same.
"""

import time
from collections.abc import Iterable
from itertools import chain, islice
from typing import Any, Final, TypeVar

from reco.serving.streamed import TYPES, Streamed
from reco.storage import (
    Corrupt,
    ObjectStore,
    OwnedElsewhere,
    Sources,
    StorageError,
    claim,
    digest_of_source,
    read,
)
from reco.storage.versions import drop_version
from reco.workload.claims import name_of
from reco.workload.storage import (
    MANIFEST,
    CurrentData,
    Owner,
    Places,
    SnapshotManifest,
    Stored,
    job_of,
)
from reco.workload.storage import VersionManifest as Version
from reco.workload.tasks import Group

Document = TypeVar("Document", bound=Stored)

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
        self._streamed = Streamed(store, self._places)
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
        """Return all snapshots, which of them count, what is damaged, and what was streamed."""
        found = self._manifests("snapshots", self._snapshots, SnapshotManifest)
        current = {
            type_: list(named.snapshots)
            for type_ in TYPES
            if (named := read(self._store, self._places.current(type_), CurrentData)) is not None
        }
        return {**found, "current": current, "streamed": self._streamed.told()}

    @property
    def _snapshots(self) -> str:
        return f"{self._places.root}/datasets"

    def source(self, location: str) -> dict[str, Any]:
        """Return a digest of names, sizes and versions of a source's files, or the problem."""
        try:
            found = list(self._sources.open(location).files())
        except StorageError as error:
            return {"problem": str(error)}
        return {"digest": digest_of_source(found), "objects": len(found)}

    def delete_version(self, solution: str, version: str) -> None:
        """Delete a version, and its model unless another names it; raises as `check`."""
        self.check()
        drop_version(self._store, self._places, solution, version)

    def delete_snapshot(self, type_: str, job: str) -> None:
        """Delete the rows of all runs of an import that do not count, if the group is ours.

        Raises:
            InUse: those of one count.
            StorageError: storage fails.
        """
        if not self._is_ours():
            return
        current = read(self._store, self._places.current(type_), CurrentData)
        counting = current.snapshots if current is not None else ()
        manifests = self._found("snapshots", self._snapshots, SnapshotManifest)
        runs = {one.job for one in manifests if (one.type, job_of(one.job)) == (type_, job)}
        for name in sorted({job, *runs}.difference(counting)):
            # The manifest first: without it nothing of the rest counts.
            self._store.delete(self._places.snapshot_manifest(type_, name))
            folder = self._places.snapshot(type_, name)
            self._store.delete(*(entry.key for entry in self._store.entries(folder)))
        if any(job_of(name) == job for name in counting):
            raise InUse(
                f"{job} is part of the current data of {type_}: import with mode Full first, then "
                f"it can be deleted"
            )

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
        damaged: list[str] = []
        found = self._found(name, folder, document, damaged)
        told = [manifest.model_dump(mode="json") for manifest in found]
        return {name: told, "damaged": damaged} if damaged else {name: told}

    def _found(
        self,
        name: str,
        folder: str,
        document: type[Document],
        damaged: list[str] | None = None,
    ) -> list[Document]:
        """Return the manifests below a folder; note in `damaged` what can't be read."""
        before = self._known.get(name, {})
        known: dict[str, tuple[str, Stored]] = {}
        found = []
        for entry in self._store.entries(folder):
            if not entry.key.endswith(MANIFEST):
                continue
            version, manifest = before.get(entry.key, ("", None))
            if version != entry.version or not isinstance(manifest, document):
                try:
                    manifest = read(self._store, entry.key, document)
                except Corrupt as error:
                    if damaged is not None:
                        damaged.append(str(error))
                    continue
            if manifest is not None:
                known[entry.key] = (entry.version, manifest)
                found.append(manifest)
        self._known[name] = known
        return found
