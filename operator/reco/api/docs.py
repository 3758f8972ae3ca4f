"""Renders docs/api.md from the same models as the CRDs: what can be written, what can be read."""

import ast
import inspect
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

from reco.api import vocabulary
from reco.api.base import VALIDATIONS, ExternalStatus, SharedSpec
from reco.api.crds import introduction
from reco.api.kinds import KINDS, Kind
from reco.api.structural import LIST_TYPE, Schema, reflow, structural
from reco.api.vocabulary import API_VERSION, CATEGORY, ConditionType, Reason

PATH = PurePosixPath("docs/api.md")

_FIXED_FROM_THE_START = ", ".join(
    kind.name for kind in KINDS.values() if not kind.editable_until_made
)
_HEADER = f"""\
<!-- Rendered by `reco generate` from operator/reco/api; edit the models, not this file. -->

# API reference: `{API_VERSION}`

Every kind is in the category `{CATEGORY}`: `kubectl get {CATEGORY}` lists them all. A reference
(`fooRef: {{name: ...}}`) names a resource in the same namespace, and may be applied before it. An
optional field that is left out stays out: the operator never writes to a spec. Decimals are
strings, times are RFC 3339, durations end in `Seconds`.

A *fixed* field keeps the value that the external object was made with, and is neither added nor
removed later. Until there is an external object it can be edited, so that what an engine refused is
corrected in place. Only these kinds keep their fixed fields from the start:
{_FIXED_FROM_THE_START}.

Rules are checked by the API server, so `kubectl apply` refuses what breaks one and says what is
allowed.
"""


def api_reference() -> str:
    """Return the whole page, in Markdown."""
    kinds = [_kind(kind) for kind in KINDS.values()]
    return "\n".join([_HEADER, _contents(), _shared(), *kinds, _vocabulary(), _annotations()])


def attribute_docs(of: type | ModuleType) -> dict[str, str]:
    """Return the docstrings that stand below the attributes of a class or a module, by name."""
    body = ast.parse(inspect.getsource(of)).body
    if inspect.isclass(of) and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    docs = {}
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            docs[statement.targets[0].id] = reflow(after.value.value)
    return docs


def _contents() -> str:
    rows = [
        (
            f"[{kind.name}](#{kind.singular})",
            *(", ".join(f"`{name}`" for name in kind.short_names),),
            introduction(kind),
        )
        for kind in KINDS.values()
    ]
    return _table(("kind", "short", "stands for"), rows)


def _shared() -> str:
    """Describe once what the kinds that stand for external objects have in common."""
    spec = structural(SharedSpec)
    return "\n".join(
        [
            "## Shared fields",
            "",
            "Every kind but EngineClass stands for an object in an engine and has these fields"
            " beside its own; of the status, EngineClass has the first three.",
            "",
            "### shared spec",
            "",
            _fields(spec),
            *_rules(spec),
            "### shared status",
            "",
            _fields(structural(ExternalStatus)),
        ]
    )


def _kind(kind: Kind) -> str:
    intro = introduction(kind)
    scope = "in a namespace" if kind.namespaced else "for the whole cluster"
    spec, status = structural(kind.spec), structural(kind.status)
    columns = ", ".join(column.name for column in kind.columns if not column.wide)
    selectable = ", ".join(f"`{path.removeprefix('.')}`" for path in kind.selectable)
    own_status = _fields(status, beside=structural(ExternalStatus))
    return "\n".join(
        [
            f"## {kind.name}",
            "",
            f"{intro[:1].upper()}{intro[1:]} Made {scope}. `kubectl get {kind.plural}` shows"
            f" {columns}; `--field-selector` takes {selectable}.",
            "",
            f"### spec of {kind.name}",
            "",
            _fields(spec, beside=structural(SharedSpec)),
            *_rules(spec, beside=structural(SharedSpec)),
            *((f"### status of {kind.name}", "", own_status) if own_status else ()),
        ]
    )


def _immutable(schema: Schema) -> set[str]:
    """Return the paths of the fields that keep their first value."""
    rules = schema.get(VALIDATIONS, ())
    return {rule["fieldPath"].removeprefix(".") for rule in rules if "fieldPath" in rule}


def _fields(schema: Schema, *, beside: Schema | None = None) -> str:
    """Return the table of fields, without those that another schema has too."""
    shared = (beside or {}).get("properties", {})
    immutable = _immutable(schema)
    rows = []
    for path, node, required in _walk(schema):
        if path.partition(".")[0].removesuffix("[]") in shared:
            continue
        meaning = node.get("description", "").replace("\n\n", " ")
        rows.append(
            (
                f"`{path}`",
                _type(node),
                "*required*" if required else _default(node.get("default")),
                _allowed(node),
                f"{meaning} *Fixed.*" if path in immutable else meaning,
            )
        )
    return _table(("field", "type", "default", "allowed", "meaning"), rows) if rows else ""


def _walk(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Any, bool]]:
    """Yield each field below a node, depth first, with its path and whether it is required."""
    for name, node in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, node, name in schema.get("required", ())
        yield from _walk(node, f"{path}.")
        if node.get("type") == "array":
            yield from _walk(node["items"], f"{path}[].")


def _type(node: Schema) -> str:
    match node.get("type"):
        case "array":
            kind = {"set": "set", "map": "list"}.get(node[LIST_TYPE], "list")
            return f"{kind} of {_type(node['items'])}"
        case "object" if "additionalProperties" in node:
            return f"map of {_type(node['additionalProperties'])}"
        case "string" if node.get("format") == "date-time":
            return "time"
        case None:
            return "any"
        case other:
            return str(other)


def _default(value: object) -> str:
    # A default object is its fields' defaults, which have rows of their own.
    return "" if value is None or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _allowed(node: Schema) -> str:
    """Return in words what values a field takes."""
    words = []
    if "enum" in node:
        words.append(", ".join(f"`{_plain(value)}`" for value in node["enum"]))
    elif node.get("type") == "integer":
        words.append(f"{node['minimum']:,} to {node['maximum']:,}")
    elif "maxLength" in node:
        words.append(f"{node.get('minLength', 0)} to {node['maxLength']:,} characters")
    elif "maxItems" in node:
        words.append(f"{node.get('minItems', 0)} to {node['maxItems']} items")
    elif "maxProperties" in node:
        words.append(f"at most {node['maxProperties']} keys")
    words += [rule["message"] for rule in node.get(VALIDATIONS, ()) if "fieldPath" not in rule]
    return "; ".join(dict.fromkeys(words))


def _plain(value: object) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)


def _rules(schema: Schema, *, beside: Schema | None = None) -> list[str]:
    """Return the rules of a whole spec as a list, without those that another schema has too."""
    shared = (beside or {}).get(VALIDATIONS, ())
    messages = [
        rule["message"]
        for rule in schema.get(VALIDATIONS, ())
        if "fieldPath" not in rule and rule not in shared
    ]
    return ["Rules:", "", *(f"- {message}." for message in messages), ""] if messages else []


def _vocabulary() -> str:
    return "\n".join(
        [
            "## Conditions",
            "",
            "In the order in which they stand in a status. `kubectl wait --for=condition=Ready`"
            " works on every kind.",
            "",
            _enumeration("type", ConditionType),
            "## Reasons",
            "",
            "One closed list for all kinds and conditions.",
            "",
            _enumeration("reason", Reason),
        ]
    )


def _enumeration(header: str, enum: type[StrEnum]) -> str:
    docs = attribute_docs(enum)
    return _table((header, "meaning"), [(f"`{one.value}`", docs[one.name]) for one in enum])


def _annotations() -> str:
    docs = attribute_docs(vocabulary)
    rows = [
        (f"`{value}`", docs.get(name, ""))
        for name, value in vars(vocabulary).items()
        if name.startswith("ANNOTATION_")
    ]
    return "\n".join(["## Annotations", "", _table(("annotation", "meaning"), rows)])


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )
