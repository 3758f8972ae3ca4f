"""The table of mutants fits the product, and what runs it tells right from wrong."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.mutant import Edit, Mutant, StaleError, product
from tests.mutants.run import ROOT, main
from tests.mutants.running import (
    Fate,
    baseline,
    check_imports,
    judge,
    python_of,
    run_tests,
    try_out,
)
from tests.mutants.table import MUTANTS

ROW = Mutant("row", "harm", (), (), says="R4", seconds=5)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_row_fits_the_product_and_its_tests(mutant: Mutant) -> None:
    assert mutant.problem(ROOT) is None
    assert all(edit.old != edit.new for edit in mutant.edits)
    for edit in mutant.edits:
        changed = (ROOT / edit.file).read_text().replace(edit.old, edit.new)
        compile(changed, edit.file, "exec")


def test_names_are_unique() -> None:
    assert [name for name, n in Counter(m.name for m in MUTANTS).items() if n > 1] == []


@pytest.mark.parametrize("content", ["", "good\ngood\n"])
def test_text_that_is_not_there_exactly_once_is_stale(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.py").write_text(content)
    edit = Edit("a.py", "good", "bad")
    with pytest.raises(StaleError, match="not once"):
        edit.apply(tmp_path)
    assert (tmp_path / "a.py").read_text() == content
    assert Mutant("row", "harm", (edit,), ()).problem(tmp_path) is not None


@pytest.mark.parametrize("test", ["test_gone.py", "test_a.py::test_gone"])
def test_a_test_that_is_gone_is_told(tmp_path: Path, test: str) -> None:
    (tmp_path / "test_a.py").write_text("def test_a() -> None: ...\n")
    assert Mutant("row", "harm", (), ("test_a.py::test_a[1]",)).problem(tmp_path) is None
    assert Mutant("row", "harm", (), (test,)).problem(tmp_path) == f"there is no test {test}"


@pytest.mark.parametrize(
    ("code", "output", "fate"),
    [
        (0, "R4", Fate.SURVIVED),
        (1, "R4: trained 2 times", Fate.KILLED),
        (1, "another reason", Fate.SURVIVED),
        (None, "", Fate.KILLED),
        (2, "R4", Fate.STALE),
        (4, "no such test", Fate.STALE),
        (5, "nothing collected", Fate.STALE),
    ],
)
def test_only_a_test_that_fails_for_the_reason_kills(
    code: int | None, output: str, fate: Fate
) -> None:
    assert judge(ROW, code, output).fate is fate


def test_the_changed_copy_is_what_its_tests_import(tmp_path: Path) -> None:
    """Even where the checkout is installed, and in processes without variables of their own."""
    package = tmp_path / "operator" / "reco"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("WHOSE = 'copy'\n")
    (tmp_path / "test_whose.py").write_text(
        "import reco, subprocess, sys\n"
        "def test_whose():\n"
        "    code = 'import reco; print(reco.WHOSE)'\n"
        "    command = (sys.executable, '-c', code)\n"
        "    told = subprocess.run(command, env={}, cwd='/', capture_output=True, text=True)\n"
        "    assert told.stdout == reco.WHOSE + '\\n' == 'copy\\n', told.stderr\n"
    )
    python = python_of(tmp_path)
    check_imports(python, tmp_path, ["reco"])
    with pytest.raises(StaleError, match="not the copy"):
        check_imports(python, tmp_path, ["pytest"])
    code, output = run_tests(tmp_path, ["test_whose.py"], 60)
    assert code == 0, output


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a product of one line, with a test of it."""
    for name, content in {
        "operator/reco/__init__.py": "",
        "operator/reco/price.py": "def price() -> int:\n    return 7\n",
        "test_price.py": (
            "from reco.price import price\n"
            "def test_price(): assert price() == 7\n"
            "def test_sign(): assert price() > 0\n"
            "def test_wrong(): assert price() == 1\n"
        ),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    subprocess.run(("git", "init", "--quiet"), cwd=tmp_path, check=True)
    return tmp_path


def test_a_mutant_changes_a_copy_and_never_the_checkout(checkout: Path) -> None:
    edit = product("price.py", "return 7", "return 8")
    noticed = Mutant("dearer", "", (edit,), ("test_price.py::test_price",))
    missed = Mutant("dearer", "", (edit,), ("test_price.py::test_sign",))
    before = (checkout / edit.file).read_text()

    assert try_out(noticed, checkout).fate is Fate.KILLED
    assert try_out(missed, checkout).fate is Fate.SURVIVED
    assert (checkout / edit.file).read_text() == before
    assert sorted(path.name for path in checkout.iterdir()) == [".git", "operator", "test_price.py"]


def test_tests_that_fail_anyway_are_told(checkout: Path) -> None:
    edit = product("price.py", "return 7", "return 8")
    failing = Mutant("dearer", "", (edit,), ("test_price.py::test_wrong",))

    assert "without a mutant" in (baseline([failing], checkout) or "")


def test_tests_without_end_are_ended(tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text("import time\ndef test_slow(): time.sleep(60)\n")
    python_of(tmp_path)
    code, _ = run_tests(tmp_path, ["test_slow.py"], 1)
    assert code is None


def test_the_table_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "no-fence"]) == 0
    assert capsys.readouterr().out.startswith("no-fence ")
    with pytest.raises(SystemExit):
        main(["--only", "nobody"])
