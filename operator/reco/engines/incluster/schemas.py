"""What a dataset type asks of its schema, checked as Amazon Personalize does.

Source: https://docs.aws.amazon.com/personalize/latest/dg/how-it-works-dataset-schema.html
"""

from typing import Final

from reco.api.schema import Avro, AvroField
from reco.workload.tasks import Field_

REQUIRED: Final = {
    "Interactions": {"USER_ID": "string", "ITEM_ID": "string", "TIMESTAMP": "long"},
    "Items": {"ITEM_ID": "string"},
    "Users": {"USER_ID": "string"},
}
"""The columns that a dataset type must have. The engine knows no other types."""

_RESERVED: Final = {
    "USER_ID": {"string"},
    "ITEM_ID": {"string"},
    "TIMESTAMP": {"long"},
    "CREATION_TIMESTAMP": {"long"},
    "EVENT_TYPE": {"string"},
    "EVENT_VALUE": {"float", "double"},
    "IMPRESSION": {"string"},
    "RECOMMENDATION_ID": {"string"},
}


def types_of(field: AvroField) -> tuple[str, ...]:
    """Return a field's Avro types, `null` among them where a value may be missing."""
    return (field.type,) if isinstance(field.type, str) else tuple(field.type)


def problem(avro: Avro) -> str | None:
    """Return why a schema can't be used for any dataset, or None."""
    for field in avro.fields:
        allowed = _RESERVED.get(field.name)
        plain = set(types_of(field)) - {"null"}
        if allowed is not None and not plain <= allowed:
            return (
                f"spec.avro.fields: {field.name} must be of type {' or '.join(sorted(allowed))},"
                f" not {' or '.join(sorted(plain))}"
            )
    return None


def problem_for(type_: str, avro: Avro) -> str | None:
    """Return why a schema can't be used for datasets of a type, or None."""
    required = REQUIRED.get(type_)
    if required is None:
        return f"spec.type: the engine has no {type_} datasets; it has {', '.join(REQUIRED)}"
    plain = {field.name: field.type for field in avro.fields}
    missing = [f"{name} ({kind})" for name, kind in required.items() if plain.get(name) != kind]
    if missing:
        return f"spec.schemaRef: the schema must have, without null: {', '.join(missing)}"
    if type_ != "Interactions" and len(plain) == len(required):
        return f"spec.schemaRef: a schema for {type_} must have at least one more column"
    return None


def fields(avro: Avro) -> tuple[Field_, ...]:
    """Return what jobs are told of a schema."""
    return tuple(
        Field_(
            name=one.name,
            types=types_of(one),
            categorical=bool(one.categorical),
            textual=bool(one.textual),
        )
        for one in avro.fields
    )
