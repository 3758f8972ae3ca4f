"""State in SQLite: resources, tags, imported data, events, calls and faults survive a restart.

Everything of one call is one transaction. The store knows no rules; it keeps and finds.
"""

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from reco.emulator.state import open_state


@dataclass(slots=True)
class Step:
    """What happens to a resource at a virtual time, unless something else happens first."""

    at: float
    status: str
    update: bool = False
    reason: str | None = None


@dataclass(slots=True)
class Resource:
    """One object of the service. Attributes that start with ``_`` are never shown."""

    arn: str
    kind: str
    account: str
    region: str
    name: str
    created: float
    updated: float
    status: str | None = None
    parent: str | None = None
    dataset_group: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    plan: list[Step] = field(default_factory=list)


class Store:
    """One SQLite file (or ``:memory:``) with everything the emulator remembers."""

    def __init__(self, path: str) -> None:
        """Open or make the file; ``StateError`` says why it cannot be used."""
        self._db = open_state(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def commit(self) -> None:
        """Keep what was written since the last commit."""
        self._db.commit()

    def rollback(self) -> None:
        """Forget what was written since the last commit."""
        self._db.rollback()

    def clear(self) -> None:
        """Forget everything but the settings (the clock goes on)."""
        for table in ("resources", "tags", "imports", "records", "calls", "faults"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above

    # settings

    def setting(self, name: str) -> Any | None:  # noqa: ANN401 - JSON
        """Read a stored setting."""
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else None

    def set_setting(self, name: str, value: Any) -> None:  # noqa: ANN401 - JSON
        """Store a setting."""
        self._db.execute("REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    # resources

    def get(self, arn: str, kind: str | None = None) -> Resource | None:
        """Find a resource by ARN, of one kind where a kind is given."""
        row = self._db.execute("SELECT * FROM resources WHERE arn = ?", (arn,)).fetchone()
        return _resource(row) if row and kind in {None, row["kind"]} else None

    def put(self, resource: Resource) -> None:
        """Insert or replace a resource."""
        self._db.execute(
            "REPLACE INTO resources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                resource.arn,
                resource.kind,
                resource.account,
                resource.region,
                resource.name,
                resource.parent,
                resource.dataset_group,
                resource.status,
                resource.created,
                resource.updated,
                min((step.at for step in resource.plan), default=None),
                json.dumps(resource.attributes),
                json.dumps([asdict(step) for step in resource.plan]),
            ),
        )

    def remove(self, arn: str) -> None:
        """Forget a resource, its tags and its data."""
        self._db.execute("DELETE FROM resources WHERE arn = ?", (arn,))
        self._db.execute("DELETE FROM tags WHERE arn = ?", (arn,))
        self._db.execute("DELETE FROM imports WHERE dataset = ? OR job = ?", (arn, arn))
        self._db.execute("DELETE FROM records WHERE owner = ?", (arn,))

    def find(self, kind: str, **columns: str | None) -> list[Resource]:
        """Find the resources of a kind whose columns have the given values, in ARN order.

        The order is that of ASCII, as SQLite compares text by bytes.
        """
        conditions = "".join(f" AND {column} = ?" for column in columns)
        rows = self._db.execute(
            f"SELECT * FROM resources WHERE kind = ?{conditions} ORDER BY arn",  # noqa: S608 - columns are the callers' keywords
            (kind, *columns.values()),
        )
        return [_resource(row) for row in rows]

    def page(
        self,
        kind: str,
        columns: Mapping[str, str],
        *,
        newest_first: bool,
        after: Sequence[Any] | None,
        created_until: float,
        limit: int,
    ) -> list[Resource]:
        """Find as ``find`` does, but only ``limit`` resources whose sort key is above ``after``.

        The sort key is (-updated, arn) with ``newest_first``, else (arn). Resources created later
        than ``created_until`` are left out.
        """
        key = ("-updated", "arn") if newest_first else ("arn",)
        conditions = "".join(f" AND {column} = ?" for column in columns)
        if after is not None:
            conditions += f" AND ({', '.join(key)}) > ({', '.join('?' * len(key))})"
        rows = self._db.execute(
            f"SELECT * FROM resources WHERE kind = ?{conditions} AND created <= ? "  # noqa: S608 - columns are the callers' keywords
            f"ORDER BY {', '.join(key)} LIMIT ?",
            (kind, *columns.values(), *(after or ()), created_until, limit),
        )
        return [_resource(row) for row in rows]

    def newest(self, kind: str, **columns: str | None) -> Resource | None:
        """Find the resource that was created last, of those ``find`` would give."""
        conditions = "".join(f" AND {column} = ?" for column in columns)
        row = self._db.execute(
            f"SELECT * FROM resources WHERE kind = ?{conditions} "  # noqa: S608 - columns are the callers' keywords
            "ORDER BY created DESC, serial DESC LIMIT 1",
            (kind, *columns.values()),
        ).fetchone()
        return _resource(row) if row else None

    def states(self, kind: str, **columns: str | None) -> dict[str | None, int]:
        """Count the resources that ``find`` would give by their status, without reading them."""
        conditions = "".join(f" AND {column} = ?" for column in columns)
        rows = self._db.execute(
            f"SELECT status, count(*) AS n FROM resources WHERE kind = ?{conditions} "  # noqa: S608 - columns are the callers' keywords
            "GROUP BY status",
            (kind, *columns.values()),
        )
        return {row["status"]: row["n"] for row in rows}

    def first_due(self, now: float, passed_over: Collection[str]) -> Resource | None:
        """Find the resource to which something happens first by now, but for some."""
        rows = self._db.execute(
            "SELECT * FROM resources WHERE due <= ? ORDER BY due, created, arn LIMIT ?",
            (now, len(passed_over) + 1),
        )
        return next((_resource(row) for row in rows if row["arn"] not in passed_over), None)

    def next_due(self) -> float | None:
        """Give the time at which something happens to a resource next."""
        row = self._db.execute("SELECT min(due) AS due FROM resources").fetchone()
        return None if row["due"] is None else float(row["due"])

    def counts(self) -> dict[str, int]:
        """Count the resources of each kind."""
        rows = self._db.execute("SELECT kind, count(*) AS n FROM resources GROUP BY kind")
        return {row["kind"]: row["n"] for row in rows}

    # tags

    def tags(self, arn: str) -> dict[str, str]:
        """Read the tags of a resource in the order of their keys."""
        rows = self._db.execute("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", (arn,))
        return {row["key"]: row["value"] for row in rows}

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags."""
        self._db.executemany(
            "REPLACE INTO tags VALUES (?, ?, ?)", [(arn, key, tags[key]) for key in tags]
        )

    def untag(self, arn: str, keys: Iterable[str]) -> None:
        """Remove tags."""
        self._db.executemany(
            "DELETE FROM tags WHERE arn = ? AND key = ?", [(arn, key) for key in keys]
        )

    # imported data

    def add_import(
        self, job: str, dataset: str, mode: str, columns: Mapping[str, Sequence[Any]]
    ) -> None:
        """Keep what an import job read; it counts from ``activate_import`` on."""
        rows = len(next(iter(columns.values()), ()))
        payload = zlib.compress(json.dumps(columns).encode(), 1)
        self._db.execute(
            "REPLACE INTO imports VALUES (?, ?, ?, ?, NULL, NULL, ?)",
            (job, dataset, mode, rows, payload),
        )

    def activate_import(self, job: str, now: float) -> None:
        """Make an import visible; a FULL one ends the time of those before it."""
        row = self._db.execute("SELECT dataset, mode FROM imports WHERE job = ?", (job,)).fetchone()
        if row["mode"] == "FULL":
            self._db.execute(
                "UPDATE imports SET until = ? WHERE dataset = ? AND since IS NOT NULL AND "
                "until IS NULL",
                (now, row["dataset"]),
            )
        self._db.execute("UPDATE imports SET since = ? WHERE job = ?", (now, job))

    def has_import(self, dataset: str) -> bool:
        """Say whether a dataset holds imported data."""
        return self.last_import(dataset) is not None

    def last_import(self, dataset: str) -> float | None:
        """Give the time at which the newest import of a dataset became visible."""
        row = self._db.execute(
            "SELECT max(since) AS since FROM imports WHERE dataset = ?", (dataset,)
        ).fetchone()
        return None if row["since"] is None else float(row["since"])

    def imported(self, dataset: str, at: float) -> Iterator[dict[str, list[Any]]]:
        """Read the imports that were visible at a time, the oldest first, as columns."""
        rows = self._db.execute(
            "SELECT payload FROM imports WHERE dataset = ? AND since <= ? AND "
            "(until IS NULL OR until > ?) ORDER BY since, rowid",
            (dataset, at, at),
        )
        for row in rows:
            yield json.loads(zlib.decompress(row["payload"]))

    def drop_superseded_imports(self, dataset: str) -> None:
        """Free the imports that a later FULL one replaced."""
        self._db.execute("DELETE FROM imports WHERE dataset = ? AND until IS NOT NULL", (dataset,))

    # streamed records

    def add_record(
        self, owner: str, subject: str, session: str | None, now: float, body: Mapping[str, Any]
    ) -> None:
        """Keep one streamed event, item or user of a dataset group or dataset."""
        self._db.execute(
            "INSERT INTO records (owner, subject, session, received, body) VALUES (?, ?, ?, ?, ?)",
            (owner, subject, session, now, json.dumps(body)),
        )

    def records(
        self,
        owner: str,
        subject: str | None = None,
        *,
        after: float | None = None,
        until: float | None = None,
    ) -> list[dict[str, Any]]:
        """Read streamed records as they arrived, with ``subject`` and ``received``."""
        rows = self._db.execute(
            "SELECT * FROM records WHERE owner = ? AND (? IS NULL OR subject = ?) AND "
            "(? IS NULL OR received > ?) AND (? IS NULL OR received <= ?) ORDER BY id",
            (owner, subject, subject, after, after, until, until),
        )
        return [
            {**json.loads(row["body"]), "subject": row["subject"], "received": row["received"]}
            for row in rows
        ]

    def last_record(self, owner: str) -> float | None:
        """Give the time at which the newest streamed record arrived."""
        row = self._db.execute(
            "SELECT max(received) AS received FROM records WHERE owner = ?", (owner,)
        ).fetchone()
        return None if row["received"] is None else float(row["received"])

    def adopt_session(self, owner: str, session: str, subject: str) -> None:
        """Give what an anonymous session did to the user it turned out to be: both as subjects."""
        self._db.execute(
            "UPDATE records SET subject = ? WHERE owner = ? AND subject = ?",
            (subject, owner, session),
        )

    # calls

    def add_call(self, values: Mapping[str, Any]) -> int:
        """Log a call and give its number."""
        cursor = self._db.execute(
            "INSERT INTO calls (time, service, operation, region, account, mutating, parameters, "
            "outcome, message, answer) VALUES (:time, :service, :operation, :region, :account, "
            ":mutating, :parameters, :outcome, :message, :answer)",
            values,
        )
        return int(cursor.lastrowid or 0)

    def calls(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        operation: str | None = None,
        mutating: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Read logged calls with numbers above ``after``, the oldest first."""
        rows = self._db.execute(
            "SELECT * FROM calls WHERE id > ? AND (? IS NULL OR operation = ?) AND "
            "(? IS NULL OR mutating = ?) ORDER BY id LIMIT ?",
            (after, operation, operation, mutating, mutating, limit),
        )
        return [
            {
                **dict(row),
                "mutating": bool(row["mutating"]),
                "parameters": json.loads(row["parameters"]),
                "answer": json.loads(row["answer"]) if row["answer"] else None,
            }
            for row in rows
        ]

    # faults

    def add_fault(self, body: Mapping[str, Any]) -> int:
        """Keep a fault and give its number."""
        cursor = self._db.execute("INSERT INTO faults (body) VALUES (?)", (json.dumps(body),))
        return int(cursor.lastrowid or 0)

    def set_fault(self, number: int, body: Mapping[str, Any]) -> None:
        """Replace a fault."""
        self._db.execute("UPDATE faults SET body = ? WHERE id = ?", (json.dumps(body), number))

    def faults(self) -> list[tuple[int, dict[str, Any]]]:
        """Read the faults in the order in which they were asked for."""
        rows = self._db.execute("SELECT id, body FROM faults ORDER BY id")
        return [(row["id"], json.loads(row["body"])) for row in rows]

    def remove_faults(self, number: int | None = None) -> None:
        """Remove one fault, or all."""
        self._db.execute("DELETE FROM faults WHERE ? IS NULL OR id = ?", (number, number))


def _resource(row: sqlite3.Row) -> Resource:
    return Resource(
        arn=row["arn"],
        kind=row["kind"],
        account=row["account"],
        region=row["region"],
        name=row["name"],
        created=row["created"],
        updated=row["updated"],
        status=row["status"],
        parent=row["parent"],
        dataset_group=row["dataset_group"],
        attributes=json.loads(row["attributes"]),
        plan=[Step(**step) for step in json.loads(row["plan"])],
    )
