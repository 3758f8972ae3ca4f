"""An emulator with an instant trainer behind real HTTP."""

from collections.abc import Iterator

import pytest

from reco.emulator.testing import in_thread, simulated
from tests.contract.emulator.estate import Service


@pytest.fixture
def service() -> Iterator[Service]:
    world = simulated()
    with in_thread(world.emulator) as url:
        yield Service(url, world.emulator, world.trainer, world.objects)
    world.emulator.close()
