"""Schema: the Avro schema of a dataset."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from reco.api.base import ApiModel, ExternalStatus, Name, SharedSpec, immutable
from reco.api.dataset_group import Domain


class AvroType(StrEnum):
    """Avro's type of a whole row."""

    RECORD = "record"


class AvroField(ApiModel):
    """One column."""

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=150, pattern=r"^[A-Za-z_][A-Za-z\d_]*$")
    ]
    type: Any
    """An Avro type, such as `string`, `long` or `[float, "null"]`."""
    categorical: bool | None = None
    """Whether the values are categories, several of them separated by `|`."""
    textual: bool | None = None
    """Whether the values are text to be understood."""


class Avro(ApiModel):
    """An Avro record schema as Personalize takes it."""

    type: AvroType
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    namespace: Annotated[str, StringConstraints(max_length=256)] = (
        "com.amazonaws.personalize.schema"
    )
    fields: Annotated[list[AvroField], Field(min_length=1, max_length=150)]
    version: Annotated[str, StringConstraints(max_length=16)] = "1.0"


class SchemaSpec(SharedSpec):
    """What a Schema says."""

    engine_class_name: Name | None = Field(
        default=None, json_schema_extra=immutable("make a new Schema", "engineClassName")
    )
    """The EngineClass; schemas live beside dataset groups, not in them."""
    domain: Domain | None = Field(
        default=None, json_schema_extra=immutable("make a new Schema", "domain")
    )
    avro: Avro = Field(
        json_schema_extra=immutable(
            "make a new Schema and name it in the Dataset's spec.schemaRef", "avro"
        )
    )


class SchemaStatus(ExternalStatus):
    """What the operator says of a Schema."""
