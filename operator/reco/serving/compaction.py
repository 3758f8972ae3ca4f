"""Many small files of the offline log into few, while others write and read it.

Files of an hour that is over become one, and so do those of a day: neighbours alone, in their
order, so that the rows come in the same order before and after. A merged file is written at once,
tells what it was made of, and counts in its place from then on; what it was made of is deleted a
day later. So nothing is lost or counted twice wherever this breaks off, and the next pass sees in
storage how far it came. Two at a time make the same file, or, if they saw different ones, some rows
twice: readers drop these, as they do where events were written twice.
"""

import hashlib
import io
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from reco.serving.event_log import schema_of
from reco.serving.metrics import Metrics
from reco.storage import Corrupt, Entry, ObjectStore, offline_log, parquet, read
from reco.storage.offline_log import KEPT_SECONDS, METADATA, Merge, folder_of, keys_of
from reco.workload.storage import EVENT_COLUMNS, MERGED, PARQUET, RECORD_COLUMNS, Owner, Places
from reco.workload.tasks import Group

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 8 << 20
"""Of the files that become one: it is made in memory, and read with one request."""
LATE_SECONDS: Final = 300.0
"""How long after its end an hour or a day is over: events wait to be written."""
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_GROUP_BYTES: Final = 8 << 20
"""Of rows in memory that are written at once."""
_ROWS: Final = 4096
_NAME: Final = re.compile(
    rf"(?P<stem>(?P<milliseconds>\d+)-.+?)(-[0-9a-f]{{16}}{re.escape(MERGED)}|{re.escape(PARQUET)})"
)


class Compaction:
    """Keeps a group's offline log tidy."""

    def __init__(
        self,
        files: ObjectStore,
        group: Group,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Say of which group; `now` is in epoch seconds."""
        self._files = files
        self._owner = group.owner
        self._places = Places(group.name)
        self._now = now
        self._counting = metrics.gauge("reco_log_files", "Files of the offline log that count.")
        self._merged = metrics.counter(
            "reco_log_files_merged", "Files of the offline log that became part of larger ones."
        )

    def run(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Merge and delete what is due, unless the group is another's; end early if told to.

        A day with a damaged file is left as it is: trainings say what to do about it.

        Raises:
            StorageError: storage fails.
        """
        if read(self._files, self._places.owner, Owner) != self._owner:
            return
        counting = 0
        for root, columns in (
            (self._places.events, EVENT_COLUMNS),
            (self._places.all_records, RECORD_COLUMNS),
        ):
            for entries in offline_log.folders(self._files, root):
                try:
                    counting += self._tidy(entries, schema_of(columns), stopped)
                except Corrupt as error:
                    logger.error("A day is not compacted: %s", error)  # noqa: TRY400 - the text says it all
                    counting += len(entries)
                if stopped():
                    return
        self._counting.set(counting)

    def _tidy(
        self, entries: Sequence[Entry], schema: pa.Schema, stopped: Callable[[], bool]
    ) -> int:
        """Do what is due in a folder; return how many of its files count."""
        merges = offline_log.merges(self._files, entries)
        counting = len(offline_log.counting(entries, merges))
        gone = deletable(entries, merges, self._now())
        if gone:
            self._files.delete(*gone)
        for run in mergeable(entries, merges, self._now()):
            if stopped():
                break
            if self._merge(run, schema):
                counting -= len(run) - 1
        return counting

    def _merge(self, run: Sequence[Entry], schema: pa.Schema) -> bool:
        """Write one file of several; say whether it is there now."""
        key, made = merged_name(run), self._now()
        content = self._content(run, schema, made)
        if self._files.find(key) is not None:  # another consumer was faster
            return False
        self._files.put(key, content)
        listed = {entry.key for entry in self._files.entries(folder_of(key))}
        gone = not listed.issuperset(entry.key for entry in run)
        if gone and self._now() < made + KEPT_SECONDS:
            self._files.delete(key)  # somebody deletes the data set: it must not come back
            return False
        self._merged.inc(len(run))
        return True

    def _content(self, run: Sequence[Entry], schema: pa.Schema, made: float) -> bytes:
        names = tuple(entry.key.rpartition("/")[2] for entry in run)
        merge = Merge(sources=names, made=made)
        described = schema.with_metadata({METADATA: merge.model_dump_json()})
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, described, compression="zstd") as writer:
            for table in self._groups(run, schema):
                writer.write_table(table)
        return buffer.getvalue()

    def _groups(self, run: Sequence[Entry], schema: pa.Schema) -> Iterator[pa.Table]:
        """Give all rows, as many at a time as memory may hold."""
        waiting: list[pa.RecordBatch] = []
        size = 0
        for entry in run:
            for batch in parquet.batches(self._files, entry.key, rows=_ROWS):
                if not batch.schema.equals(schema):
                    raise Corrupt(f"{self._files.location}/{entry.key} has other columns")
                waiting.append(batch)
                size += batch.nbytes
                if size >= _GROUP_BYTES:
                    yield pa.Table.from_batches(waiting, schema)
                    waiting, size = [], 0
        yield pa.Table.from_batches(waiting, schema)


def mergeable(
    entries: Sequence[Entry], merges: Mapping[str, Merge], now: float
) -> Iterator[list[Entry]]:
    """Give the runs of files of a folder that are to become one each.

    A merged file is none of them while what it was made of is there: so what stands for a file
    outlives it, however often it is merged again. Nor is a day merged until then, but all at once.
    """
    listed = {entry.key for entry in entries}
    unsettled = {key for key, merge in merges.items() if not listed.isdisjoint(keys_of(key, merge))}
    lengths = (_HOUR,) if unsettled else (_DAY, _HOUR)
    run: list[Entry] = []
    last: int | None = None
    for entry in offline_log.counting(entries, merges):
        period = None if entry.key in unsettled else _period(entry.key, lengths, now)
        if period is None or period != last or _size(run) + entry.size > MOST_BYTES:
            if len(run) > 1:
                yield run
            run = []
        if period is not None:
            run.append(entry)
        last = period
    if len(run) > 1:
        yield run


def deletable(entries: Sequence[Entry], merges: Mapping[str, Merge], now: float) -> list[str]:
    """Return the files of a folder that nobody can be reading any more."""
    old = {
        key
        for into, merge in merges.items()
        if merge.made + KEPT_SECONDS <= now
        for key in keys_of(into, merge)
    }
    return [entry.key for entry in entries if entry.key in old]


def merged_name(run: Sequence[Entry]) -> str:
    """Return the key of what a run becomes: listed in its place, and another for another run."""
    folder, _, name = run[0].key.rpartition("/")
    found = _NAME.fullmatch(name)
    stem = found["stem"] if found else name
    digest = hashlib.sha256("\n".join(entry.key for entry in run).encode()).hexdigest()[:16]
    return f"{folder}/{stem}-{digest}{MERGED}"


def _period(key: str, lengths: Iterable[int], now: float) -> int | None:
    """Return when the first period began that a file is of and that is over, in milliseconds."""
    found = _NAME.fullmatch(key.rpartition("/")[2])
    if found is None:
        return None
    at, latest = int(found["milliseconds"]), (now - LATE_SECONDS) * 1000
    began = (at - at % length for length in lengths if at - at % length + length <= latest)
    return next(began, None)


def _size(run: Sequence[Entry]) -> int:
    return sum(entry.size for entry in run)
