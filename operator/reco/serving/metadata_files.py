"""Columns of items from storage: the imports that count, and the rows of PutItems since."""

import json
from typing import Final, TypeVar

import pyarrow.parquet as pq

from reco.serving.metadata import ItemColumns, texts
from reco.storage import NotFound, ObjectStore
from reco.workload.storage import CurrentData, Places, SnapshotManifest, Stored

ITEMS: Final = "Items"
_ID: Final = "ITEM_ID"
_Manifest = TypeVar("_Manifest", bound=Stored)


def read(files: ObjectStore, places: Places) -> ItemColumns:
    """Read the Items dataset; empty if there is none. Raises `storage.StorageError`."""
    names: set[str] = set()
    rows: dict[str, dict[str, str]] = {}
    current = _manifest(files, places.current(ITEMS), CurrentData)
    for job in current.snapshots if current else ():
        folder = places.snapshot(ITEMS, job)
        manifest = _manifest(files, f"{folder}/manifest.json", SnapshotManifest)
        if manifest is None:
            continue
        names |= set(manifest.columns) - {_ID}
        for part in manifest.parts:
            with files.open(f"{folder}/{part}") as file:
                for batch in pq.ParquetFile(file).iter_batches():
                    for row in batch.to_pylist():
                        rows[row.pop(_ID)] = texts(row)
    newest: dict[str, int] = {}
    for entry in files.entries(places.records(ITEMS)):
        with files.open(entry.key) as file:
            for row in pq.read_table(file, columns=["ID", "TIMESTAMP", "COLUMNS"]).to_pylist():
                if row["TIMESTAMP"] >= newest.get(row["ID"], 0):
                    newest[row["ID"]] = row["TIMESTAMP"]
                    rows[row["ID"]] = texts(json.loads(row["COLUMNS"]))
                    names |= set(rows[row["ID"]])
    return ItemColumns(sorted(names), rows)


def _manifest(files: ObjectStore, key: str, kind: type[_Manifest]) -> _Manifest | None:
    try:
        return kind.model_validate_json(files.get(key))
    except NotFound:
        return None
