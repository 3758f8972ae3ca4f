"""Files that are known by the SHA-256 of their bytes."""

import hashlib
from pathlib import Path

from reco.storage.groups import Corrupt
from reco.storage.port import ObjectStore


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a local file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_checked(store: ObjectStore, key: str, path: Path, digest: str, remedy: str) -> None:
    """Copy a file to a local one, and make sure that it is what was stored.

    Raises:
        Corrupt: it is not; the text ends with the remedy.
        StorageError: as `download`.
    """
    store.download(key, path)
    found = digest_of(path)
    if found != digest:
        raise Corrupt(
            f"{store.location}/{key} is damaged: the SHA-256 of its {path.stat().st_size} bytes is "
            f"{found}, not {digest}. {remedy}"
        )
