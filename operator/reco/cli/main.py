"""The `reco` command: one subcommand a module, each with its own arguments."""

import argparse
import importlib
import sys
from collections.abc import Sequence

SUBCOMMANDS = ("operate", "emulate", "generate")
"""Modules of this package with `add_parser(subparsers)` and `run(arguments)`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="reco", description="Recommendations as Kubernetes resources."
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in SUBCOMMANDS:
        importlib.import_module(f"reco.cli.{name}").add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    return int(importlib.import_module(f"reco.cli.{parsed.command}").run(parsed))


if __name__ == "__main__":
    sys.exit(main())
