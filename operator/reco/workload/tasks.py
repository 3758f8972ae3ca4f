"""What a pod is told: one JSON document in the environment variable `RECO_TASK`.

Secrets are no part of it. Credentials of S3 come as `AWS_ACCESS_KEY_ID` and its likes, or from the
pod's identity; where bulk data has credentials of its own, they have `RECO_SOURCE_` before their
names. The password of the online store comes as `RECO_ONLINE_STORE_PASSWORD`, the token that a
catalog wants to be sent as `RECO_CATALOG_TOKEN`.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from reco.workload.storage import Owner

TASK_VARIABLE: Final = "RECO_TASK"
PASSWORD_VARIABLE: Final = "RECO_ONLINE_STORE_PASSWORD"  # noqa: S105 - the name, not the secret
TOKEN_VARIABLE: Final = "RECO_CATALOG_TOKEN"  # noqa: S105 - as above
SOURCE_PREFIX: Final = "RECO_SOURCE_"
"""What stands before the names of credentials that are for sources alone."""
SOURCES: Final = "/sources"
"""Where volumes with sources are mounted: a location on one lies below it."""


class Part(BaseModel):
    """A part of a task; unknown members are refused, for both sides are one release."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(Part):
    """A whole task."""

    def environment(self) -> str:
        """Return the value of `RECO_TASK`: the same task always gives the same text."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the task of this pod.

        Raises:
            ValueError: if there is none, or it is no task of this sort.
        """
        text = environment.get(TASK_VARIABLE)
        if text is None:
            raise ValueError(f"{TASK_VARIABLE} is not set: it must hold a {cls.__name__} as JSON")
        return cls.model_validate_json(text)


class S3(Part):
    """An S3 endpoint, and where it is storage a bucket and prefix in it."""

    bucket: str = ""
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None


class Storage(Part):
    """Where files lie: in a bucket, or in a folder where a volume is mounted. One of both."""

    s3: S3 | None = None
    path: str | None = None


class OnlineStore(Part):
    """The Valkey or Redis server, without its password."""

    url: str
    """Such as `redis://movies-online-store:6379/0`; `rediss` for TLS."""


class Authentication(Part):
    """Who may call: what clients sign their requests with."""

    folder: str
    """Where their key pairs are mounted, a file each."""
    secret: str
    """The Secret that these are from, to name it."""
    region: str | None = None
    """The only region that they may sign for; None for any."""


class Group(Part):
    """The dataset group that a pod works for."""

    name: str
    """Its external name."""
    storage: Storage
    owner: Owner
    adopt_own: bool = True
    """Whether what an earlier resource of the same cluster, namespace and name left is ours too:
    false where `adoptionPolicy` is `Never`."""
    adopt_from: str | None = None
    """`cluster/namespace/name` of another resource whose group is to be taken over."""


class Field_(Part):  # noqa: N801 - `Field` is pydantic's
    """A field of an Avro schema, as far as rows are checked against it."""

    name: str
    types: tuple[str, ...]
    """Avro types: `string`, `int`, `long`, `float`, `double`, `boolean`, `null`."""
    categorical: bool = False
    textual: bool = False


class CatalogTask(Task):
    """`reco serve catalog`: answers what lies in the group's storage and in sources."""

    group: Group
    sources: S3 = S3()
    """The endpoint of sources given as `s3://bucket/key`."""
    sources_path: str = SOURCES
    online_store: OnlineStore | None = None
    """One that is not run for the group: nobody else looks after it."""
    port: int = 8080


class ImportTask(Task):
    """`reco job import`: checks bulk data row by row and keeps it as a snapshot."""

    group: Group
    job: str
    """External name of the import job."""
    type: str
    """`Interactions`, `Items`, `Users`, ..."""
    mode: str
    """`Full` or `Incremental`."""
    fields: tuple[Field_, ...]
    """The dataset's schema."""
    asked: datetime | None = None
    """When it was asked for. A job of the same name that was asked for later is another event: it
    imports again what may have been replaced since. A pod that is started once more is none."""
    source: str
    """`s3://bucket/file-or-prefix`, or `file:///sources/path` on a mounted volume. CSV, CSV with
    gzip, or Parquet, by the ending of the name."""
    sources: S3 = S3()
    sources_path: str = SOURCES


class TrainTask(Task):
    """`reco job train`: reads the current data and events, trains, evaluates, keeps the model."""

    group: Group
    solution: str
    version: str
    recipe: str
    mode: str = "Full"
    hyperparameters: dict[str, str] = Field(default_factory=dict)
    event_type: str | None = None
    event_value_threshold: float | None = None
    memory_limit: int | None = None
    """Bytes that the pod may use; a training predicted to need more is refused before it starts."""
    seed: int = 0


class RankerTask(Task):
    """`reco serve ranker`: one campaign's answers from one model."""

    group: Group
    campaign: str
    """External name of the campaign."""
    arn: str
    """Its ARN as clients know it."""
    version: str
    """External name of the solution version that serves."""
    artifact: str
    """SHA-256 of the model file."""
    recipe: str
    online_store: OnlineStore
    exploration: dict[str, str] = Field(default_factory=dict)
    """The campaign's itemExplorationConfig."""
    metadata: bool = False
    """Whether requests may ask for columns of items."""
    online_store_timeout: float = 0.05
    """Seconds after which an answer goes on without the user's latest events."""
    session_memory: int = 128 << 20
    """Bytes, about, in which the scores of the latest users are kept up."""
    authentication: Authentication | None = None
    """None lets in everybody."""
    allowed_origins: tuple[str, ...] = ()
    """Of web pages that may call from a browser; `*` is any."""
    port: int = 8080


class RuntimeTask(Task):
    """`reco serve runtime`: one address for all campaigns of a group, by the ARN in a request."""

    namespace: str
    cluster_domain: str = "cluster.local"
    addresses: dict[str, str] = Field(default_factory=dict)
    """Where rankers answer, such as `http://127.0.0.1:8081`, by the campaign's external name. With
    any, names are not resolved by DNS: for use outside a cluster."""
    authentication: Authentication | None = None
    allowed_origins: tuple[str, ...] = ()
    port: int = 8080


class CollectorTask(Task):
    """`reco serve collector`: PutEvents, PutItems and PutUsers, acknowledged once they are kept."""

    group: Group
    tracking_id: str
    tracker: str = ""
    """External name of the event tracker."""
    online_store: OnlineStore
    datasets: dict[str, str] = Field(default_factory=dict)
    """External name of the Items and the Users dataset, by type; what is absent is refused."""
    fields: dict[str, tuple[Field_, ...]] = Field(default_factory=dict)
    """Schemas of those datasets, by type."""
    authentication: Authentication | None = None
    allowed_origins: tuple[str, ...] = ()
    port: int = 8080


class ConsumerTask(Task):
    """`reco serve consumer`: folds events into users' histories and into the offline log."""

    group: Group
    online_store: OnlineStore
    history_length: int = 200
    """Events kept online for each user."""
    history_seconds: int = 90 * 86_400
    """After how long without an event a user's online history goes."""
    flush_seconds: float = 30.0
    """How long events wait at most to be written to the offline log."""
    flush_rows: int = 50_000
    compact_seconds: float = 600.0
    """How long after a look at the offline log for files to merge comes the next."""
    port: int = 8080


def describe(task: Task) -> Mapping[str, Any]:
    """Return a task for logs: all of it, for no secret is part of one."""
    return task.model_dump(mode="json", exclude_defaults=True)
