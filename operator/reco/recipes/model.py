"""A trained model: answers requests from its own arrays, whatever recipe made it.

A model keeps the catalogue and the training histories, so a user seen in training gets
recommendations without the data set at hand; newer events are passed in and count at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Event, Indices, Strings
from reco.recipes.encoding import Catalogue, Histories
from reco.recipes.labels import UserLabels
from reco.recipes.scorers import Logits, NeighbourScorer, Scorers, best
from reco.recipes.session import Session

SECONDS_PER_DAY = 86_400
DEFAULT_AGE_CUT_OFF_DAYS = 30.0


class Scored(NamedTuple):
    """An item of an answer and its score; None where the recipe or the item has no score."""

    item_id: str
    score: float | None


class Question(TypedDict, total=False):
    """What `Model.top` can be asked beside the number of items."""

    item_id: str | None
    allowed: NDArray[np.bool_] | None
    exclude: Sequence[str]
    remove_seen: bool | None
    exploration_weight: float
    exploration_item_age_cut_off: float
    seed: int


@dataclass(frozen=True, slots=True)
class Model:
    """A recipe's trained arrays with one way of answering.

    `placed` says of each item whether anything is known to score it by; `users` are the labels of
    the users data set, where the recipe reads it. `event_type` is the only type the model learned
    from and listens to, or None for every type. `remove_seen` leaves a user's own items out of
    recommendations; `with_scores` says whether the recipe shows scores; `explores` whether
    exploration concerns it.
    """

    recipe: str
    catalogue: Catalogue
    histories: Histories
    scorer: Scorers
    placed: NDArray[np.bool_]
    users: UserLabels | None = None
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

    def session(
        self,
        events: Sequence[Event] = (),
        *,
        user_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Session:
        """Return what is known of one user, ready to be asked and to take in events.

        It starts from the training history of `user_id`, where there is one, and `events` in any
        order; without either it is a new user's. `attributes` are the user's categorical columns,
        values separated by ``|``, and replace those of the users data set trained with.
        """
        times: dict[int, int] = {}
        if user_id is not None:
            rows = self.histories.rows_of(user_id)
            times = dict(
                zip(
                    self.histories.items[rows].tolist(),
                    self.histories.timestamps[rows].tolist(),
                    strict=True,
                )
            )
        for item, time in self._heard(events):
            if times.get(item, time) <= time:
                times.pop(item, None)
                times[item] = time
        labels = (
            np.zeros(0, dtype=np.int32)
            if self.users is None
            else self.users.of_user(user_id, attributes)
        )
        return Session(self.catalogue, self.scorer, self.event_type, times, labels)

    def top(
        self,
        session: Session,
        count: int = 25,
        *,
        item_id: str | None = None,
        allowed: NDArray[np.bool_] | None = None,
        exclude: Sequence[str] = (),
        remove_seen: bool | None = None,
        exploration_weight: float = 0.0,
        exploration_item_age_cut_off: float = DEFAULT_AGE_CUT_OFF_DAYS,
        seed: int = 0,
    ) -> list[Scored]:
        """Return at most `count` items, best first, equal scores by item id.

        `item_id` is the item asked about; only related items use it. `allowed` masks `item_ids`,
        `exclude` names items to leave out. Scores sum to 1 over every item the user could get
        before those two apply, so a filter shortens an answer and leaves its scores alone.
        `exploration_weight` (0 to 1) lifts items with few interactions, created at most
        `exploration_item_age_cut_off` days before the newest interaction, by an amount drawn from
        `seed`.
        """
        item = self._known(item_id)
        logits = self.scorer.logits(session.profile, session.labels, item)
        if self.explores and exploration_weight > 0:
            logits = logits + np.float32(exploration_weight) * self._curiosity(
                logits, exploration_item_age_cut_off, seed
            )
        logits = logits.copy()
        if self.remove_seen if remove_seen is None else remove_seen:
            logits[list(session.times)] = -np.inf
        if item is not None:
            logits[item] = -np.inf
        largest, total = _normaliser(logits)
        if allowed is not None:
            logits[~allowed] = -np.inf
        if exclude:
            left_out = self.catalogue.index(exclude)
            logits[left_out[left_out >= 0]] = -np.inf
        at = best(logits, count)
        ids = self.item_ids[at].tolist()
        if not self.with_scores:
            return [Scored(item_id, None) for item_id in ids]
        scores = np.exp(logits[at].astype(np.float64) - largest) / total
        return list(map(Scored, ids, scores.tolist()))

    def ranked(self, session: Session, candidates: Sequence[str]) -> list[Scored]:
        """Return every candidate, best first; scores of the known ones sum to 1.

        A candidate that the model has no place for (neither interactions nor metadata tell it
        anything) comes last, without a score, in input order.
        """
        order, scores = self.order(session, self.catalogue.index(candidates))
        return [
            Scored(candidates[k], score)
            for k, score in zip_longest(order.tolist(), scores.tolist())
        ]

    def order(
        self, session: Session, positions: Indices
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the order of `ranked` for items at these positions (-1: unknown), and the scores.

        The first is a permutation of the items; the second is as long as the model has a place for
        them.
        """
        known = (positions >= 0) & self.placed[positions]
        places = np.flatnonzero(known)
        places = places[np.argsort(positions[places])]
        logits = session.logits()[positions[places]]
        largest, total = _normaliser(logits)
        best_first = np.argsort(-logits, kind="stable")
        scores = np.exp(logits[best_first].astype(np.float64) - largest) / total
        return np.concatenate((places[best_first], np.flatnonzero(~known))), scores

    def recommend(
        self,
        *,
        user_history: Sequence[Event] = (),
        user_id: str | None = None,
        count: int = 25,
        **question: Unpack[Question],
    ) -> list[Scored]:
        """Answer as `top` does, for a session of these events and this user."""
        return self.top(self.session(user_history, user_id=user_id), count, **question)

    def rank(
        self,
        *,
        candidates: Sequence[str],
        user_history: Sequence[Event] = (),
        user_id: str | None = None,
    ) -> list[Scored]:
        """Answer as `ranked` does, for a session of these events and this user."""
        return self.ranked(self.session(user_history, user_id=user_id), candidates)

    def _heard(self, events: Sequence[Event]) -> list[tuple[int, int]]:
        """Return position and time of the known items of events the model listens to."""
        heard = [
            event
            for event in events
            if self.event_type is None or event.event_type == self.event_type
        ]
        heard.sort(key=lambda event: event.timestamp)
        items = self.catalogue.index([event.item_id for event in heard]).tolist()
        return [
            (item, event.timestamp) for item, event in zip(items, heard, strict=True) if item >= 0
        ]

    def _known(self, item_id: str | None) -> int | None:
        """Return the position of the item asked about, None if it is unknown or of no concern."""
        if item_id is None or not self.answers_items:
            return None
        at = int(self.catalogue.index([item_id])[0])
        return at if at >= 0 else None

    def _curiosity(self, logits: Logits, age_cut_off: float, seed: int) -> Logits:
        """Return a random lift per item: uniform, larger the fewer interactions, 0 for old items.

        The largest possible lift, for an item nobody touched, is the spread of this user's logits:
        at weight 1 a new item can reach the top, and the more interactions the less it moves.
        """
        age = self.catalogue.latest - self.catalogue.created
        young = age <= age_cut_off * SECONDS_PER_DAY
        uncertainty = 1 / np.sqrt(1 + self.catalogue.counts)
        drawn = np.random.default_rng(seed).random(len(logits))
        lift: Logits = (np.ptp(logits) * young * uncertainty * drawn).astype(np.float32)
        return lift


def _normaliser(logits: Logits) -> tuple[float, float]:
    """Return the largest logit and the sum of exp(logit - largest)."""
    largest = float(logits.max(initial=-np.inf))
    if largest == -np.inf:
        return 0.0, 1.0
    powers = logits - np.float32(largest)
    return largest, float(np.exp(powers, out=powers).sum())
