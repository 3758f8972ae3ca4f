from pathlib import Path
from typing import Any

import pytest

from tests.unit.api.verdicts import manifests, refused_by_model, refused_by_schema

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ACCEPTED = sorted((ROOT / "tests/cluster/corpus/accepted").glob("*.yaml"))
REFUSED = sorted((ROOT / "tests/cluster/corpus/refused").glob("*.yaml"))

# The models don't know which lists are sets; the API server refuses what is there twice.
good = list(manifests(*EXAMPLES, *DOCUMENTS, *ACCEPTED))
other = list(manifests(*REFUSED))


@pytest.mark.parametrize("manifest", [m for _, m in good], ids=[where for where, _ in good])
def test_every_example_is_accepted_by_the_models_and_by_the_schema(
    manifest: dict[str, Any],
) -> None:
    assert refused_by_model(manifest) is None
    assert refused_by_schema(manifest) is None


@pytest.mark.parametrize("manifest", [m for _, m in other], ids=[where for where, _ in other])
def test_models_and_schema_agree_on_bad_manifests(manifest: dict[str, Any]) -> None:
    by_model, by_schema = refused_by_model(manifest), refused_by_schema(manifest)

    assert (by_model is None) == (by_schema is None), by_model or by_schema
