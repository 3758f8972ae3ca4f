"""Holds raw answers against botocore's output shapes, more strictly than any SDK does.

SDKs drop what they don't know; a faithful service sends nothing they would have to drop, except
the nulls that recordings show in the items of runtime answers.
"""

import json
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from reco.emulator.model import RUNTIME, operation_model

_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
}


def nonconformities(service: str, operation: str, body: bytes) -> list[str]:
    """List what an answer's body has that the operation's output shape has not, or otherwise."""
    model = operation_model(service, operation)
    if model is None:
        return [f"{service} has no operation {operation}"]
    if not body:
        shape = model.output_shape
        return [f"{operation} answers nothing"] if shape is not None and shape.members else []
    if model.output_shape is None:
        return [f"{operation} must answer with an empty body, not {body[:80]!r}"]
    nulls = service == RUNTIME
    return list(_compare(model.output_shape, json.loads(body), operation, nulls=nulls))


def watch(client: Any) -> None:  # noqa: ANN401 - boto3's clients have no common type
    """Make a boto3 client raise ``AssertionError`` for every answer that does not conform."""
    service = client.meta.service_model.service_name

    def check(operation_model: Any, response_dict: Any, **_: Any) -> None:  # noqa: ANN401 - botocore's
        if response_dict["status_code"] == 200:  # noqa: PLR2004 - HTTP
            found = nonconformities(service, operation_model.name, response_dict["body"])
            if found:
                raise AssertionError("; ".join(found))

    client.meta.events.register("before-parse", check)


def _compare(shape: Shape, value: Any, path: str, *, nulls: bool) -> Iterator[str]:  # noqa: ANN401 - JSON
    if value is None:
        if not nulls:
            yield f"{path} is null; absent members must be absent"
        return
    wrong = not isinstance(value, _TYPES[shape.type_name])
    if wrong or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{path} must be of type {shape.type_name}, not {type(value).__name__}"
        return
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{path} must be one of {', '.join(shape.enum)}, not {value}"
    if isinstance(shape, StructureShape):
        yield from (f"{path}.{name} is unknown" for name in value if name not in shape.members)
        yield from (
            f"{path}.{name} is missing" for name in shape.required_members if name not in value
        )
    for member, element, place in _parts(shape, value, path):
        yield from _compare(member, element, place, nulls=nulls)


def _parts(shape: Shape, value: Any, path: str) -> Iterator[tuple[Shape, Any, str]]:  # noqa: ANN401 - JSON
    """Give shape, value and path of everything inside a value."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if name in value:
                yield member, value[name], f"{path}.{name}"
    elif isinstance(shape, ListShape):
        for index, element in enumerate(value):
            yield shape.member, element, f"{path}[{index}]"
    elif isinstance(shape, MapShape):
        for key, element in value.items():
            yield shape.value, element, f"{path}.{key}"
