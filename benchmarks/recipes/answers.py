"""How long the model itself takes for an answer, on one thread, without any network.

A model of MovieLens size, mapped from its file; users with 50 events. Times are the processor's,
so that what else runs on the machine does not count; the median by the clock stands beside them.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from hack.datasets import Dataset
from reco.recipes import Event, Model, load, save, train

PROFILE = 50
LISTED = 500
REPEATS = 2_000


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds of one kind of answer, and how many answers a second of processor time gives."""

    name: str
    median_by_the_clock: float
    median: float
    slowest_percent: float
    per_second: float
    least_per_second: float


def measure(dataset: Dataset) -> list[Timing]:
    """Train, save, map, and ask."""
    trained = train("aws-user-personalization-v2", dataset.interactions, items=dataset.items)
    with tempfile.TemporaryDirectory() as folder:
        save(trained, Path(folder) / "model")
        del trained
        model = load(Path(folder) / "model")
        return [_timing(name, ask, least) for name, ask, least in _questions(model)]


def _questions(model: Model) -> Iterator[tuple[str, Callable[[], object], float]]:
    rng = np.random.default_rng(0)
    popular = model.item_ids[np.argsort(-model.catalogue.counts, kind="stable")[:2000]]

    def history() -> list[Event]:
        return [
            Event(item, at)
            for at, item in enumerate(rng.choice(popular, PROFILE, replace=False).tolist())
        ]

    histories = iter([history() for _ in range(REPEATS)])
    known = model.session(history())
    listed = rng.choice(model.item_ids, LISTED, replace=False).tolist()
    newest = iter(range(PROFILE, PROFILE + 2 * REPEATS))

    def after_an_event() -> object:
        at = next(newest)
        known.add(Event(str(popular[at % len(popular)]), at))
        return model.top(known, 25)

    seen = model.session(history())
    yield "a user seen before: 25 items", lambda: model.top(seen, 25), 1_000
    yield "the same, exploring", lambda: model.top(seen, 25, exploration_weight=0.3), 1_000
    yield "a user seen before: one event, then 25 items", after_an_event, 1_000
    yield (
        "a cold user: 50 events, then 25 items",
        lambda: model.top(model.session(next(histories)), 25),
        200,
    )
    yield f"{LISTED} given items ranked", lambda: model.ranked(seen, listed), 200


def _timing(name: str, ask: Callable[[], object], least: float) -> Timing:
    taken = np.empty((REPEATS, 2))
    for row in taken:
        clock, processor = time.perf_counter(), time.thread_time()
        ask()
        row[:] = time.perf_counter() - clock, time.thread_time() - processor
    by_the_clock, micro = taken.T * 1e6
    return Timing(
        name,
        round(float(np.median(by_the_clock)), 1),
        round(float(np.median(micro)), 1),
        round(float(np.quantile(micro, 0.99)), 1),
        round(1e6 / float(micro.mean())),
        least,
    )


def table(timings: Sequence[Timing]) -> Table:
    """Show the timings."""
    shown = Table(title="Answers of a mapped model: processor time of one thread")
    for column in ("", "clock p50 us", "p50 us", "p99 us", "a second", "at least"):
        shown.add_column(column, justify="right" if column else "left")
    for one in timings:
        shown.add_row(
            one.name,
            f"{one.median_by_the_clock:,.0f}",
            f"{one.median:,.0f}",
            f"{one.slowest_percent:,.0f}",
            f"{one.per_second:,.0f}",
            f"{one.least_per_second:,.0f}",
        )
    return shown
