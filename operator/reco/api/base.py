"""What every kind shares: spelling of fields, references, common spec and status fields."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema
from typing_extensions import override

from reco.api.vocabulary import (
    GROUP,
    AdoptionPolicy,
    DeletionPolicy,
    DriftPolicy,
    ManagementPolicy,
)

_ACRONYMS = {"arn": "ARN", "url": "URL", "id": "ID", "tps": "TPS", "hpo": "HPO", "ml": "ML"}


def camel_case(name: str) -> str:
    """Spell a field as Kubernetes does: `min_provisioned_tps` -> `minProvisionedTPS`."""
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


VALIDATIONS = "x-kubernetes-validations"
IMMUTABLE = "x-reco-immutable"
"""Schema key of a field that keeps its first value; its value says what to do instead."""
MUST = "x-reco-must"
"""Schema key of a string with a pattern; its value says in words what the pattern asks for."""


def immutable(instead: str) -> dict[str, Any]:
    """Return schema extras for a field that must stay as it was made, with what to do instead.

    The CRD refuses changing it, and also adding or removing it where it is optional. `Kind` says
    for which kinds from the start, and for which once the external object was in sync.
    """
    return {IMMUTABLE: instead}


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Return schema extras holding CEL `(rule, message)` pairs."""
    return {VALIDATIONS: [{"rule": rule, "message": message} for rule, message in pairs]}


def exactly_one(one: str, other: str) -> tuple[str, str]:
    """Return the CEL rule and message of two fields that exclude one another."""
    return (
        f"has(self.{one}) != has(self.{other})",
        f"must have exactly one of '{one}' and '{other}'",
    )


def without_default(schema: dict[str, Any]) -> None:
    """Keep a field's default out of the CRD: schema extra for fields that exclude one another.

    A default that the API server fills in would stand beside what the user writes later.
    """
    schema.pop("default", None)


@dataclass(frozen=True, slots=True)
class Must:
    """Says in words what the pattern of a string asks for; users are shown it, not the pattern."""

    text: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Leave the words in the schema, where the rendering of CRDs finds them."""
        return handler(core_schema) | {MUST: self.text}


Name = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
    Must(
        "must be the name of a Kubernetes object: lower case letters, digits, '-' and '.',"
        " such as 'movies-for-you'"
    ),
]
"""The name of a Kubernetes object (RFC 1123 subdomain)."""

RoleARN = Annotated[
    str,
    StringConstraints(
        min_length=20,
        max_length=256,
        pattern=r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]+$",
    ),
    Must("must be the ARN of an IAM role, such as 'arn:aws:iam::123456789012:role/personalize'"),
]
KMSKeyARN = Annotated[
    str,
    StringConstraints(
        min_length=20,
        max_length=2048,
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$",
    ),
    Must(
        "must be the ARN of a KMS key, such as"
        " 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab'"
    ),
]
URL = Annotated[
    str,
    StringConstraints(min_length=8, max_length=2048, pattern=r"^https?://[^\s/]+\S*$"),
    Must("must be a URL that starts with 'http://' or 'https://'"),
]
S3Location = Annotated[
    str,
    StringConstraints(
        min_length=8, max_length=256, pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$"
    ),
    Must("must be an S3 location, such as 's3://bucket/folder/' or 's3://bucket/file.csv'"),
]
Decimal = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32, pattern=r"^-?[0-9]+(\.[0-9]+)?$"),
    Must("must be a decimal number as a string, such as '0.5'"),
]
"""A decimal number as a string: floats do not survive a round trip through JSON."""
Fraction = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32, pattern=r"^(0(\.[0-9]+)?|1(\.0+)?)$"),
    Must("must be a decimal number from 0 to 1 as a string, such as '0.3'"),
]
"""A decimal between 0 and 1, as a string."""


def _cron_field(value: str) -> str:
    """Return the pattern of one field: values, ranges and steps, separated by commas."""
    part = rf"(\*|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return f"{part}(,{part})*"


Cron = Annotated[
    str,
    StringConstraints(
        min_length=9,
        max_length=100,
        pattern="^"
        + " +".join(
            _cron_field(value)
            for value in (
                "[0-5]?[0-9]",
                "[01]?[0-9]|2[0-3]",
                "0?[1-9]|[12][0-9]|3[01]",
                "0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
                "0?[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat)",
            )
        )
        + "$",
    ),
    Must(
        "must have five fields: minute (0-59), hour (0-23), day of month (1-31), month (1-12 or"
        " JAN-DEC), day of week (0-7 or SUN-SAT), such as '0 3 * * 0'"
    ),
]
"""A five-field cron expression: minute, hour, day of month, month, day of week."""
TimeZone = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=64,
        pattern=r"^(UTC|GMT|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){1,2})$",
    ),
    Must("must be an IANA time zone name, such as 'Europe/Paris' or 'Etc/UTC'"),
    Field(
        json_schema_extra=rules(
            (
                # Fails on a zone that the API server's own time zone data doesn't have.
                "timestamp('2020-01-01T00:00:00Z').getHours(self) >= 0",
                "must be an IANA time zone name, such as 'Europe/Paris' or 'Etc/UTC'",
            )
        )
    ),
]
"""An IANA time zone name, such as `Europe/Paris`."""
ExternalName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_/-]*$"),
    Must("must start with a letter or digit and go on with letters, digits, '-', '_' and '/'"),
]
_TAG_PATTERN = r"^[\p{L}\p{Z}\p{N}_.:/=+@-]*$"
_TAG_MUST = "must have only letters, digits, spaces and the characters _ . : / = + @ -"
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(max_length=256, pattern=_TAG_PATTERN), Must(_TAG_MUST)]
Tags = Annotated[
    dict[TagKey, TagValue],
    Field(
        max_length=40,
        json_schema_extra=rules(
            (
                f"self.all(key, !key.startsWith('{GROUP}/') && !key.startsWith('aws:'))",
                f"keys must not start with '{GROUP}/' or 'aws:', which are reserved",
            ),
            (f"self.all(key, key.matches(r'{_TAG_PATTERN}'))", f"keys {_TAG_MUST}"),
        ),
    ),
]
"""Tags of the external object; Personalize allows 50, of which some are ours."""


class Reference(ApiModel):
    """A reference by name to another resource in the same namespace."""

    name: Name
    """The name of the resource, in the same namespace."""


class SharedSpec(ApiModel):
    """Spec fields that every kind with an external object has."""

    suspend: bool = False
    """Leave the external object alone and start nothing new. Status is still observed, deletion
    still works."""
    management_policy: ManagementPolicy = ManagementPolicy.MANAGE
    """`Manage`, or `Observe` to watch an external object without ever changing it. What others own
    is shown only where the EngineClass lets the namespace observe it."""
    adoption_policy: AdoptionPolicy = AdoptionPolicy.ADOPT_OR_CREATE
    """What to do when an external object of the wanted name exists: `AdoptOrCreate` takes what is
    marked as this resource's, `Adopt` also takes what nobody marked, as far as the EngineClass
    lets, and never creates, `Never` takes nothing."""
    deletion_policy: DeletionPolicy | None = None
    """`Delete` or `Retain` the external object when this resource is deleted. Left out, the
    EngineClass decides; without it, kinds that hold data or cost a training are retained, and the
    schemas of such data."""
    drift_policy: DriftPolicy = DriftPolicy.CORRECT
    """What to do when somebody else changed the external object: `Correct`, `Warn`, `Ignore`."""
    tags: Tags | None = None
    """Tags of the external object, over those of the dataset group and the EngineClass."""
    external_name: ExternalName | None = Field(
        default=None,
        json_schema_extra=immutable("make a new resource"),
    )
    """The name in the engine, where the one made from namespace and name will not do. One that does
    not begin with the namespace and an underscore has to be allowed by the EngineClass."""

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the rules that hold for every kind to those that a kind has of its own."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        shared = rules(
            (
                "self.managementPolicy != 'Observe' || !has(self.deletionPolicy)"
                " || self.deletionPolicy == 'Retain'",
                "deletionPolicy must be 'Retain' or left out while managementPolicy is 'Observe'",
            )
        )
        own = schema.get(VALIDATIONS, [])
        return schema | {VALIDATIONS: [*own, *shared[VALIDATIONS]]}


MAX_GENERATION = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Digest = Annotated[str, StringConstraints(max_length=64)]


class Condition(ApiModel):
    """One condition of a status, of the shape of `metav1.Condition`."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=316)]
    """What the condition speaks of; see the table of condition types."""
    status: Annotated[str, StringConstraints(max_length=7, pattern="^(True|False|Unknown)$")]
    """`True`, `False` or `Unknown`."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """Why, in one word; see the table of reasons."""
    message: Annotated[str, StringConstraints(max_length=32768)] = ""
    """Why, for a person to read."""
    observed_generation: int | None = Field(default=None, ge=0, le=MAX_GENERATION)
    """The generation of the spec this condition speaks of."""
    last_transition_time: datetime
    """When the status last changed from one value to another."""


class External(ApiModel):
    """The external object a resource stands for."""

    name: Annotated[str, StringConstraints(max_length=256)] | None = None
    """Its name in the engine."""
    arn: Annotated[str, StringConstraints(max_length=256)] | None = None
    """Its ARN."""
    account: Annotated[str, StringConstraints(max_length=32)] | None = None
    """The account it lives in."""
    region: Annotated[str, StringConstraints(max_length=32)] | None = None
    """The region it lives in."""
    creation_time: datetime | None = None
    """When the engine made it."""


class Applied(ApiModel):
    """What was last in sync, to tell a changed intention from drift."""

    digest: Digest
    """Digest of the wanted fields that were in sync."""
    generation: int = Field(ge=0, le=MAX_GENERATION)
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

    digest: Digest
    """Digest of the wanted fields that were refused."""
    reason: Annotated[str, StringConstraints(max_length=64)]
    """The reason that conditions show for it."""
    message: Annotated[str, StringConstraints(max_length=4096)]
    """The engine's own words."""


class Intent(ApiModel):
    """A paid call that is about to be made, recorded before it is made."""

    operation: Annotated[str, StringConstraints(max_length=64)]
    """The call."""
    name: Annotated[str, StringConstraints(max_length=63)]
    """The external name it was to make."""
    time: datetime
    """When the intent was recorded."""


class SharedStatus(ApiModel):
    """Status fields that every kind has."""

    observed_generation: int | None = Field(default=None, ge=-1, le=MAX_GENERATION)
    """The generation this status speaks of; -1 before the operator has seen the resource."""
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    )
    """What is known of the resource, summary first."""
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
    pending_tag_keys: (
        Annotated[
            list[Annotated[str, StringConstraints(max_length=128)]],
            Field(max_length=100, json_schema_extra={"x-kubernetes-list-type": "set"}),
        ]
        | None
    ) = None
    """Tags that are about to be set, or were and may still be there, beside those of `applied`."""
