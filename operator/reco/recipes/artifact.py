"""Models as files: versioned arrays with a checksum, never pickle.

Layout: one ASCII line `reco-model <version> <SHA-256 of everything after this line>`, one line of
JSON (names, types, shapes and offsets of the arrays; scalars), then the arrays, little-endian,
each at a multiple of 64 bytes. The same model always gives the same bytes.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Catalogue, Histories
from reco.recipes.model import Model
from reco.recipes.scorers import LinearScorer, NeighbourScorer, PopularityScorer, Scorers

FORMAT = "reco-model"
VERSION = 2

_ALIGNMENT = 64
_SCORERS = {scorer.__name__: scorer for scorer in (PopularityScorer, LinearScorer, NeighbourScorer)}


class ArtifactError(Exception):
    """A model file cannot be used; the text says which file and what is wrong with it."""


def save(model: Model, path: Path | str) -> None:
    """Write a model, replacing the file at once so that a reader never sees half of one."""
    head, arrays = _flatten(model)
    body = b"".join([json.dumps(head, sort_keys=True).encode(), b"\n", *arrays])
    checksum = hashlib.sha256(body).hexdigest()
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with unfinished.open("wb") as file:
            file.write(f"{FORMAT} {VERSION} {checksum}\n".encode())
            file.write(body)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path | str) -> Model:
    """Read a model; raise `ArtifactError` unless every byte is as it was written."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
    first, _, _ = content[:200].partition(b"\n")
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
    body = memoryview(content)[len(first) + 1 :]
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ArtifactError(
            f"{path}: corrupt or truncated: its checksum does not match its {len(body)} bytes"
        )
    return _restore(body)


def _flatten(model: Model) -> tuple[dict[str, Any], list[bytes]]:
    """Return the JSON head and the padded bytes of every array, in field order."""
    described: dict[str, Any] = {}
    chunks: list[bytes] = []
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
                array = _as_bytes(value)
                described[name] = {
                    "type": value.dtype.newbyteorder("<").str,
                    "shape": list(value.shape),
                    "offset": offset,
                }
                chunks.extend((array, bytes(-len(array) % _ALIGNMENT)))
                offset += len(array) + -len(array) % _ALIGNMENT
            elif not dataclasses.is_dataclass(value):
                scalars[name] = value
    return {"arrays": described, "scalars": scalars}, chunks


def _as_bytes(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _restore(body: memoryview) -> Model:
    """Rebuild a model from verified bytes; the arrays are read-only views of them."""
    end = bytes(body[: min(len(body), 1 << 20)]).index(b"\n")
    head = json.loads(bytes(body[:end]))
    payload = body[end + 1 :]
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
