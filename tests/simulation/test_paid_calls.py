"""R4: one training, whatever becomes of the process that asked for it, and of the answer.

The service neither refuses a repeated name nor shows at once in its lists what was made, and a
process that starts anew knows nothing but the statuses. `test_seeds` draws such worlds; these are
the staged ones.
"""

import asyncio
from dataclasses import replace

import pytest

from tests.simulation.staged import Stage, estate, key
from tests.simulation.world import Fuse

PAID = "CreateSolutionVersion"
LAG = 150.0
"""Seconds for which lists lag: longer than another leader needs, and less than is waited for."""
SETTLE = 180.0
SOLUTION = key("Solution", "for-you")


def forgetful() -> Stage:
    """Return a stage whose service takes a name twice, and whose lists lag."""
    stage = Stage()
    world = stage.world
    world.polling = replace(world.polling, settle=SETTLE)
    emulated = world.emulator._world
    settings = replace(emulated.settings, refuse_repeated_version_names=False, list_lag=LAG)
    world.emulator._world = replace(emulated, settings=settings)
    kinds = {"EngineClass", "DatasetGroup", "Schema", "Dataset", "Solution"}
    stage.want(*(one for one in estate(stage) if one["kind"] in kinds))
    stage.user.apply_all()
    return stage


async def trained_once(stage: Stage) -> None:
    """Let everything come to be, and hold that one training was paid for."""
    await stage.settled()
    assert stage.carried_out(0)[PAID] == 1


@pytest.mark.parametrize("after", [False, True])
def test_r4_a_process_that_dies_at_the_call_pays_once(*, after: bool) -> None:
    stage = forgetful()

    async def scenario(stage: Stage) -> None:
        stage.world.fuse = Fuse(2 if after else 1, only=PAID)
        stage.world.start("a")
        await trained_once(stage)
        assert stage.world.fuse.blown == PAID

    stage.play(scenario)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 30.0, 100.0])
def test_r4_a_process_that_dies_after_an_answer_was_lost_pays_once(seconds: float) -> None:
    stage = forgetful()

    async def scenario(stage: Stage) -> None:
        world = stage.world
        world.emulator.add_fault({"kind": "lostResponse", "operation": PAID, "count": 1})
        world.start("a")
        while not any(call.operation == PAID for call in world.calls):  # noqa: ASYNC110 - virtual
            await asyncio.sleep(1.0)
        await asyncio.sleep(seconds)
        world.processes["a"].kill("killed")
        await trained_once(stage)

    stage.play(scenario)
