"""What the API server makes of an object by its CRD's schema: defaults, pruning, refusals.

Rules in CEL are left out: what the simulation writes keeps to them, and the corpus of manifests
holds them against the real API server.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from reco.api.crds import crd
from reco.api.kinds import KINDS

Check = Callable[[Any, str, list[str]], Any]
"""Takes a value, its path and the list of complaints; returns the value, pruned and defaulted."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


@cache
def check_of(kind: str, part: str) -> Check:
    """Return the check of a kind's `spec` or `status`."""
    schema = crd(KINDS[kind])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return _compile(schema["properties"][part])


def _compile(schema: Mapping[str, Any]) -> Check:
    types = _TYPES.get(schema.get("type", ""))
    enum = schema.get("enum")
    pattern = re.compile(schema["pattern"]) if "pattern" in schema else None
    low, high = schema.get("minimum"), schema.get("maximum")
    sizes = [
        (schema[name], sign)
        for names, sign in (
            (("minLength", "minItems"), 1),
            (("maxLength", "maxItems", "maxProperties"), -1),
        )
        for name in names
        if name in schema
    ]
    inner = _inner(schema)

    def check(value: Any, path: str, wrong: list[str]) -> Any:
        if types is not None and (
            not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        ):
            wrong.append(f"{path}: must be of type {schema['type']}")
            return value
        if enum is not None and value not in enum:
            wrong.append(f"{path}: unsupported value {value!r}")
        if pattern is not None and not pattern.search(value):
            wrong.append(f"{path}: {value!r} must match {pattern.pattern}")
        if (low is not None and value < low) or (high is not None and value > high):
            wrong.append(f"{path}: {value} is out of bounds")
        for bound, sign in sizes:
            if (len(value) - bound) * sign < 0:
                wrong.append(f"{path}: {len(value)} is not within the bound {bound}")
        return inner(value, path, wrong) if inner is not None else value

    return check


def _inner(schema: Mapping[str, Any]) -> Check | None:
    if "items" in schema:
        item = _compile(schema["items"])
        return lambda value, path, wrong: [
            item(one, f"{path}[{number}]", wrong) for number, one in enumerate(value)
        ]
    if "additionalProperties" in schema:
        each = _compile(schema["additionalProperties"])
        return lambda value, path, wrong: {
            name: each(one, f"{path}.{name}", wrong) for name, one in value.items()
        }
    if "properties" not in schema:
        return None
    members = {name: _compile(part) for name, part in schema["properties"].items()}
    defaults = {
        name: part["default"] for name, part in schema["properties"].items() if "default" in part
    }
    required = schema.get("required", ())

    def check(value: Any, path: str, wrong: list[str]) -> Any:
        full = {**{name: one for name, one in defaults.items() if name not in value}, **value}
        wrong.extend(f"{path}.{name}: Required value" for name in required if name not in full)
        return {
            name: members[name](one, f"{path}.{name}", wrong)
            for name, one in full.items()
            if name in members
        }

    return check
