"""Every rule of the CRDs has a manifest that the API server is known to refuse by it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reco.api.base import VALIDATIONS
from reco.api.crds import crd
from reco.api.kinds import KINDS, Kind

REFUSED = Path(__file__).parents[2] / "cluster" / "corpus" / "refused"
EXPECTED = [path.read_text().partition("\n")[0] for path in sorted(REFUSED.glob("*.yaml"))]


def nodes(schema: dict[str, Any], path: str = "spec") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def refusals(kind: Kind) -> Iterator[str]:
    resource = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found = dict(nodes(resource["properties"]["spec"]))
    for path, node in [("", resource), *found.items()]:
        for rule in node.get(VALIDATIONS, ()):
            if rule.get("reason") == "FieldValueForbidden":
                field = f"{path}{rule['fieldPath']}".removeprefix(".")
                if len(found[field].get("enum", ())) == 1:
                    continue  # there is nothing yet that it could be changed to
                yield f"{field}: Forbidden: {rule['message']}"
            else:
                yield rule["message"]
        if "enum" in node and "[]" not in path:
            yield f"{path}: Unsupported value"


@pytest.mark.parametrize(
    "text", sorted({text for kind in KINDS.values() for text in refusals(kind)})
)
def test_every_rule_and_enumeration_has_a_refused_manifest(text: str) -> None:
    assert any(text in expected for expected in EXPECTED)
