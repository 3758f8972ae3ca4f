"""What Personalize asks of an Avro schema and of the rows that come under it.

Avro itself is fastavro's business; here stand the service's own rules: which columns each dataset
type must have, and of which type the columns with a meaning must be.
Source: https://docs.aws.amazon.com/personalize/latest/dg/how-it-works-dataset-schema.html
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException

from reco.emulator.errors import invalid
from reco.emulator.ports import Columns

REQUIRED: dict[str, dict[str, str]] = {
    "INTERACTIONS": {"USER_ID": "string", "ITEM_ID": "string", "TIMESTAMP": "long"},
    "ITEMS": {"ITEM_ID": "string"},
    "USERS": {"USER_ID": "string"},
}
"""The columns a dataset type must have, with their types. Other types come later."""

# Columns whose name the service gives a meaning, and the types they may have.
_RESERVED: dict[str, frozenset[str]] = {
    "USER_ID": frozenset({"string"}),
    "ITEM_ID": frozenset({"string"}),
    "TIMESTAMP": frozenset({"long"}),
    "CREATION_TIMESTAMP": frozenset({"long"}),
    "EVENT_TYPE": frozenset({"string"}),
    "EVENT_VALUE": frozenset({"float", "double"}),
    "IMPRESSION": frozenset({"string"}),
    "RECOMMENDATION_ID": frozenset({"string"}),
}
_NEEDS_METADATA = frozenset({"ITEMS", "USERS"})
_MAX_VALUE_LENGTH = 1000
_MAX_TEXT_LENGTH = 20000

_BAD_ROWS = (
    "Input csv has rows that do not conform to the dataset schema. Please ensure all required "
    "data fields are present and that they are of the type specified in the schema."
)


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its type, and whether a value may be missing."""

    name: str
    type: str
    nullable: bool
    textual: bool
    categorical: bool


def parse(text: str) -> list[Field]:
    """Read a schema as CreateSchema does; what is no usable Avro record is refused."""
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict):
            raise invalid("Input Avro schema is not in correct format: it must be a record.")
        fastavro.parse_schema(schema)
    except (ValueError, KeyError, TypeError, AttributeError, SchemaParseException) as error:
        raise invalid(f"Input Avro schema is not in correct format: {error}") from error
    except RecursionError as error:
        raise invalid("Input Avro schema is not in correct format: it is too deep.") from error
    if schema.get("type") != "record" or not schema.get("fields"):
        raise invalid(
            "Input Avro schema is not in correct format: it must be a record with fields."
        )
    fields = [_field(one) for one in schema["fields"]]
    for one in fields:
        allowed = _RESERVED.get(one.name)
        if allowed and one.type not in allowed:
            raise invalid(
                f"Input Avro schema is not in correct format: field {one.name} must be of type "
                f"{' or '.join(sorted(allowed))}, not {one.type}."
            )
    return fields


def check_for_dataset(fields: Iterable[Field], dataset_type: str) -> None:
    """Refuse a schema that lacks what a dataset of this type needs."""
    by_name = {one.name: one for one in fields}
    required = REQUIRED[dataset_type]
    missing = [
        name
        for name, wanted in required.items()
        if name not in by_name or by_name[name].type != wanted or by_name[name].nullable
    ]
    if missing:
        raise invalid(
            f"The provided schema is missing the following required fields for dataset type "
            f"{dataset_type}: [{', '.join(missing)}]"
        )
    if dataset_type in _NEEDS_METADATA and len(by_name) == len(required):
        raise invalid(
            f"The provided schema must have at least one metadata field for dataset type "
            f"{dataset_type}"
        )


def check_replacement(old: Iterable[Field], new: Iterable[Field]) -> None:
    """Refuse a new schema of a dataset that drops or changes fields, or adds required ones."""
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    changed = sorted(name for name in before if after.get(name) != before[name])
    if changed:
        raise invalid(
            "The new schema must keep every field of the current one with its type; "
            f"it drops or changes: [{', '.join(changed)}]"
        )
    required = sorted(name for name in after if name not in before and not after[name].nullable)
    if required:
        raise invalid(f"New fields of a schema must allow null: [{', '.join(required)}]")


def read_csv(content: bytes, fields: Sequence[Field]) -> Columns:
    """Read one CSV file into columns of the schema's types, or refuse it as the service does.

    Columns the schema does not know are passed over. An empty cell is a missing value.
    """
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(rows, [])
        missing = [one.name for one in fields if one.name not in header]
        if missing:
            raise invalid(f"Input csv is missing the following columns: [{', '.join(missing)}]")
        table = [row for row in rows if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise invalid(_BAD_ROWS) from error
    if any(len(row) != len(header) for row in table):
        raise invalid(_BAD_ROWS)
    places = {one.name: header.index(one.name) for one in fields}
    return {one.name: _column(one, [row[places[one.name]] for row in table]) for one in fields}


def _column(field: Field, cells: Sequence[str]) -> list[Any]:
    convert = _CONVERTERS[field.type]
    try:
        values = [convert(cell) if cell else None for cell in cells]
    except ValueError as error:
        raise invalid(_BAD_ROWS) from error
    if not field.nullable and None in values:
        raise invalid(_BAD_ROWS)
    limit = _MAX_TEXT_LENGTH if field.textual else _MAX_VALUE_LENGTH
    if field.type == "string" and any(len(cell) > limit for cell in cells):
        raise invalid(f"Length cannot be more than {limit} characters for {field.name}.")
    return values


_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")


def _integer(bits: int) -> Callable[[str], int]:
    written, low, high = _WHOLE_NUMBER.fullmatch, -(2 ** (bits - 1)), 2 ** (bits - 1)

    def convert(cell: str) -> int:
        value = int(cell) if written(cell) else high
        if not low <= value < high:
            raise ValueError(cell)
        return value

    return convert


def _real(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value) or "_" in cell:
        raise ValueError(cell)
    return value


def _boolean(cell: str) -> bool:
    if cell.lower() not in {"true", "false"}:
        raise ValueError(cell)
    return cell.lower() == "true"


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int": _integer(32),
    "long": _integer(64),
    "float": _real,
    "double": _real,
    "boolean": _boolean,
}


def _field(field: dict[str, Any]) -> Field:
    declared = field["type"]
    options = declared if isinstance(declared, list) else [declared]
    types = [one for one in options if one != "null"]
    if len(types) != 1 or not isinstance(types[0], str) or types[0] not in _CONVERTERS:
        raise invalid(
            f"Input Avro schema is not in correct format: field {field['name']} must be of one of "
            f"the types {', '.join(_CONVERTERS)}, or of a union of one of them and null."
        )
    return Field(
        name=field["name"],
        type=types[0],
        nullable="null" in options,
        textual=bool(field.get("textual")),
        categorical=bool(field.get("categorical")),
    )
