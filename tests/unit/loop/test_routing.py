from collections.abc import Callable
from typing import Any

import pytest

from reco.api.resource import Resource, parse
from reco.loop.cache import Cache
from reco.loop.routing import route

Body = dict[str, Any]
READY = {
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "InSync",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
}


@pytest.fixture
def cache(body: Callable[..., Body]) -> Cache:
    """A class, a group of it, a solution with a version and a campaign, a dataset, a tracker."""
    cache = Cache(lambda: 0.0, lambda _before, _after: None)
    for kind, name in (
        ("EngineClass", "aws"),
        ("DatasetGroup", "group"),
        ("Dataset", "dataset"),
        ("Solution", "solution"),
        ("SolutionVersion", "version"),
        ("Campaign", "campaign"),
        ("EventTracker", "tracker"),
    ):
        cache.replace(parse(body(kind, name)))
    return cache


def woken(cache: Cache, before: Body | None, after: Body | None) -> list[str]:
    def read(body: Body | None) -> Resource | None:
        return None if body is None else parse(body)

    return [key.name for key in route(read(before), read(after), cache)]


def test_a_new_resource_is_looked_at_with_what_it_refers_to(
    cache: Cache, body: Callable[..., Body]
) -> None:
    assert woken(cache, None, body("Campaign", "new")) == ["new", "solution", "version"]


def test_a_status_wakes_all_around_but_not_the_resource_itself(
    cache: Cache, body: Callable[..., Body]
) -> None:
    before, after = body("Solution", "solution", 1), body("Solution", "solution", 2, status=READY)
    assert woken(cache, before, after) == ["campaign", "version", "group"]


def test_a_deletion_wakes_those_that_wait_for_it(cache: Cache, body: Callable[..., Body]) -> None:
    woken_ = woken(cache, body("Campaign", "campaign"), None)
    assert woken_ == ["campaign", "solution", "version"]


def test_a_version_wakes_the_campaigns_that_follow_its_solution(
    cache: Cache, body: Callable[..., Body]
) -> None:
    before, after = (
        body("SolutionVersion", "version"),
        body("SolutionVersion", "version", 2, status=READY),
    )
    assert woken(cache, before, after) == ["solution", "campaign"]


def test_a_dataset_wakes_the_solutions_and_trackers_of_its_group(
    cache: Cache, body: Callable[..., Body]
) -> None:
    before, after = body("Dataset", "dataset"), body("Dataset", "dataset", 2, status=READY)
    assert woken(cache, before, after) == ["group", "solution", "tracker"]


def test_a_touch_that_changes_nothing_wakes_nobody(cache: Cache, body: Callable[..., Body]) -> None:
    assert woken(cache, body("Solution", "solution", 1), body("Solution", "solution", 2)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2},
        {"deletionTimestamp": "2026-01-02T00:00:00Z"},
        {"finalizers": ["reco.dev/external"]},
        {"labels": {"team": "search"}},
        {"annotations": {"reco.dev/paused": "true"}},
        {"uid": "made anew"},
    ],
)
def test_whatever_a_person_can_ask_for_wakes_the_resource(
    cache: Cache, body: Callable[..., Body], change: dict[str, Any]
) -> None:
    before, after = body("Campaign", "campaign"), body("Campaign", "campaign", 2, **change)
    assert woken(cache, before, after)[0] == "campaign"


def test_foreign_annotations_do_not_wake_the_resource(
    cache: Cache, body: Callable[..., Body]
) -> None:
    after = body("Campaign", "campaign", 2, annotations={"example.com/note": "hello"})
    assert "campaign" not in woken(cache, body("Campaign", "campaign"), after)


def test_a_class_wakes_those_that_leave_the_choice_to_the_default(
    cache: Cache, body: Callable[..., Body]
) -> None:
    cache.replace(parse(body("DatasetGroup", "undecided", spec={})))
    marked = body("EngineClass", "aws", 2, annotations={"reco.dev/is-default-class": "true"})
    assert woken(cache, body("EngineClass", "aws"), marked) == ["aws", "group", "undecided"]


def test_the_last_of_a_class_to_go_wakes_the_class_it_never_named(
    cache: Cache, body: Callable[..., Body]
) -> None:
    of_default_class = body("DatasetGroup", "unnamed", spec={}, status={"engineClassName": "aws"})
    assert "aws" in woken(cache, of_default_class, None)


def test_a_release_wakes_whoever_may_take_over(cache: Cache, body: Callable[..., Body]) -> None:
    taker = body("Campaign", "taker")
    taker["metadata"]["namespace"] = "bank"
    cache.replace(parse(taker))
    before, after = body("Campaign", "campaign", 1), body("Campaign", "campaign", 2)
    after["metadata"]["annotations"] = {"reco.dev/release-to": "c/bank/taker"}

    assert "taker" in woken(cache, before, after)
    assert "taker" in woken(cache, after, before), "and when the word is taken back"
