"""A trained model over newer data: what it learned stays, what is new since joins in.

Personalize does so every two hours to what user-personalization serves, and on request
(`trainingMode=UPDATE`). Nothing is learned: weights, and so the order of the items known at the
training, stay as they are. New items become recommendable, users' histories and the counts that
exploration goes by become those of now.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reco.recipes.data import Catalogue, Indices, Interactions, Items, encode
from reco.recipes.model import Model
from reco.recipes.related import categories_of
from reco.recipes.scorers import LinearScorer


def refresh(
    model: Model,
    interactions: Interactions,
    *,
    items: Items | None = None,
    event_value_threshold: float | None = None,
) -> Model:
    """Return the model over the data sets as they are now.

    An item that the training did not know is predicted as the items most like it in their
    categories are, on average; without categories, as an item that nobody touched.

    Raises ValueError for a recipe without personalised weights.
    """
    scorer = model.scorer if isinstance(model.scorer, LinearScorer) else None
    if scorer is None:
        raise ValueError(f"a model of {model.recipe} cannot be refreshed; train it again")
    before = model.catalogue
    now = items or Items.of([])
    ids = np.union1d(before.item_ids, now.ids)
    catalogue, histories = encode(
        interactions.selected(model.event_type, event_value_threshold), Items(ids)
    )
    created = catalogue.created.copy()
    if now.creation_timestamps is not None:
        created[catalogue.index(now.ids)] = now.creation_timestamps
    known = catalogue.index(before.item_ids)
    created[known] = before.created
    catalogue = replace(catalogue, created=created)
    return replace(
        model,
        catalogue=catalogue,
        histories=histories,
        scorer=_extended(scorer, catalogue, known, items),
    )


def _extended(
    scorer: LinearScorer, catalogue: Catalogue, known: Indices, items: Items | None
) -> LinearScorer:
    """Return the scorer over a catalogue in which its own items stand at `known`, sorted."""
    size = len(catalogue.item_ids)
    targets = known[scorer.targets]
    new = np.setdiff1d(np.arange(size, dtype=np.int32), known)
    alike, weights = _like_known(scorer, catalogue, targets, new, items)
    lengths = np.zeros(size, dtype=np.int64)
    lengths[known] = np.diff(scorer.starts)
    prior = np.full(size, scorer.prior.min(initial=0.0))
    prior[known] = scorer.prior
    return replace(
        scorer,
        weights=np.concatenate([scorer.weights, weights], axis=1),
        targets=np.concatenate([targets, alike]),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        prior=prior,
        trained=known[scorer.trained],
    )


def _like_known(
    scorer: LinearScorer,
    catalogue: Catalogue,
    targets: Indices,
    new: Indices,
    items: Items | None,
) -> tuple[Indices, NDArray[np.float32]]:
    """Return the new items that share categories with targets, and their columns of weights."""
    categories = categories_of(catalogue, items)
    if categories is None:
        return new[:0], np.zeros((len(scorer.weights), 0), dtype=np.float32)
    likeness = sparse.csr_array(categories[new] @ categories[targets].T)
    totals = np.asarray(likeness.sum(axis=1)).ravel()
    found = totals > 0
    shares = sparse.diags_array(1 / totals[found]) @ likeness[found]
    return new[found], np.ascontiguousarray((shares @ scorer.weights.T).T, dtype=np.float32)
