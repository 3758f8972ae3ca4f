import asyncio
from collections.abc import Mapping

import pytest

from reco.cluster.errors import StoreForbidden, StoreNotFound, StoreUnavailable
from reco.loop.namespaces import LABELS_SECONDS, Namespaces


class Store:
    """Tells labels, or raises."""

    def __init__(self) -> None:
        self.answer: Mapping[str, str] | Exception = {"team": "media"}
        self.asked = 0

    async def namespace_labels(self, _name: str) -> Mapping[str, str]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def read(namespaces: Namespaces) -> Mapping[str, str] | str:
    await namespaces.read("shop")
    return namespaces.labels("shop")


def test_r8_labels_are_read_once_in_a_while() -> None:
    store, now = Store(), [0.0]
    namespaces = Namespaces(store, lambda: now[0])

    async def scenario() -> None:
        for _ in range(9):
            assert await read(namespaces) == {"team": "media"}
        assert store.asked == 1
        store.answer = {"team": "bank"}
        now[0] += LABELS_SECONDS
        assert await read(namespaces) == {"team": "bank"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (StoreForbidden("forbidden"), "has to allow it to get namespaces"),
        (StoreNotFound("not found"), "there is no namespace shop"),
    ],
)
def test_r10_labels_that_cannot_be_known_say_why(error: Exception, says: str) -> None:
    store = Store()
    store.answer = error

    found = asyncio.run(read(Namespaces(store, lambda: 0.0)))

    assert isinstance(found, str)
    assert says in found


def test_an_api_that_fails_is_asked_again() -> None:
    store = Store()
    store.answer = StoreUnavailable("away")
    namespaces = Namespaces(store, lambda: 0.0)

    async def scenario() -> None:
        with pytest.raises(StoreUnavailable):
            await read(namespaces)
        store.answer = {}
        assert "not read yet" in namespaces.labels("shop")
        assert await read(namespaces) == {}

    asyncio.run(scenario())


def test_all_namespaces_are_watched_unless_some_are_named() -> None:
    assert Namespaces(Store(), lambda: 0.0).watched("bank")
    some = Namespaces(Store(), lambda: 0.0, ["shop"])
    assert some.watched("shop")
    assert not some.watched("bank")
