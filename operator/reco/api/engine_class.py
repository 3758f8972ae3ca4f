"""EngineClass: an engine and its settings, chosen by name as a StorageClass chooses a disk."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import (
    URL,
    ApiModel,
    KMSKeyARN,
    Must,
    RoleARN,
    SharedStatus,
    ShortText,
    Tags,
    immutable,
    rules,
)
from reco.api.in_cluster import InClusterSettings
from reco.api.tenancy import Tenancy
from reco.api.vocabulary import DeletionPolicy

Region = Annotated[
    str,
    StringConstraints(min_length=6, max_length=32, pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$"),
    Must("must be an AWS region, such as 'eu-west-1'"),
]
ExternalID = Annotated[
    str,
    StringConstraints(min_length=2, max_length=1224, pattern=r"^[a-zA-Z0-9_+=,.@:/-]+$"),
    Must("must have only letters, digits and the characters _ + = , . @ : / -"),
]


class Engine(StrEnum):
    """The engines there are."""

    PERSONALIZE = "Personalize"
    IN_CLUSTER = "InCluster"


class AssumeRole(ApiModel):
    """A role the operator assumes before it calls the engine."""

    role_arn: RoleARN
    """The role."""
    external_id: ExternalID | None = None
    """The external id that the role's trust policy asks for."""


class PersonalizeSettings(ApiModel):
    """Where and as whom Amazon Personalize is used."""

    region: Region = Field(json_schema_extra=immutable("make a new EngineClass"))
    """The AWS region. An account or region change would leave what exists behind."""
    role_arn: RoleARN | None = None
    """The role that Personalize itself assumes to read and write S3 and to use the KMS key."""
    assume_role: AssumeRole | None = None
    """The role the operator assumes; left out, its own ambient credentials are used."""
    endpoint_url: URL | None = Field(default=None, alias="endpointURL")
    """Another endpoint for the three Personalize services: a VPC endpoint or an emulator."""
    s3_endpoint_url: URL | None = Field(default=None, alias="s3EndpointURL")
    """Another endpoint for S3, which the operator lists to see whether data is newer."""
    kms_key_arn: KMSKeyARN | None = None
    """The key new dataset groups are encrypted with, unless they name their own."""
    tags: Tags | None = None
    """Tags that every external object gets."""
    requests_per_second: int = Field(default=5, ge=1, le=100)
    """How many control-plane calls a second the operator makes at most in this account."""


class EngineClassSpec(ApiModel):
    """What an EngineClass says."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.engine == 'Personalize') == has(self.personalize)",
                "personalize must be given if and only if engine is 'Personalize'",
            ),
            (
                "(self.engine == 'InCluster') == has(self.inCluster)",
                "inCluster must be given if and only if engine is 'InCluster'",
            ),
            (
                "!has(self.personalize) || !has(self.personalize.kmsKeyARN)"
                " || has(self.personalize.roleARN)",
                "personalize.roleARN must be given with personalize.kmsKeyARN: Personalize uses"
                " the key in that role",
            ),
        )
    )

    engine: Engine = Field(json_schema_extra=immutable("make a new EngineClass"))
    """The engine."""
    personalize: PersonalizeSettings | None = None
    """Settings of the engine `Personalize`."""
    in_cluster: InClusterSettings | None = None
    """Settings of the engine `InCluster`."""
    deletion_policy: DeletionPolicy | None = None
    """Default of `deletionPolicy` for the resources of this class. Left out, kinds that hold data
    or cost a training are retained and the others deleted."""
    tenancy: Tenancy | None = None
    """Which namespaces may use the class, and what of the engine each may name, adopt and observe.
    Left out, all may use it, each under names of its own."""


class EngineClassStatus(SharedStatus):
    """What the operator says of an EngineClass."""

    supported_features: Annotated[list[ShortText], Field(max_length=64)] | None = None
    """What this engine can do, sorted."""
    recipes: Annotated[list[ShortText], Field(max_length=100)] | None = None
    """The recipes this engine offers, sorted."""
