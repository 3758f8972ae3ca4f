"""The state file: its tables and their version, and that one emulator at a time has it open.

What is written to it and read from it is ``store``'s.
"""

import sqlite3

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE resources (
    arn TEXT PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL,
    name TEXT NOT NULL, parent TEXT, dataset_group TEXT, status TEXT,
    created REAL NOT NULL, updated REAL NOT NULL, due REAL,
    attributes TEXT NOT NULL, plan TEXT NOT NULL,
    schema_arn TEXT AS (json_extract(attributes, '$.schemaArn')),
    tracking_id TEXT AS (json_extract(attributes, '$.trackingId')),
    serial INTEGER AS (json_extract(attributes, '$._serial')));
CREATE INDEX resources_by_kind ON resources (kind, account, region, arn);
CREATE INDEX resources_by_state ON resources (kind, account, region, status);
CREATE INDEX resources_by_parent ON resources (parent, kind, created, serial);
CREATE INDEX resources_by_group ON resources (dataset_group, kind);
CREATE INDEX resources_by_schema ON resources (schema_arn, kind);
CREATE INDEX resources_by_tracking_id ON resources (tracking_id, kind);
CREATE INDEX resources_by_due ON resources (due, created, arn)
    WHERE due IS NOT NULL;
CREATE TABLE tags (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key));
CREATE TABLE imports (
    job TEXT PRIMARY KEY, dataset TEXT NOT NULL, mode TEXT NOT NULL, rows INTEGER NOT NULL,
    since REAL, until REAL, payload BLOB NOT NULL);
CREATE INDEX imports_by_dataset ON imports (dataset);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, subject TEXT NOT NULL, session TEXT,
    received REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX records_by_owner ON records (owner, subject);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, service TEXT, operation TEXT, region TEXT,
    account TEXT, mutating INTEGER NOT NULL, parameters TEXT NOT NULL, outcome TEXT NOT NULL,
    message TEXT, answer TEXT);
CREATE TABLE faults (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""


VERSION = 1
"""Of the tables above; a file of another version is refused."""

_LOCK_SECONDS = 1.0


class StateError(Exception):
    """The state file cannot be used; the text says which, why, and what to do."""


def open_state(path: str) -> sqlite3.Connection:
    """Open or make a state file, or one in memory for ``:memory:``.

    Raises:
        StateError: it is in use, damaged, of another version, or cannot be opened.
    """
    try:
        # The wire runs calls on one worker thread that is not the one that opens the file.
        file = sqlite3.connect(path, timeout=_LOCK_SECONDS, check_same_thread=False)
    except sqlite3.Error as error:
        raise StateError(f"state file {path}: {error}") from error
    file.row_factory = sqlite3.Row
    try:
        _prepare(file, path)
    except sqlite3.Error as error:
        file.close()
        busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        what = "is in use by another emulator" if busy else f"cannot be used: {error}"
        raise StateError(f"state file {path} {what}; choose another file") from error
    except StateError:
        file.close()
        raise
    return file


def _prepare(file: sqlite3.Connection, path: str) -> None:
    # The lock keeps a second emulator out until this process ends, however it ends. A commit
    # survives the death of the process (not of the machine) without an fsync.
    file.execute("PRAGMA locking_mode=EXCLUSIVE")
    file.execute("PRAGMA journal_mode=WAL")
    file.execute("PRAGMA synchronous=NORMAL")
    new = file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    version = file.execute("PRAGMA user_version").fetchone()[0]
    if not new and version != VERSION:
        raise StateError(
            f"state file {path} is of version {version}, and this release reads version "
            f"{VERSION} only; remove it or choose another file"
        )
    damage = file.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise StateError(
            f"state file {path} is damaged ({damage}); remove it or choose another file"
        )
    if new:
        file.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
