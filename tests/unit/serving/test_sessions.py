"""What the ranker remembers of users, against what a model says of the same history at once."""

import numpy as np
import pytest

from reco.recipes import Event, Interactions, Model, train
from reco.serving.events import KeptEvent
from reco.serving.history import line, parse
from reco.serving.sessions import Sessions


@pytest.fixture(scope="module")
def model() -> Model:
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", 1_700_000_000 + place)
        for user in range(40)
        for place, item in enumerate(random.choice(60, size=30, replace=False))
    ]
    users, items, times = zip(*rows, strict=True)
    return train("aws-user-personalization-v2", Interactions.of(users, items, times))


def lines(*items: str, since: int = 1_800_000_000) -> bytes:
    return b"".join(
        line(KeptEvent(f"{item}-{since}", "watch", since + at, item)) or b""
        for at, item in enumerate(items)
    )


def test_a_line_holds_any_text() -> None:
    odd = 'a"\\\n\t[é'
    written = line(KeptEvent(odd, odd, 1.5, odd))
    assert written is not None
    assert written.count(b"\n") == 1
    assert written[18:20] == b'",', "the first twenty bytes say which event it is"
    assert list(parse(written * 2)) == [Event(odd, 1, odd)] * 2
    assert line(KeptEvent("1", "login", 1.0)) is None


@pytest.mark.parametrize("user", ["u1", "nobody"])
def test_a_history_that_grows_gives_what_it_gives_at_once(model: Model, user: str) -> None:
    sessions = Sessions(model, 1 << 20)
    history = b""
    for step in (("i1",), ("i2", "i3"), ("i1",), ("not-in-the-catalogue",)):
        history += lines(*step, since=1_800_000_000 + len(history))
        grown = sessions.of(user, history).session
        fresh = model.session(list(parse(history)), user_id=user)
        assert list(grown.times.items()) == list(fresh.times.items())
        np.testing.assert_allclose(grown.profile, fresh.profile, rtol=1e-4, atol=1e-5)


def test_a_history_that_was_trimmed_or_went_is_read_anew(model: Model) -> None:
    sessions = Sessions(model, 1 << 20)
    sessions.of("nobody", lines("i1", "i2", "i3"))
    assert len(sessions.of("nobody", lines("i2", "i3")).session.times) == 2
    assert len(sessions.of("nobody", b"").session.times) == 0


def test_answers_last_until_an_event_comes_and_while_the_store_is_away(model: Model) -> None:
    sessions = Sessions(model, 1 << 20)
    history = lines("i1")
    sessions.of("u1", history).answers[25,] = b"[]"
    assert sessions.of("u1", history).answers
    assert sessions.of("u1", None).answers
    assert not sessions.of("u1", history + lines("i2", since=1_900_000_000)).answers


def test_the_latest_users_are_remembered_within_the_limit(model: Model) -> None:
    sessions = Sessions(model, 60_000)
    for number in range(50):
        sessions.of(f"v{number}", lines("i1"))
    assert 1 < len(sessions) < 50
    assert sessions.size <= 60_000
    assert sessions.of("v49", None).history, "the latest is still there"
    assert not sessions.of("v0", None).history, "the first is not"


def test_scores_that_are_kept_for_rankings_count_towards_the_limit(model: Model) -> None:
    sessions = Sessions(model, 60_000)
    known = sessions.of("u1", b"")
    before = sessions.size
    model.ranked(known.session, ["i1", "i2"])
    sessions.of("u1", b"")
    assert sessions.size == before + 4 * len(model.item_ids)


def test_an_unreadable_history_is_not_taken_for_an_empty_one(model: Model) -> None:
    sessions = Sessions(model, 1 << 20)
    sessions.of("u1", None)
    assert len(sessions) == 0
