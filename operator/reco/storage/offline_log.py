"""The offline log: files of what was streamed, and which of them count.

No file ever changes, and one that was merged of others names them in its metadata: for whoever has
listed both, only it counts. Whoever merges leaves the others where they are for `KEPT_SECONDS`, and
so a list that takes a while, of folder or bucket, never misses a row, and all that it says counts
can be read for as long.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from reco.storage import parquet
from reco.storage.port import Entry, NotFound, ObjectStore
from reco.workload.storage import MERGED, PARQUET, Stored

KEPT_SECONDS: Final = 86_400.0
"""How long a file stays once another one stands for it: as long as a training may take, unless its
class says otherwise. One that still reads what it listed longer ago fails, and loses nothing.
"""
METADATA: Final = b"reco.merge"
"""Of a merged Parquet file: JSON of `Merge`."""


class Merge(Stored):
    """What a merged file says of itself."""

    sources: tuple[str, ...]
    """Names of the files whose rows it holds, in its own folder."""
    made: float
    """In epoch seconds."""


def files(store: ObjectStore, root: str) -> list[str]:
    """Return the keys of the files that count, in the order in which their rows do.

    Raises:
        Corrupt: a merged file is damaged.
        StorageError: storage fails.
    """
    return [
        entry.key
        for entries in folders(store, root)
        for entry in counting(entries, merges(store, entries))
    ]


def folders(store: ObjectStore, root: str) -> Iterator[list[Entry]]:
    """Give all files below a folder, a day at a time."""
    entries = (entry for entry in store.entries(root) if entry.key.endswith(PARQUET))
    for _, group in groupby(entries, key=lambda entry: folder_of(entry.key)):
        yield list(group)


def merges(store: ObjectStore, entries: Sequence[Entry]) -> dict[str, Merge]:
    """Return by key what the merged files of a folder say; raises as `files`."""
    found = {}
    if len(entries) > 1:  # a file that is alone stands for none that is listed
        for entry in entries:
            if entry.key.endswith(MERGED):
                try:
                    found[entry.key] = _merge_of(store, entry.key)
                except NotFound:
                    # Merged itself, long since: what it stands for went before that.
                    continue
    return found


def counting(entries: Iterable[Entry], merges: Mapping[str, Merge]) -> list[Entry]:
    """Leave out the files of a folder that merged ones stand for."""
    merged = {key for into, merge in merges.items() for key in keys_of(into, merge)}
    return [entry for entry in entries if entry.key not in merged]


def keys_of(key: str, merge: Merge) -> list[str]:
    """Return the keys of what a merged file was made of."""
    return [f"{folder_of(key)}/{name}" for name in merge.sources]


def folder_of(key: str) -> str:
    """Return the folder that a file is in."""
    return key.rpartition("/")[0]


def _merge_of(store: ObjectStore, key: str) -> Merge:
    with parquet.opened(store, key) as table:
        try:
            return Merge.model_validate_json((table.schema_arrow.metadata or {})[METADATA])
        except (KeyError, ValueError) as error:
            raise parquet.damaged(store, key, error) from error
