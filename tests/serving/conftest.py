"""A data plane on loopback; each test starts the pods that it needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.valkey import ValkeyServer
from tests.serving.stack import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "storage").mkdir()
    with ValkeyServer(tmp_path / "store") as store:
        made = Stack(tmp_path, store)
        yield made
        made.stop()
