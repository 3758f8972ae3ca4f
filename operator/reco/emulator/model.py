"""The service's own description (botocore's models) as validator of requests and shape of answers.

The emulator keeps no list of members: what botocore's model of a service knows is accepted, what
it does not know is refused, and an answer shows those members of a resource that its shape has.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from botocore.loaders import Loader
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)

from reco.emulator.errors import ServiceError
from reco.serving.validation import bounds, constraint, refuse, unknown_member, wrong_type

CONTROL = "personalize"
RUNTIME = "personalize-runtime"
EVENTS = "personalize-events"
SERVICES = (CONTROL, RUNTIME, EVENTS)

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, datetime),
}
# Python's expressions know no Unicode classes. All that the models use stand inside brackets,
# except ASCII.
_UNICODE_CLASSES = {r"\p{ASCII}": r"[\x00-\x7f]", r"\p{L}": r"\w", r"\p{N}": r"\w", r"\p{Z}": r"\s"}


@cache
def service_model(service: str) -> ServiceModel:
    """Load botocore's model of one of the three services."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def operation_model(service: str, operation: str) -> OperationModel | None:
    """Find an operation, or None where the service has none of this name."""
    model = service_model(service)
    return model.operation_model(operation) if operation in model.operation_names else None


@cache
def error_status(service: str, code: str) -> int:
    """Give the HTTP status the model declares for an error; 400 where it declares none."""
    for shape in service_model(service).error_shapes:
        if shape.name == code:
            return int(shape.metadata.get("error", {}).get("httpStatusCode", 400))
    return 400


@cache
def answer_shape(operation: str, *members: str) -> StructureShape:
    """Find a structure inside the answer of a control-plane operation; lists are entered."""
    model = operation_model(CONTROL, operation)
    if model is None or model.output_shape is None:
        raise KeyError(f"{operation} has no answer in botocore's model of {CONTROL}")
    shape: Shape = model.output_shape
    for member in members:
        shape = cast("StructureShape", shape).members[member]
        if isinstance(shape, ListShape):
            shape = shape.member
    return cast("StructureShape", shape)


def project(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Shape stored values as an answer: unknown and None members go, epochs become datetimes."""
    if isinstance(shape, StructureShape):
        return {
            name: project(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [project(shape.member, element) for element in value]
    if shape.type_name == "timestamp" and not isinstance(value, datetime):
        return datetime.fromtimestamp(value, UTC)
    return value


def validate(operation: OperationModel, parameters: Mapping[str, Any]) -> None:
    """Refuse a request that breaks the model, in the wording of AWS' service framework.

    A value of the wrong JSON type is a ``SerializationException``; everything else is collected
    into one ``ValidationException``.
    """
    shape = operation.input_shape
    if shape is not None:
        refuse(list(_problems(shape, parameters, "")))


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    expected = _PYTHON_TYPES.get(shape.type_name, (object,))
    if isinstance(value, float) and not math.isfinite(value):
        raise ServiceError("SerializationException", f"Value at '{path}' must be a finite number")
    fits = isinstance(value, expected)
    if not fits or (isinstance(value, bool) and shape.type_name != "boolean"):
        raise wrong_type(value, path, shape.type_name)
    if isinstance(shape, StructureShape):
        yield from _structure_problems(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _bounds(shape, value, len(value), "length", path)
        for index, element in enumerate(value, start=1):
            yield from _problems(shape.member, element, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        yield from _bounds(shape, value, len(value), "length", path)
        for key, element in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, element, f"{path}.{key}.member")
    elif isinstance(shape, StringShape):
        yield from _string_problems(shape, value, path)
    elif shape.type_name in {"integer", "long", "float", "double"}:
        yield from _bounds(shape, value, value, "value", path)


def _structure_problems(
    shape: StructureShape, value: Mapping[str, Any], path: str
) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    for name in value:
        if name not in shape.members:
            yield unknown_member(f"{prefix}{name}", shape.name)
    for name in shape.required_members:
        if value.get(name) is None:
            yield constraint(None, f"{prefix}{name}", "Member must not be null")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _problems(member, value[name], f"{prefix}{name}")


def _string_problems(shape: StringShape, value: str, path: str) -> Iterator[str]:
    if shape.enum:
        if value not in shape.enum:
            allowed = ", ".join(shape.enum)
            yield constraint(value, path, f"Member must satisfy enum value set: [{allowed}]")
        return
    yield from _bounds(shape, value, len(value), "length", path)
    pattern = shape.metadata.get("pattern")
    if pattern and not _expression(pattern).fullmatch(value):
        yield constraint(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _bounds(
    shape: Shape,
    value: Any,  # noqa: ANN401 - JSON
    measure: float,
    what: str,
    path: str,
) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    yield from bounds(
        value,
        path,
        (what, measure),
        None if low is None else float(low),
        None if high is None else float(high),
    )


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    for theirs, ours in _UNICODE_CLASSES.items():
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)
