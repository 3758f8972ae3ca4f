import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest

from reco.api import vocabulary
from reco.api.docs import api_reference, attribute_docs
from reco.api.kinds import KINDS
from reco.api.vocabulary import ConditionType, Reason
from reco.cli import generate

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    generate.add_parser(parser.add_subparsers())
    args = parser.parse_args(["generate", *arguments])
    status: int = args.run(args)
    return status


def names(root: Path) -> Sequence[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_is_checked_in_is_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--check", "--root", str(ROOT)) == 0, capsys.readouterr().out


def test_generate_writes_a_file_for_each_kind_and_the_references(tmp_path: Path) -> None:
    assert run("--root", str(tmp_path)) == 0

    kinds = [f"crds/{kind.plural}.yaml" for kind in KINDS.values()]
    assert names(tmp_path) == sorted([*kinds, "docs/api.md", "docs/recipes.md"])
    assert run("--check", "--root", str(tmp_path)) == 0


def test_check_shows_what_differs_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--root", str(tmp_path))
    edited = tmp_path / "crds" / "campaigns.yaml"
    edited.write_text(edited.read_text().replace("- camp\n", "- campaign\n"))
    before = edited.read_text()

    assert run("--check", "--root", str(tmp_path)) == 1

    shown = capsys.readouterr()
    assert "-    - campaign\n+    - camp\n" in shown.out
    assert "run `reco generate`" in shown.err
    assert edited.read_text() == before


def test_the_crd_of_a_kind_that_is_gone_is_removed(tmp_path: Path) -> None:
    run("--root", str(tmp_path))
    stale = tmp_path / "crds" / "gone.yaml"
    stale.write_text("kind: CustomResourceDefinition\n")

    assert run("--check", "--root", str(tmp_path)) == 1
    run("--root", str(tmp_path))

    assert not stale.exists()


def test_every_word_of_a_status_and_every_annotation_is_explained() -> None:
    for enum in (ConditionType, Reason):
        assert attribute_docs(enum).keys() == {one.name for one in enum}
    documented = attribute_docs(vocabulary)
    assert all(name in documented for name in vars(vocabulary) if name.startswith("ANNOTATION_"))


def test_the_reference_says_which_fields_keep_their_first_value() -> None:
    page = api_reference()

    row = next(
        line for line in page.splitlines() if line.startswith("| `solutionConfig.hpoConfig`")
    )
    assert row.endswith("*Fixed.* |")
    assert "spec must have exactly one of 'recipe' and 'performAutoML: true'." in page
