"""How good the recipes are, beside the published service and popularity, and what they cost.

    uv run python benchmarks/recipes/run.py [--movielens DIR] [--folds 10] [--json FILE]

Protocol: users in ten folds; a model trained on the others sees the oldest 90 % of a test user's
events and is compared with the newest 10 %, by Amazon Personalize's metric definitions. Every
number but the published rows is measured in this run. Each row has a process of its own, so that
peak memory is that of its trainings.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.datasets import Dataset, default_dataset, movielens
from reco.recipes import train
from reco.recipes.linear import LinearSettings
from reco.recipes.metrics import Outcome, coverage, per_user
from reco.recipes.training import HeldOutUser, hold_out, outcomes

METRICS = {
    "mean_reciprocal_rank_at_25": "MRR@25",
    "normalized_discounted_cumulative_gain_at_5": "NDCG@5",
    "normalized_discounted_cumulative_gain_at_10": "NDCG@10",
    "normalized_discounted_cumulative_gain_at_25": "NDCG@25",
    "precision_at_5": "P@5",
    "precision_at_10": "P@10",
    "precision_at_25": "P@25",
}
NDCG = "normalized_discounted_cumulative_gain_at_10"
POPULARITY = "popularity, seen removed"
PERSONAL = "aws-user-personalization-v2"
STALE = f"{PERSONAL}, last 5 events hidden"

# Amazon's own results on ml-latest-small, from the completed notebooks of
# github.com/aws-samples/amazon-personalize-samples, next_steps/workshops/POC_in_a_box (2020-09).
# One split of about 61 users; the service does not say whether seen items were removed.
PUBLISHED = {
    "service: aws-user-personalization": (
        0.0791,
        (0.2690, 0.2279, 0.2687, 0.3321, 0.0750, 0.0571, 0.0379),
    ),
    "service: aws-sims": (0.1861, (0.1669, 0.1889, 0.2234, 0.2895, 0.0824, 0.0588, 0.0418)),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One training of the report: a recipe with settings, and what to ask of it.

    `hidden` asks the same models once for each number of newest events held from them.
    """

    name: str
    recipe: str
    settings: LinearSettings = field(default_factory=LinearSettings)
    remove_seen: bool | None = None
    hidden: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: per-user metric values over all folds, mean coverage, cost per training."""

    name: str
    case: Case
    values: dict[str, NDArray[np.float64]]
    coverage: float
    seconds: float
    peak_megabytes: float

    def mean(self, metric: str) -> float:
        """Return a metric's mean over all test users."""
        return float(self.values[metric].mean())

    def error(self, metric: str) -> float:
        """Return the standard error of that mean."""
        return float(self.values[metric].std(ddof=1) / np.sqrt(len(self.values[metric])))


def quality_cases() -> list[Case]:
    """Return the recipes to compare; ranking uses the same models as personalisation."""
    return [
        Case(POPULARITY, "aws-popularity-count", remove_seen=True),
        Case("aws-popularity-count", "aws-popularity-count"),
        Case("aws-sims", "aws-sims"),
        Case("aws-similar-items", "aws-similar-items"),
        Case("aws-user-personalization", "aws-user-personalization"),
        Case(PERSONAL, PERSONAL, hidden=(0, 5)),
    ]


def cost_cases() -> list[Case]:
    """Return the sweep over how many interactions an item needs to predict others."""
    base = LinearSettings()
    return [
        Case(
            f"at least {minimum}{'' if stand_ins else ', no stand-ins'}",
            PERSONAL,
            replace(base, minimum_predictor_count=minimum, cheap_predictors=0, stand_ins=stand_ins),
        )
        for minimum, stand_ins in ((50, 8), (20, 8), (20, 0), (10, 8), (10, 0), (5, 8))
    ]


def without_newest(user: HeldOutUser, events: int) -> HeldOutUser:
    """Return the user as known before their newest events arrived; at least one stays."""
    return replace(user, history=user.history[: max(1, len(user.history) - events)])


def measure(dataset: Dataset, case: Case, folds: Sequence[NDArray[np.str_]]) -> list[Measured]:
    """Train and ask, fold by fold; one row for each number of hidden events."""
    size = len(np.union1d(dataset.interactions.item_ids, dataset.items.ids))
    returned: dict[int, list[list[Outcome]]] = {events: [] for events in case.hidden}
    seconds = []
    for fold in folds:
        rest, users = hold_out(dataset.interactions, fold)
        started = time.perf_counter()
        model = train(case.recipe, rest, items=dataset.items, linear_settings=case.settings)
        seconds.append(time.perf_counter() - started)
        for events, of_folds in returned.items():
            asked = [without_newest(user, events) for user in users]
            of_folds.append(outcomes(model, asked, remove_seen=case.remove_seen))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Measured(
            f"{case.name}, last {events} events hidden" if events else case.name,
            case,
            per_user(outcome for of_fold in of_folds for outcome in of_fold),
            float(np.mean([coverage(of_fold, size) for of_fold in of_folds])),
            float(np.mean(seconds)),
            peak,
        )
        for events, of_folds in returned.items()
    ]


def quality_table(measured: Sequence[Measured], title: str) -> Table:
    """Show quality, each mean with its standard error, beside the published rows."""
    table = Table(title=title, caption="mean over test users; small: its standard error")
    for column in ("", "coverage", *METRICS.values()):
        table.add_column(column, justify="right" if column else "left")
    for name, (published_coverage, values) in PUBLISHED.items():
        table.add_row(name, f"{published_coverage:.4f}", *(f"{value:.4f}" for value in values))
    table.add_section()
    for one in measured:
        table.add_row(
            one.name,
            f"{one.coverage:.4f}",
            *(f"{one.mean(name):.4f} [dim]{one.error(name):.4f}[/]" for name in METRICS),
        )
    return table


def cost_table(measured: Sequence[Measured], folds: int) -> Table:
    """Show what fewer predictors cost in quality and save in time and memory."""
    table = Table(title=f"How many users make an item predict others: what it costs, {folds} folds")
    for column in ("", "coverage", "NDCG@10", "P@10", "train s", "peak MB"):
        table.add_column(column, justify="right" if column else "left")
    for one in measured:
        table.add_row(
            one.name,
            f"{one.coverage:.4f}",
            f"{one.mean(NDCG):.4f} [dim]{one.error(NDCG):.4f}[/]",
            f"{one.mean('precision_at_10'):.4f}",
            f"{one.seconds:.1f}",
            f"{one.peak_megabytes:.0f}",
        )
    return table


def as_json(measured: Measured) -> dict[str, object]:
    """Return one case for the report file."""
    return {
        "name": measured.name,
        "recipe": measured.case.recipe,
        "settings": asdict(measured.case.settings),
        "users": len(measured.values[NDCG]),
        "coverage": round(measured.coverage, 4),
        "trainSeconds": round(measured.seconds, 2),
        "peakMegabytes": round(measured.peak_megabytes),
        "metrics": {
            name: {
                "mean": round(measured.mean(name), 4),
                "standardError": round(measured.error(name), 4),
            }
            for name in METRICS
        },
    }


def findings(measured: Sequence[Measured]) -> list[str]:
    """Say how far above popularity each recipe is and what the newest events are worth."""
    by_name = {one.name: one for one in measured}
    popular = by_name[POPULARITY].values[NDCG]
    lines = []
    for name in ("aws-similar-items", "aws-user-personalization", PERSONAL):
        gap = by_name[name].values[NDCG] - popular
        errors = gap.mean() / (gap.std(ddof=1) / np.sqrt(len(gap)))
        lines.append(f"{name} is {errors:+.1f} standard errors from popularity in NDCG@10 (paired)")
    lift = by_name[PERSONAL].mean(NDCG) / by_name[STALE].mean(NDCG) - 1
    lines.append(f"a user's last 5 events are worth {lift:+.0%} of NDCG@10")
    return lines


def main() -> None:
    """Measure, print, and write the report if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--movielens", type=Path, help="directory of ml-latest-small")
    parser.add_argument("--folds", type=int, default=10, help="how many folds of users (10)")
    parser.add_argument("--cost-folds", type=int, default=5, help="how many of them for costs (5)")
    parser.add_argument("--seed", type=int, default=7, help="shuffles the users into folds (7)")
    parser.add_argument("--json", type=Path, help="where to write the report")
    arguments = parser.parse_args()

    console = Console(width=None if sys.stdout.isatty() else 160)
    dataset = movielens(arguments.movielens) if arguments.movielens else default_dataset()
    users = np.unique(dataset.interactions.user_ids)
    shuffled = np.random.default_rng(arguments.seed).permutation(users)
    folds = np.array_split(shuffled, arguments.folds)

    def run(cases: Sequence[Case], some: Sequence[NDArray[np.str_]]) -> list[Measured]:
        done: list[Measured] = []
        for case in cases:
            console.print(f"[dim]measuring {case.name}[/]")
            with multiprocessing.get_context("spawn").Pool(1) as fresh:
                done += fresh.apply(measure, (dataset, case, some))
        return done

    quality = run(quality_cases(), folds)
    cost = run(cost_cases(), folds[: arguments.cost_folds])
    console.print(quality_table(quality, f"{dataset.name}, {arguments.folds} folds of users"))
    console.print(cost_table(cost, min(arguments.cost_folds, arguments.folds)))
    for line in findings(quality):
        console.print(line)
    if arguments.json:
        report = {
            "dataset": dataset.name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {multiprocessing.cpu_count()} processors",
            "folds": arguments.folds,
            "costFolds": arguments.cost_folds,
            "seed": arguments.seed,
            "quality": [as_json(one) for one in quality],
            "cost": [as_json(one) for one in cost],
            "findings": findings(quality),
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
