"""The ways of giving every item of the catalogue a score for one request.

A scorer is arrays and three functions; everything around it (masks, softmax, exploration, ordering)
is `model.Model`'s and stands once. What a scorer needs to know of what a user did is a *profile*:
made from a history at once, or extended by one item at a time, which costs one row instead of the
whole history. Scores are logits: only differences matter.

An answer is a function of three things: the profile, the user's labels (who they are, from the
users data set) and the item asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Indices
from reco.recipes.labels import Likeness
from reco.recipes.matrices import DenseRows, SparseRows

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

    def logits(self, profile: Profile, labels: Indices, item: int | None) -> Logits:
        """Score every item for a profile, a user's labels and the item asked about."""
        ...


class _Unconcerned:
    """A scorer that does not look at what the user did."""

    __slots__ = ()

    def profile(self, history: Sequence[int]) -> Profile:
        """Need nothing of a history."""
        del history
        return NOTHING_KNOWN

    def extended(self, profile: Profile, history: Sequence[int]) -> Profile:
        """Need nothing of a history."""
        del history
        return profile


@dataclass(frozen=True, slots=True)
class PopularityScorer(_Unconcerned):
    """The same answer for everyone: more popular, by whatever measure, higher score."""

    popularity: Logits

    def logits(self, profile: Profile, labels: Indices, item: int | None) -> Logits:
        """Return the popularity of every item."""
        del profile, labels, item
        return self.popularity


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a user gets before they did anything.

    `prior` is the recent popularity of every item, in standard deviations over the catalogue.
    `of_label` is the same among users who have a label, one row for each label in `row_of` that
    enough users have (-1 for the others).
    """

    prior: Logits
    row_of: Indices
    of_label: NDArray[np.float32]

    def logits(self, labels: Indices) -> Logits:
        """Return the mean over a user's labels, or the prior of everybody."""
        rows = self.row_of[labels]
        rows = rows[rows >= 0]
        if len(rows) == 0:
            return self.prior
        mean: Logits = self.of_label[rows].mean(axis=0)
        return mean


@dataclass(frozen=True, slots=True)
class LinearScorer:
    """A recency-weighted history times an item-to-item matrix (see `linear`).

    A profile is the sum over the newest `window` items that the matrix has a row for, newest first,
    of `2 ** (-place / half_life)` times the item's row. So an item more is one multiplication and
    one addition, and the cost of an event does not grow with the history.

    `trained` are the items known at the training where more have come since: scores are
    standardised by theirs, so that newer items change nothing about them.
    """

    rows: DenseRows | SparseRows
    likeness: Likeness | None
    welcome: Welcome
    half_life: float
    window: int
    prior_share: float
    trained: Indices | None = None

    def profile(self, history: Sequence[int]) -> Profile:
        """Return the faded sum of rows; nothing if no item of the history has one."""
        telling = self._telling(history, self.window)
        if not telling:
            return NOTHING_KNOWN
        profile = np.zeros(self.rows.width, dtype=np.float32)
        fade = self._fade(1)
        for item in telling:
            profile *= fade
            self.rows.add(profile, item, np.float32(1))
        return profile

    def extended(self, profile: Profile, history: Sequence[int]) -> Profile:
        """Fade what is known, add the newest item, and take away the one that leaves the window."""
        if not self.rows.has(history[-1]):
            return profile
        if len(profile) == 0:
            return self.profile(history)
        telling = self._telling(history, self.window + 1)
        profile *= self._fade(1)
        self.rows.add(profile, telling[-1], np.float32(1))
        if len(telling) > self.window:
            self.rows.add(profile, telling[0], -self._fade(self.window))
        return profile

    def logits(self, profile: Profile, labels: Indices, item: int | None) -> Logits:
        """Return standardised scores plus a share of the welcome; that alone for newcomers."""
        del item
        welcome = self.welcome.logits(labels)
        if len(profile) == 0:
            return welcome
        scores = self.rows.spread(profile, len(welcome))
        if self.likeness is not None:
            self.likeness.fill(scores)
        return tempered(scores, np.float32(self.prior_share) * welcome, self.trained)

    def _telling(self, history: Sequence[int], most: int) -> list[int]:
        """Return the newest items that have a row, oldest first."""
        return list(islice(filter(self.rows.has, reversed(history)), most))[::-1]

    def _fade(self, places: int) -> np.float32:
        return np.float32(2.0 ** (-places / self.half_life))


@dataclass(frozen=True, slots=True)
class FactorScorer:
    """Alternating least squares: items and users as points, a user worked out anew from a history.

    With Y the `factors` (items x dimensions), a user of items I is the solution x of
    (Y'Y + regularisation + (alpha - 1) * sum over I of y y') x = alpha * sum over I of y
    (Hu, Koren and Volinsky, 2008); `gram` is Y'Y + regularisation. The profile is x.
    """

    factors: NDArray[np.float32]
    gram: NDArray[np.float32]
    alpha: float
    likeness: Likeness | None
    welcome: Welcome

    def profile(self, history: Sequence[int]) -> Profile:
        """Solve for the user's point; nothing for no history."""
        if not history:
            return NOTHING_KNOWN
        mine = self.factors[list(history)]
        system = self.gram + np.float32(self.alpha - 1) * (mine.T @ mine)
        point: Profile = np.linalg.solve(system, np.float32(self.alpha) * mine.sum(axis=0))
        return point

    def extended(self, profile: Profile, history: Sequence[int]) -> Profile:
        """Solve anew: a history more or less is no dearer."""
        del profile
        return self.profile(history)

    def logits(self, profile: Profile, labels: Indices, item: int | None) -> Logits:
        """Return standardised products; the welcome for newcomers."""
        del item
        if len(profile) == 0:
            return self.welcome.logits(labels)
        scores: Logits = self.factors @ profile
        if self.likeness is not None:
            self.likeness.fill(scores)
        return tempered(scores, np.float32(0))


@dataclass(frozen=True, slots=True)
class TopicsScorer(_Unconcerned):
    """Items by how many of a user's declared topics they have, popular ones first among equals.

    `topic_of` is the topic of each user label, -1 where no item has it; items of topic k are
    `items[starts[k]:starts[k + 1]]`. `popularity` lies between 0 and 1, 1 excluded.
    """

    popularity: Logits
    topic_of: Indices
    starts: NDArray[np.int64]
    items: Indices

    def logits(self, profile: Profile, labels: Indices, item: int | None) -> Logits:
        """Return the number of shared topics plus the popularity."""
        del profile, item
        logits = self.popularity.copy()
        for topic in self.topic_of[labels].tolist():
            if topic >= 0:
                logits[self.items[self.starts[topic] : self.starts[topic + 1]]] += 1
        return logits


@dataclass(frozen=True, slots=True)
class NeighbourScorer(_Unconcerned):
    """Stored neighbours of the item asked about, popular items after them."""

    rows: SparseRows
    popularity: Logits

    def logits(self, profile: Profile, labels: Indices, item: int | None) -> Logits:
        """Return neighbours above everything else; popularity alone for an unknown item."""
        del profile, labels
        # Similarities are positive, so neighbours stay above the most popular item.
        logits: Logits = self.popularity - self.popularity.max()
        if item is not None:
            row = self.rows.row(item)
            logits[self.rows.others[row]] = self.rows.weights[row]
        return logits


Scorers = PopularityScorer | LinearScorer | FactorScorer | TopicsScorer | NeighbourScorer


def tempered(scores: Logits, bias: Logits | np.float32, trained: Indices | None = None) -> Logits:
    """Return logits: standardised scores and a bias, spread so that probabilities are plausible."""
    logits = standardised(scores, None if trained is None else scores[trained])
    logits += bias
    logits /= np.float32(_TEMPERATURE)
    return logits


def standardised(scores: Logits, among: Logits | None = None) -> Logits:
    """Return scores with mean 0 and standard deviation 1 over the catalogue, or over `among`."""
    among = scores if among is None else among
    spread = among.std()
    centred: Logits = scores - among.mean()
    return centred / spread if spread > 0 else centred


def best(scores: Logits, count: int) -> NDArray[np.int64]:
    """Return the positions of the `count` largest scores, ties by position; never minus infinity.

    So that replicas agree, an order must never depend on how a selection happens to break ties.
    """
    if count <= 0:
        return np.zeros(0, dtype=np.int64)
    least = -np.inf
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
    at = np.flatnonzero(scores >= least if least > -np.inf else scores > least)
    return at[np.argsort(-scores[at], kind="stable")][:count]
