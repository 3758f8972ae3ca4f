"""Parquet files in storage, read a batch of rows at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from reco.storage.groups import Corrupt
from reco.storage.port import ObjectStore

ROWS: Final = 1 << 16
"""Of a batch, where nothing is said."""
_REMEDY: Final = "Delete it to go on without what it holds"


def batches(
    store: ObjectStore,
    key: str,
    columns: Sequence[str] | None = None,
    *,
    rows: int = ROWS,
    remedy: str = _REMEDY,
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file, at most so many rows at a time.

    Raises:
        Corrupt: it is damaged; the text ends with the remedy.
        StorageError: storage fails.
    """
    with opened(store, key, remedy) as table:
        yield from table.iter_batches(batch_size=rows, columns=columns, use_threads=False)


@contextmanager
def opened(store: ObjectStore, key: str, remedy: str = _REMEDY) -> Iterator[pq.ParquetFile]:
    """Open a file; what is found to be damaged meanwhile raises as `batches`."""
    try:
        with store.open(key) as file, pq.ParquetFile(file) as table:
            yield table
    except (pa.ArrowException, OSError) as error:  # the latter where a page can't be unpacked
        raise damaged(store, key, error, remedy) from error


def damaged(store: ObjectStore, key: str, error: Exception, remedy: str = _REMEDY) -> Corrupt:
    """Return what to raise of a file."""
    return Corrupt(f"{store.location}/{key} is damaged: {error}. {remedy}")
