"""What a user's newest events are worth when they are replayed into a session.

Leave-last-out on ml-latest-small: every rating is an event, a user's last one (by time, then by the
order of the file) is to be foretold, the five before it are the recent ones. A model is asked with
the profile as it was before those five (stale), takes them in one by one, and is asked again. One
relevant item a user, all items ranked, seen ones removed: NDCG@10 is 1 / log2(1 + rank) up to rank
10, the same by the textbook and by Personalize.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from hack.datasets import ratings_of
from reco.recipes import Event, Interactions, Model, Scored, train
from reco.recipes.encoding import Log
from reco.recipes.linear import LinearSettings

RECENT = 5
CUT_OFF = 10


@dataclass(frozen=True, slots=True)
class Case:
    """A recipe, and whether the model has learned from the recent events of the users."""

    name: str
    learned_recent: bool
    recipe: str = "aws-user-personalization-v2"
    settings: LinearSettings = field(default_factory=LinearSettings)


# The last two are the models between which the reference of a lift by half was measured: the same
# events, without and with a profile that fades.
CASES = (
    Case("user-personalization-v2, trained before the five", learned_recent=False),
    Case("user-personalization-v2, trained with the five", learned_recent=True),
    Case("reco-als, trained before the five", learned_recent=False, recipe="reco-als"),
    Case(
        "EASE alone, even profile",
        learned_recent=True,
        settings=LinearSettings(half_life=1e3, window=5000, next_share=0.0),
    ),
    Case(
        "EASE alone, profile of half-life 5",
        learned_recent=True,
        settings=LinearSettings(half_life=5.0, next_share=0.0),
    ),
)


@dataclass(frozen=True, slots=True)
class Lift:
    """NDCG@10 of every user with the stale and with the fresh profile."""

    name: str
    stale: NDArray[np.float64]
    fresh: NDArray[np.float64]

    @property
    def share(self) -> float:
        """Return how much the fresh profile adds, as a share of the stale one's mean."""
        return float(self.fresh.mean() / self.stale.mean() - 1)

    def as_json(self) -> dict[str, object]:
        """Return the row for the report file."""
        return {
            "name": self.name,
            "stale": round(float(self.stale.mean()), 4),
            "fresh": round(float(self.fresh.mean()), 4),
            "lift": round(self.share, 3),
            "standardErrorOfDifference": round(_error(self.fresh - self.stale), 4),
        }


def measure(directory: Path, cases: Sequence[Case] = CASES) -> list[Lift]:
    """Train and ask for each case."""
    log = Log.of(Interactions.of(*ratings_of(directory)))
    order = np.lexsort((log.timestamps, log.users))
    events = [
        Event(item, time)
        for item, time in zip(
            log.item_ids[log.items[order]].tolist(), log.timestamps[order].tolist(), strict=True
        )
    ]
    ends = np.searchsorted(log.users[order], np.arange(1, len(log.user_ids) + 1))
    of_users = [
        events[start:end] for start, end in zip([0, *ends.tolist()], ends.tolist(), strict=False)
    ]
    lifts = []
    for case in cases:
        kept = np.ones(len(log), dtype=np.bool_)
        for back in range(1, 2 if case.learned_recent else RECENT + 2):
            kept[order[ends - back]] = False
        model = train(case.recipe, log.where(kept), linear_settings=case.settings)
        gains = np.array([_gains(model, mine) for mine in of_users])
        lifts.append(Lift(case.name, gains[:, 0], gains[:, 1]))
    return lifts


def _gains(model: Model, mine: Sequence[Event]) -> tuple[float, float]:
    """Return one user's NDCG@10 before and after the recent events."""
    *known, target = mine
    session = model.session(known[:-RECENT])
    stale = _gain(model.top(session, CUT_OFF), target)
    for event in known[-RECENT:]:
        session.add(event)
    return stale, _gain(model.top(session, CUT_OFF), target)


def _gain(answer: Sequence[Scored], target: Event) -> float:
    found = [rank for rank, one in enumerate(answer, 1) if one.item_id == target.item_id]
    return float(1 / np.log2(1 + found[0])) if found else 0.0


def _error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def table(lifts: Sequence[Lift]) -> Table:
    """Show the lifts, each with the standard error of the difference."""
    shown = Table(title="What a user's last five events are worth: NDCG@10, leave-last-out")
    for column in ("", "stale", "fresh", "lift", "standard error of the difference"):
        shown.add_column(column, justify="right" if column else "left")
    for lift in lifts:
        shown.add_row(
            lift.name,
            f"{lift.stale.mean():.4f}",
            f"{lift.fresh.mean():.4f}",
            f"{lift.share:+.0%}",
            f"{_error(lift.fresh - lift.stale):.4f}",
        )
    return shown
