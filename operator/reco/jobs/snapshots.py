"""Imported data in storage: checksummed Parquet parts, their manifest, and which snapshots count.

Parts come first, then the manifest, then `current.json`: whatever breaks off in between leaves the
data that counted before.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from reco.storage import (
    Corrupt,
    NotFound,
    ObjectStore,
    Unavailable,
    decode,
    digest_of,
    download_checked,
    encode,
    read,
)
from reco.workload.storage import CurrentData, Places, SnapshotManifest

_GROUP_ROWS: Final = 1 << 18
_GROUP_BYTES: Final = 32 << 20
_PART_BYTES: Final = 64 << 20
_ATTEMPTS: Final = 50
_READ_ROWS: Final = 1 << 16


class PartWriter:
    """Writes rows as parts of a snapshot; memory holds one row group, the disk one part."""

    def __init__(self, store: ObjectStore, folder: str, schema: pa.Schema, scratch: Path) -> None:
        """Say where parts go, and where they are made."""
        self._store = store
        self._folder = folder
        self._schema = schema
        self._scratch = scratch / "part.parquet"
        self._writer: pq.ParquetWriter | None = None
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0
        self.parts: dict[str, str] = {}
        """File name to SHA-256, of the parts that are in storage."""

    @classmethod
    @contextmanager
    def into(cls, store: ObjectStore, folder: str, schema: pa.Schema) -> Iterator[Self]:
        """Give a writer; what it has not stored by `finish` is dropped."""
        with tempfile.TemporaryDirectory(prefix="reco-") as scratch:
            writer = cls(store, folder, schema, Path(scratch))
            try:
                yield writer
            finally:
                writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take some rows."""
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> dict[str, str]:
        """Store what is left and return all parts."""
        self._flush()
        self._store_part()
        return self.parts

    def close(self) -> None:
        """Drop what is not stored."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._scratch, self._schema, compression="zstd")
        self._writer.write_table(pa.Table.from_batches(self._batches, self._schema))
        self._batches, self._rows, self._bytes = [], 0, 0
        if self._scratch.stat().st_size >= _PART_BYTES:
            self._store_part()

    def _store_part(self) -> None:
        if self._writer is None:
            return
        self.close()
        name = f"part-{len(self.parts):05}.parquet"
        digest = digest_of(self._scratch)
        self._store.upload(f"{self._folder}/{name}", self._scratch)
        self.parts[name] = digest


def manifest_of(
    store: ObjectStore, places: Places, type_: str, job: str
) -> SnapshotManifest | None:
    """Return the manifest of an import; None if it never ended."""
    return read(store, places.snapshot_manifest(type_, job), SnapshotManifest)


def current(store: ObjectStore, places: Places, type_: str) -> list[SnapshotManifest]:
    """Return the manifests of the snapshots that count, oldest first.

    Raises:
        Corrupt: one is gone.
    """
    return _named(store, places, type_, read(store, places.current(type_), CurrentData))


def _named(
    store: ObjectStore, places: Places, type_: str, named: CurrentData | None
) -> list[SnapshotManifest]:
    found = []
    for job in named.snapshots if named else ():
        manifest = manifest_of(store, places, type_, job)
        if manifest is None:
            raise Corrupt(
                f"{store.location}/{places.current(type_)} names {job}, whose manifest is gone: "
                f"import {type_} again with mode Full"
            )
        found.append(manifest)
    return found


def with_snapshot(
    counting: Sequence[SnapshotManifest], new: SnapshotManifest
) -> list[SnapshotManifest]:
    """Return what counts once an import has ended, whenever that is noticed.

    A Full import replaces what was asked for before it, an Incremental one adds to that; neither
    counts if a Full one counts that was asked for later.
    """
    if any(one.job == new.job for one in counting):
        return list(counting)
    if any(one.mode == "Full" and one.since > new.since for one in counting):
        return list(counting)
    kept = [one for one in counting if new.mode != "Full" or one.since > new.since]
    return sorted([*kept, new], key=lambda one: one.since)


def enter(store: ObjectStore, places: Places, new: SnapshotManifest) -> Sequence[SnapshotManifest]:
    """Make an import count, beside what others enter meanwhile; return what counts then.

    Raises:
        Corrupt: what counts is damaged.
        Unavailable: others were faster again and again.
        StorageError: storage fails.
    """
    key = places.current(new.type)
    for _ in range(_ATTEMPTS):
        was = _content(store, key)
        named = decode(store, key, was, CurrentData) if was is not None else None
        before = _named(store, places, new.type, named)
        after = with_snapshot(before, new)
        if after == before:
            return after
        content = encode(CurrentData(snapshots=tuple(one.job for one in after)))
        if was is None:
            entered = store.put_if_absent(key, content)
        else:
            entered = store.replace(key, was, content)
        if entered:
            return after
    raise Unavailable(
        f"{store.location}/{key} changed {_ATTEMPTS} times while {new.job} was to be entered: "
        f"trying again may help"
    )


def _content(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except NotFound:
        return None


def batches(
    store: ObjectStore, places: Places, manifest: SnapshotManifest, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a snapshot, each part after its checksum; an absent column is left out.

    Raises:
        Corrupt: a part is not what was written.
    """
    folder = places.snapshot(manifest.type, manifest.job)
    remedy = f"Import {manifest.type} again with mode Full"
    wanted = [name for name in columns if name in manifest.columns]
    with tempfile.TemporaryDirectory(prefix="reco-") as scratch:
        local = Path(scratch) / "part.parquet"
        for name, digest in manifest.parts.items():
            download_checked(store, f"{folder}/{name}", local, digest, remedy)
            with pq.ParquetFile(local) as table:
                yield from table.iter_batches(
                    batch_size=_READ_ROWS, columns=wanted, use_threads=False
                )
