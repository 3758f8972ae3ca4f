from collections.abc import Callable
from typing import Any

import pytest

from reco.api.resource import Key, Resource, parse
from reco.loop.cache import Cache

Body = dict[str, Any]
SOLUTION = Key("Solution", "shop", "solution")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[tuple[Resource | None, Resource | None]]:
    return []


@pytest.fixture
def cache(clock: Clock, changes: list[tuple[Resource | None, Resource | None]]) -> Cache:
    return Cache(clock, lambda before, after: changes.append((before, after)))


@pytest.fixture
def solution(body: Callable[..., Body]) -> Callable[[int], Resource]:
    return lambda version: parse(body("Solution", "solution", version))


def version_of(cache: Cache, key: Key = SOLUTION) -> str:
    resource = cache.get(key)
    assert resource is not None
    return resource.resource_version


def test_resources_are_found_by_kind_namespace_and_reference(
    cache: Cache, body: Callable[..., Body]
) -> None:
    for name in ("c", "a", "b"):
        cache.replace(parse(body("Campaign", name)))
    cache.replace(parse(body("Solution", "solution")))
    assert [r.key.name for r in cache.all("Campaign", "shop")] == ["a", "b", "c"]
    assert cache.all("Campaign", "elsewhere") == ()
    assert [r.key.name for r in cache.referring(SOLUTION)] == ["a", "b", "c"]
    assert cache.referring(SOLUTION, "SolutionVersion") == []


def test_a_changed_reference_moves_the_resource_in_the_index(
    cache: Cache, body: Callable[..., Body]
) -> None:
    cache.replace(parse(body("Campaign", "c", 1)))
    cache.replace(parse(body("Campaign", "c", 2, spec={"solutionRef": {"name": "other"}})))
    assert cache.referring(SOLUTION) == []
    assert len(cache.referring(Key("Solution", "shop", "other"))) == 1


def test_children_are_found_by_their_owner(cache: Cache, body: Callable[..., Body]) -> None:
    owner = {"apiVersion": "reco.dev/v1alpha1", "kind": "Solution", "name": "s", "uid": "uid-s"}
    child = parse(body("SolutionVersion", "v", ownerReferences=[owner]))
    cache.replace(child)
    assert cache.owned("uid-s") == [child]
    cache.remove(child.key, child.uid)
    assert cache.owned("uid-s") == []


def test_older_news_do_not_undo_a_write_of_ours(
    cache: Cache, solution: Callable[[int], Resource]
) -> None:
    cache.replace(solution(1))
    cache.observe_write(solution(3))
    cache.replace(solution(2))
    assert version_of(cache) == "3"
    cache.replace(solution(3))
    cache.replace(solution(4))
    assert version_of(cache) == "4"


def test_news_are_taken_once_the_echo_of_a_write_is_overdue(
    cache: Cache, clock: Clock, solution: Callable[[int], Resource]
) -> None:
    cache.observe_write(solution(3))
    cache.replace(solution(7))  # the watch was replayed and has jumped over 3
    cache.release()
    assert version_of(cache) == "3"
    clock.now = 5.0
    cache.release()
    assert version_of(cache) == "7"


def test_a_write_whose_echo_came_first_changes_nothing(
    cache: Cache, solution: Callable[[int], Resource]
) -> None:
    cache.replace(solution(1))
    cache.replace(solution(2))
    cache.replace(solution(3))
    cache.observe_write(solution(2))
    assert version_of(cache) == "3"
    cache.replace(solution(4))
    assert version_of(cache) == "4"


def test_a_write_that_is_answered_after_the_deletion_brings_nothing_back(
    cache: Cache, solution: Callable[[int], Resource]
) -> None:
    cache.replace(solution(1))
    cache.remove(SOLUTION, "uid-solution")
    cache.observe_write(solution(2))
    assert cache.get(SOLUTION) is None


def test_the_deletion_of_an_earlier_resource_of_that_name_is_ignored(
    cache: Cache, solution: Callable[[int], Resource]
) -> None:
    cache.replace(solution(1))
    assert cache.remove(SOLUTION, "uid-of-another") is None
    assert cache.get(SOLUTION) is not None


def test_what_a_list_lacks_has_vanished_and_what_changed_since_is_left_alone(
    cache: Cache, body: Callable[..., Body]
) -> None:
    def campaign(name: str, version: int) -> Resource:
        return parse(body("Campaign", name, version))

    for name in ("kept", "vanished", "changed", "gone"):
        cache.replace(campaign(name, 1))
    mark = cache.mark()
    # While the list is on its way:
    cache.replace(campaign("changed", 9))
    cache.replace(campaign("new", 9))
    cache.remove(Key("Campaign", "shop", "gone"), "uid-gone")
    listed = [
        campaign("kept", 1),
        campaign("changed", 2),
        campaign("gone", 1),
        campaign("found", 2),
    ]
    missed = cache.merge("Campaign", listed, mark)
    assert {r.key.name: r.resource_version for r in cache.all("Campaign")} == {
        "kept": "1",
        "changed": "9",
        "new": "9",
        "found": "2",
    }
    assert missed == 2  # found and vanished


def test_absence_means_something_only_once_every_kind_was_listed(cache: Cache) -> None:
    for kind in cache.unsynced:
        assert not cache.synced
        cache.merge(kind, [], cache.mark())
    assert cache.synced


def test_every_change_is_told_once(
    cache: Cache,
    changes: list[tuple[Resource | None, Resource | None]],
    solution: Callable[[int], Resource],
) -> None:
    cache.replace(solution(1))
    cache.replace(solution(1))
    cache.observe_write(solution(2))
    cache.replace(solution(2))
    cache.remove(SOLUTION, "uid-solution")
    versions = [
        (before and before.resource_version, after and after.resource_version)
        for before, after in changes
    ]
    assert versions == [(None, "1"), ("1", "2"), ("2", None)]
