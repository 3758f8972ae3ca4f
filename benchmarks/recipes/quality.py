"""How good the recipes are, beside the published service, popularity and the library `implicit`.

Protocol: users in ten folds; a model trained on the others sees the oldest 90 % of a test user's
events and is compared with the newest 10 %, by Amazon Personalize's metric definitions. The peers
can't take a user in that they were not trained with (BPR), so both learn from what test users may
show as well, which flatters them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from numpy.typing import NDArray
from rich.table import Table
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.recipes.scale import peak_megabytes
from hack.datasets import Dataset
from reco.recipes import train
from reco.recipes.encoding import Log
from reco.recipes.linear import LinearSettings
from reco.recipes.metrics import LONGEST, Outcome, coverage, per_user, textbook_per_user
from reco.recipes.training import HeldOutUser, hold_out, outcomes

METRICS = {
    "mean_reciprocal_rank_at_25": "MRR@25",
    "normalized_discounted_cumulative_gain_at_5": "NDCG@5",
    "normalized_discounted_cumulative_gain_at_10": "NDCG@10",
    "normalized_discounted_cumulative_gain_at_25": "NDCG@25",
    "precision_at_5": "P@5",
    "precision_at_10": "P@10",
    "precision_at_25": "P@25",
    "textbook_ndcg_at_10": "textbook NDCG@10",
}
NDCG = "normalized_discounted_cumulative_gain_at_10"
POPULARITY = "popularity, seen removed"
PERSONAL = "aws-user-personalization-v2"
ALS, BPR = "implicit: ALS", "implicit: BPR"

# What a drop-in for the service must reach on this data, means over ten folds.
GATES = {
    NDCG: 0.265,
    "precision_at_10": 0.075,
    "mean_reciprocal_rank_at_25": 0.22,
    "coverage": 0.065,
}
GATED = ("aws-user-personalization", PERSONAL)
PERSONALISED = (*GATED, "aws-sims", "aws-similar-items", "reco-als")

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
    """One training of the report: a recipe with settings, and what to ask of it."""

    name: str
    recipe: str
    settings: LinearSettings = field(default_factory=LinearSettings)
    remove_seen: bool | None = None


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
        """Return a metric's mean over all test users, of coverage over folds."""
        if metric == "coverage":
            return self.coverage
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
        Case(PERSONAL, PERSONAL),
        Case("aws-trending-now", "aws-trending-now"),
        Case("reco-als", "reco-als"),
        Case(ALS, ALS),
        Case(BPR, BPR),
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


def measure(dataset: Dataset, case: Case, folds: Sequence[NDArray[np.str_]]) -> Measured:
    """Train and ask, fold by fold."""
    log = Log.of(dataset.interactions)
    size = len(np.union1d(log.item_ids, dataset.items.ids))
    answer = _PEERS.get(case.recipe, _recipe)
    of_folds, seconds = [], []
    for fold in folds:
        rest, users = hold_out(log, fold)
        answers, took = answer(dataset, case, rest, users)
        of_folds.append(answers)
        seconds.append(took)
    every = [outcome for of_fold in of_folds for outcome in of_fold]
    return Measured(
        case.name,
        case,
        per_user(every) | textbook_per_user(every),
        float(np.mean([coverage(of_fold, size) for of_fold in of_folds])),
        float(np.mean(seconds)),
        peak_megabytes(),
    )


Answer = Callable[[Dataset, Case, Log, list[HeldOutUser]], tuple[list[Outcome], float]]


def _recipe(
    dataset: Dataset, case: Case, rest: Log, users: list[HeldOutUser]
) -> tuple[list[Outcome], float]:
    started = time.perf_counter()
    model = train(case.recipe, rest, items=dataset.items, linear_settings=case.settings)
    seconds = time.perf_counter() - started
    return outcomes(model, users, remove_seen=case.remove_seen), seconds


def _peer(make: Callable[[], AlternatingLeastSquares | BayesianPersonalizedRanking]) -> Answer:
    def answer(
        dataset: Dataset, case: Case, rest: Log, users: list[HeldOutUser]
    ) -> tuple[list[Outcome], float]:
        del dataset, case
        position = {item: at for at, item in enumerate(rest.item_ids.tolist())}
        rows = [rest.users.astype(np.int64)]
        columns = [rest.items.astype(np.int64)]
        for at, user in enumerate(users, len(rest.user_ids)):
            known = {position[event.item_id] for event in user.history}
            columns.append(np.array(sorted(known), dtype=np.int64))
            rows.append(np.full(len(known), at))
        row, column = np.concatenate(rows), np.concatenate(columns)
        table = sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)))
        table.data[:] = 1
        started = time.perf_counter()
        with threadpool_limits(1, "blas"):
            model = make()
            model.fit(table, show_progress=False)
        seconds = time.perf_counter() - started
        asked = np.arange(len(rest.user_ids), table.shape[0])
        found, _ = model.recommend(asked, table[asked], N=LONGEST, filter_already_liked_items=True)
        return [
            Outcome(rest.item_ids[items].tolist(), user.relevant)
            for items, user in zip(found, users, strict=True)
        ], seconds

    return answer


_PEERS: dict[str, Answer] = {
    ALS: _peer(
        lambda: AlternatingLeastSquares(
            factors=64, regularization=1.0, alpha=2.0, iterations=15, num_threads=1, random_state=0
        )
    ),
    BPR: _peer(
        lambda: BayesianPersonalizedRanking(
            factors=64, iterations=200, num_threads=1, random_state=0
        )
    ),
}


def quality_table(measured: Sequence[Measured], title: str) -> Table:
    """Show quality, each mean with its standard error, beside the published rows."""
    table = Table(title=title, caption="mean over test users; small: its standard error")
    for column in ("", "coverage", *METRICS.values()):
        table.add_column(column, justify="right" if column else "left")
    for name, (published_coverage, values) in PUBLISHED.items():
        table.add_row(name, f"{published_coverage:.4f}", *(f"{value:.4f}" for value in values), "")
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


def gates(measured: Sequence[Measured]) -> Iterator[tuple[str, bool]]:
    """Yield every bar in words, and whether it is met."""
    by_name = {one.name: one for one in measured}
    for name in GATED:
        for metric, bar in GATES.items():
            value = by_name[name].mean(metric)
            title = METRICS.get(metric, metric)
            yield f"{name}: {title} {value:.4f}, at least {bar}", value >= bar
    popular = by_name[POPULARITY].values[NDCG]
    for name in PERSONALISED:
        gap = by_name[name].values[NDCG] - popular
        errors = float(gap.mean() / (gap.std(ddof=1) / np.sqrt(len(gap))))
        yield (
            f"{name}: NDCG@10 {errors:+.1f} standard errors from popularity (paired), at least +2",
            errors >= 2,
        )
    for peer in (ALS, BPR):
        ahead = by_name[PERSONAL].mean(NDCG) / by_name[peer].mean(NDCG)
        yield f"{PERSONAL}: {ahead:.2f} times the NDCG@10 of {peer}, at least 1", ahead >= 1
