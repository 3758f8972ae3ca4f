"""Where the in-cluster engine keeps its files, and what each of them is.

Everything of a dataset group lies below `groups/<external name of the group>/`:

| key | what it is |
| --- | --- |
| `group.json` | whose the group is (`Owner`); written first, never by anybody else |
| `datasets/<Type>/snapshots/<job>/manifest.json` | one run of an import (`SnapshotManifest`) |
| `datasets/<Type>/snapshots/<job>/part-00000.parquet` | its rows |
| `datasets/<Type>/current.json` | which snapshots count, oldest first (`CurrentData`) |
| `events/<day>/<first id>-<last id>-<digest>.parquet` | streamed events, columns `EVENT_COLUMNS` |
| `records/<Type>/<day>/<first id>-<last id>-<digest>.parquet` | rows of PutItems and PutUsers |
| `<name of the first>-<digest>.merged.parquet` beside them | several in one, see `offline_log` |
| `versions/<solution>/<version>/manifest.json` | one trained version (`VersionManifest`) |
| `versions/<solution>/<version>/base.json` | a deleted one that updates need (`VersionManifest`) |
| `artifacts/<sha256>.model` | a trained model, named by the digest of its bytes |

`<job>`, `<solution>` and `<version>` are external names; a further run of a job adds a dot and what
tells it from others. A slash in a name becomes `%2F`, and one of more than 200 letters is cut. A
manifest is written last: what has none is unfinished and counts for nothing.
"""

import hashlib
from datetime import datetime
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

GROUPS: Final = "groups"
"""The folder of everything."""
MANIFEST: Final = "/manifest.json"
"""How the key of a manifest ends."""
PARQUET: Final = ".parquet"
MERGED: Final = f".merged{PARQUET}"
"""How the name of a file of streamed events or rows ends that was merged of others."""
_LONGEST: Final = 200
"""Letters of a folder's name: file systems end at 255 bytes."""

EVENT_COLUMNS: Final = {
    "EVENT_ID": "string",
    "USER_ID": "string",
    "SESSION_ID": "string",
    "ITEM_ID": "string",
    "EVENT_TYPE": "string",
    "EVENT_VALUE": "double",
    "TIMESTAMP": "int64",
    "IMPRESSION": "string",
    "RECOMMENDATION_ID": "string",
    "PROPERTIES": "string",
}
"""Columns of the offline log of events: times in epoch seconds, `IMPRESSION` as item ids joined by
`|`, `PROPERTIES` as JSON. Every column but EVENT_ID, USER_ID, EVENT_TYPE and TIMESTAMP may be
null. Events are written at least once: readers keep one row a USER_ID and EVENT_ID. Of an anonymous
session USER_ID is `ANONYMOUS` and the session's id."""
ANONYMOUS: Final = "\x1fsession\x1f"
"""What the USER_ID of an anonymous session begins with, so that no session has the id of a user:
both are clients' own choice. Nobody else's begins with it."""

RECORD_COLUMNS: Final = {
    "RECORD_ID": "string",
    "ID": "string",
    "TIMESTAMP": "int64",
    "COLUMNS": "string",
}
"""Columns of PutItems and PutUsers: the item or user id, when it came (epoch seconds), and the
row's other columns, named as in the schema, as JSON. The newest row of an id counts, see `arrived`.
"""


def arrived(record_id: str) -> tuple[int, ...]:
    """Return what orders records as they came, of a RECORD_ID: the online store numbers them.

    Their TIMESTAMP is of one collector's clock or another's, and one that is ahead must not keep a
    row in force for as long.
    """
    parts = record_id.split("-")
    return tuple(map(int, parts)) if all(map(str.isdecimal, parts)) else ()


def text_of(value: object) -> str | None:
    """Return a value of `COLUMNS` as imports have it: several in one are separated by `|`."""
    if value is None:
        return None
    return "|".join(map(str, value)) if isinstance(value, list) else str(value)


class Stored(BaseModel):
    """A JSON file in storage."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Owner(Stored):
    """Whose a dataset group is."""

    cluster: str
    namespace: str
    name: str
    uid: str


class SnapshotManifest(Stored):
    """One run of an import of bulk data."""

    job: str
    """The name of the run: the job's for its first, see `run_name`."""
    type: str
    """`Interactions`, `Items`, `Users`, ..."""
    mode: str
    """`Full` or `Incremental`."""
    source: str
    created: datetime
    """When it ended."""
    asked: datetime | None = None
    """When somebody or something asked for it, where that is known. Of two runs that one counts
    which was asked for later, whichever ends first."""
    digest: str = ""
    """Of what lay at the source: names, sizes and versions of files."""
    rows: int
    rejected_rows: int = 0
    columns: dict[str, str]
    """Column name to Parquet type, in order."""
    categorical: tuple[str, ...] = ()
    """Columns that the schema calls categorical."""
    parts: dict[str, str]
    """File name to SHA-256 of its bytes."""

    @property
    def since(self) -> datetime:
        """When it was asked for, as far as that is known: by this, runs replace each other."""
        return self.asked or self.created


def run_name(job: str, run: str) -> str:
    """Return the name of a further run of a job. No external name has a dot."""
    return f"{job}.{run}"


def job_of(name: str) -> str:
    """Return the job that a run was made by."""
    return name.partition(".")[0]


class CurrentData(Stored):
    """Which snapshots make up a dataset."""

    snapshots: tuple[str, ...]
    """Names of import jobs, oldest first: one Full, then Incremental ones."""


class VersionManifest(Stored):
    """One trained solution version."""

    solution: str
    version: str
    recipe: str
    mode: str
    """`Full` or `Update`."""
    created: datetime
    artifact: str
    """SHA-256 of the model file."""
    size: int
    """Bytes of the model file."""
    metrics: dict[str, float]
    """Offline metrics under Personalize's names."""
    training_seconds: float
    peak_memory: int = 0
    """Bytes."""
    rows: int = 0
    users: int = 0
    items: int = 0
    base: str | None = None
    """The Full version that an Update went on from; None for a Full one, or where nobody knows."""
    trained_through: int = 0
    """The newest event that was learned from, in epoch seconds."""


class Places:
    """Keys of one dataset group's files."""

    def __init__(self, group: str) -> None:
        """Name the group by its external name."""
        self.root = f"{GROUPS}/{_part(group)}"

    @property
    def owner(self) -> str:
        """Whose the group is."""
        return f"{self.root}/group.json"

    def snapshot(self, type_: str, job: str) -> str:
        """Return the folder of one import."""
        return f"{self.root}/datasets/{type_}/snapshots/{_part(job)}"

    def snapshot_manifest(self, type_: str, job: str) -> str:
        """Return the manifest of one import."""
        return f"{self.snapshot(type_, job)}{MANIFEST}"

    def dataset(self, type_: str) -> str:
        """Return the folder of all imports of a dataset."""
        return f"{self.root}/datasets/{type_}"

    def current(self, type_: str) -> str:
        """Return the file that says which snapshots count."""
        return f"{self.root}/datasets/{type_}/current.json"

    @property
    def events(self) -> str:
        """The folder of streamed events."""
        return f"{self.root}/events"

    @property
    def all_records(self) -> str:
        """The folder of PutItems and PutUsers."""
        return f"{self.root}/records"

    def records(self, type_: str) -> str:
        """Return the folder of PutItems or PutUsers."""
        return f"{self.all_records}/{type_}"

    @property
    def versions(self) -> str:
        """The folder of all versions' manifests."""
        return f"{self.root}/versions"

    def version(self, solution: str, version: str) -> str:
        """Return the manifest of one version."""
        return f"{self.versions}/{_part(solution)}/{_part(version)}{MANIFEST}"

    def artifact(self, digest: str) -> str:
        """Return the model file with a digest."""
        return f"{self.root}/artifacts/{digest}.model"


def _part(name: str) -> str:
    """Make one folder of a name; one too long for a file system is cut and ends with its hash."""
    part = quote(name, safe="")
    if len(part) > _LONGEST:
        return f"{part[: _LONGEST - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return part
