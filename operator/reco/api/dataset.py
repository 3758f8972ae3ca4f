"""Dataset: one typed table of a dataset group, and where its bulk data comes from."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import (
    ApiModel,
    Cron,
    ExternalStatus,
    Must,
    Name,
    Reference,
    S3Location,
    SharedSpec,
    TimeZone,
    exactly_one,
    immutable,
    rules,
)
from reco.api.runs import FailedRuns, RunInput, RunToken, ScheduleProgresses


class DatasetType(StrEnum):
    """The tables a dataset group can have, one of each."""

    INTERACTIONS = "Interactions"
    ITEMS = "Items"
    USERS = "Users"
    ACTIONS = "Actions"
    ACTION_INTERACTIONS = "ActionInteractions"


class ImportMode(StrEnum):
    """Whether an import replaces earlier bulk data or adds to it."""

    FULL = "Full"
    INCREMENTAL = "Incremental"


class VolumeSource(ApiModel):
    """Bulk data on a volume."""

    claim_name: Name
    """The PersistentVolumeClaim."""
    path: Annotated[
        str,
        StringConstraints(min_length=1, max_length=256, pattern=r"^[^/.][^/]*(/[^/.][^/]*)*/?$"),
        Must("must be a relative path without '..', such as 'movies/' or 'movies/ratings.csv'"),
    ]
    """The file, or the folder (ending with `/`), on the volume."""


class Source(ApiModel):
    """Where bulk data lies: a CSV file, or a folder of them."""

    model_config = ConfigDict(json_schema_extra=rules(exactly_one("s3", "persistentVolumeClaim")))

    s3: S3Location | None = None
    """The S3 location: `s3://bucket/file.csv`, or `s3://bucket/folder/` for all files in it."""
    persistent_volume_claim: VolumeSource | None = None
    """Files on a volume; only the engine `InCluster` reads them."""


class Import(ApiModel):
    """How bulk data gets into a dataset. Each run is a DatasetImportJob."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.startingDeadlineSeconds) || has(self.schedule)",
                "startingDeadlineSeconds must be left out unless there is a schedule",
            ),
            (
                "!self.onlyIfNewer || has(self.schedule)",
                "onlyIfNewer must be false unless there is a schedule",
            ),
        )
    )

    source: Source
    """Where the data lies."""
    mode: ImportMode = ImportMode.FULL
    """`Full` replaces earlier bulk data, `Incremental` adds to it. Events stay either way."""
    schedule: Cron | None = None
    """When to import. Left out: once, and again when the source or this spec changes."""
    time_zone: TimeZone = "Etc/UTC"
    """The zone the schedule is read in."""
    suspend: bool = False
    """Start no new imports."""
    starting_deadline_seconds: int | None = Field(default=None, ge=60, le=2_678_400)
    """How late a scheduled import may start; later it is skipped."""
    only_if_newer: bool = False
    """Skip a scheduled import when the source has not changed since the last good one."""
    publish_attribution_metrics_to_s3: bool = Field(
        default=False, alias="publishAttributionMetricsToS3"
    )
    """Have the service publish metric attribution reports for this import."""
    successful_jobs_history_limit: int = Field(default=3, ge=0, le=100)
    """How many successful DatasetImportJobs to keep."""
    failed_jobs_history_limit: int = Field(default=1, ge=0, le=100)
    """How many failed DatasetImportJobs to keep."""


class DatasetSpec(SharedSpec):
    """What a Dataset says."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.schemaRef == oldSelf.schemaRef || self.type in ['Items', 'Users']",
                "schemaRef must not be changed once the external object was in sync, unless type is"
                " 'Items' or 'Users': make a new Dataset",
            )
        )
    )

    dataset_group_ref: Reference = Field(json_schema_extra=immutable("make a new Dataset"))
    """The DatasetGroup it belongs to."""
    type: DatasetType = Field(json_schema_extra=immutable("make a new Dataset"))
    """What its rows are. A group has at most one dataset of each type."""
    schema_ref: Reference
    """The Schema. For Items and Users it may be replaced by one that keeps all old fields."""
    import_: Import | None = Field(default=None, alias="import")
    """Left out: data comes by DatasetImportJobs of your own or by events."""


class ImportStatus(ApiModel):
    """What is known of a dataset's imports."""

    last_job: Name | None = None
    """The newest DatasetImportJob this dataset made."""
    last_schedule_time: datetime | None = None
    """The scheduled time that was last acted upon."""
    next_schedule_time: datetime | None = None
    """When the schedule is due next."""
    last_successful_job: Name | None = None
    """The newest good DatasetImportJob."""
    last_successful_time: datetime | None = None
    """When the engine made the newest good import."""
    last_successful_input: RunInput | None = None
    """What identifies the data of the newest good import: a digest of the source, or the job."""
    last_run_now: RunToken | None = None
    """Echo of the annotation `reco.dev/run-now`."""
    last_source: RunInput | None = None
    """Digest of the source and the import spec that the newest job read which counts: one that
    ended well, or that no person asked for."""
    last_source_run: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """The number of that job."""
    run_number: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """How many imports this dataset has started."""
    object_time: datetime | None = None
    """When the external dataset was made that all of this speaks of."""
    failures: FailedRuns | None = None
    """The last import, if it ended badly."""
    schedules: ScheduleProgresses | None = None
    """How far the schedule has been acted upon."""


class DatasetStatus(ExternalStatus):
    """What the operator says of a Dataset."""

    import_: ImportStatus | None = Field(default=None, alias="import")
