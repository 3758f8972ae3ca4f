"""The `reco` command: one subcommand a module, each with its own arguments.

Only the module of the command that was asked for is imported: an image holds what its role needs,
and the operator's has no numpy.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

SUBCOMMANDS = {
    "operate": "run the operator",
    "emulate": "serve an Amazon Personalize for tests",
    "job": "run one job of the in-cluster engine",
    "serve": "run a pod of the data plane",
    "generate": "render CRDs and the API reference from the models",
}
"""Modules of this package with `add_parser(subparsers)` and `run(arguments)`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="reco", description="Recommendations as Kubernetes resources."
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = given[0] if given else None
    for name, text in SUBCOMMANDS.items():
        if name == chosen:
            importlib.import_module(f"reco.cli.{name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=text)
    parsed = parser.parse_args(given)
    return int(importlib.import_module(f"reco.cli.{parsed.command}").run(parsed))


if __name__ == "__main__":
    sys.exit(main())
