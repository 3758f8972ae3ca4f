"""DatasetImportJob: one import of bulk data, made by a Dataset or by hand."""

from pydantic import Field

from reco.api.base import ExternalStatus, Reference, RoleARN, SharedSpec, immutable
from reco.api.dataset import ImportMode, Source

_NEW_JOB = immutable("an import runs once; make a new DatasetImportJob")


class DatasetImportJobSpec(SharedSpec):
    """What a DatasetImportJob says."""

    dataset_ref: Reference = Field(json_schema_extra=_NEW_JOB)
    """The Dataset to import into."""
    source: Source = Field(json_schema_extra=_NEW_JOB)
    """Where the data lies."""
    mode: ImportMode = Field(default=ImportMode.FULL, json_schema_extra=_NEW_JOB)
    """`Full` replaces earlier bulk data, `Incremental` adds to it. Events stay either way."""
    role_arn: RoleARN | None = Field(default=None, json_schema_extra=_NEW_JOB)
    """The role that may read the source; left out, the EngineClass's."""
    publish_attribution_metrics_to_s3: bool = Field(
        default=False, alias="publishAttributionMetricsToS3", json_schema_extra=_NEW_JOB
    )
    """Have the service publish metric attribution reports for this import."""


class DatasetImportJobStatus(ExternalStatus):
    """What the operator says of a DatasetImportJob."""
