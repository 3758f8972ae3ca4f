"""What the installed CRDs lack of what this version of the operator knows.

The API server prunes what its schema does not have, without a word: an intent that is to be written
down before a paid call, or a field of a user's manifest. So the schemas that it serves are compared
with those rendered from the models. What only the installed ones have is no harm: they are newer.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reco.api.crds import crd
from reco.api.kinds import KINDS
from reco.api.vocabulary import GROUP, VERSION

PUBLISHED_AT = f"/openapi/v3/apis/{GROUP}/{VERSION}"
"""Where every client may read the served schemas."""
_BOUNDS = ("maxLength", "maxItems", "maxProperties", "maximum")


def lacking(published: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the installed CRDs lack, by kind; kinds that lack nothing are left out.

    Args:
        published: the document at `PUBLISHED_AT`.
    """
    served = _by_kind(published)
    found: dict[str, list[str]] = {}
    for name, kind in KINDS.items():
        own = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        there = served.get(name)
        missing = (
            ["the whole kind"]
            if there is None
            else [
                text
                for part in ("spec", "status")
                for text in _missing(part, own[part], there.get("properties", {}).get(part, {}))
            ]
        )
        if missing:
            found[name] = missing
    return found


def _by_kind(published: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    schemas: Mapping[str, Mapping[str, Any]] = published.get("components", {}).get("schemas", {})
    return {
        str(one["kind"]): schema
        for schema in schemas.values()
        for one in schema.get("x-kubernetes-group-version-kind", ())
        if (one["group"], one["version"]) == (GROUP, VERSION)
    }


def _missing(path: str, own: Mapping[str, Any], served: Mapping[str, Any]) -> Iterator[str]:
    if served.get("x-kubernetes-preserve-unknown-fields"):
        return
    if own.get("type") != served.get("type"):
        yield path
        return
    values = [str(value) for value in own.get("enum", ()) if value not in served.get("enum", ())]
    if values and "enum" in served:
        yield f"{path}: {', '.join(values)}"
    for bound in _BOUNDS:
        if bound in served and served[bound] < own.get(bound, float("inf")):
            yield f"{path}: {bound} {served[bound]}, needs {own.get(bound, 'none')}"
    there = served.get("properties", {})
    for name, schema in own.get("properties", {}).items():
        within = f"{path}.{name}"
        if name in there:
            yield from _missing(within, schema, there[name])
        else:
            yield within
    for name, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(own.get(name), Mapping):
            beneath = served.get(name)
            yield from _missing(path + mark, own[name], beneath or {})


def describe(lacks: Mapping[str, list[str]]) -> str | None:
    """Return what is lacking as one line that a person can act on; None where nothing is."""
    if not lacks:
        return None
    each = "; ".join(f"{kind}: {', '.join(fields)}" for kind, fields in sorted(lacks.items()))
    return f"the installed CRDs are older than this operator and lack {each}; install its CRDs"
