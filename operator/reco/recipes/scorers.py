"""The ways of giving every item of the catalogue a score for one request.

A scorer is arrays and three pure functions; everything around it (masks, softmax, exploration,
ordering) is `model.Model`'s and stands once. What a scorer needs to know of a user is a *profile*:
made from a history at once, or extended by one item at a time, which costs one row instead of the
whole history. Scores are logits: only differences matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Indices

Logits = NDArray[np.float32]
Profile = NDArray[np.float32]

NOTHING_KNOWN: Profile = np.zeros(0, dtype=np.float32)

# Chosen on MovieLens: a user's five best items then hold 13 to 98 % of the probability (5th to 95th
# percentile; recorded answers of the service: 27 to 99 %), and the likelihood of what users did
# next is near its best.
_TEMPERATURE = 1.5


class Scorer(Protocol):
    """Logits for the whole catalogue."""

    def profile(self, history: Sequence[int]) -> Profile:
        """Sum up a user's distinct items, oldest first."""
        ...

    def extended(self, profile: Profile, history: Sequence[int]) -> Profile:
        """Return the profile of a history from that of all but its last item; may work in place."""
        ...

    def logits(self, profile: Profile, item: int | None) -> Logits:
        """Score every item for a profile and the item asked about."""
        ...


@dataclass(frozen=True, slots=True)
class PopularityScorer:
    """The same answer for everyone: more distinct users, higher score."""

    popularity: Logits

    def profile(self, history: Sequence[int]) -> Profile:
        """Need nothing of a user."""
        del history
        return NOTHING_KNOWN

    def extended(self, profile: Profile, history: Sequence[int]) -> Profile:
        """Need nothing of a user."""
        del history
        return profile

    def logits(self, profile: Profile, item: int | None) -> Logits:
        """Return the popularity of every item."""
        del profile, item
        return self.popularity


@dataclass(frozen=True, slots=True)
class LinearScorer:
    """A recency-weighted history times an item-to-item matrix (see `linear`).

    `weights` is predictors x targets, float32. `starts`, `rows` and `shares` are CSR rows, one per
    item of the catalogue: the rows of `weights` an item in a history adds up, and in what shares.
    `prior` is the recent popularity of every item, in standard deviations over the catalogue.

    A profile is one score a target: the sum over the newest `window` items, newest first, of
    `2 ** (-place / half_life)` times the item's row. So an item more is one multiplication and one
    addition, and the cost of an event does not grow with the history.
    """

    weights: NDArray[np.float32]
    targets: Indices
    starts: NDArray[np.int64]
    rows: Indices
    shares: NDArray[np.float32]
    prior: Logits
    half_life: float
    window: int
    prior_share: float

    def profile(self, history: Sequence[int]) -> Profile:
        """Return the scores of the targets; nothing if no item of the history tells anything."""
        telling = self._telling(history)[-self.window :]
        if not telling:
            return NOTHING_KNOWN
        profile = np.zeros(len(self.targets), dtype=np.float32)
        fade = self._fade(1)
        for item in telling:
            profile *= fade
            self._add(profile, item, np.float32(1))
        return profile

    def extended(self, profile: Profile, history: Sequence[int]) -> Profile:
        """Fade what is known, add the newest item, and take away the one that leaves the window."""
        telling = self._telling(history)
        if not telling or telling[-1] != history[-1]:
            return profile
        if len(profile) == 0:
            return self.profile(history)
        profile *= self._fade(1)
        self._add(profile, history[-1], np.float32(1))
        if len(telling) > self.window:
            self._add(profile, telling[-1 - self.window], -self._fade(self.window))
        return profile

    def logits(self, profile: Profile, item: int | None) -> Logits:
        """Return standardised model scores plus a share of the prior; the prior for no profile."""
        del item
        if len(profile) == 0:
            return self.prior
        scores = np.zeros(len(self.prior), dtype=np.float32)
        scores[self.targets] = profile
        scores = standardised(scores)
        scores += np.float32(self.prior_share) * self.prior
        scores /= np.float32(_TEMPERATURE)
        return scores

    def _telling(self, history: Sequence[int]) -> list[int]:
        starts = self.starts
        return [item for item in history if starts[item + 1] > starts[item]]

    def _fade(self, places: int) -> np.float32:
        return np.float32(2.0 ** (-places / self.half_life))

    def _add(self, profile: Profile, item: int, weight: np.float32) -> None:
        for at in range(int(self.starts[item]), int(self.starts[item + 1])):
            profile += (weight * self.shares[at]) * self.weights[self.rows[at]]


@dataclass(frozen=True, slots=True)
class NeighbourScorer:
    """Stored neighbours of the item asked about, popular items after them.

    `starts`, `neighbours` and `similarities` are CSR rows, one per item of the catalogue.
    """

    starts: NDArray[np.int64]
    neighbours: Indices
    similarities: NDArray[np.float32]
    popularity: Logits

    def profile(self, history: Sequence[int]) -> Profile:
        """Need nothing of a user."""
        del history
        return NOTHING_KNOWN

    def extended(self, profile: Profile, history: Sequence[int]) -> Profile:
        """Need nothing of a user."""
        del history
        return profile

    def logits(self, profile: Profile, item: int | None) -> Logits:
        """Return neighbours above everything else; popularity alone for an unknown item."""
        del profile
        # Similarities are positive, so neighbours stay above the most popular item.
        logits: Logits = self.popularity - self.popularity.max()
        if item is not None:
            row = slice(int(self.starts[item]), int(self.starts[item + 1]))
            logits[self.neighbours[row]] = self.similarities[row]
        return logits


Scorers = PopularityScorer | LinearScorer | NeighbourScorer


def standardised(scores: Logits) -> Logits:
    """Return scores with mean 0 and standard deviation 1 over the catalogue."""
    spread = scores.std()
    centred: Logits = scores - scores.mean()
    return centred / spread if spread > 0 else centred


def best(
    logits: NDArray[np.floating], candidates: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """Return the positions of the `count` largest logits among candidates, ties by position."""
    at = np.flatnonzero(candidates)
    if 0 < count < len(at):
        threshold = np.partition(logits[at], len(at) - count)[len(at) - count]
        at = at[logits[at] >= threshold]
    return at[np.argsort(-logits[at], kind="stable")][:count]
