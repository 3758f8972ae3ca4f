"""The operator's own key: made once, whoever starts first, and never guessed."""

import asyncio
import base64
from typing import Any

import pytest

from reco.cluster.errors import StoreExists, StoreForbidden, StoreNotFound
from reco.loop.key import KeyUnavailable, operator_key

PATH = "/api/v1/namespaces/reco-system/secrets"


class Secrets:
    """Keeps Secrets; `race` is made by somebody else right before one is to be made."""

    def __init__(self, *, race: bytes | None = None, refuses: str = "") -> None:
        self.data: dict[str, Any] = {}
        self._race = race
        self._refuses = refuses

    async def request(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        if method == self._refuses:
            raise StoreForbidden(f"{method} {path}: HTTP 403")
        if method == "POST":
            if self._race is not None:
                self.put(self._race)
            if self.data:
                raise StoreExists(path)
            self.data = sent["body"]["data"]
            return {}
        assert (method, path) == ("GET", f"{PATH}/key")
        if not self.data:
            raise StoreNotFound(path)
        return {"data": self.data}

    def put(self, key: bytes) -> None:
        self.data = {"key": base64.b64encode(key).decode()}


def key(api: Secrets, new: bytes = b"n" * 32) -> bytes:
    def made(size: int) -> bytes:
        assert size == len(new)
        return new

    return asyncio.run(operator_key(api, "reco-system", "key", made))


def test_the_first_start_makes_the_key_and_later_ones_find_it() -> None:
    api = Secrets()

    assert key(api) == b"n" * 32
    assert key(api, b"o" * 32) == b"n" * 32


def test_of_two_that_start_together_both_have_one_key() -> None:
    assert key(Secrets(race=b"r" * 32)) == b"r" * 32


@pytest.mark.parametrize("content", ["", "nonsense!", base64.b64encode(b"short").decode()])
def test_a_secret_without_a_key_is_not_overwritten(content: str) -> None:
    api = Secrets()
    api.data = {"key": content}

    with pytest.raises(KeyUnavailable, match="holds no key of at least 32 bytes"):
        key(api)
    assert api.data == {"key": content}


@pytest.mark.parametrize("refuses", ["GET", "POST"])
def test_a_missing_permission_is_told(refuses: str) -> None:
    with pytest.raises(KeyUnavailable, match="Allow it to create Secrets in its namespace"):
        key(Secrets(refuses=refuses))
