"""From what a task says to where files are: the group's storage, and sources of bulk data."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from reco.storage.folder import FolderStore
from reco.storage.port import AccessDenied, Entry, NotFound, ObjectStore
from reco.storage.s3 import S3Store, client_of
from reco.workload.storage import GROUPS
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


@dataclass(frozen=True, slots=True)
class Source:
    """A place that bulk data comes from."""

    location: str
    """As the user wrote it."""
    store: ObjectStore
    key: str

    def files(self) -> Iterator[Entry]:
        """Give the file, or all files below the prefix in the order of their names.

        Raises:
            NotFound: there is none.
        """
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
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Say at which S3 endpoint, and below which folder, locations may lie.

        Args:
            s3: the endpoint.
            folder: the folder.
            apart_from: storage of ours, in which no source may lie: credentials may be the same,
                and what other groups keep is none of this one's business.
            environment: has credentials for sources alone, as `SOURCE_PREFIX` says.
        """
        self._s3 = s3
        self._apart_from = apart_from.s3 if apart_from is not None else None
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
            key = location.removeprefix(f"s3://{parts.netloc}").strip("/")
            s3 = self._s3.model_copy(update={"bucket": parts.netloc, "prefix": ""})
            self._check_apart(location, s3, key)
            return Source(location, S3Store(s3, client_of(s3, self._credentials)), key)
        path = Path(unquote(location.removeprefix("file://")))
        if parts.scheme == "file" and path.is_relative_to(self._folder):
            key = path.relative_to(self._folder).as_posix()
            return Source(location, FolderStore(self._folder), "" if key == "." else key)
        raise NotFound(
            f"{location} is no location of data: write s3://bucket/file-or-prefix, or "
            f"file://{self._folder}/path on a mounted volume"
        )

    def _check_apart(self, location: str, s3: S3, key: str) -> None:
        ours = self._apart_from
        if ours is None or (ours.endpoint_url, ours.bucket) != (s3.endpoint_url, s3.bucket):
            return
        root = f"{ours.prefix.strip('/')}/{GROUPS}/".lstrip("/")
        asked = f"{key}/" if key else ""
        if asked.startswith(root) or root.startswith(asked):
            raise AccessDenied(
                f"{location} may not be read: s3://{ours.bucket}/{root} is where dataset groups "
                f"are kept. Name a prefix apart from it"
            )
