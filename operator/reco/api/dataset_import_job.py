"""DatasetImportJob: one import of bulk data, made by a Dataset or by hand."""

from pydantic import Field

from reco.api.base import ExternalStatus, Reference, RoleARN, SharedSpec, rules
from reco.api.dataset import ImportMode, Source


class DatasetImportJobSpec(SharedSpec):
    """What a DatasetImportJob says."""

    model_config = {
        "json_schema_extra": rules(
            (
                "self.datasetRef == oldSelf.datasetRef && self.source == oldSelf.source"
                " && self.mode == oldSelf.mode",
                "an import runs once and can't be changed: make a new DatasetImportJob",
            )
        )
    }

    dataset_ref: Reference
    source: Source
    mode: ImportMode = ImportMode.FULL
    role_arn: RoleARN | None = None
    """The role that may read the source; left out, the EngineClass's."""
    publish_attribution_metrics_to_s3: bool = Field(
        default=False, alias="publishAttributionMetricsToS3"
    )
    """Have the service publish metric attribution reports for this import."""


class DatasetImportJobStatus(ExternalStatus):
    """What the operator says of a DatasetImportJob."""
