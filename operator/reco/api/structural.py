"""Turns a model's JSON schema into the structural schema that a CRD needs, and lints it.

Pydantic speaks JSON Schema 2020-12; the API server takes a small dialect of OpenAPI 3.0 in which
every node is spelt out, optional means absent rather than null, and rules are CEL. Some of what it
refuses is refused late or badly, and some of what it accepts (a string without a bound) costs CEL
its budget or a user an odd error. So everything that is not known to be right fails here, with the
path of the field.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from reco.api.base import IMMUTABLE, MUST, VALIDATIONS

Schema = dict[str, Any]

PRESERVE_UNKNOWN = "x-kubernetes-preserve-unknown-fields"
LIST_TYPE = "x-kubernetes-list-type"
DESCRIPTION_LIMIT = 1000

_KEPT = {
    *("type", "description", "default", "enum", "format", "pattern", "required", "properties"),
    *("items", "additionalProperties", "minLength", "maxLength", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", VALIDATIONS, LIST_TYPE, "x-kubernetes-list-map-keys"),
    *("x-kubernetes-map-type", PRESERVE_UNKNOWN),
}
_DROPPED = {"title", "examples", "$defs"}
_FORMATS = {"date-time", "int32", "int64"}
_CEL_RESERVED = frozenset(
    """
    true false null in as break const continue else for function if import let loop package
    namespace return var void while
    """.split()  # noqa: SIM905 - a wall of quotes hides the words
)


class NotStructuralError(ValueError):
    """A model has something that a CRD can't express; the text says where and what."""


@dataclass(slots=True)
class _Rewriter:
    """One pass over one model's schema."""

    definitions: Mapping[str, Schema]
    fixed: str
    immutable: list[Schema] = field(default_factory=list)
    """Rules for the root: only there do they also see a field, or its parent, come and go."""

    def rewrite(
        self,
        node: Schema,
        path: tuple[str, ...] = (),
        *,
        always: bool = True,
        within: tuple[str, ...] = (),
    ) -> Schema:
        """Return a node's structural form.

        Args:
            node: The node as pydantic wrote it.
            path: Where it stands below the root.
            always: Whether it is there in every object, by requirement or default.
            within: The definitions being inlined around it, to find recursion.
        """
        node, within = self._flat(node, path, within)
        unknown = node.keys() - _KEPT - _DROPPED - {"propertyNames", "uniqueItems", IMMUTABLE, MUST}
        if unknown:
            raise NotStructuralError(f"{_at(path)}: a CRD has no {', '.join(sorted(unknown))}")
        if instead := node.get(IMMUTABLE):
            self.immutable.append(_immutable(path, instead, fixed=self.fixed, always=always))
        out = {key: value for key, value in node.items() if key in _KEPT}
        if out.get("default", ...) is None:
            del out["default"]
        if "description" in out:
            out["description"] = reflow(out["description"], limit=DESCRIPTION_LIMIT)
        _number_bounds(out)
        if MUST in node:
            _validate(out, f"self.matches(r'{out.pop('pattern')}')", node[MUST])
        match out.get("type"):
            case "object":
                self._object(node, out, path, always=always, within=within)
            case "array":
                out[LIST_TYPE] = out.get(LIST_TYPE) or (
                    "set" if "uniqueItems" in node else "atomic"
                )
                out["items"] = self.rewrite(
                    node.get("items", {}), (*path, "[]"), always=False, within=within
                )
            case "integer":
                out["format"] = "int32" if out.get("maximum", 2**31) < 2**31 else "int64"
            case None:
                out[PRESERVE_UNKNOWN] = True
            case _:
                pass
        return {key: out[key] for key in sorted(out, key=_order)}

    def _flat(
        self, node: Schema, path: tuple[str, ...], within: tuple[str, ...]
    ) -> tuple[Schema, tuple[str, ...]]:
        """Inline references, take optional for absent rather than null, and const for enum."""
        while "$ref" in node or "anyOf" in node:
            node = dict(node)
            if "$ref" in node:
                name = node.pop("$ref").rpartition("/")[2]
                if name in within:
                    raise NotStructuralError(f"{_at(path)}: {name} contains itself")
                within = (*within, name)
                inner = self.definitions[name]
            else:
                branches = [b for b in node.pop("anyOf") if b.get("type") != "null"]
                if len(branches) != 1:
                    raise NotStructuralError(f"{_at(path)}: a union of types; use one type")
                inner = branches[0]
            rules = [*inner.get(VALIDATIONS, ()), *node.get(VALIDATIONS, ())]
            node = {**inner, **node} | ({VALIDATIONS: rules} if rules else {})
        if "const" in node:
            node = {key: value for key, value in node.items() if key != "const"} | {
                "enum": [node["const"]]
            }
        return node, within

    def _object(
        self,
        node: Schema,
        out: Schema,
        path: tuple[str, ...],
        *,
        always: bool,
        within: tuple[str, ...],
    ) -> None:
        """Rewrite properties, or the values of a map."""
        if properties := node.get("properties"):
            out.pop("additionalProperties", None)
            required = set(node.get("required", ()))
            out["properties"] = {
                name: self.rewrite(
                    child,
                    (*path, name),
                    always=always and (name in required or child.get("default") is not None),
                    within=within,
                )
                for name, child in properties.items()
            }
            if isinstance(out.get("default"), dict):
                # Nested defaults stay spelt out: rules see a default before those are filled in.
                out["default"] = _without_nulls(out["default"])
        elif isinstance(node.get("additionalProperties"), dict):
            out["additionalProperties"] = self.rewrite(
                node["additionalProperties"], (*path, "{}"), always=False, within=within
            )
            _key_rules(out, node.get("propertyNames", {}))
        else:
            out.pop("additionalProperties", None)
            out[PRESERVE_UNKNOWN] = True


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out, at every depth, what has no value: to a CRD null is a value of its own."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return value


def structural(model: type[BaseModel], *, fixed: str = "after creation") -> Schema:
    """Return a model's structural schema.

    Args:
        model: The model of a spec or a status.
        fixed: From when on immutable fields keep their value, for the messages of their rules.

    Raises:
        NotStructuralError: if it has what a CRD can't express, or lacks a bound.
    """
    source = model.model_json_schema(by_alias=True, mode="validation")
    rewriter = _Rewriter(source.get("$defs", {}), fixed)
    schema = rewriter.rewrite(source)
    if rewriter.immutable:
        schema[VALIDATIONS] = [*schema.get(VALIDATIONS, ()), *rewriter.immutable]
    problems = list(lint(schema))
    if problems:
        raise NotStructuralError(f"{model.__name__}: " + "; ".join(problems))
    return schema


def lint(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield what is wrong with a structural schema that validators of Kubernetes may let pass."""
    if unknown := schema.keys() - _KEPT:
        yield f"{_at(path)}: a CRD has no {', '.join(sorted(unknown))}"
    if schema.get("format", "date-time") not in _FORMATS:
        yield f"{_at(path)}: unknown format {schema['format']}"
    rules = schema.get(VALIDATIONS, ())
    yield from (f"{_at(path)}: no message: {r['rule']}" for r in rules if not r.get("message"))
    match schema.get("type"):
        case "object":
            yield from _lint_object(schema, path)
        case "array":
            yield from _lint_missing(schema, path, "maxItems", LIST_TYPE)
            yield from lint(schema["items"], (*path, "[]"))
        case "string" if "enum" not in schema and schema.get("format") != "date-time":
            yield from _lint_missing(schema, path, "maxLength")
        case "integer":
            yield from _lint_missing(schema, path, "minimum", "maximum")
        case None if not schema.get(PRESERVE_UNKNOWN):
            yield f"{_at(path)}: no type"
        case "number":
            yield f"{_at(path)}: floats don't survive a round trip; write a decimal as a string"
        case _:
            pass


def reflow(text: str, limit: int | None = None) -> str:
    """Return a docstring with each paragraph on one line, cut at a word where it is too long."""
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
    flat = "\n\n".join(paragraphs)
    if limit is None or len(flat) <= limit:
        return flat
    return flat[: limit - 4].rsplit(" ", 1)[0] + " ..."


def _lint_missing(schema: Schema, path: tuple[str, ...], *keywords: str) -> Iterator[str]:
    for keyword in keywords:
        if keyword not in schema:
            yield f"{_at(path)}: {schema['type']} without {keyword}"


def _lint_object(schema: Schema, path: tuple[str, ...]) -> Iterator[str]:
    properties = schema.get("properties", {})
    if "additionalProperties" in schema:
        if properties:
            yield f"{_at(path)}: properties and additionalProperties exclude each other"
        yield from _lint_missing(schema, path, "maxProperties")
        yield from lint(schema["additionalProperties"], (*path, "{}"))
    if missing := set(schema.get("required", ())) - properties.keys():
        yield f"{_at(path)}: required but not there: {sorted(missing)}"
    for name, child in properties.items():
        if not child.get("description"):
            yield f"{_at((*path, name))}: no description"
        if name in schema.get("required", ()) and "default" in child:
            yield f"{_at((*path, name))}: both required and defaulted"
        yield from lint(child, (*path, name))


def _at(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the root"


def _order(key: str) -> int:
    """Sort what a reader looks for first to the top; the rest keeps its order."""
    first = ("description", "type", "format", "default", "enum", "required", "properties")
    return first.index(key) if key in first else len(first)


def _immutable(path: tuple[str, ...], instead: str, *, fixed: str, always: bool) -> Schema:
    """Return the rule that refuses a change of a field, and its coming and going."""
    if {"[]", "{}"} & set(path):
        raise NotStructuralError(f"{_at(path)}: make the list or map around it immutable instead")
    names = [f"__{name}__" if name in _CEL_RESERVED else name for name in path]
    now, before = (".".join([root, *names]) for root in ("self", "oldSelf"))
    rule, change = f"{now} == {before}", "changed"
    if not always:
        # Optional selection (self.?field) reads better, but the API server can't bound its cost.
        there, was_there = _presence("self", names), _presence("oldSelf", names)
        rule = f"({there}) == ({was_there}) && (!({there}) || {rule})"
        change = "added, changed or removed"
    return {
        "rule": rule,
        "message": f"must not be {change} {fixed}: {instead}",
        "fieldPath": "." + ".".join(path),
        "reason": "FieldValueForbidden",
    }


def _presence(root: str, names: list[str]) -> str:
    """Return the CEL expression that a field and all its parents are there."""
    steps = (".".join([root, *names[: depth + 1]]) for depth in range(len(names)))
    return " && ".join(f"has({step})" for step in steps)


def _validate(schema: Schema, rule: str, message: str) -> None:
    schema[VALIDATIONS] = [*schema.get(VALIDATIONS, ()), {"rule": rule, "message": message}]


def _number_bounds(schema: Schema) -> None:
    """Spell exclusive bounds as OpenAPI 3.0 does: a bound and a flag."""
    for bound in ("Minimum", "Maximum"):
        exclusive = schema.get(f"exclusive{bound}")
        if exclusive is not None and exclusive is not True:
            schema[bound.lower()] = exclusive
            schema[f"exclusive{bound}"] = True


def _key_rules(schema: Schema, keys: Schema) -> None:
    """Check the keys of a map by CEL; a CRD has no propertyNames."""
    low, high = keys.get("minLength", 0), keys.get("maxLength")
    if high is not None:
        _validate(
            schema,
            f"self.all(key, size(key) >= {low} && size(key) <= {high})",
            f"keys must have {low} to {high} characters",
        )
    if "pattern" in keys:
        _validate(schema, f"self.all(key, key.matches(r'{keys['pattern']}'))", f"keys {keys[MUST]}")
