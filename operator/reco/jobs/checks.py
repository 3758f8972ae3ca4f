"""Rows against a schema: which are good, and what is wrong with the others.

The rules are Amazon Personalize's, as far as it documents them: every value of its column's type,
none missing where the schema has no `null`, ids of at most 256 characters, other texts of at most
1,000 (20,000 where `textual`). An empty cell is a missing value. The service refuses an import
for a single row that breaks one, and so does `importing`: no rule here drops a row silently.
Source: https://docs.aws.amazon.com/personalize/latest/dg/how-it-works-dataset-schema.html,
https://docs.aws.amazon.com/personalize/latest/dg/item-dataset-requirements.html
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from reco.workload.tasks import Field_

_IDS: Final = frozenset({"USER_ID", "ITEM_ID"})
_LONGEST_ID: Final = 256
_LONGEST: Final = 1_000
_LONGEST_TEXT: Final = 20_000
_SHOWN: Final = 40
_DIGITS_OF_LONG: Final = 19

Text: TypeAlias = pa.StringArray
Mask: TypeAlias = pa.BooleanArray


@dataclass(frozen=True, slots=True)
class Checked:
    """A batch after the checks: its good rows, typed, and the bad ones by place, with reasons."""

    good: pa.RecordBatch
    rejected: int
    reasons: Iterator[tuple[int, str]]
    """Of the rejected rows, in order; made as they are asked for."""


@dataclass(frozen=True, slots=True)
class _Type:
    """An Avro type: what it is in Parquet, how it is read from text, and what is allowed.

    `read` gives null for what it is not.
    """

    arrow: pa.DataType
    read: Callable[[Text], pa.Array]
    allowed: str


def schema_of(fields: Sequence[Field_]) -> pa.Schema:
    """Return the types in which rows of these fields are kept."""
    return pa.schema([(field.name, _TYPES[base_type(field)].arrow) for field in fields])


def base_type(field: Field_) -> str:
    """Return the one type of a field that is not `null`.

    Raises:
        ValueError: it has none, several, or one that no column can have.
    """
    types = [one for one in field.types if one != "null"]
    if len(types) != 1 or types[0] not in _TYPES:
        raise ValueError(
            f"field {field.name} has the types {list(field.types)}: it must have one of "
            f"{', '.join(_TYPES)}, and null if a value may be missing"
        )
    return types[0]


def check(texts: Mapping[str, pa.Array], fields: Sequence[Field_]) -> Checked:
    """Check a batch of columns of text, of equal length; null is a missing value."""
    typed: list[pa.Array] = []
    wrong: list[tuple[Field_, pa.Array, Mask]] = []
    for field in fields:
        column, broken = _decoded(texts[field.name])
        values = _TYPES[base_type(field)].read(column)
        bad = pc.or_(broken, pc.and_(pc.is_valid(column), pc.is_null(values)))
        if base_type(field) == "string":
            bad = pc.or_(bad, pc.greater(pc.coalesce(pc.utf8_length(column), 0), _limit(field)))
        if "null" not in field.types:
            bad = pc.or_(bad, pc.is_null(column))
        typed.append(values)
        wrong.append((field, texts[field.name], bad))
    any_bad = wrong[0][2]
    for _, _, bad in wrong[1:]:
        any_bad = pc.or_(any_bad, bad)
    batch = pa.RecordBatch.from_arrays(typed, schema=schema_of(fields))
    rejected = int(pc.sum(any_bad).as_py() or 0)
    return Checked(
        batch.filter(pc.invert(any_bad)) if rejected else batch,
        rejected,
        _reasons(any_bad, wrong),
    )


def _reasons(
    any_bad: Mask, wrong: Sequence[tuple[Field_, pa.Array, Mask]]
) -> Iterator[tuple[int, str]]:
    for row in pc.indices_nonzero(any_bad):
        at = row.as_py()
        found = [_reason(field, texts[at]) for field, texts, bad in wrong if bad[at].as_py()]
        yield at, "; ".join(found)


def _reason(field: Field_, cell: pa.Scalar) -> str:
    """Say what is wrong with a cell that is known to be bad."""
    if not cell.is_valid:
        return f"{field.name} is empty: the schema does not allow null"
    try:
        text = cell.as_py()
    except UnicodeDecodeError:
        return f"{field.name} is not UTF-8"
    kind = base_type(field)
    if kind == "string":
        return (
            f"{field.name} has {len(text)} characters: at most {_limit(field)} are allowed"
            f"{' in a categorical value' if field.categorical else ''}"
        )
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return f"{field.name} is {shown!r}: it must be {_TYPES[kind].allowed}"


def _limit(field: Field_) -> int:
    if field.name in _IDS:
        return _LONGEST_ID
    return _LONGEST_TEXT if field.textual else _LONGEST


def _decoded(column: pa.Array) -> tuple[Text, Mask]:
    """Return valid text, null where it was not UTF-8, and where that is."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raw = [one.as_buffer() for one in column]
        texts = [None if one is None else _utf8(one.to_pybytes()) for one in raw]
        broken = [one is not None and text is None for one, text in zip(raw, texts, strict=True)]
        return _missing(pa.array(texts, pa.string())), pa.array(broken)
    return _missing(column), pa.repeat(pa.scalar(value=False), len(column))


def _missing(column: Text) -> Text:
    """Make null of empty texts."""
    empty = pc.equal(column, "")
    return pc.if_else(empty, None, column) if pc.any(empty).as_py() else column


def _utf8(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _only(column: Text, pattern: str) -> Text:
    matches = pc.match_substring_regex(column, pattern)
    return column if pc.all(matches).as_py() else pc.if_else(matches, column, None)


def _long(column: Text) -> pa.Array:
    whole = _only(column, r"^[+-]?[0-9]{1,19}$")
    if (pc.max(pc.binary_length(whole)).as_py() or 0) >= _DIGITS_OF_LONG or (
        pc.any(pc.starts_with(whole, "+")).as_py()
    ):
        numbers = [None if one is None else int(one) for one in whole.to_pylist()]
        fits = [one if one is None or -(2**63) <= one < 2**63 else None for one in numbers]
        return pa.array(fits, pa.int64())
    return whole.cast(pa.int64())


def _int(column: Text) -> pa.Array:
    values = _long(column)
    fits = pc.and_(pc.greater_equal(values, -(2**31)), pc.less(values, 2**31))
    return pc.if_else(fits, values, None).cast(pa.int32())


def _real(kind: pa.DataType) -> Callable[[Text], pa.Array]:
    def read(column: Text) -> pa.Array:
        written = _only(column, r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$")
        values = written.cast(pa.float64()).cast(kind, safe=False)
        finite = pc.is_finite(values)
        return values if pc.all(finite).as_py() else pc.if_else(finite, values, None)

    return read


def _boolean(column: Text) -> pa.Array:
    lower = pc.utf8_lower(column)
    known = pc.is_in(lower, pa.array(["true", "false"]))
    return pc.if_else(known, pc.equal(lower, "true"), None)


_TYPES: Final = {
    "string": _Type(pa.string(), lambda column: column, "a text"),
    "int": _Type(pa.int32(), _int, f"a whole number from {-(2**31)} to {2**31 - 1} (int)"),
    "long": _Type(pa.int64(), _long, f"a whole number from {-(2**63)} to {2**63 - 1} (long)"),
    "float": _Type(pa.float32(), _real(pa.float32()), "a finite number such as 1.5 (float)"),
    "double": _Type(pa.float64(), _real(pa.float64()), "a finite number such as 1.5 (double)"),
    "boolean": _Type(pa.bool_(), _boolean, "true or false"),
}
