"""A trained model: answers requests from its own arrays, whatever recipe made it.

A model keeps the catalogue and the training histories, so a user seen in training gets
recommendations without the data set at hand; newer events are passed in and count at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Catalogue, Event, Histories, Indices, Strings, latest_mentions
from reco.recipes.scorers import NeighbourScorer, Scorers, best

SECONDS_PER_DAY = 86_400
DEFAULT_AGE_CUT_OFF_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Scored:
    """An item of an answer and its score; None where the recipe or the item has no score."""

    item_id: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Model:
    """A recipe's trained arrays with one way of answering.

    `event_type` is the only type the model learned from and listens to, or None for every type.
    `remove_seen` leaves a user's own items out of recommendations; `with_scores` says whether the
    recipe shows scores; `explores` whether exploration concerns it.
    """

    recipe: str
    catalogue: Catalogue
    histories: Histories
    scorer: Scorers
    event_type: str | None = None
    remove_seen: bool = True
    with_scores: bool = True
    explores: bool = True

    @property
    def item_ids(self) -> Strings:
        """Every item of the catalogue, sorted; masks given to `recommend` align with it."""
        return self.catalogue.item_ids

    @property
    def answers_items(self) -> bool:
        """Whether a request names an item (related items) rather than a user."""
        return isinstance(self.scorer, NeighbourScorer)

    def history_of(self, user_id: str) -> list[Event]:
        """Return a user's training history, oldest first; empty for a user never seen."""
        rows = self.histories.rows_of(user_id)
        ids = self.item_ids[self.histories.items[rows]]
        times = self.histories.timestamps[rows]
        return [
            Event(item_id, timestamp, self.event_type)
            for item_id, timestamp in zip(ids.tolist(), times.tolist(), strict=True)
        ]

    def recommend(
        self,
        *,
        user_history: Sequence[Event] = (),
        item_id: str | None = None,
        count: int = 25,
        allowed: NDArray[np.bool_] | None = None,
        remove_seen: bool | None = None,
        exploration_weight: float = 0.0,
        exploration_item_age_cut_off: float = DEFAULT_AGE_CUT_OFF_DAYS,
        seed: int = 0,
    ) -> list[Scored]:
        """Return at most `count` items, best first, equal scores by item id.

        `user_history` is everything known of the user, in any order: training history and newer
        events. `item_id` is the item asked about; only related items use it. `allowed` masks
        `item_ids`. Scores sum to 1 over every item the user could get before `allowed` applies, so
        a filter shortens an answer and leaves its scores alone. `exploration_weight` (0 to 1) lifts
        items with few interactions, created at most `exploration_item_age_cut_off` days before the
        newest interaction, by an amount drawn from `seed`.
        """
        seen = self.encode_history(user_history)
        item = self._known(item_id)
        logits = self.scorer.logits(seen, item)
        if self.explores and exploration_weight > 0:
            logits = logits + exploration_weight * self._curiosity(
                logits, exploration_item_age_cut_off, seed
            )
        candidates = np.ones(len(logits), dtype=np.bool_)
        if self.remove_seen if remove_seen is None else remove_seen:
            candidates[seen] = False
        if item is not None:
            candidates[item] = False
        scores = _softmax(logits, candidates)
        if allowed is not None:
            candidates &= allowed
        return [
            Scored(str(self.item_ids[at]), float(scores[at]) if self.with_scores else None)
            for at in best(logits, candidates, count)
        ]

    def rank(
        self, *, candidates: Sequence[str], user_history: Sequence[Event] = ()
    ) -> list[Scored]:
        """Return every candidate, best first; scores of the known ones sum to 1.

        A candidate without interactions in training comes last, without a score, in input order.
        """
        at = self.catalogue.index(candidates)
        known = (at >= 0) & (self.catalogue.counts[at] > 0)
        unscored = [
            Scored(item_id, None)
            for item_id, scored in zip(candidates, known, strict=True)
            if not scored
        ]
        at = np.sort(at[known])
        logits = self.scorer.logits(self.encode_history(user_history), None)[at]
        scores = _softmax(logits, np.ones(len(at), dtype=np.bool_))
        ranked = [
            Scored(str(self.item_ids[at[k]]), float(scores[k]))
            for k in np.argsort(-logits, kind="stable")
        ]
        return ranked + unscored

    def encode_history(self, events: Sequence[Event]) -> Indices:
        """Return the distinct known items of events the model listens to, oldest first."""
        heard = [
            event
            for event in events
            if self.event_type is None or event.event_type == self.event_type
        ]
        heard.sort(key=lambda event: event.timestamp)
        items = self.catalogue.index([event.item_id for event in heard])
        items = items[items >= 0]
        return items[latest_mentions(items)]

    def _known(self, item_id: str | None) -> int | None:
        """Return the position of the item asked about, None if it is unknown or of no concern."""
        if item_id is None or not self.answers_items:
            return None
        at = int(self.catalogue.index([item_id])[0])
        return at if at >= 0 else None

    def _curiosity(
        self, logits: NDArray[np.float64], age_cut_off: float, seed: int
    ) -> NDArray[np.float64]:
        """Return a random lift per item: uniform, larger the fewer interactions, 0 for old items.

        The largest possible lift, for an item nobody touched, is the spread of this user's logits:
        at weight 1 a new item can reach the top, and the more interactions the less it moves.
        """
        age = self.catalogue.latest - self.catalogue.created
        young = age <= age_cut_off * SECONDS_PER_DAY
        uncertainty = 1 / np.sqrt(1 + self.catalogue.counts)
        drawn = np.random.default_rng(seed).random(len(logits))
        lift: NDArray[np.float64] = np.ptp(logits) * young * uncertainty * drawn
        return lift


def _softmax(logits: NDArray[np.float64], candidates: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return probabilities over the candidates, 0 elsewhere."""
    if not candidates.any():
        return np.zeros(len(logits))
    largest = logits[candidates].max()
    powers = np.where(candidates, np.exp(np.minimum(logits - largest, 0.0)), 0.0)
    probabilities: NDArray[np.float64] = powers / powers.sum()
    return probabilities
