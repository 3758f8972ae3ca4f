"""The three ways of giving every item of the catalogue a score for one request.

A scorer is arrays and one pure function; everything around it (masks, softmax, exploration,
ordering) is `model.Model`'s and stands once. Scores are logits: only differences matter.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reco.recipes import linear
from reco.recipes.data import Indices

Logits = NDArray[np.float64]

# Chosen on MovieLens: a user's five best items then hold 13 to 98 % of the probability (5th to 95th
# percentile; recorded answers of the service: 27 to 99 %), and the likelihood of what users did
# next is near its best.
_TEMPERATURE = 1.5


class Scorer(Protocol):
    """Logits for the whole catalogue."""

    def logits(self, history: Indices, item: int | None) -> Logits:
        """Score every item for a user's distinct items, oldest first, and the item asked about."""
        ...


@dataclass(frozen=True, slots=True)
class PopularityScorer:
    """The same answer for everyone: more distinct users, higher score."""

    popularity: NDArray[np.float64]

    def logits(self, history: Indices, item: int | None) -> Logits:
        """Return the popularity of every item."""
        del history, item
        return self.popularity


@dataclass(frozen=True, slots=True)
class LinearScorer:
    """A recency-weighted profile times an item-to-item matrix (see `linear`).

    `weights` is predictors x targets, float32. `starts`, `rows` and `shares` are CSR rows, one per
    item of the catalogue: the rows of `weights` an item in a history adds up, and in what shares.
    `prior` is the recent popularity of every item, in standard deviations over the catalogue.
    `trained` are the items known at the training: scores are standardised by theirs, so that items
    that came later change nothing about them.
    """

    weights: NDArray[np.float32]
    targets: Indices
    starts: NDArray[np.int64]
    rows: Indices
    shares: NDArray[np.float32]
    prior: NDArray[np.float64]
    half_life: float
    window: int
    prior_share: float
    trained: Indices

    def logits(self, history: Indices, item: int | None) -> Logits:
        """Return standardised model scores plus a share of the prior; the prior for no profile."""
        del item
        telling = history[self.starts[history + 1] > self.starts[history]]
        if len(telling) == 0:
            return self.prior
        newest, fade = linear.fading(telling, self.half_life, self.window)
        spans = [slice(self.starts[at], self.starts[at + 1]) for at in newest]
        rows = np.concatenate([self.rows[span] for span in spans])
        weight = np.concatenate(
            [self.shares[span] * share for span, share in zip(spans, fade, strict=True)]
        )
        scores = np.zeros(len(self.prior))
        scores[self.targets] = weight @ self.weights[rows]
        standard = standardised(scores, scores[self.trained])
        return (standard + self.prior_share * self.prior) / _TEMPERATURE


@dataclass(frozen=True, slots=True)
class NeighbourScorer:
    """Stored neighbours of the item asked about, popular items after them.

    `starts`, `neighbours` and `similarities` are CSR rows, one per item of the catalogue.
    """

    starts: NDArray[np.int64]
    neighbours: Indices
    similarities: NDArray[np.float32]
    popularity: NDArray[np.float64]

    def logits(self, history: Indices, item: int | None) -> Logits:
        """Return neighbours above everything else; popularity alone for an unknown item."""
        del history
        logits = self.popularity.copy()
        if item is not None:
            row = slice(int(self.starts[item]), int(self.starts[item + 1]))
            # Similarities are positive, so neighbours stay above the most popular item.
            logits[self.neighbours[row]] = self.popularity.max() + self.similarities[row]
        return logits


Scorers = PopularityScorer | LinearScorer | NeighbourScorer


def standardised(scores: Logits, among: Logits | None = None) -> Logits:
    """Return scores with mean 0 and standard deviation 1 over the catalogue, or over `among`."""
    among = scores if among is None else among
    spread = among.std()
    centred: Logits = scores - among.mean()
    return centred / spread if spread > 0 else centred


def best(logits: Logits, candidates: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return the positions of the `count` largest logits among candidates, ties by position."""
    at = np.flatnonzero(candidates)
    if 0 < count < len(at):
        threshold = np.partition(logits[at], len(at) - count)[len(at) - count]
        at = at[logits[at] >= threshold]
    return at[np.argsort(-logits[at], kind="stable")][:count]
