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
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Catalogue, Histories
from reco.recipes.model import Model
from reco.recipes.scorers import LinearScorer, NeighbourScorer, PopularityScorer, Scorers

FORMAT = "reco-model"
VERSION = 2

_ALIGNMENT = 64
_CHUNK = 1 << 20
_FIRST_LINE = len(f"{FORMAT} {VERSION} {hashlib.sha256().hexdigest()}\n")
_SCORERS = {scorer.__name__: scorer for scorer in (PopularityScorer, LinearScorer, NeighbourScorer)}


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
    chunks: list[bytes | memoryview] = []
    offset = 0
    scalars: dict[str, Any] = {"scorer": type(model.scorer).__name__}
    parts: dict[str, Model | Catalogue | Histories | Scorers] = {
        "model": model,
        "catalogue": model.catalogue,
        "histories": model.histories,
        "scorer": model.scorer,
    }
    for part, owner in parts.items():
        for field in dataclasses.fields(owner):
            value = getattr(owner, field.name)
            name = f"{part}.{field.name}"
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
            elif not dataclasses.is_dataclass(value):
                scalars[name] = value
    return {"arrays": described, "scalars": scalars}, chunks


def _little_endian(array: NDArray[Any]) -> memoryview:
    """Return an array's bytes, copied only where this machine keeps them otherwise."""
    native = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return native.reshape(-1).view(np.uint8).data


def _restore(body: memoryview) -> Model:
    """Rebuild a model from verified bytes; the arrays are read-only views of them."""
    described = next(iter(bytes(body[: 1 << 20]).partition(b"\n")))
    head = json.loads(described)
    payload = body[len(described) + 1 :]
    values: dict[str, dict[str, Any]] = {
        "model": {},
        "catalogue": {},
        "histories": {},
        "scorer": {},
    }
    for name, described in head["arrays"].items():
        part, _, field = name.partition(".")
        kind = np.dtype(described["type"])
        length = int(np.prod(described["shape"], dtype=np.int64))
        values[part][field] = np.frombuffer(
            payload, dtype=kind, count=length, offset=described["offset"]
        ).reshape(described["shape"])
    for name, value in head["scalars"].items():
        part, _, field = name.partition(".")
        if field:
            values[part][field] = value
    return Model(
        catalogue=Catalogue(**values["catalogue"]),
        histories=Histories(**values["histories"]),
        scorer=_SCORERS[head["scalars"]["scorer"]](**values["scorer"]),
        **values["model"],
    )
