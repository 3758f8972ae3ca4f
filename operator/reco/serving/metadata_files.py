"""Columns of items from storage: the imports that count, and the rows of PutItems since."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from reco import storage
from reco.serving.metadata import ItemColumns, texts
from reco.storage import Corrupt, ObjectStore
from reco.workload.storage import CurrentData, Places, SnapshotManifest

ITEMS: Final = "Items"
_ID: Final = "ITEM_ID"


def read(files: ObjectStore, places: Places) -> ItemColumns:
    """Read the Items dataset; empty if there is none.

    Raises:
        Corrupt: a file of it is damaged.
        StorageError: storage fails.
    """
    names: set[str] = set()
    rows: dict[str, dict[str, str]] = {}
    current = storage.read(files, places.current(ITEMS), CurrentData)
    for job in current.snapshots if current else ():
        folder = places.snapshot(ITEMS, job)
        manifest = storage.read(files, f"{folder}/manifest.json", SnapshotManifest)
        if manifest is None:
            continue
        names |= set(manifest.columns) - {_ID}
        for part in manifest.parts:
            for row in _rows(files, f"{folder}/{part}", "Import Items again with mode Full"):
                rows[row.pop(_ID)] = texts(row)
    newest: dict[str, int] = {}
    for entry in files.entries(places.records(ITEMS)):
        for row in _rows(
            files,
            entry.key,
            "Delete it to go on without what it holds",
            ("ID", "TIMESTAMP", "COLUMNS"),
        ):
            if row["TIMESTAMP"] >= newest.get(row["ID"], 0):
                newest[row["ID"]] = row["TIMESTAMP"]
                rows[row["ID"]] = texts(json.loads(row["COLUMNS"]))
                names |= set(rows[row["ID"]])
    return ItemColumns(names, rows)


def _rows(
    files: ObjectStore, key: str, remedy: str, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    try:
        with files.open(key) as file, pq.ParquetFile(file) as table:
            for batch in table.iter_batches(columns=columns):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:  # the latter where a page can't be unpacked
        raise Corrupt(f"{files.location}/{key} is damaged: {error}. {remedy}") from error
