"""From encoded data to a model: what each family of recipes learns.

One function a family, in a table; what they share (popularity, welcome, likeness) stands once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reco.recipes import als, linear, related
from reco.recipes.data import Items, Strings, TrainingDataError, Users
from reco.recipes.encoding import Catalogue, Histories, Log, encode
from reco.recipes.labels import Labels, Likeness, UserLabels
from reco.recipes.linear import LinearSettings
from reco.recipes.matrices import DenseRows, SparseRows
from reco.recipes.model import SECONDS_PER_DAY, Model
from reco.recipes.registry import Family, Recipe, Value
from reco.recipes.related import RelatedSettings
from reco.recipes.scorers import (
    FactorScorer,
    LinearScorer,
    Logits,
    NeighbourScorer,
    PopularityScorer,
    Scorers,
    TopicsScorer,
    Welcome,
    standardised,
)

# An interaction is worth half as much every so many days when a new user is welcomed.
_PRIOR_HALF_LIFE_DAYS = 180.0
_PRIOR_SHARE = 0.05
# A label of users is worth a welcome of its own from so many users on; the most common come first.
_FEWEST_PER_LABEL = 25
MOST_WELCOMES = 64
MOST_WELCOME_CELLS = 1 << 24
# Recent interactions of everybody that a label's own are mixed with.
_SMOOTHING = 50.0
# In items: long enough to weigh the whole window about equally.
_UNHURRIED_HALF_LIFE = 100.0
# Enough to order items that nobody touched together, too little to outweigh those who did.
_METADATA_SHARE = 0.005
_SECONDS = {
    "30 minutes": 1_800,
    "1 hour": 3_600,
    "2 hours": 7_200,
    "3 hours": 10_800,
    "1 day": 86_400,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training is told beside the data.

    `values` are the hyperparameters, `seed` starts whatever is drawn, `threads` bounds what runs at
    once (results depend on none but the first two).
    """

    values: Mapping[str, Value]
    linear: LinearSettings
    seed: int = 0
    threads: int = 1

    def number(self, name: str, default: float) -> float:
        """Return a hyperparameter, or the default for a recipe that has none of this name."""
        return float(self.values.get(name, default))


@dataclass(frozen=True, slots=True)
class _Data:
    """All that a family can learn from; `learned` leaves out users of unusual length."""

    log: Log
    catalogue: Catalogue
    learned: Histories
    labels: Labels | None
    items: Items | None
    user_labels: UserLabels | None
    settings: Settings


def fit(
    recipe: Recipe, log: Log, items: Items | None, users: Users | None, settings: Settings
) -> Model:
    """Train a recipe on these rows."""
    catalogue, everyone = encode(log, items)
    family = _FAMILIES[recipe.family]
    user_labels = family.users_of(users, settings)
    data = _Data(
        log=log,
        catalogue=catalogue,
        learned=everyone.without_outliers(
            settings.number("min_user_history_length_percentile", 0.0),
            settings.number("max_user_history_length_percentile", 1.0),
        ),
        labels=Labels.of_items(items, catalogue),
        items=items,
        user_labels=user_labels,
        settings=settings,
    )
    scorer = family.scorer(data)
    placed = catalogue.counts > 0
    match scorer:
        case (
            LinearScorer(likeness=Likeness() as likeness)
            | FactorScorer(likeness=Likeness() as likeness)
        ):
            placed[likeness.unscored] = True
        case TopicsScorer(items=of_topics):
            placed[of_topics] = True
        case _:
            pass
    return Model(
        recipe=recipe.name,
        catalogue=catalogue,
        histories=everyone,
        scorer=scorer,
        placed=placed,
        users=user_labels,
        event_type=log.event_type,
        remove_seen=recipe.remove_seen,
        with_scores=recipe.with_scores,
        explores=recipe.explores,
    )


def shaped(settings: LinearSettings, values: Mapping[str, Value]) -> LinearSettings:
    """Apply the hyperparameters that have a meaning for a closed-form model."""
    if not (values.get("recency_mask", True) and values.get("apply_recency_bias", True)):
        settings = replace(settings, half_life=_UNHURRIED_HALF_LIFE)
    if "bptt" in values:
        settings = replace(settings, window=int(values["bptt"]))
    return settings


def _popularity(data: _Data) -> Scorers:
    return PopularityScorer(_popular(data.catalogue))


def _trending(data: _Data) -> Scorers:
    """Rank by the increase of interactions from the last interval but one to the last.

    Intervals end with the newest interaction that is believed, so that those dated later are in
    none. Equal increases are ordered by popularity.
    """
    seconds = _SECONDS[str(data.settings.values["trend_discovery_frequency"])]
    items = np.searchsorted(data.catalogue.item_ids, data.log.item_ids)[data.log.items]
    age = (data.catalogue.latest - data.log.timestamps) // seconds
    size = len(data.catalogue.item_ids)
    last, before = (np.bincount(items[age == k], minlength=size) for k in (0, 1))
    return PopularityScorer((last - before + _below_one(data.catalogue)).astype(np.float32))


def _linear(data: _Data) -> Scorers:
    settings = data.settings.linear
    counts = data.catalogue.counts
    likely = np.count_nonzero(counts >= settings.minimum_target_count)
    rows: DenseRows | SparseRows
    if likely > settings.dense_items:
        shape = RelatedSettings(
            discount=0.5,
            minimum_pairs=settings.minimum_target_count,
            most_neighbours=settings.neighbours,
            half_life=settings.half_life,
        )
        rows = related.neighbours(data.learned, data.catalogue, None, shape)
    else:
        predictors, targets, weights = linear.fit(data.learned, counts, settings)
        table = linear.rows_of_items(data.learned, predictors, len(counts), settings)
        rows = DenseRows(weights, targets, *table)
    return LinearScorer(
        rows=rows,
        likeness=_likeness(data, rows.scored(len(counts))),
        welcome=_welcome(data),
        half_life=settings.half_life,
        window=settings.window,
        prior_share=_PRIOR_SHARE,
    )


def _related(data: _Data) -> Scorers:
    """Similar-items has no count limits of its own and looks at metadata; SIMS the reverse."""
    sims = "min_cointeraction_count" in data.settings.values
    settings = RelatedSettings(
        discount=data.settings.number("popularity_discount_factor", 0.0),
        minimum_pairs=int(data.settings.number("min_cointeraction_count", 2)),
        fewest=data.settings.number("min_item_interaction_count_percentile", 0.0),
        most=data.settings.number("max_item_interaction_count_percentile", 1.0),
        metadata_share=0.0 if sims else _METADATA_SHARE,
    )
    rows = related.neighbours(data.learned, data.catalogue, data.labels, settings)
    return NeighbourScorer(rows, _popular(data.catalogue))


def _factors(data: _Data) -> Scorers:
    values = data.settings.values
    regularization, alpha = float(values["regularization"]), float(values["alpha"])
    factors = als.item_factors(
        data.learned.seen(len(data.catalogue.item_ids)),
        factors=int(values["factors"]),
        regularization=regularization,
        alpha=alpha,
        iterations=int(values["iterations"]),
        seed=data.settings.seed,
        threads=data.settings.threads,
    )
    gram = factors.T @ factors
    gram[np.diag_indices_from(gram)] += np.float32(regularization)
    touched = data.catalogue.counts > 0
    return FactorScorer(factors, gram, alpha, _likeness(data, touched), _welcome(data))


def _topics(data: _Data) -> Scorers:
    """Match the topics column of users with that of items, value by value."""
    items = data.items or Items.of([])
    column = _topics_of("item", items.categories, data.settings)
    of_items = Labels.of(
        {column: items.categories[column]},
        data.catalogue.index(items.ids),
        len(data.catalogue.item_ids),
    )
    by_topic = of_items.table().T.tocsr()
    number = {_value(name): at for at, name in enumerate(of_items.names.tolist())}
    declared = [] if data.user_labels is None else data.user_labels.labels.names.tolist()
    return TopicsScorer(
        _below_one(data.catalogue),
        np.array([number.get(_value(name), -1) for name in declared], dtype=np.int32),
        by_topic.indptr.astype(np.int64),
        by_topic.indices.astype(np.int32),
    )


def _topics_of(whose: str, categories: Mapping[str, Strings], settings: Settings) -> str:
    """Return the column of topics: the one that is named, or the only one there is."""
    setting = f"{whose}_topics_column"
    named = str(settings.values[setting])
    found = sorted(categories)
    if named in found:
        return named
    if not named and len(found) == 1:
        return found[0]
    raise TrainingDataError(
        f"The {whose}s dataset must have a categorical column of topics, named by the "
        f"hyperparameter {setting} (now '{named}') unless it is the only one; "
        f"it has {', '.join(found) or 'none'}"
    )


def _value(label: str) -> str:
    return label.partition("=")[2]


def _unread(users: Users | None, settings: Settings) -> UserLabels | None:
    del users, settings
    return None


def _all_columns(users: Users | None, settings: Settings) -> UserLabels | None:
    del settings
    return UserLabels.of(users) if users and users.categories and len(users.ids) else None


def _topics_column(users: Users | None, settings: Settings) -> UserLabels | None:
    users = users or Users.of([])
    column = _topics_of("user", users.categories, settings)
    return UserLabels.of(Users(users.ids, {column: users.categories[column]}))


@dataclass(frozen=True, slots=True)
class _Family:
    """What a family learns, and what it reads of users."""

    scorer: Callable[[_Data], Scorers]
    users_of: Callable[[Users | None, Settings], UserLabels | None] = _unread


_FAMILIES: Mapping[Family, _Family] = {
    "popularity": _Family(_popularity),
    "trending": _Family(_trending),
    "linear": _Family(_linear, _all_columns),
    "factors": _Family(_factors, _all_columns),
    "related": _Family(_related),
    "topics": _Family(_topics, _topics_column),
}


def _likeness(data: _Data, scored: NDArray[np.bool_]) -> Likeness | None:
    return None if data.labels is None else Likeness.of(data.labels, scored)


def _popular(catalogue: Catalogue) -> Logits:
    logits: Logits = np.log1p(catalogue.counts).astype(np.float32)
    return logits


def _below_one(catalogue: Catalogue) -> Logits:
    """Return popularity as an order below 1: equal for equal counts, never 1."""
    distinct, place = np.unique(catalogue.counts, return_inverse=True)
    return (place / len(distinct)).astype(np.float32)


def _welcome(data: _Data) -> Welcome:
    """Sum up how much each item was touched lately, by everybody and by who has a label."""
    learned, size = data.learned, len(data.catalogue.item_ids)
    # As floats, for the difference of any two integers need not be one.
    age_in_days = (data.catalogue.latest - learned.timestamps.astype(np.float64)) / SECONDS_PER_DAY
    weights = np.exp2(-age_in_days / _PRIOR_HALF_LIFE_DAYS)
    recent = np.bincount(learned.items, weights=weights, minlength=size)
    prior = standardised(np.log1p(recent).astype(np.float32))
    if data.user_labels is None:
        nobody = np.zeros((0, size), dtype=np.float32)
        return Welcome(prior, np.zeros(0, dtype=np.int32), nobody)

    of_users = data.user_labels.labels_of(learned.user_ids)
    having = np.asarray(of_users.sum(axis=0)).ravel()
    most = min(MOST_WELCOMES, MOST_WELCOME_CELLS // max(1, size))
    kept = np.sort(np.argsort(-having, kind="stable")[:most])
    kept = kept[having[kept] >= _FEWEST_PER_LABEL]
    row_of = np.full(len(having), -1, dtype=np.int32)
    row_of[kept] = np.arange(len(kept))
    touched = sparse.csr_array((weights, learned.items, learned.starts), (len(learned), size))
    of_label = (of_users[:, kept].T @ touched).toarray()
    of_label += _SMOOTHING * recent / max(recent.sum(), 1e-12)
    rows = [standardised(np.log1p(row).astype(np.float32)) for row in of_label]
    return Welcome(prior, row_of, np.array(rows, dtype=np.float32).reshape(len(kept), size))
