"""Files of bulk data as batches of text columns: CSV, CSV with gzip, Parquet.

Everything is read as text and typed afterwards, so that one set of rules serves all formats and a
bad value is known by its row. Memory holds a few blocks of a file, never all of it.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from reco.jobs.checks import base_type
from reco.jobs.running import Refused
from reco.storage import Unavailable
from reco.workload.results import Outcome
from reco.workload.tasks import Field_

_BLOCK: Final = 2 << 20
"""Bytes of CSV parsed at a time; no record may be longer."""
_ROWS: Final = 1 << 16
"""Rows of Parquet read at a time."""
_BUFFER: Final = 1 << 20
"""Bytes of a Parquet column read at a time."""
_SHOWN: Final = 60
_LISTED: Final = 100_000
"""Malformed records kept in memory while they wait for the good ones around them."""
_PARQUET_TYPES: Final = {
    "string": (pa.types.is_integer,),
    "int": (pa.types.is_integer,),
    "long": (pa.types.is_integer,),
    "float": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    "double": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    "boolean": (pa.types.is_boolean,),
}
"""What may stand for a type in Parquet, beside texts."""

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that has not as many cells as the header."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records of a file: columns of text by name, and the malformed ones in between.

    `lines` says where each of the former stands: in CSV the header is line 1 and every record is a
    line, in Parquet the first row is 1. `unlisted` is how many more malformed ones there are.
    """

    columns: dict[str, pa.Array]
    lines: Sequence[int]
    malformed: Sequence[Malformed] = ()
    unlisted: int = 0


def read(name: str, opened: Opener, fields: Sequence[Field_]) -> Iterator[Batch]:
    """Read the columns of a schema; others are passed over. The file may be opened twice.

    Raises:
        Refused: the file is no table of these columns.
    """
    lower = name.lower()
    try:
        if lower.endswith(".parquet"):
            yield from _parquet(name, opened, fields)
        elif lower.endswith(".csv"):
            yield from _csv(name, opened, fields, None)
        elif lower.endswith((".csv.gz", ".csv.gzip")):
            yield from _csv(name, opened, fields, "gzip")
        else:
            raise _refused(
                f"{name} is of no known format: names of files must end with .csv, .csv.gz or "
                f".parquet. Rename it, or import a prefix that holds only data"
            )
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # Arrow's own errors have no number
            raise Unavailable(f"{name} cannot be read: {error}. Trying again may help") from error
        raise _refused(f"{name} cannot be read as what its name says: {error}") from error


def _csv(
    name: str, opened: Opener, fields: Sequence[Field_], compression: str | None
) -> Iterator[Batch]:
    _check_columns(name, _header(opened, compression), fields)
    names = [field.name for field in fields]
    malformed: list[Malformed] = []
    unlisted = 0

    def note(row: pc_csv.InvalidRow) -> str:
        nonlocal unlisted
        if len(malformed) >= _LISTED:  # a file of another sort: which lines, is known by now
            unlisted += 1
            return "skip"
        malformed.append(
            Malformed(
                row.number,
                f"has {row.actual_columns} cells: the header has {row.expected_columns}: "
                f"{row.text[:_SHOWN]!r}",
            )
        )
        return "skip"

    line = 2
    with opened() as file:
        reader = pc_csv.open_csv(
            pa.input_stream(file, compression=compression),
            read_options=pc_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=pc_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            convert_options=pc_csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=names,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        for batch in reader:
            lines = _lines(line, batch.num_rows, malformed)
            line = lines[-1] + 1 if lines else line
            # The reader may be a block ahead, and have met malformed records of that one.
            passed = [one for one in malformed if one.line < line]
            malformed[:] = malformed[len(passed) :]
            yield Batch(dict(zip(names, batch.columns, strict=True)), lines, passed)
    if malformed or unlisted:
        yield Batch({}, (), malformed, unlisted)


def _lines(first: int, rows: int, malformed: Sequence[Malformed]) -> Sequence[int]:
    """Number the good records of a block around the malformed ones."""
    if not malformed:
        return range(first, first + rows)
    bad = {one.line for one in malformed}
    good = (line for line in itertools.count(first) if line not in bad)
    return list(itertools.islice(good, rows))


def _header(opened: Opener, compression: str | None) -> list[str]:
    with (
        opened() as file,
        pc_csv.open_csv(
            pa.input_stream(file, compression=compression),
            read_options=pc_csv.ReadOptions(use_threads=False),
            parse_options=pc_csv.ParseOptions(invalid_row_handler=lambda _: "skip"),
            convert_options=pc_csv.ConvertOptions(check_utf8=False),
        ) as reader,
    ):
        return list(reader.schema.names)


def _parquet(name: str, opened: Opener, fields: Sequence[Field_]) -> Iterator[Batch]:
    names = [field.name for field in fields]
    row = 1
    with opened() as file, pq.ParquetFile(file, buffer_size=_BUFFER) as table:
        _check_columns(name, table.schema_arrow.names, fields)
        _check_types(name, table.schema_arrow, fields)
        for batch in table.iter_batches(batch_size=_ROWS, columns=names, use_threads=False):
            columns = {one: _text(batch.column(one)) for one in names}
            yield Batch(columns, range(row, row + batch.num_rows))
            row += batch.num_rows


def _check_types(name: str, schema: pa.Schema, fields: Sequence[Field_]) -> None:
    problems = [
        f"{field.name} has the type {schema.field(field.name).type}, which is no "
        f"{base_type(field)}{_hint(schema.field(field.name).type)}"
        for field in fields
        if not _readable(schema.field(field.name).type, base_type(field))
    ]
    if problems:
        raise _refused(f"{name}: {'; '.join(problems)}. Write the column with another type")


def _readable(found: pa.DataType, wanted: str) -> bool:
    if pa.types.is_dictionary(found):
        return _readable(found.value_type, wanted)
    if pa.types.is_list(found) or pa.types.is_large_list(found):
        return wanted == "string" and _is_text(found.value_type)
    return _is_text(found) or any(allowed(found) for allowed in _PARQUET_TYPES[wanted])


def _is_text(found: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_null(found)
    )


def _hint(found: pa.DataType) -> str:
    return " (times are epoch seconds)" if pa.types.is_temporal(found) else ""


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.binary_join(column, "|").cast(pa.string())
    return column.cast(pa.string())


def _check_columns(name: str, found: Sequence[str], fields: Sequence[Field_]) -> None:
    missing = [field.name for field in fields if field.name not in found]
    if missing:
        shown = ", ".join(found)
        raise _refused(
            f"Input csv is missing the following columns: [{', '.join(missing)}]. {name} has "
            f"{shown[:500]}"
        )
    twice = [field.name for field in fields if list(found).count(field.name) > 1]
    if twice:
        raise _refused(f"{name} has columns more than once: {', '.join(twice)}. Keep one of each")


def _refused(message: str) -> Refused:
    return Refused(Outcome.INVALID_DATA, message)
