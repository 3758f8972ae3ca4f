"""How good the recipes are, what new events are worth, and what training and answers cost.

    uv run python -m benchmarks.recipes.run [--only PART ...] [--movielens DIR] [--json FILE]

Every number but the published rows is measured in this run. Each row of quality and cost has a
process of its own, so that peak memory is that of its trainings. Ends with 1 if a bar is missed.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.recipes import answers, quality, recency, scale
from benchmarks.recipes.quality import Case, Measured
from hack.datasets import Dataset, default_dataset, find_movielens, movielens

PARTS = ("quality", "recency", "answers", "predictors", "scale")
LEAST_LIFT = 0.5


def measured(
    dataset: Dataset, cases: Sequence[Case], folds: Sequence[NDArray[np.str_]]
) -> Iterator[Measured]:
    """Measure each case in a fresh process."""
    for case in cases:
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            yield fresh.apply(quality.measure, (dataset, case, folds))


def main() -> int:
    """Measure, print, and write the report if asked to; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts (all)")
    parser.add_argument("--movielens", type=Path, help="directory of ml-latest-small")
    parser.add_argument("--folds", type=int, default=10, help="how many folds of users (10)")
    parser.add_argument("--cost-folds", type=int, default=5, help="how many for predictors (5)")
    parser.add_argument("--factors", type=float, nargs="+", default=[1, 10, 100], help="of scale")
    parser.add_argument("--seed", type=int, default=7, help="shuffles the users into folds (7)")
    parser.add_argument("--json", type=Path, help="where to write the report")
    arguments = parser.parse_args()
    # Threads of BLAS would make times depend on who else is there, and implicit ten times slower.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

    console = Console(width=None if sys.stdout.isatty() else 170)
    directory = arguments.movielens or find_movielens()
    dataset = movielens(directory) if directory else default_dataset()
    users = np.unique(dataset.interactions.user_ids)
    shuffled = np.random.default_rng(arguments.seed).permutation(users)
    folds = np.array_split(shuffled, arguments.folds)
    report: dict[str, object] = {
        "dataset": dataset.name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {multiprocessing.cpu_count()} processors",
        "folds": arguments.folds,
        "seed": arguments.seed,
    }
    bars: list[tuple[str, bool]] = []

    if "quality" in arguments.only:
        found = list(measured(dataset, quality.quality_cases(), folds))
        console.print(quality.quality_table(found, f"{dataset.name}, {len(folds)} folds of users"))
        report["quality"] = [quality.as_json(one) for one in found]
        bars += quality.gates(found)
    if "recency" in arguments.only and directory:
        lifts = recency.measure(directory)
        console.print(recency.table(lifts))
        report["recency"] = [lift.as_json() for lift in lifts]
        first = lifts[0]
        said = f"five recent events: {first.share:+.0%} NDCG@10, at least {LEAST_LIFT:+.0%}"
        bars.append((said, first.share >= LEAST_LIFT))
    if "answers" in arguments.only:
        timings = answers.measure(dataset)
        console.print(answers.table(timings))
        report["answers"] = [asdict(timing) for timing in timings]
        bars += [
            (
                f"{one.name}: {one.per_second:,.0f} a second, at least {one.least_per_second:,.0f}",
                one.per_second >= one.least_per_second,
            )
            for one in timings
        ]
    if "predictors" in arguments.only:
        some = folds[: arguments.cost_folds]
        found = list(measured(dataset, quality.cost_cases(), some))
        console.print(quality.cost_table(found, len(some)))
        report["predictors"] = [quality.as_json(one) for one in found]
    if "scale" in arguments.only:
        costs = list(scale.measure_all(arguments.factors))
        console.print(scale.table(costs))
        report["scale"] = [asdict(cost) for cost in costs]

    for bar, met in bars:
        console.print(f"{'met   ' if met else 'MISSED'} {bar}")
    report["bars"] = [{"bar": bar, "met": met} for bar, met in bars]
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(not all(met for _, met in bars))


if __name__ == "__main__":
    sys.exit(main())
