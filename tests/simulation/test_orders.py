"""Whatever the order in which an estate is applied and deleted, it comes to be, and goes clean."""

import asyncio
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reco.api.resource import Key
from tests.simulation.memory_store import key_of
from tests.simulation.staged import Stage, estate

KEYS = [key_of(one) for one in estate(Stage())]
MADE_ONCE = Counter(
    {
        "CreateDatasetGroup": 1,
        "CreateSchema": 1,
        "CreateDataset": 1,
        "CreateDatasetImportJob": 2,  # the Dataset's own, and the one by hand
        "CreateSolution": 1,
        "CreateSolutionVersion": 1,
        "CreateCampaign": 1,
        "CreateEventTracker": 1,
    }
)
moments = st.lists(
    st.sampled_from([0.0, 0.0, 1.0, 45.0, 400.0]), min_size=len(KEYS), max_size=len(KEYS)
)


@pytest.mark.timeout(120)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    applied=st.permutations(KEYS),
    deleted=st.permutations(KEYS),
    pauses=st.tuples(moments, moments),
    seed=st.integers(0, 9999),
)
def test_any_order_of_apply_and_delete_ends_clean(
    applied: list[Key], deleted: list[Key], pauses: tuple[list[float], list[float]], seed: int
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.want(*estate(stage))
        stage.world.start("a")
        for key, pause in zip(applied, pauses[0], strict=True):
            assert stage.user.apply(key)
            await asyncio.sleep(pause)
        await stage.settled()
        made = stage.carried_out(0)
        trainings = made.pop("CreateSolutionVersion")
        assert trainings in {1, 2}, "by hand, and the first one where data came before it"
        assert made + Counter(CreateSolutionVersion=1) == MADE_ONCE
        for key, pause in zip(deleted, pauses[1], strict=True):
            stage.delete(key)
            await asyncio.sleep(pause)
        await stage.gone(*KEYS)
        assert stage.world.server.objects == {}
        assert stage.ending.externals() == set()

    Stage(seed).play(scenario)
