"""From manifests to recommendations and back to nothing, as a user goes."""

import random

import pytest

from tests.cluster.estate import Estate

pytestmark = pytest.mark.usefixtures("operator")


@pytest.mark.parametrize("seed", [1, 2])
def test_manifests_in_any_order_become_recommendations_and_deletions_leave_nothing(
    estate: Estate, seed: int
) -> None:
    order = random.Random(seed)
    manifests = estate.whole()
    estate.apply(order.sample(manifests, len(manifests)))
    campaign = estate.watch.ready("Campaign", "for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies")
    assert campaign["status"]["serving"]["current"]
    estate.delete(order.sample(manifests, len(manifests)))
    estate.watch.gone(timeout=60)
    assert estate.external() == {}
