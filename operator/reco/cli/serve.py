"""`reco serve ROLE`: a pod of the data plane, told what to do by the variable RECO_TASK."""

import argparse
import importlib
import sys
from typing import Any, Final

from reco.workload import tasks

ROLES: Final[dict[str, tuple[type[tasks.Task], str]]] = {
    "ranker": (tasks.RankerTask, "answer for one campaign from its model"),
    "runtime": (tasks.RuntimeTask, "answer for all campaigns of a dataset group by asking rankers"),
    "collector": (tasks.CollectorTask, "take events, items and users"),
    "catalog": (tasks.CatalogTask, "tell what lies in storage and in sources"),
    "consumer": (tasks.ConsumerTask, "fold events into histories and the offline log"),
}
"""Modules of `reco.serving` with `serve(task) -> exit code`."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse names no public type for it
    """Add the command and its options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve", help="run a pod of the data plane", description=__doc__
    )
    parser.add_argument(
        "role",
        choices=ROLES,
        help="; ".join(f"{name}: {text}" for name, (_, text) in ROLES.items()),
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    kind, _ = ROLES[args.role]
    try:
        task = kind.from_environment()
    except ValueError as error:
        sys.stderr.write(f"reco serve {args.role}: {error}\n")
        return 2
    return int(importlib.import_module(f"reco.serving.{args.role}").serve(task))
