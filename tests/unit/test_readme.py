"""Every command that the README and the guides name exists and takes what they give it.

That the two main ones do what they say is shown by running them: `tests/quickstart`, this suite.
"""

import argparse
import importlib
import importlib.util
import os
import re
import runpy
import shlex
from pathlib import Path

import pytest

from reco.api.kinds import KINDS
from reco.cli.main import SUBCOMMANDS
from reco.engines.incluster.states import OUT_OF_SERVICE

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "docs/backup-and-restore.md",
    "docs/in-cluster.md",
    "docs/runs.md",
    "docs/tenancy.md",
    "examples/switch-engine/README.md",
)


def commands() -> list[str]:
    """Return the commands in shell blocks and between backticks, without their comments."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text()
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            found += block.splitlines()
        found += re.findall(r"`((?:uv run|scripts/)[^`\n]*)`", text)
    return sorted({command.partition(" #")[0].strip() for command in found} - {""})


def parser_of_reco() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True)
    for name in SUBCOMMANDS:
        importlib.import_module(f"reco.cli.{name}").add_parser(subparsers)
    return parser


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_exists_and_takes_its_arguments(command: str) -> None:
    words = shlex.split(re.sub(r"\[.*?\]", "", command))
    match words:
        case ["uv", "run", "reco", *arguments]:
            parser_of_reco().parse_args(arguments)
        case ["uv", "run", "python", "-m", module, *_]:
            assert importlib.util.find_spec(module) is not None
        case ["uv", "run", "python", script, *arguments] if script.endswith(".py"):
            runpy.run_path(str(ROOT / script))["parser"]().parse_args(arguments)
        case ["kubectl", "apply" | "create" | "delete", *arguments] if "-f" in arguments:
            file = arguments[arguments.index("-f") + 1]
            assert file in {"backup.yaml", "estate.yaml"} or (ROOT / file).exists()
        case ["kubectl", "get", "namespace", "kube-system", *_]:
            pass
        case ["kubectl", "get" | "wait" | "annotate" | "delete", kinds, *_]:
            assert set(kinds.partition("/")[0].split(",")) <= {
                name for one in KINDS.values() for name in (one.singular, one.plural)
            }
        case ["kubectl", "taint", "node", _, taint]:
            assert taint.partition("=")[0] == OUT_OF_SERVICE
        case ["kubectl", "port-forward", service, _]:
            assert service.startswith("service/")
        case [script, *_] if script.startswith("scripts/"):
            assert os.access(ROOT / script, os.X_OK)
        case _:
            pytest.fail(f"nobody checks {command!r}")


def test_there_are_commands_to_check() -> None:
    assert {"scripts/quickstart", "scripts/test"} <= set(commands())
