"""Requests from bytes, checked against their struct, refused in the words of AWS' framework.

The struct is the only description of a request. A good one is decoded and checked by msgspec in
one go; only one that msgspec refuses is looked at again, to say in the service's words why.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from reco.serving.errors import ServiceError

Request = TypeVar("Request", bound=msgspec.Struct)

_START, _END = r"\A(?:", r")\Z"
_SHOWN: Final = 256
"""Characters of a refused value that its refusal repeats."""


def whole(pattern: str) -> str:
    """Return an expression that the whole text must match, not a part of it."""
    return f"{_START}{pattern}{_END}"


def decode(request: type[Request], body: bytes) -> Request:
    """Return the request in a body.

    Raises:
        ServiceError: the body is no JSON object (`SerializationException`), has a value of the
            wrong type (the same), or breaks a constraint (`ValidationException`).
    """
    try:
        decoded: Request = _decoder(request).decode(body or b"{}")
    except msgspec.ValidationError:
        pass
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _not_json() from error
    else:
        return decoded
    try:
        parsed = msgspec.json.decode(body or b"{}")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _not_json() from error
    return parse(request, parsed)


def parse(request: type[Request], value: Any) -> Request:  # noqa: ANN401 - JSON
    """Return the request in a JSON value; errors as of `decode`. Members that are null are absent.

    Beside JSON's types it takes a `datetime` where the request has a time.
    """
    if not isinstance(value, Mapping):
        raise ServiceError("SerializationException", "The request body must be a JSON object.")
    try:
        present = without_nulls(value)
        refuse(list(_problems(inspect.type_info(request), present, "")))
        return msgspec.convert(present, request)
    except msgspec.ValidationError as error:
        raise ServiceError("SerializationException", str(error)) from error
    except RecursionError as error:
        raise ServiceError("SerializationException", "The request body is too deep.") from error


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Drop null members at every depth: to AWS' services they are absent."""
    if isinstance(value, Mapping):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(one) for one in value]
    return value


def refuse(problems: Sequence[str]) -> None:
    """Raise one `ValidationException` for all problems, if there are any."""
    if problems:
        plural = "s" if len(problems) > 1 else ""
        raise ServiceError(
            "ValidationException",
            f"{len(problems)} validation error{plural} detected: " + "; ".join(problems),
        )


def constraint(value: Any, path: str, text: str) -> str:  # noqa: ANN401 - JSON
    """Say which value at which place breaks which constraint."""
    shown = "null" if value is None else f"'{str(value)[:_SHOWN]}'"
    head, _, tail = path.rpartition(".")
    head = f"{head}." if head else ""
    place = f"{head}{tail[:1].lower()}{tail[1:]}"
    return f"Value {shown} at '{place}' failed to satisfy constraint: {text}"


def unknown_member(path: str, owner: str) -> str:
    """Say that a structure has no such member."""
    return f"Unknown member at '{path[:_SHOWN]}': {owner} has no such member"


def wrong_type(value: Any, path: str, expected: str) -> ServiceError:  # noqa: ANN401 - JSON
    """Refuse a value of the wrong JSON type."""
    return ServiceError(
        "SerializationException",
        f"Value at '{path[:_SHOWN] or 'request'}' must be of type {expected}, "
        f"not {type(value).__name__}",
    )


def bounds(
    value: Any,  # noqa: ANN401 - JSON
    path: str,
    measured: tuple[str, float],
    low: float | None,
    high: float | None,
) -> Iterator[str]:
    """Say which bound is broken; `measured` is `length` or `value`, and how much it is."""
    what, measure = measured
    if low is not None and measure < low:
        yield constraint(
            value, path, f"Member must have {what} greater than or equal to {_plain(low)}"
        )
    if high is not None and measure > high:
        yield constraint(
            value, path, f"Member must have {what} less than or equal to {_plain(high)}"
        )


@cache
def _decoder(request: type[Request]) -> msgspec.json.Decoder[Request]:
    return msgspec.json.Decoder(request)


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _not_json() -> ServiceError:
    return ServiceError("SerializationException", "The request body is not JSON.")


def _problems(kind: Any, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(kind, inspect.UnionType):
        kind = _present(kind, value)
    if isinstance(kind, inspect.DateTimeType):
        return
    expected, types, inside = _CHECKS[type(kind)]
    if not isinstance(value, types) or isinstance(value, bool):
        raise wrong_type(value, path, expected)
    yield from inside(kind, value, path)


def _text(kind: inspect.StrType, value: str, path: str) -> Iterator[str]:
    yield from bounds(value, path, ("length", len(value)), kind.min_length, kind.max_length)
    if kind.pattern and not _expression(kind.pattern).search(value):
        shown = kind.pattern.removeprefix(_START).removesuffix(_END)
        yield constraint(value, path, f"Member must satisfy regular expression pattern: {shown}")


def _number(kind: inspect.IntType | inspect.FloatType, value: float, path: str) -> Iterator[str]:
    yield from bounds(value, path, ("value", value), kind.ge, kind.le)


def _elements(kind: inspect.VarTupleType, value: Sequence[Any], path: str) -> Iterator[str]:
    yield from bounds(value, path, ("length", len(value)), kind.min_length, kind.max_length)
    for index, element in enumerate(value, start=1):
        yield from _problems(kind.item_type, element, f"{path}.{index}.member")


def _entries(kind: inspect.DictType, value: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from bounds(value, path, ("length", len(value)), kind.min_length, kind.max_length)
    for key, element in value.items():
        yield from _problems(kind.key_type, key, f"{path}.key")
        yield from _problems(kind.value_type, element, f"{path}.{key}.member")


def _present(kind: inspect.UnionType, value: Any) -> inspect.Type:  # noqa: ANN401 - JSON
    """Choose the alternative that a value is measured by: times come as text or number."""
    alternatives = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
    timely = isinstance(value, (str, datetime))
    return next(
        (one for one in alternatives if isinstance(one, inspect.DateTimeType) and timely),
        next(one for one in alternatives if not isinstance(one, inspect.DateTimeType)),
    )


def _members(kind: inspect.StructType, value: Mapping[str, Any], path: str) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    known = {field.encode_name: field for field in kind.fields}
    for name in value:
        if name not in known:
            yield unknown_member(f"{prefix}{name}", kind.cls.__name__)
    for name, field in known.items():
        if field.required and name not in value:
            yield constraint(None, f"{prefix}{name}", "Member must not be null")
        if name in value:
            yield from _problems(field.type, value[name], f"{prefix}{name}")


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_CHECKS: Final[Mapping[type, tuple[str, tuple[type, ...], Callable[..., Iterator[str]]]]] = {
    inspect.StructType: ("structure", (dict,), _members),
    inspect.DictType: ("map", (dict,), _entries),
    inspect.VarTupleType: ("list", (list, tuple), _elements),
    inspect.StrType: ("string", (str,), _text),
    inspect.IntType: ("integer", (int,), _number),
    inspect.FloatType: ("float", (int, float), _number),
}
