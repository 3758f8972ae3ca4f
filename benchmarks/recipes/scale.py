"""How training cost grows: time and peak memory at 1, 10 and 100 times the size of MovieLens small.

Users and interactions grow together, items with their square root: 610 users, 9,700 items and
100,000 interactions at 1; 61,000, 97,000 and 10 million at 100. Interactions come in batches, as
from files. Each training has a process of its own, so that peak memory is its own.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from reco.recipes import Interactions, Items, Users, predict, save, train

RECIPES = (
    "aws-popularity-count",
    "aws-trending-now",
    "aws-user-personalization-v2",
    "aws-similar-items",
    "aws-sims",
    "reco-als",
    "reco-heuristic-topics",
)

_GENRES = 20
_USERS_AT_ONCE = 500
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Size:
    """How much data there is."""

    factor: float

    @property
    def users(self) -> int:
        """The number of users."""
        return round(610 * self.factor)

    @property
    def items(self) -> int:
        """The number of items."""
        return int(9_700 * self.factor**0.5)

    @property
    def interactions(self) -> int:
        """The number of interactions, nearly."""
        return round(100_000 * self.factor)


def batches(size: Size, seed: int = 0) -> Iterator[Interactions]:
    """Make up interactions with long tails of users and items, tastes and sequences.

    Lengths of histories are log-normal (a few users have thousands), items of a genre are drawn by
    Zipf's law, users keep to two genres mostly, and half of the time go on to one of the next items
    of the genre, like the parts of series.
    """
    rng = np.random.default_rng(seed)
    of_genre = size.items // _GENRES
    zipf = np.cumsum(1 / np.arange(4, of_genre + 4) ** 1.05)
    order = rng.permuted(np.tile(np.arange(of_genre), (_GENRES, 1)), axis=1)
    lengths = rng.lognormal(0.0, 1.3, size.users)
    lengths = 10 + lengths * (size.interactions - 10 * size.users) / lengths.sum()
    lengths = np.minimum(lengths, size.items / 4).astype(np.int64)
    for first in range(0, size.users, _USERS_AT_ONCE):
        counts = lengths[first : first + _USERS_AT_ONCE]
        yield _of_users(rng, first, counts, zipf / zipf[-1], order)


def _of_users(
    rng: np.random.Generator,
    first: int,
    counts: NDArray[np.int64],
    zipf: NDArray[np.float64],
    order: NDArray[np.int64],
) -> Interactions:
    """Return the interactions of consecutive users."""
    total = int(counts.sum())
    user = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    favourites = rng.integers(_GENRES, size=(len(counts), 2))
    genre = favourites[user, (rng.random(total) < 0.3).astype(int)]
    stray = rng.random(total) < 0.1
    genre[stray] = rng.integers(_GENRES, size=int(stray.sum()))
    jumps = rng.random(total) < 0.5
    jumps[starts] = True
    since = np.maximum.accumulate(np.where(jumps, np.arange(total), 0))
    steps = np.cumsum(rng.integers(1, 4, size=total))
    place = np.searchsorted(zipf, rng.random(total))
    item = (order[genre, place])[since] + steps - steps[since]
    item = genre[since] * len(zipf) + item % len(zipf)
    began = 1_500_000_000 + rng.integers(900 * _DAY, size=len(counts))
    age = np.cumsum(rng.exponential(_DAY / 4, size=total)).astype(np.int64)
    return Interactions(
        np.char.add("u", (first + user).astype(np.str_)),
        np.char.add("i", item.astype(np.str_)),
        began[user] + age - age[starts][user],
    )


def side_data(size: Size) -> tuple[Items, Users]:
    """Return the items with their genres and the users with a topic."""
    items = np.arange(size.items // _GENRES * _GENRES)
    genres = np.char.add("genre", (items // (size.items // _GENRES)).astype(np.str_))
    users = np.arange(size.users)
    topics = np.char.add("genre", (users % _GENRES).astype(np.str_))
    return (
        Items(np.char.add("i", items.astype(np.str_)), categories={"GENRES": genres}),
        Users(np.char.add("u", users.astype(np.str_)), {"TOPICS": topics}),
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What one training took, beside what was predicted."""

    recipe: str
    factor: float
    interactions: int
    seconds: float
    processor_seconds: float
    peak_megabytes: float
    predicted_megabytes: float
    artefact_megabytes: float


def peak_megabytes() -> float:
    """Return the most memory this process ever had.

    Not `ru_maxrss`, which starts with what the parent had when it forked.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(recipe: str, factor: float) -> Cost:
    """Train once in this process, reading the data as it is made up."""
    size = Size(factor)
    items, users = side_data(size)
    started, processor = time.perf_counter(), time.process_time()
    model = train(recipe, batches(size), items=items, users=users)
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    with tempfile.NamedTemporaryFile() as file:
        save(model, Path(file.name))
        artefact = Path(file.name).stat().st_size
    predicted = predict(recipe, users=size.users, items=size.items, interactions=size.interactions)
    return Cost(
        recipe=recipe,
        factor=factor,
        interactions=size.interactions,
        seconds=round(seconds, 2),
        processor_seconds=round(processor, 2),
        peak_megabytes=round(peak_megabytes()),
        predicted_megabytes=round(predicted / 2**20),
        artefact_megabytes=round(artefact / 2**20, 1),
    )


def measure_all(factors: Sequence[float], recipes: Sequence[str] = RECIPES) -> Iterator[Cost]:
    """Measure each recipe at each factor, every one in a fresh process."""
    for factor in factors:
        for recipe in recipes:
            with multiprocessing.get_context("spawn").Pool(1) as fresh:
                yield fresh.apply(measure, (recipe, factor))


def table(costs: Sequence[Cost]) -> Table:
    """Show time and memory, one row a training."""
    shown = Table(title="Cost of training by size")
    for column in (
        *("", "interactions", "users", "items"),
        *("processor s", "clock s", "peak MB", "predicted MB", "artefact MB"),
    ):
        shown.add_column(column, justify="right" if column else "left")
    for cost in costs:
        size = Size(cost.factor)
        shown.add_row(
            cost.recipe,
            f"{cost.interactions:,}",
            f"{size.users:,}",
            f"{size.items:,}",
            f"{cost.processor_seconds:.1f}",
            f"{cost.seconds:.1f}",
            f"{cost.peak_megabytes:,.0f}",
            f"{cost.predicted_megabytes:,.0f}",
            f"{cost.artefact_megabytes:,.1f}",
        )
    return shown
