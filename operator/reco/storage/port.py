"""What storage can do, whichever kind it is, and how it fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from reco.workload.results import Outcome


class StorageError(Exception):
    """Storage did not do what was asked; the text names the place and what to do."""

    outcome: ClassVar = Outcome.UNAVAILABLE
    """How whoever can't go on without it ends."""


class NotFound(StorageError):  # noqa: N818 - the condition's name, as in the services' own errors
    """There is nothing of that name: no such file, folder or bucket."""

    outcome = Outcome.NOT_FOUND


class AccessDenied(StorageError):  # noqa: N818 - as above
    """Reading or writing there is not allowed."""

    outcome = Outcome.ACCESS_DENIED


class Unavailable(StorageError):  # noqa: N818 - as above
    """Storage did not answer, or could not: trying again may help."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a list: its key, its size in bytes, and a text that changes with its content."""

    key: str
    size: int
    version: str


class ObjectStore(Protocol):
    """Whole files under keys such as `groups/shop/group.json`.

    Every method raises `NotFound`, `AccessDenied` or `Unavailable`. A file is replaced at once: a
    reader sees the old one or the new one, and a writer that dies leaves the old one.
    """

    @property
    def location(self) -> str:
        """Where the keys begin, for texts: `s3://bucket/prefix` or `file:///folder`."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading from any position; what is not asked for is not transferred."""
        ...

    def get(self, key: str) -> bytes:
        """Return the content of a small file."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Copy a file of any size to a local one."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Write a small file."""
        ...

    def upload(self, key: str, path: Path) -> None:
        """Copy a local file of any size."""
        ...

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Write a small file unless there is one; of several writers exactly one gets True."""
        ...

    def replace(self, key: str, was: bytes, content: bytes) -> bool:
        """Write a small file if it still holds `was`; of several writers exactly one gets True."""
        ...

    def find(self, key: str) -> Entry | None:
        """Return what a list would say of a file; None if it does not exist."""
        ...

    def entries(self, folder: str) -> Iterator[Entry]:
        """List all files below a folder in the order of their keys; none if it does not exist."""
        ...

    def delete(self, *keys: str) -> None:
        """Delete files; those that do not exist are no error."""
        ...
