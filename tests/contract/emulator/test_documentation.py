"""docs/emulator.md says what the code does."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reco.cli import emulate
from reco.emulator.faults import KINDS_OF_FAULTS
from reco.emulator.kinds import PHASES

PAGE = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text()


def rows(after: str) -> dict[str, list[str]]:
    """Read the first table after a text: cells by the code words of the first column."""
    table = re.findall(r"(?:^\|.*\n)+", PAGE[PAGE.index(after) :], re.MULTILINE)[0]
    found: dict[str, list[str]] = {}
    for line in table.splitlines()[2:]:
        first, *others = (cell.strip() for cell in line.strip("|").split(" | "))
        for word in re.findall(r"`([^`]+)`", first):
            found[word.split()[0]] = [cell.strip("| ") for cell in others]
    return found


def test_the_table_of_durations_is_that_of_the_code() -> None:
    documented = {
        label.replace("...", "SolutionVersion"): (float(cells[0]), float(cells[1] or 0))
        for label, cells in rows("## Time").items()
    }
    assert documented == {label: (one.total, one.pending) for label, one in PHASES.items()}


def test_every_fault_is_documented() -> None:
    assert list(rows("### Faults")) == list(KINDS_OF_FAULTS)


def test_every_flag_is_documented() -> None:
    parser = emulate.add_parser(argparse.ArgumentParser().add_subparsers())
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert set(rows("## Start")) == flags - {"-h", "--help"}


def test_the_fixtures_for_other_peoples_tests_work(tmp_path: Path) -> None:
    example = re.findall(r"```python\n(.*?)```", PAGE[PAGE.index("## In your tests") :], re.DOTALL)[
        0
    ]
    (tmp_path / "test_example.py").write_text(example)
    here = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_example.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{here}{os.pathsep}{os.environ['PATH']}",
            "PYTEST_ADDOPTS": "",  # what is asked of this run is not asked of that one
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    "flags",
    [
        ["--duration", "Cheese=3"],
        ["--duration", "Campaign=-3"],
        ["--quota", "Cheese=3"],
        ["--page-size", "0"],
        ["--state", "/no/such/folder/state.db"],
    ],
)
def test_the_command_refuses_what_cannot_work(flags: list[str]) -> None:
    parser = argparse.ArgumentParser()
    emulate.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["emulate", "--listen", "127.0.0.1:0", *flags])
    assert emulate.run(arguments) == 2
