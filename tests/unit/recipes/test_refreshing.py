"""What refreshing a model keeps and what it takes in."""

from pathlib import Path

import numpy as np
import pytest

from hack.datasets import Dataset
from reco.api.solution import UPDATABLE_RECIPES
from reco.recipes import RECIPES, Interactions, Items, Model, load, refresh, save

USER = "u0007"
FRESH = "fresh"


def with_a_new_item(items: Items, like: str) -> Items:
    """Return the items and one more, of the same categories as another."""
    at = int(np.flatnonzero(items.ids == like)[0])
    created = items.creation_timestamps
    return Items(
        np.append(items.ids, FRESH),
        None if created is None else np.append(created, created.max()),
        {name: np.append(column, column[at]) for name, column in items.categories.items()},
    )


def with_an_event(interactions: Interactions, item: str) -> Interactions:
    """Return the interactions and one more of ``USER``'s, the newest of all."""
    return Interactions(
        np.append(interactions.user_ids, USER),
        np.append(interactions.item_ids, item),
        np.append(interactions.timestamps, interactions.timestamps.max() + 1),
    )


@pytest.fixture
def items(dataset: Dataset) -> Items:
    assert dataset.items is not None
    return dataset.items


def scores(model: Model, history_of: Model) -> dict[str, float]:
    answer = model.recommend(
        user_history=history_of.history_of(USER), count=len(model.item_ids), remove_seen=False
    )
    return {one.item_id: one.score for one in answer if one.score is not None}


def test_over_the_same_data_nothing_changes(
    personal: Model, dataset: Dataset, items: Items
) -> None:
    again = refresh(personal, dataset.interactions, items=items)
    assert scores(again, again) == scores(personal, personal)


def test_a_new_item_multiplies_every_old_score_by_one_factor(
    personal: Model, dataset: Dataset, items: Items
) -> None:
    before = scores(personal, personal)
    newer = with_a_new_item(items, like=max(before, key=lambda item: before[item]))
    after = scores(refresh(personal, dataset.interactions, items=newer), personal)
    assert after.keys() - before.keys() == {FRESH}
    ratios = [after[item] / before[item] for item in before]
    assert ratios == pytest.approx([1 - after[FRESH]] * len(ratios))
    assert [item for item in after if item != FRESH] == list(before)


def test_a_new_item_is_liked_as_its_kind_is(
    personal: Model, dataset: Dataset, items: Items
) -> None:
    before = scores(personal, personal)
    best, *_, worst = (item for item in before if item in set(items.ids.tolist()))
    fresh = [
        scores(refresh(personal, dataset.interactions, items=with_a_new_item(items, one)), personal)
        for one in (best, worst)
    ]
    assert fresh[0][FRESH] > fresh[1][FRESH]


def test_new_events_count_without_being_told_again(
    personal: Model, dataset: Dataset, items: Items
) -> None:
    newer = with_a_new_item(items, like=str(items.ids[0]))
    again = refresh(personal, with_an_event(dataset.interactions, FRESH), items=newer)
    assert again.history_of(USER)[-1].item_id == FRESH
    assert again.catalogue.counts[again.catalogue.index([FRESH])[0]] == 1


def test_what_the_training_knew_stays_though_the_data_has_lost_it(
    personal: Model, dataset: Dataset
) -> None:
    gone = dataset.interactions.item_ids != str(personal.item_ids[0])
    again = refresh(personal, dataset.interactions.where(gone))
    assert np.isin(personal.item_ids, again.item_ids).all()


def test_a_refreshed_model_outlives_its_process(
    personal: Model, dataset: Dataset, items: Items, tmp_path: Path
) -> None:
    again = refresh(
        personal, dataset.interactions, items=with_a_new_item(items, like=str(items.ids[0]))
    )
    save(again, tmp_path / "model")
    assert scores(load(tmp_path / "model"), again) == scores(again, again)


def test_recipes_that_cannot_be_updated_must_be_trained_again(
    recipe: str, model: Model, dataset: Dataset
) -> None:
    if RECIPES[recipe].updatable:
        assert refresh(model, dataset.interactions).recipe == recipe
        return
    with pytest.raises(ValueError, match=f"{recipe} cannot be refreshed; train it again"):
        refresh(model, dataset.interactions)


def test_recipes_that_a_solution_may_update_by_schedule_can_be_updated() -> None:
    offered = set(UPDATABLE_RECIPES) & set(RECIPES)
    assert offered
    assert all(RECIPES[name].updatable for name in offered)
