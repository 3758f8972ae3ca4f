"""DatasetGroup: the container of everything that belongs to one recommender estate."""

from enum import StrEnum

from pydantic import Field

from reco.api.base import ExternalStatus, KMSKeyARN, Name, RoleARN, SharedSpec, immutable


class Domain(StrEnum):
    """Domains that Personalize has ready-made use cases for."""

    ECOMMERCE = "Ecommerce"
    VIDEO_ON_DEMAND = "VideoOnDemand"


class DatasetGroupSpec(SharedSpec):
    """What a DatasetGroup says."""

    engine_class_name: Name | None = Field(
        default=None, json_schema_extra=immutable("make a new DatasetGroup")
    )
    """The EngineClass; left out, the one annotated `reco.dev/is-default-class: "true"`."""
    domain: Domain | None = Field(
        default=None, json_schema_extra=immutable("make a new DatasetGroup")
    )
    """Left out: a custom dataset group."""
    role_arn: RoleARN | None = Field(
        default=None, json_schema_extra=immutable("make a new DatasetGroup")
    )
    """The role that may use the KMS key; left out, the EngineClass's."""
    kms_key_arn: KMSKeyARN | None = Field(
        default=None, json_schema_extra=immutable("make a new DatasetGroup")
    )
    """The key the group is encrypted with; left out, the EngineClass's."""


class DatasetGroupStatus(ExternalStatus):
    """What the operator says of a DatasetGroup."""
