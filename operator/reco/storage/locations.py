"""From what a task says to where files are: the group's storage, and sources of bulk data."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from reco.storage.apart import Parts, Proof, meets, parts_of, refusal, root_of, same_place
from reco.storage.folder import FolderStore
from reco.storage.port import Entry, NotFound, ObjectStore
from reco.storage.s3 import S3Store, client_of
from reco.workload.tasks import S3, SOURCE_PREFIX, SOURCES, Storage

_NEGLECTED: Final = ("_", ".")
"""How names begin that writers of data sets leave beside their files, such as `_SUCCESS`."""


def open_storage(storage: Storage) -> ObjectStore:
    """Open the storage of a task; nothing is called yet.

    Raises:
        ValueError: neither a bucket nor a folder is named.
    """
    if storage.s3 is not None and storage.s3.bucket:
        return S3Store(storage.s3)
    if storage.path:
        return FolderStore(Path(storage.path))
    raise ValueError("storage needs either s3.bucket or path")


def digest_of_source(entries: Iterable[Entry]) -> str:
    """Return a digest that changes with names, sizes and versions of a source's files."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.key}\0{entry.size}\0{entry.version}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Source:
    """A place that bulk data comes from."""

    location: str
    """As the user wrote it."""
    store: ObjectStore
    key: str
    proof: Proof | None = None
    """By which storage of ours is known again, in which no source may lie."""
    resolved: Callable[[str], str] = str
    """Returns the key of what a key leads to."""

    def files(self) -> Iterator[Entry]:
        """Give the file, or all files below the prefix in the order of their names.

        Raises:
            NotFound: there is none.
            AccessDenied: it lies in storage of ours, or above it.
            StorageError: it did not answer.
        """
        kept = self.proof.root if self.proof and self.proof.shown_by(self.store) else None
        self._check_apart(self.key, kept)
        for entry in self._files():
            self._check_apart(entry.key, kept)
            yield entry

    def _check_apart(self, key: str, kept: Parts | None) -> None:
        if kept is not None and meets(parts_of(self.resolved(key)), kept):
            raise refusal(self.location, f"{'/'.join(kept)}/")

    def _files(self) -> Iterator[Entry]:
        one = self.store.find(self.key) if self.key and not self.location.endswith("/") else None
        if one is not None:
            yield one
            return
        found = False
        for entry in self.store.entries(self.key):
            below = entry.key.removeprefix(self.key).split("/")
            if entry.size and not any(part.startswith(_NEGLECTED) for part in below):
                found = True
                yield entry
        if not found:
            raise NotFound(
                f"{self.location} holds no data: there is no such file, and no file that is not "
                f"empty below it. Check the location"
            )


class Sources:
    """Opens locations that users wrote."""

    def __init__(
        self,
        s3: S3,
        folder: str = SOURCES,
        *,
        apart_from: Storage | None = None,
        group: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Say at which S3 endpoint, and below which folder, locations may lie.

        Args:
            s3: the endpoint.
            folder: the folder.
            apart_from: storage of ours, in which no source may lie: credentials may be the same,
                and what other groups keep is none of this one's business.
            group: external name of a group that is kept there: its own file is the proof that a
                source by another name is that storage.
            environment: has credentials for sources alone, as `SOURCE_PREFIX` says.
        """
        self._s3 = s3
        self._apart_from = apart_from or Storage()
        self._group = group
        self._folder = Path(folder)
        self._credentials = {
            name.removeprefix(SOURCE_PREFIX): value
            for name, value in environment.items()
            if name.startswith(SOURCE_PREFIX)
        }

    def open(self, location: str) -> Source:
        """Open `s3://bucket/key` or `file:///sources/path`.

        Raises:
            NotFound: it is neither.
            AccessDenied: it lies in storage of ours.
        """
        parts = urlsplit(location, allow_fragments=False)
        if parts.scheme == "s3" and parts.netloc:
            # A key is taken as it stands: `?` and `%` are letters of it.
            key = location.partition("://")[2].removeprefix(parts.netloc).strip("/")
            s3 = self._s3.model_copy(update={"bucket": parts.netloc, "prefix": ""})
            store = S3Store(s3, client_of(s3, self._credentials))
            ours = self._apart_from.s3
            if ours is None:
                return Source(location, store, key)
            if same_place(ours, s3, parts_of(key)):
                raise refusal(location, f"s3://{ours.bucket}/{'/'.join(root_of(ours.prefix))}/")
            return Source(location, store, key, self._proof(ours.prefix))
        path = Path(unquote(location.partition("://")[2]))
        if parts.scheme == "file" and path.is_relative_to(self._folder):
            key = path.relative_to(self._folder).as_posix()
            folder = FolderStore(self._folder)
            proof = self._proof() if self._apart_from.path else None
            return Source(location, folder, "" if key == "." else key, proof, folder.resolved)
        raise NotFound(
            f"{location} is no location of data: write s3://bucket/file-or-prefix, or "
            f"file://{self._folder}/path on a mounted volume"
        )

    def _proof(self, prefix: str = "") -> Proof | None:
        if self._group is None:
            return None
        return Proof(open_storage(self._apart_from), self._group, prefix)
