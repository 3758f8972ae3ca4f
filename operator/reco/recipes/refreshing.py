"""A trained model over newer data: what it learned stays, what is new since joins in.

Personalize does so every two hours to what user-personalization serves, and on request
(`trainingMode=UPDATE`). Nothing is learned: weights, and so the order of the items known at the
training, stay as they are. New items become recommendable, users' histories and the counts that
exploration goes by become those of now.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Indices, Items
from reco.recipes.encoding import Data, Log, encode
from reco.recipes.labels import Labels, Likeness
from reco.recipes.model import Model
from reco.recipes.scorers import LinearScorer, Welcome

Rows = NDArray[np.float32]


def refresh(
    model: Model,
    interactions: Data,
    *,
    items: Items | None = None,
    event_value_threshold: float | None = None,
) -> Model:
    """Return the model over the data sets as they are now.

    An item that the training did not know is predicted as those are that share its categories, on
    average; without categories, as an item that nobody touched.

    Raises ValueError for a recipe without personalised weights.
    """
    scorer = model.scorer if isinstance(model.scorer, LinearScorer) else None
    if scorer is None:
        raise ValueError(f"a model of {model.recipe} cannot be refreshed; train it again")
    before = model.catalogue
    now = items or Items.of([])
    ids = np.union1d(before.item_ids, now.ids)
    log = Log.of(interactions, model.event_type, event_value_threshold)
    catalogue, histories = encode(log, Items(ids))
    created = catalogue.created.copy()
    if now.creation_timestamps is not None:
        created[catalogue.index(now.ids)] = now.creation_timestamps
    known = catalogue.index(before.item_ids)
    created[known] = before.created
    catalogue = replace(catalogue, created=created)
    extended = _extended(scorer, Labels.of_items(now, catalogue), known, len(catalogue.item_ids))
    placed = catalogue.counts > 0
    placed[known] |= model.placed
    if extended.likeness is not None:
        placed[extended.likeness.unscored] = True
    return replace(model, catalogue=catalogue, histories=histories, scorer=extended, placed=placed)


def _extended(
    scorer: LinearScorer, labels: Labels | None, known: Indices, items: int
) -> LinearScorer:
    """Return the scorer over a catalogue in which its own items stand at `known`, ascending."""
    rows = scorer.rows.moved(known, items)
    welcome = scorer.welcome
    trained = known if scorer.trained is None else known[scorer.trained]
    likeness = scorer.likeness and scorer.likeness.moved(known)
    if labels is not None:
        likeness = Likeness.of(labels, rows.scored(items))
    return replace(
        scorer,
        rows=rows,
        likeness=likeness,
        welcome=Welcome(
            _widened(welcome.prior[None], known, items)[0],
            welcome.row_of,
            _widened(welcome.of_label, known, items),
        ),
        trained=None if len(trained) == items else trained,
    )


def _widened(rows: Rows, known: Indices, items: int) -> Rows:
    """Return rows over more items; the new ones are worth as little as any."""
    lowest = rows.min(axis=1, initial=0.0, keepdims=True)
    wide = np.repeat(lowest, items, axis=1).astype(np.float32)
    wide[:, known] = rows
    return wide
