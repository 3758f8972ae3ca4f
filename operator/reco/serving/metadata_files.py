"""Columns of items from storage: the imports that count, and the rows of PutItems since."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from reco import storage
from reco.serving.metadata import ItemColumns, texts
from reco.storage import ObjectStore, offline_log, parquet
from reco.workload.storage import CurrentData, Places, SnapshotManifest, arrived

ITEMS: Final = "Items"
_ID: Final = "ITEM_ID"
_REMEDY: Final = "Import Items again with mode Full"


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
        manifest = storage.read(files, places.snapshot_manifest(ITEMS, job), SnapshotManifest)
        if manifest is None:
            continue
        names |= set(manifest.columns) - {_ID}
        for part in manifest.parts:
            for row in _rows(parquet.batches(files, f"{folder}/{part}", remedy=_REMEDY)):
                rows[row.pop(_ID)] = texts(row)
    newest: dict[str, tuple[int, ...]] = {}
    for key in offline_log.files(files, places.records(ITEMS)):
        for row in _rows(parquet.batches(files, key, ("RECORD_ID", "ID", "COLUMNS"))):
            came = arrived(row["RECORD_ID"])
            if came >= newest.get(row["ID"], ()):
                newest[row["ID"]] = came
                rows[row["ID"]] = texts(json.loads(row["COLUMNS"]))
                names |= set(rows[row["ID"]])
    return ItemColumns(names, rows)


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    return chain.from_iterable(batch.to_pylist() for batch in batches)
