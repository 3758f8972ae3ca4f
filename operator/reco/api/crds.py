"""Renders the CustomResourceDefinitions from the models, so that the two can't drift apart."""

import json
import re
import sys
from pathlib import PurePosixPath
from typing import Any

import yaml

from reco.api.base import VALIDATIONS
from reco.api.kinds import KINDS, Column, Kind
from reco.api.structural import Schema, reflow, structural
from reco.api.vocabulary import CATEGORY, GROUP, VERSION

HEADER = "# Rendered by `reco generate` from operator/reco/api; edit the models, not this file.\n"
LINE_WIDTH = 100
_NEVER_IN_SYNC = (
    "!has(oldSelf.status) || !has(oldSelf.status.external) || !has(oldSelf.status.applied)"
)
_CEL_ROOTS = re.compile(r"\b(self|oldSelf)\.")


def crd_files() -> dict[PurePosixPath, str]:
    """Return every CRD as the text of a file, by its path in the checkout."""
    return {PurePosixPath("crds") / f"{kind.plural}.yaml": render(kind) for kind in KINDS.values()}


def render(kind: Kind) -> str:
    """Return one kind's CRD as YAML."""
    # Through JSON, because YAML would write what two fields share as an anchor and an alias.
    plain = json.loads(json.dumps(crd(kind)))
    return HEADER + yaml.safe_dump(plain, sort_keys=False, width=LINE_WIDTH, allow_unicode=True)


def crd(kind: Kind) -> dict[str, Any]:
    """Return one kind's CustomResourceDefinition.

    Raises:
        NotStructuralError: if its models have what a CRD can't express.
    """
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _resource_schema(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": list(kind.short_names),
                "categories": [CATEGORY],
            },
            "versions": [version],
        },
    }


def introduction(kind: Kind) -> str:
    """Return what a kind is for: its module's docstring, without the kind's name before it."""
    text = reflow(sys.modules[kind.spec.__module__].__doc__ or "")
    return text.removeprefix(f"{kind.name}: ")


def _resource_schema(kind: Kind) -> dict[str, Any]:
    status = structural(kind.status)
    # An object that the operator has not seen yet must not look finished to kstatus.
    status["default"] = {"observedGeneration": -1}
    if kind.editable_until_made:
        spec = structural(kind.spec, fixed="once the external object was in sync")
        rules = _take_transitions(spec)
    else:
        spec, rules = structural(kind.spec), []
    intro = introduction(kind)
    schema = {
        "description": intro[:1].upper() + intro[1:],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
            "kind": {"type": "string", "description": kind.name},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    return schema | ({VALIDATIONS: rules} if rules else {})


def _take_transitions(spec: Schema) -> list[Schema]:
    """Take the rules on changes out of a spec, and return them as rules of the whole resource.

    Only from there a rule sees the status, and so whether the external object ever was as wanted:
    until then a name may be mistyped, and what was adopted by it another's. The API server carries
    the status over when a spec is written, and the spec when a status is.
    """
    rules = spec.pop(VALIDATIONS, [])
    transitions = [rule for rule in rules if "oldSelf" in rule["rule"]]
    if kept := [rule for rule in rules if rule not in transitions]:
        spec[VALIDATIONS] = kept
    return [_once_made(rule) for rule in transitions]


def _once_made(rule: Schema) -> Schema:
    """Return a spec's rule as one of the resource, in force once its object was in sync."""
    of_resource = _CEL_ROOTS.sub(r"\1.spec.", rule["rule"])
    return rule | {
        "rule": f"{_NEVER_IN_SYNC} || ({of_resource})",
        "fieldPath": f".spec{rule.get('fieldPath', '')}",
    }


def _column(column: Column) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.json_path,
    }
    return out | ({"priority": 1} if column.wide else {})
