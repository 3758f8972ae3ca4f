"""Events and rows into the offline log: Parquet files in storage that trainings read.

Entries are acknowledged after the file that holds them was written, so each is written at least
once. A file is named by its entries: the same written again replace it, and others never do, for
what it holds may have been merged into another by then.
"""

import asyncio
import hashlib
import io
import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from reco.serving import history
from reco.serving.events import KeptEvents, KeptRows
from reco.serving.metrics import Metrics
from reco.serving.stream import Entry, Reader
from reco.storage import ObjectStore
from reco.workload.storage import EVENT_COLUMNS, PARQUET, RECORD_COLUMNS, Places

logger = logging.getLogger(__name__)

BATCH: Final = 1000
MOST_BYTES: Final = 64 << 20
"""Of entries that wait in memory to be written."""
_TYPES: Final = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64()}
Row = tuple[Any, ...]
Kept = TypeVar("Kept", KeptEvents, KeptRows)


@dataclass(frozen=True, slots=True)
class Flushing:
    """How long entries wait at most, in seconds and in entries."""

    seconds: float
    entries: int


class EventLog:
    """Collects what a reader gives, and writes it."""

    def __init__(
        self,
        reader: Reader,
        files: ObjectStore,
        places: Places,
        flushing: Flushing,
        metrics: Metrics,
    ) -> None:
        self._reader = reader
        self._files = files
        self._places = places
        self._flushing = flushing
        self._waiting: dict[str, Entry] = {}
        self._bytes = 0
        self._since = 0.0
        self._written = metrics.counter("reco_rows_logged", "Rows written to the offline log.")

    async def step(self) -> None:
        """Read the next entries, and write all that wait if it is time.

        Raises `redis.RedisError` or `storage.StorageError`; what was read waits for the next step.
        """
        if not self._is_due():
            for entry in await self._reader.read(BATCH, self._patience()):
                if not self._waiting:
                    self._since = time.monotonic()
                if entry.id not in self._waiting:
                    self._waiting[entry.id] = entry
                    self._bytes += len(entry.data)
        if self._is_due():
            await self.flush()

    async def flush(self) -> None:
        """Write and acknowledge all that wait; raises as `step` does."""
        entries = list(self._waiting.values())
        if not entries:
            return
        rows = await asyncio.to_thread(self._write, entries)
        await self._reader.acknowledge([entry.id for entry in entries])
        self._written.inc(rows)
        self._waiting.clear()
        self._bytes = 0

    def _is_due(self) -> bool:
        return bool(self._waiting) and (
            len(self._waiting) >= self._flushing.entries
            or self._bytes >= MOST_BYTES
            or time.monotonic() - self._since >= self._flushing.seconds
        )

    def _patience(self) -> int:
        """Return for how many milliseconds to wait for more."""
        left = self._since + self._flushing.seconds - time.monotonic() if self._waiting else 1.0
        return max(1, int(min(left, 1.0) * 1000))

    def _write(self, entries: Sequence[Entry]) -> int:
        count = 0
        for (kind, day), group in itertools.groupby(
            sorted(entries, key=lambda entry: (entry.kind, _day(entry), _order(entry))),
            key=lambda entry: (entry.kind, _day(entry)),
        ):
            some = [entry for entry in group if entry.data]
            if not some:
                continue
            is_events = kind == history.EVENTS
            folder = self._places.events if is_events else self._places.records(kind.decode())
            columns = EVENT_COLUMNS if is_events else RECORD_COLUMNS
            rows = list(_event_rows(some) if is_events else _record_rows(some))
            self._files.put(f"{folder}/{day}/{_name(some)}", parquet(columns, rows))
            count += len(rows)
        return count


def parquet(columns: Mapping[str, str], rows: Sequence[Row]) -> bytes:
    """Return a Parquet file of rows; `columns` are names and types as in `workload.storage`."""
    schema = schema_of(columns)
    arrays = [
        pa.array([row[at] for row in rows], type=field.type) for at, field in enumerate(schema)
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def schema_of(columns: Mapping[str, str]) -> pa.Schema:
    """Return what Parquet calls such columns."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])


def _event_rows(entries: Iterable[Entry]) -> Iterator[Row]:
    for entry in entries:
        kept = _decoded(_EVENTS, entry)
        if kept is None:
            continue
        for event in kept.events:
            yield (
                event.event_id,
                kept.subject,
                kept.session,
                event.item_id,
                event.event_type,
                event.event_value,
                int(min(event.sent_at, kept.received)),
                "|".join(event.impression) if event.impression else None,
                event.recommendation_id,
                event.properties,
            )


def _record_rows(entries: Iterable[Entry]) -> Iterator[Row]:
    for entry in entries:
        kept = _decoded(_ROWS, entry)
        if kept is None:
            continue
        for at, (id_, columns) in enumerate(kept.rows):
            yield f"{entry.id}-{at}", id_, int(kept.received), columns


def _decoded(decoder: "msgspec.json.Decoder[Kept]", entry: Entry) -> Kept | None:
    try:
        found: Kept = decoder.decode(entry.data)
    except msgspec.MsgspecError as error:
        logger.error("Entry %s is unreadable and left out: %s", entry.id, error)  # noqa: TRY400 - the text says it all
        return None
    return found


def _order(entry: Entry) -> tuple[int, int]:
    milliseconds, _, number = entry.id.partition("-")
    return int(milliseconds), int(number)


def _name(entries: Sequence[Entry]) -> str:
    digest = hashlib.sha256(" ".join(entry.id for entry in entries).encode()).hexdigest()[:16]
    return f"{entries[0].id}-{entries[-1].id}-{digest}{PARQUET}"


def _day(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.milliseconds / 1000, UTC).date().isoformat()


_EVENTS: Final = msgspec.json.Decoder(KeptEvents)
_ROWS: Final = msgspec.json.Decoder(KeptRows)
