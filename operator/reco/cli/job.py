"""``reco job``: what runs inside Jobs. The task comes in the environment, as RECO_TASK."""

import argparse
import importlib
import signal
import sys
from typing import Any, Final

JOBS: Final = {
    "import": ("reco.jobs.importing", "ImportTask", "check bulk data and keep it as a snapshot"),
    "train": ("reco.jobs.training", "TrainTask", "train, evaluate and keep a model"),
}
"""Module with `run(task, progress)`, and the sort of its task."""
TERMINATED: Final = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM ended, as shells say it."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse names no public type for it
    """Add the command and one subcommand a job."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "job", help="run one job of the in-cluster engine", description=__doc__
    )
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, (_, _, text) in JOBS.items():
        jobs.add_parser(name, help=text)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the job to its end."""
    module, task, _ = JOBS[args.job]
    # Imports take seconds, and the first process of a container has no default for SIGTERM: it
    # would be killed later, which looks like a lack of memory, and not be tried again.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        work = importlib.import_module(module).run
        tasks = importlib.import_module("reco.workload.tasks")
        return int(importlib.import_module("reco.jobs.running").run(getattr(tasks, task), work))
    finally:
        signal.signal(signal.SIGTERM, before)
