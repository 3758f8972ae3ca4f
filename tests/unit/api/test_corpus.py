"""Every rule of the CRDs has a manifest that the API server is known to refuse by it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reco.api.base import VALIDATIONS
from reco.api.kinds import KINDS, Kind
from reco.api.structural import structural

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
    found = dict(nodes(structural(kind.spec)))
    for path, node in found.items():
        for rule in node.get(VALIDATIONS, ()):
            if "fieldPath" in rule:
                target = found[f"{path}{rule['fieldPath']}"]
                if len(target.get("enum", ())) == 1:
                    continue  # there is nothing yet that it could be changed to
                yield f"{path}{rule['fieldPath']}: Forbidden: {rule['message']}"
            else:
                yield rule["message"]
        if "enum" in node and "[]" not in path:
            yield f"{path}: Unsupported value"


@pytest.mark.parametrize(
    "text", sorted({text for kind in KINDS.values() for text in refusals(kind)})
)
def test_every_rule_and_enumeration_has_a_refused_manifest(text: str) -> None:
    assert any(text in expected for expected in EXPECTED)
