"""`reco job import`: checks bulk data row by row and keeps it as a snapshot.

Where Amazon Personalize refuses an import, so does this, in its words: a location with nothing in
it or that may not be read, missing columns, no rows, and any row that breaks the schema; it takes
no import in part. (Recorded and documented: "Input csv has rows that do not conform to the dataset
schema", "your dataset import job will fail" for a value that is too long.) Beyond it, the result
counts the bad rows and shows the first ten.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, Final

import pyarrow as pa

from reco.jobs import checks, snapshots, tables
from reco.jobs.progress import Progress
from reco.jobs.running import Refused
from reco.storage import (
    AccessDenied,
    Entry,
    NotFound,
    ObjectStore,
    Source,
    Sources,
    claim,
    digest_of_source,
    open_storage,
    write,
)
from reco.workload.results import Outcome, Result
from reco.workload.storage import Places, SnapshotManifest, job_of, run_name
from reco.workload.tasks import ImportTask

_SHOWN: Final = 10
_INCREMENTAL_MINIMUM: Final = 1000
_INTERACTIONS: Final = "Interactions"
_BAD_ROWS: Final = (
    "Input csv has rows that do not conform to the dataset schema. Please ensure all required "
    "data fields are present and that they are of the type specified in the schema."
)
_NO_PRIVILEGES: Final = "Insufficient privileges for accessing data."
_INVALID_LOCATION: Final = "Invalid Data location."


_now: Final = partial(datetime.now, UTC)


@dataclass(slots=True)
class _Findings:
    """What was found so far."""

    rows: int = 0
    rejected: int = 0
    bad: list[dict[str, str | int]] = field(default_factory=list)

    def note(self, file: str, found: Iterator[tuple[int, str]]) -> None:
        """Keep the first bad rows of all."""
        for line, reason in found:
            if len(self.bad) >= _SHOWN:
                return
            self.bad.append({"file": file, "line": line, "reason": reason})


class _Counted:
    """Opens a file and knows how far it is read."""

    def __init__(self, source: Source, entry: Entry) -> None:
        self._source = source
        self._entry = entry
        self._file: BinaryIO | None = None

    def open(self) -> BinaryIO:
        with _readable():
            self._file = self._source.store.open(self._entry.key)
        return self._file

    def position(self) -> int:
        if self._file is None or self._file.closed:  # Arrow closes what it has read
            return self._entry.size
        return self._file.tell()


def run(task: ImportTask, progress: Progress, now: Callable[[], datetime] = _now) -> Result:
    """Import, or finish an import that broke off, or say how it ended before.

    A job that was asked for anew imports anew, though one of its name did so before: the data may
    have been replaced since.
    """
    store, places = open_storage(task.group.storage), Places(task.group.name)
    claim(store, task.group)
    name, manifest = _run_of(task, store, places)
    if manifest is None:
        manifest = _imported(task, name, store, places, progress, now)
    counting = snapshots.enter(store, places, manifest)
    progress("done", 1.0)
    message = f"{manifest.rows} rows of {manifest.source}"
    details: dict[str, Any] = {
        "rows": manifest.rows,
        "rejectedRows": manifest.rejected_rows,
    }
    if all(one.job != manifest.job for one in counting):
        message += f"; {counting[-1].job} was asked for later and counts instead"
        details["counts"] = False
    return Result(outcome=Outcome.SUCCEEDED, message=message, details=details)


def _run_of(
    task: ImportTask, store: ObjectStore, places: Places
) -> tuple[str, SnapshotManifest | None]:
    """Return the name of the run that is asked for, and its manifest if it has ended."""
    first = snapshots.manifest_of(store, places, task.type, task.job)
    if first is None:
        return task.job, None
    if task.asked is not None:
        if task.asked <= first.since:
            return task.job, first
        run = f"{task.asked.astimezone(UTC):%Y%m%dT%H%M%S%f}"
    else:
        # Nobody says when it was asked for: other data under the same name is another wish.
        there = _digest(task)
        if there is None or there == first.digest:
            return task.job, first
        run = there[:16]
    name = run_name(task.job, run)
    done = snapshots.manifest_of(store, places, task.type, name)
    return (name, done) if done is not None else _unless_there(task, name, store, places)


def _unless_there(
    task: ImportTask, name: str, store: ObjectStore, places: Places
) -> tuple[str, SnapshotManifest | None]:
    """Leave what counts as it is, where it is all that is asked for.

    A source that is no longer there has nothing newer: so an estate is built anew from its
    manifests.
    """
    counting = snapshots.current(store, places, task.type)
    if counting and task.mode == "Full":
        newest = counting[-1]
        was = (job_of(newest.job), newest.mode, newest.source, newest.columns)
        asked = (task.job, task.mode, task.source, _columns(task))
        if was == asked and _digest(task) in {newest.digest, None}:
            return newest.job, newest
    return name, None


def _imported(
    task: ImportTask,
    name: str,
    store: ObjectStore,
    places: Places,
    progress: Progress,
    now: Callable[[], datetime],
) -> SnapshotManifest:
    """Read and keep what is asked for."""
    folder = places.snapshot(task.type, name)
    if task.mode == "Incremental" and not snapshots.current(store, places, task.type):
        raise Refused(
            Outcome.INVALID_DATA,
            f"An incremental import needs data of an earlier full import in dataset "
            f"{task.type}: import with mode Full first",
        )
    store.delete(*(entry.key for entry in store.entries(folder)))
    findings, schema = _Findings(), checks.schema_of(task.fields)
    with snapshots.PartWriter.into(store, folder, schema) as writer:
        digest = _read(task, findings, writer, progress)
        _judge(task, findings)
        progress("writing", 0.95)
        parts = writer.finish()
    manifest = SnapshotManifest(
        job=name,
        type=task.type,
        mode=task.mode,
        source=task.source,
        created=now(),
        asked=task.asked,
        digest=digest,
        rows=findings.rows,
        columns=_columns(task),
        categorical=tuple(one.name for one in task.fields if one.categorical),
        parts=parts,
    )
    write(store, places.snapshot_manifest(task.type, name), manifest)
    return manifest


def _columns(task: ImportTask) -> dict[str, str]:
    return {one.name: str(one.type) for one in checks.schema_of(task.fields)}


def _digest(task: ImportTask) -> str | None:
    """Return the digest of what lies at the source now; None where nothing can be read."""
    try:
        return digest_of_source(_files(task)[1])
    except Refused:
        return None


def _read(
    task: ImportTask, findings: _Findings, writer: snapshots.PartWriter, progress: Progress
) -> str:
    """Read and check all files, once a row is bad only to count; return their digest."""
    source, files = _files(task)
    total = sum(entry.size for entry in files)
    before = 0
    for entry in files:
        name = entry.key.rpartition("/")[2]
        file = _Counted(source, entry)
        for batch in tables.read(name, file.open, task.fields):
            good = _checked(name, batch, task, findings)
            if good is not None and not findings.rejected:
                writer.add(good)
            progress("reading", 0.95 * (before + file.position()) / total)
        before += entry.size
    return digest_of_source(files)


def _checked(
    name: str, batch: tables.Batch, task: ImportTask, findings: _Findings
) -> pa.RecordBatch | None:
    """Check a batch and note what is bad in it, in the order of the lines."""
    checked = checks.check(batch.columns, task.fields) if batch.columns else None
    found = [(one.line, one.reason) for one in batch.malformed[:_SHOWN]]
    findings.rejected += len(batch.malformed) + batch.unlisted
    if checked is not None:
        findings.rows += checked.good.num_rows
        findings.rejected += checked.rejected
        for (row, reason), _ in zip(checked.reasons, range(_SHOWN), strict=False):
            found.append((batch.lines[row], reason))
    findings.note(name, iter(sorted(found)))
    return checked.good if checked is not None else None


def _judge(task: ImportTask, findings: _Findings) -> None:
    """Refuse the whole import if it has to be."""
    if findings.rejected:
        of = findings.rows + findings.rejected
        raise Refused(
            Outcome.INVALID_DATA,
            f"{_BAD_ROWS} {findings.rejected} of {of} rows are at fault",
            rows=findings.rows,
            rejectedRows=findings.rejected,
            badRows=findings.bad,
        )
    if not findings.rows:
        raise Refused(Outcome.INVALID_DATA, f"{task.source} has no rows", rows=0, rejectedRows=0)
    small = task.type == _INTERACTIONS and findings.rows < _INCREMENTAL_MINIMUM
    if task.mode == "Incremental" and small:
        raise Refused(
            Outcome.INVALID_DATA,
            f"An incremental import of interactions needs at least {_INCREMENTAL_MINIMUM} rows; "
            f"{task.source} has {findings.rows}",
            rows=findings.rows,
        )


def _files(task: ImportTask) -> tuple[Source, Sequence[Entry]]:
    with _readable():
        sources = Sources(
            task.sources, task.sources_path, apart_from=task.group.storage, group=task.group.name
        )
        source = sources.open(task.source)
        return source, list(source.files())


@contextmanager
def _readable() -> Iterator[None]:
    """Refuse, in the service's words, a source that is not there or may not be read."""
    try:
        yield
    except NotFound as error:
        raise Refused(Outcome.NOT_FOUND, f"{_INVALID_LOCATION} {error}") from error
    except AccessDenied as error:
        raise Refused(Outcome.ACCESS_DENIED, f"{_NO_PRIVILEGES} {error}") from error
