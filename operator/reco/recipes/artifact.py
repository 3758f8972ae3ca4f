"""Models as files: versioned arrays with a checksum, never pickle.

Layout: one ASCII line `reco-model <version> <SHA-256 of everything after this line>`, one line of
JSON (names, types, shapes and offsets of the arrays; scalars) padded with spaces, then the arrays,
little-endian. They start at a multiple of 64 bytes and so does each of them. The same model always
gives the same bytes.

Both ways stream: writing takes no second copy of the arrays, and loading reads the file once for
its checksum and then maps it, so that processes on one machine share the pages of a model. A file
must therefore be replaced as `save` does, never written to in place.
"""

import dataclasses
import hashlib
import json
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from reco.recipes.encoding import Catalogue, Histories
from reco.recipes.labels import Labels, Likeness, UserLabels
from reco.recipes.matrices import DenseRows, SparseRows
from reco.recipes.model import Model
from reco.recipes.scorers import (
    FactorScorer,
    LinearScorer,
    NeighbourScorer,
    PopularityScorer,
    TopicsScorer,
    Welcome,
)

FORMAT = "reco-model"
VERSION = 3

_ALIGNMENT = 64
_CHUNK = 1 << 20
_FIRST_LINE = len(f"{FORMAT} {VERSION} {hashlib.sha256().hexdigest()}\n")
_PARTS: dict[str, type] = {
    part.__name__: part
    for part in (
        *(Catalogue, DenseRows, FactorScorer, Histories, Labels, Likeness, LinearScorer, Model),
        *(NeighbourScorer, PopularityScorer, SparseRows, TopicsScorer, UserLabels, Welcome),
    )
}


class ArtifactError(Exception):
    """A model file cannot be used; the text says which file and what is wrong with it."""


def save(model: Model, path: Path | str) -> None:
    """Write a model, replacing the file at once so that a reader never sees half of one."""
    head, arrays = _flatten(model)
    described = json.dumps(head, sort_keys=True).encode()
    padding = b" " * (-(_FIRST_LINE + len(described) + 1) % _ALIGNMENT)
    body: list[bytes | memoryview] = [described, padding, b"\n", *arrays]
    checksum = hashlib.sha256()
    for chunk in body:
        checksum.update(chunk)
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with unfinished.open("wb") as file:
            file.write(f"{FORMAT} {VERSION} {checksum.hexdigest()}\n".encode())
            file.writelines(body)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path | str) -> Model:
    """Map a model into memory; raise `ArtifactError` unless every byte is as it was written.

    The arrays are read-only views of the file's pages, which all processes share.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = _verify(path, file)
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
    return _restore(memoryview(content)[-size:])


def _verify(path: Path, file: BinaryIO) -> int:
    """Check the first line and the checksum of all that follows; return its length in bytes."""
    first = file.read(200).partition(b"\n")[0]
    match first.split(b" "):
        case [name, version, checksum] if name == FORMAT.encode():
            pass
        case _:
            raise ArtifactError(f"{path}: not a model file (no '{FORMAT}' line at its start)")
    if version != str(VERSION).encode():
        raise ArtifactError(
            f"{path}: format version {version.decode('ascii', 'replace')} is unknown; this release "
            f"reads version {VERSION}: train again"
        )
    file.seek(len(first) + 1)
    found = hashlib.sha256()
    size = 0
    while chunk := file.read(_CHUNK):
        found.update(chunk)
        size += len(chunk)
    if found.hexdigest().encode() != checksum:
        raise ArtifactError(
            f"{path}: corrupt or truncated: its checksum does not match its {size} bytes"
        )
    return size


def _flatten(model: Model) -> tuple[dict[str, Any], list[bytes | memoryview]]:
    """Return the JSON head and the padded bytes of every array, in field order."""
    described: dict[str, Any] = {}
    scalars: dict[str, Any] = {}
    parts: dict[str, str] = {}
    chunks: list[bytes | memoryview] = []
    offset = 0
    for name, value in _fields("", model):
        if isinstance(value, np.ndarray):
            array = _little_endian(value)
            described[name] = {
                "type": value.dtype.newbyteorder("<").str,
                "shape": list(value.shape),
                "offset": offset,
            }
            padding = -array.nbytes % _ALIGNMENT
            chunks.extend((array, bytes(padding)))
            offset += array.nbytes + padding
        elif dataclasses.is_dataclass(value):
            parts[name] = type(value).__name__
        else:
            scalars[name] = value
    return {"arrays": described, "scalars": scalars, "parts": parts}, chunks


def _fields(name: str, part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any dataclass
    """Yield a dataclass and all that is in it, with dotted names, each before its fields."""
    yield name, part
    if dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            dotted = f"{name}.{field.name}" if name else field.name
            yield from _fields(dotted, getattr(part, field.name))


def _little_endian(array: NDArray[Any]) -> memoryview:
    """Return an array's bytes, copied only where this machine keeps them otherwise."""
    native = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return native.reshape(-1).view(np.uint8).data


def _restore(body: memoryview) -> Model:
    """Rebuild a model from verified bytes; the arrays are read-only views of them."""
    described = next(iter(bytes(body[: 1 << 20]).partition(b"\n")))
    head = json.loads(described)
    payload = body[len(described) + 1 :]
    values = dict(head["scalars"])
    for name, described in head["arrays"].items():
        values[name] = np.frombuffer(
            payload,
            dtype=np.dtype(described["type"]),
            count=int(np.prod(described["shape"], dtype=np.int64)),
            offset=described["offset"],
        ).reshape(described["shape"])
    # The innermost first: a part is made of parts.
    for name in sorted(head["parts"], key=lambda name: -name.count(".") if name else 1):
        kind = _PARTS[head["parts"][name]]
        prefix = f"{name}." if name else ""
        values[name] = kind(
            **{field.name: values[prefix + field.name] for field in dataclasses.fields(kind)}
        )
    model: Model = values[""]
    return model
