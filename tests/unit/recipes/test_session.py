"""A session answers like a model that is given the whole history, and does so fast."""

import random
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reco.recipes import Event, Model, Scored
from reco.recipes.matrices import DenseRows
from reco.recipes.scorers import LinearScorer, NeighbourScorer

EVENTS = st.lists(
    st.builds(Event, st.integers(0, 620).map("i{:05}".format), st.integers(0, 40)), max_size=90
)


def same(one: list[Scored], other: list[Scored]) -> bool:
    """Compare answers; sums in another order may move scores in their last digits."""
    scores, others = ([scored.score or 0.0 for scored in answer] for answer in (one, other))
    if not np.allclose(scores, others, rtol=2e-4, atol=1e-7):
        return False
    by_item = {scored.item_id: scored.score or 0.0 for scored in other}
    return all(
        scored.item_id == there.item_id
        or np.isclose(by_item[scored.item_id], there.score or 0.0, rtol=2e-4, atol=1e-7)
        for scored, there in zip(one, other, strict=True)
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events=EVENTS, seed=st.integers(0, 3))
def test_events_one_by_one_in_any_order_give_what_the_whole_history_gives(
    model: Model, events: list[Event], seed: int
) -> None:
    everything = len(model.item_ids)
    newest: dict[str, Event] = {}
    for event in events:
        known = newest.get(event.item_id)
        if known is None or known.timestamp <= event.timestamp:
            newest[event.item_id] = event
    times = random.Random(seed).sample(range(1000), len(newest))
    events = [
        Event(event.item_id, time) for event, time in zip(newest.values(), times, strict=True)
    ]
    session = model.session()
    for event in events:
        session.add(event)
    whole = model.recommend(user_history=events, count=everything)
    assert same(model.top(session, everything), whole)
    assert same(model.top(model.session(events), everything), whole)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events=EVENTS)
def test_repeated_items_count_at_their_latest_event(model: Model, events: list[Event]) -> None:
    session = model.session()
    for event in events:
        session.add(event)
    times = list(session.times.values())
    assert times == sorted(times)
    assert session.times == model.session(events).times
    whole = model.recommend(user_history=events, count=len(model.item_ids))
    assert same(model.top(session, len(model.item_ids)), whole)


def test_a_user_of_the_training_needs_no_history_given(model: Model) -> None:
    history = model.history_of("u0007")
    known = model.recommend(user_history=history, user_id="u0007")
    assert model.top(model.session(user_id="u0007")) == known
    late = Event("i00003", history[-1].timestamp + 5)
    assert model.top(model.session([late], user_id="u0007")) == model.recommend(
        user_history=[*history, late], user_id="u0007"
    )


def test_a_ranking_heeds_events_in_whatever_order_they_come(personal: Model) -> None:
    candidates = personal.item_ids[:40].tolist()
    session, events = personal.session(), []
    for item, time in (("i00003", 5), ("i00007", 6), ("i00009", 4), ("i00003", 7)):
        before = personal.ranked(session, candidates)
        events.append(Event(item, time))
        session.add(events[-1])
        ranked = personal.ranked(session, candidates)
        assert ranked != before
        assert same(ranked, personal.rank(candidates=candidates, user_history=events))


def test_an_event_of_another_type_or_an_unknown_item_changes_nothing(personal: Model) -> None:
    session = personal.session(user_id="u0007")
    before = personal.top(session)
    assert not session.add(Event("unheard-of", 2_000_000_000))
    assert personal.top(session) == before
    assert session.add(Event("i00003", 2_000_000_000, "whatever"))


def test_excluded_items_leave_the_scores_of_the_others_alone(personal: Model) -> None:
    session = personal.session(user_id="u0007")
    answer = personal.top(session, 25)
    without = [answer[0].item_id, answer[3].item_id, "unheard-of"]
    assert personal.top(session, 23, exclude=without) == [
        scored for scored in answer if scored.item_id not in without
    ]


def test_a_session_of_one_user_says_nothing_of_another(personal: Model) -> None:
    mine, yours = personal.session(user_id="u0007"), personal.session(user_id="u0008")
    before = personal.top(yours)
    mine.add(Event("i00003", 2_000_000_000))
    assert personal.top(yours) == before


@pytest.mark.parametrize("events", [1, 10, 80])
def test_a_profile_is_the_faded_sum_of_the_newest_items(
    model_of: Callable[[str], Model], events: int
) -> None:
    model = model_of("aws-user-personalization-v2")
    scorer = model.scorer
    assert isinstance(scorer, LinearScorer)
    items = np.random.default_rng(1).permutation(len(model.item_ids))[:events].tolist()
    rows = scorer.rows
    assert isinstance(rows, DenseRows)
    expected = np.zeros(len(rows.targets))
    telling = [item for item in items if rows.has(item)]
    for place, item in enumerate(reversed(telling[-scorer.window :])):
        for at in range(rows.starts[item], rows.starts[item + 1]):
            row = rows.weights[rows.rows[at]].astype(np.float64)
            expected += 2.0 ** (-place / scorer.half_life) * rows.shares[at] * row
    np.testing.assert_allclose(scorer.profile(items), expected, atol=1e-6)


def test_related_items_need_no_profile(sims: Model) -> None:
    assert isinstance(sims.scorer, NeighbourScorer)
    assert sims.session(user_id="u0007").profile.size == 0


def test_ids_that_no_catalogue_can_hold_are_unknown_and_cost_nothing(personal: Model) -> None:
    strange = ["", "i00001\0", "x" * 10_000, "i00001" + "0" * 50_000, "\U0010ffff"]
    tracemalloc.start()
    session = personal.session([Event(item, 1) for item in strange], user_id="u" * 10_000)
    ranked = personal.ranked(session, [*strange, "i00001"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert session.times == {}
    assert [one.item_id for one in ranked] == ["i00001", *strange]
    assert peak < 1 << 20
