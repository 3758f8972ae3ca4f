"""Two opinions on a manifest, which must be the same: the models' and the rendered schema's.

Both are without CEL, which the API server alone runs; see tests/cluster/test_crds.py for that.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not among our tools
import yaml
from pydantic import ValidationError

from reco.api.base import VALIDATIONS
from reco.api.crds import crd
from reco.api.kinds import KINDS
from reco.api.structural import PRESERVE_UNKNOWN
from reco.api.vocabulary import API_VERSION

_YAML_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MATCHES = re.compile(r"self\.matches\(r'(.*)'\)")
_KEY_LENGTH = re.compile(r"self\.all\(key, size\(key\) >= (\d+) && size\(key\) <= (\d+)\)")


def manifests(*paths: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield our manifests in YAML files and in YAML blocks of Markdown files, and where."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        streams = _YAML_BLOCK.findall(text) if path.suffix == ".md" else [text]
        for stream in streams:
            for document in yaml.safe_load_all(stream):
                if isinstance(document, dict) and document.get("apiVersion") == API_VERSION:
                    yield f"{path.name}: {document['kind']}", document


def refused_by_model(manifest: dict[str, Any]) -> str | None:
    """Return why the model refuses a manifest's spec, unknown fields included, or None."""
    try:
        KINDS[manifest["kind"]].spec.model_validate_json(
            json.dumps(manifest["spec"]), strict=True, extra="forbid", by_alias=True, by_name=False
        )
    except ValidationError as error:
        return str(error)
    return None


def refused_by_schema(manifest: dict[str, Any]) -> str | None:
    """Return why the rendered schema refuses a manifest, or None."""
    try:
        jsonschema.validate(manifest["spec"], _spec_schema(manifest["kind"]))
    except jsonschema.ValidationError as error:
        return str(error)
    return None


@cache
def _spec_schema(kind: str) -> dict[str, Any]:
    schema = crd(KINDS[kind])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return _closed(schema["properties"]["spec"])


def _closed(node: dict[str, Any]) -> dict[str, Any]:
    """Return a structural schema as JSON Schema that refuses unknown fields, as kubectl does."""
    out = {key: value for key, value in node.items() if not key.startswith("x-")}
    for rule in node.get(VALIDATIONS, ()):
        if match := _MATCHES.fullmatch(rule["rule"]):
            # Python's expressions have other names for letters, spaces and numbers.
            out["pattern"] = match[1].replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
        if match := _KEY_LENGTH.fullmatch(rule["rule"]):
            out["propertyNames"] = {"minLength": int(match[1]), "maxLength": int(match[2])}
    if "properties" in out:
        out["properties"] = {name: _closed(child) for name, child in out["properties"].items()}
        if not node.get(PRESERVE_UNKNOWN):
            out["additionalProperties"] = False
    elif "additionalProperties" in out:
        out["additionalProperties"] = _closed(out["additionalProperties"])
    if "items" in out:
        out["items"] = _closed(out["items"])
    return out
