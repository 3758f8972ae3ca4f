"""Schema: the Avro schema of a dataset."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from reco.api.base import ApiModel, ExternalStatus, Must, Name, SharedSpec, immutable, rules
from reco.api.dataset_group import Domain


class AvroType(StrEnum):
    """Avro's type of a whole row."""

    RECORD = "record"


_COLUMN_TYPES = ("string", "int", "long", "float", "double", "boolean")
COLUMN_TYPES: list[Any] = [
    *_COLUMN_TYPES,
    *(["null", one] for one in _COLUMN_TYPES),
    *([one, "null"] for one in _COLUMN_TYPES),
]
"""The Avro types that Personalize reads: a plain one, or one that may be missing."""


def _known_type(value: object) -> object:
    if value not in COLUMN_TYPES:
        raise ValueError(
            f"must be one of {', '.join(_COLUMN_TYPES)}, or a list of one of them and 'null'"
        )
    return value


class AvroField(ApiModel):
    """One column."""

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=150, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
        Must("must be letters, digits and '_', not starting with a digit, such as 'ITEM_ID'"),
    ]
    """The name of the column."""
    type: Annotated[
        Any, AfterValidator(_known_type), Field(json_schema_extra={"enum": COLUMN_TYPES})
    ]
    """`string`, `int`, `long`, `float`, `double`, `boolean`, or a list of one of them and `null`
    for a column whose values may be missing."""
    categorical: bool | None = None
    """Whether the values are categories, several of them separated by `|`."""
    textual: bool | None = None
    """Whether the values are text to be understood."""


class Avro(ApiModel):
    """An Avro record schema as Personalize takes it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.fields.all(one, self.fields.exists_one(other, other.name == one.name))",
                "every field must have a name of its own",
            )
        )
    )

    type: AvroType
    """`record`: a row."""
    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
        Must("must be letters, digits and '_', not starting with a digit, such as 'Interactions'"),
    ]
    """The name of the record, such as `Interactions`."""
    namespace: Annotated[str, StringConstraints(max_length=256)] = (
        "com.amazonaws.personalize.schema"
    )
    """The namespace of the record."""
    fields: Annotated[list[AvroField], Field(min_length=1, max_length=150)]
    """The columns, in the order in which files have them."""
    version: Annotated[str, StringConstraints(max_length=16)] = "1.0"
    """The version of the schema."""


class SchemaSpec(SharedSpec):
    """What a Schema says."""

    engine_class_name: Name | None = Field(
        default=None, json_schema_extra=immutable("make a new Schema")
    )
    """The EngineClass; schemas live beside dataset groups, not in them."""
    domain: Domain | None = Field(default=None, json_schema_extra=immutable("make a new Schema"))
    """The domain of the dataset group that it is for; left out, a custom one."""
    avro: Avro = Field(
        json_schema_extra=immutable("make a new Schema and name it in the Dataset's spec.schemaRef")
    )
    """The schema itself, as Personalize takes it."""


class SchemaStatus(ExternalStatus):
    """What the operator says of a Schema."""
