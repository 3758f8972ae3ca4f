"""How much was streamed: rows of the offline log that a training may use, without reading them.

The end of a Parquet file says how many rows it has, how many of them name no item, and which is the
newest. No file ever changes, so each is looked into once; compaction keeps them few. What one look
may read is bounded: a catalog that was just started tells of the rest at the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow.parquet as pq

from reco.storage import Corrupt, Entry, NotFound, ObjectStore, offline_log, parquet
from reco.storage.offline_log import METADATA, Merge, folder_of
from reco.workload.storage import MERGED, Places

FILES_AT_ONCE: Final = 500
"""New files that one look reads the ends of: some seconds in a bucket."""
_INTERACTIONS: Final = "Interactions"
_BY_ID: Final = ("Items", "Users")
TYPES: Final = (_INTERACTIONS, *_BY_ID)
"""Of datasets."""


@dataclass(frozen=True, slots=True)
class _End:
    """What the end of a file says."""

    version: str
    rows: int
    last: int | None
    sources: tuple[str, ...]
    """Keys of the files that it stands for."""


class Streamed:
    """Counts a group's streamed rows. Calls block, and may come from several threads."""

    def __init__(self, store: ObjectStore, places: Places, *, most: int = FILES_AT_ONCE) -> None:
        """Name the group; nothing is called yet.

        Args:
            store: the group's storage.
            places: of the group.
            most: files that one look may read.
        """
        self._store = store
        self._folders = {
            _INTERACTIONS: places.events,
            **{type_: places.records(type_) for type_ in _BY_ID},
        }
        self._most = most
        self._known: dict[str, _End] = {}

    def told(self) -> dict[str, dict[str, Any]]:
        """Return by dataset type `rows`, `last` (epoch seconds or None) and `complete`.

        Rows that were written twice count twice, and of a damaged file none does: a training says
        more of either. `complete` is false while there are more files than one look may read.

        Raises:
            StorageError: storage fails.
        """
        known: dict[str, _End] = {}
        told: dict[str, dict[str, Any]] = {}
        left = self._most
        for type_, root in self._folders.items():
            rows, last, complete = 0, None, True
            for entries in offline_log.folders(self._store, root):
                ends: dict[str, _End] = {}
                for entry in entries:
                    end = self._known.get(entry.key)
                    if end is None or end.version != entry.version:
                        if left <= 0:
                            complete = False
                            continue
                        left -= 1
                        end = self._read(entry)
                    ends[entry.key] = end
                known |= ends
                counting = _counting(ends)
                rows += sum(end.rows for end in counting)
                newest = [end.last for end in counting if end.last is not None]
                last = max([*newest, *([] if last is None else [last])], default=None)
            told[type_] = {"rows": rows, "last": last, "complete": complete}
        self._known = known
        return told

    def _read(self, entry: Entry) -> _End:
        try:
            with parquet.opened(self._store, entry.key) as table:
                return _end_of(entry, table)
        except (Corrupt, NotFound):  # the latter: deleted since it was listed
            return _End(entry.version, 0, None, ())


def _counting(ends: Mapping[str, _End]) -> list[_End]:
    """Leave out files that merged ones stand for."""
    merged = {key for end in ends.values() for key in end.sources}
    return [end for key, end in ends.items() if key not in merged]


def _end_of(entry: Entry, table: pq.ParquetFile) -> _End:
    metadata = table.metadata
    names = {name: at for at, name in enumerate(table.schema_arrow.names)}
    rows, last = metadata.num_rows, None
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if "ITEM_ID" in names:  # an event without one is nothing to learn from
            statistics = group.column(names["ITEM_ID"]).statistics
            rows -= (statistics.null_count or 0) if statistics is not None else 0
        statistics = group.column(names["TIMESTAMP"]).statistics if "TIMESTAMP" in names else None
        if statistics is not None and statistics.has_min_max:
            last = max(statistics.max, last if last is not None else statistics.max)
    sources: tuple[str, ...] = ()
    if entry.key.endswith(MERGED):
        try:
            merge = Merge.model_validate_json((table.schema_arrow.metadata or {})[METADATA])
        except (KeyError, ValueError):
            return _End(entry.version, 0, None, ())  # damaged: what it was made of is read
        sources = tuple(f"{folder_of(entry.key)}/{name}" for name in merge.sources)
    return _End(entry.version, rows, last, sources)
