"""Which models stay when versions go: what serves elsewhere, and what updates go on from."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reco.storage import ObjectStore, Unavailable, open_storage, write
from reco.storage.versions import bases, drop_version, newest_full
from reco.workload.storage import Places, VersionManifest
from reco.workload.tasks import Storage

PLACES = Places("shop_movies")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def put(
    store: ObjectStore,
    name: str,
    mode: str,
    hours: int,
    *,
    base: str | None = None,
    solution: str = "sol",
    recipe: str = "aws-sims",
) -> None:
    """Store a version that was trained so many hours ago, and a model of its own."""
    manifest = VersionManifest(
        solution=solution,
        version=name,
        recipe=recipe,
        mode=mode,
        created=NOW - timedelta(hours=hours),
        artifact=name,
        size=1,
        metrics={},
        training_seconds=1,
        base=base,
    )
    write(store, PLACES.version(solution, name), manifest)
    store.put(PLACES.artifact(name), b"x")


def models(store: ObjectStore) -> set[str]:
    found = store.entries(f"{PLACES.root}/artifacts")
    return {entry.key.rpartition("/")[2].removesuffix(".model") for entry in found}


def base(store: ObjectStore, solution: str = "sol") -> str | None:
    found = newest_full(bases(store, PLACES), solution)
    return found.version if found is not None else None


def drop(store: ObjectStore, *names: str) -> None:
    for name in names:
        drop_version(store, PLACES, "sol", name)


@pytest.mark.parametrize("known", ["full", None])
def test_a_base_stays_as_long_as_there_are_updates_of_it(
    store: ObjectStore, known: str | None
) -> None:
    put(store, "full", "Full", 5)
    put(store, "u1", "Update", 4, base=known)
    put(store, "u2", "Update", 3, base=known)

    drop(store, "full")
    assert (base(store), models(store)) == ("full", {"full", "u1", "u2"})
    drop(store, "u1")
    assert (base(store), models(store)) == ("full", {"full", "u2"})
    drop(store, "u2")
    assert (base(store), models(store)) == (None, set())
    assert list(store.entries(PLACES.root)) == []


def test_a_base_goes_once_a_newer_one_is_there(store: ObjectStore) -> None:
    put(store, "full", "Full", 5)
    put(store, "u1", "Update", 4, base="full")
    drop(store, "full")
    put(store, "full-2", "Full", 3)
    put(store, "u2", "Update", 2, base="full-2")

    drop(store, "u1")

    assert (base(store), models(store)) == ("full-2", {"full-2", "u2"})


def test_a_version_that_no_update_needs_goes_wholly(store: ObjectStore) -> None:
    put(store, "old", "Full", 9)
    put(store, "full", "Full", 5)
    put(store, "u1", "Update", 4, base="full")
    put(store, "other", "Full", 5, solution="other")
    put(store, "theirs", "Update", 5, solution="third")

    drop(store, "old")
    drop_version(store, PLACES, "other", "other")

    assert models(store) == {"full", "u1", "theirs"}
    assert base(store, "other") is None


def test_updates_of_another_recipe_keep_nothing(store: ObjectStore) -> None:
    put(store, "u1", "Update", 7, base="before", recipe="aws-user-personalization")
    put(store, "full", "Full", 5)
    drop(store, "full")
    assert models(store) == {"u1"}


def test_a_version_made_anew_under_the_name_of_a_base_replaces_it(store: ObjectStore) -> None:
    put(store, "full", "Full", 5)
    put(store, "u1", "Update", 4, base="full")
    drop(store, "full")
    put(store, "full", "Full", 1)
    store.put(PLACES.artifact("newer"), b"x")
    drop(store, "u1")
    assert (base(store), "full" in models(store)) == ("full", True)
    drop(store, "full")
    assert base(store) is None


class Failing:
    """A store whose changes fail from one on."""

    def __init__(self, store: ObjectStore, changes: int) -> None:
        self._store = store
        self._left = changes

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found = getattr(self._store, name)
        if name not in {"put", "delete"}:
            return found  # type: ignore[no-any-return] # a method
        if self._left == 0:
            raise Unavailable("it is away")
        self._left -= 1
        return found  # type: ignore[no-any-return] # a method


@pytest.mark.parametrize("changes", range(10))
def test_a_deletion_that_broke_off_anywhere_never_takes_a_base(
    tmp_path: Path, changes: int
) -> None:
    store = open_storage(Storage(path=str(tmp_path)))
    put(store, "full", "Full", 5)
    put(store, "u1", "Update", 4, base="full")

    for name, left in (("full", "full"), ("u1", None)):
        try:
            drop_version(Failing(store, changes), PLACES, "sol", name)  # type: ignore[arg-type]
        except Unavailable:
            assert left is None or base(store) == left
        drop(store, name)
        assert base(store) == left
    assert list(store.entries(PLACES.root)) == []
