"""What every kind shares: spelling of fields, references, common spec and status fields."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from reco.api.vocabulary import (
    AdoptionPolicy,
    DeletionPolicy,
    DriftPolicy,
    ManagementPolicy,
)

_ACRONYMS = {"arn": "ARN", "url": "URL", "id": "ID", "tps": "TPS", "hpo": "HPO", "ml": "ML"}


def camel_case(name: str) -> str:
    """Spell a Python field name as Kubernetes does: `min_provisioned_tps` -> `minProvisionedTPS`."""
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(part, part.capitalize()) for part in rest)


class ApiModel(BaseModel):
    """A part of a manifest.

    Reading is lenient (`extra="ignore"`): the installed CRD may be older or newer than this code,
    and the API server has already refused or pruned what its schema does not know.
    """

    model_config = ConfigDict(
        alias_generator=camel_case,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def manifest(self) -> dict[str, Any]:
        """Return the part as it stands in a manifest: camelCase, JSON types, no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def immutable(instead: str, field: str = "the field") -> dict[str, Any]:
    """Return the CEL rule that forbids changing a field, with what to do instead."""
    return rules(("self == oldSelf", f"{field} can't be changed: {instead}"))


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Return schema extras holding CEL `(rule, message)` pairs."""
    return {"x-kubernetes-validations": [{"rule": r, "message": m} for r, m in pairs]}


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
]
"""The name of a Kubernetes object (RFC 1123 subdomain)."""

RoleARN = Annotated[
    str,
    StringConstraints(
        min_length=20,
        max_length=256,
        pattern=r"^arn:[a-z\d-]+:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$",
    ),
]
KMSKeyARN = Annotated[
    str,
    StringConstraints(
        min_length=20, max_length=2048, pattern=r"^arn:aws.*:kms:.*:[0-9]{12}:key/.*$"
    ),
]
URL = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s/]+.*$")]
S3Location = Annotated[
    str, StringConstraints(max_length=256, pattern=r"^s3://[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]/?.*$")
]
Decimal = Annotated[str, StringConstraints(max_length=32, pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
"""A decimal number as a string: floats do not survive a round trip through JSON."""
Fraction = Annotated[str, StringConstraints(max_length=32, pattern=r"^(0(\.[0-9]+)?|1(\.0+)?)$")]
"""A decimal between 0 and 1, as a string."""
Cron = Annotated[
    str,
    StringConstraints(min_length=9, max_length=100, pattern=r"^\S+( +\S+){4}$"),
]
"""A five-field cron expression: minute, hour, day of month, month, day of week."""
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""An IANA time zone name, such as `Europe/Paris`."""
ExternalName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_/]*$")
]
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(max_length=256)]
Tags = Annotated[dict[TagKey, TagValue], Field(max_length=40)]
"""Tags of the external object; Personalize allows 50, of which some are ours."""


class Reference(ApiModel):
    """A reference by name to another resource in the same namespace."""

    name: Name


class SharedSpec(ApiModel):
    """Spec fields that every kind with an external object has."""

    suspend: bool = False
    """Leave the external object alone and start nothing new. Status is still observed, deletion
    still works."""
    management_policy: ManagementPolicy = ManagementPolicy.MANAGE
    """`Manage`, or `Observe` to watch an external object without ever changing it."""
    adoption_policy: AdoptionPolicy = AdoptionPolicy.ADOPT_OR_CREATE
    """What to do when an external object of the wanted name exists: `AdoptOrCreate` takes what is
    marked as this resource's, `Adopt` also takes what nobody marked and never creates, `Never`
    takes nothing."""
    deletion_policy: DeletionPolicy | None = None
    """`Delete` or `Retain` the external object when this resource is deleted. Left out, the
    EngineClass decides; without it, kinds that hold data or cost a training are retained."""
    drift_policy: DriftPolicy = DriftPolicy.CORRECT
    """What to do when somebody else changed the external object: `Correct`, `Warn`, `Ignore`."""
    tags: Tags | None = None
    """Tags of the external object, over those of the dataset group and the EngineClass."""
    external_name: ExternalName | None = Field(
        default=None,
        json_schema_extra=immutable("make a new resource", "externalName"),
    )
    """The name in the engine, where the one made from namespace and name will not do."""


class Condition(ApiModel):
    """One condition of a status, of the shape of `metav1.Condition`."""

    type: Annotated[str, StringConstraints(max_length=316)]
    status: Annotated[str, StringConstraints(pattern="^(True|False|Unknown)$")]
    reason: Annotated[str, StringConstraints(max_length=1024)]
    message: Annotated[str, StringConstraints(max_length=32768)] = ""
    observed_generation: int | None = Field(default=None, ge=0)
    last_transition_time: datetime


class External(ApiModel):
    """The external object a resource stands for."""

    name: Annotated[str, StringConstraints(max_length=256)] | None = None
    arn: Annotated[str, StringConstraints(max_length=256)] | None = None
    account: Annotated[str, StringConstraints(max_length=32)] | None = None
    region: Annotated[str, StringConstraints(max_length=32)] | None = None
    creation_time: datetime | None = None
    """When the engine made it."""


class Applied(ApiModel):
    """What was last in sync, to tell a changed intention from drift."""

    digest: Annotated[str, StringConstraints(max_length=64)]
    """Digest of the wanted fields that were in sync."""
    generation: int = Field(ge=0)
    """Generation of the spec they came from."""
    tag_keys: (
        Annotated[
            list[Annotated[str, StringConstraints(max_length=128)]],
            Field(max_length=50, json_schema_extra={"x-kubernetes-list-type": "set"}),
        ]
        | None
    ) = None
    """Tags that were set, to remove those that are no longer wanted and no others."""


class Refusal(ApiModel):
    """What the engine refused or failed to carry out, so that it is not tried again unchanged."""

    digest: Annotated[str, StringConstraints(max_length=64)]
    """Digest of the wanted fields that were refused."""
    reason: Annotated[str, StringConstraints(max_length=64)]
    message: Annotated[str, StringConstraints(max_length=4096)]


class Intent(ApiModel):
    """A paid call that is about to be made, recorded before it is made."""

    operation: Annotated[str, StringConstraints(max_length=64)]
    name: Annotated[str, StringConstraints(max_length=63)]
    time: datetime
    """When the intent was recorded."""


class SharedStatus(ApiModel):
    """Status fields that every kind has."""

    observed_generation: int | None = Field(default=None, ge=-1)
    """The generation this status speaks of; -1 before the operator has seen the resource."""
    conditions: list[Condition] = Field(default_factory=list, max_length=32)
    last_handled_reconcile_at: Annotated[str, StringConstraints(max_length=256)] | None = None
    """Echo of the annotation `reco.dev/reconcile-requested-at`."""


class ExternalStatus(SharedStatus):
    """Status fields of kinds that stand for an external object."""

    engine_class_name: Name | None = None
    """The EngineClass in charge."""
    external: External | None = None
    applied: Applied | None = None
    refusal: Refusal | None = None
    intent: Intent | None = None
    """A call that can't be proved from the outside, recorded so that it is never made twice."""
