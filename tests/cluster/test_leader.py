"""Replicas at work in one estate: killed, stopped, replaced, and nothing made twice (R4, R12)."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.estate import Estate
from tests.cluster.operators import QUICK, QUICK_LEASE, OperatorProcess, flags

Start = Callable[..., OperatorProcess]
ONE_OF_EACH = Counter(
    (
        "CreateDatasetGroup",
        "CreateSchema",
        "CreateDataset",
        "CreateDatasetImportJob",
        "CreateSolution",
        "CreateSolutionVersion",
        "CreateCampaign",
        "CreateEventTracker",
    )
)


@pytest.fixture
def start(estate: Estate, tmp_path: Path) -> Iterator[Start]:
    """Start replicas that work in the estate."""
    with ExitStack() as running:

        def start_(name: str, *options: str) -> OperatorProcess:
            return running.enter_context(
                OperatorProcess(
                    estate.plane.kubeconfig,
                    tmp_path / f"operator-{name}.log",
                    f"--namespaces={estate.namespace}",
                    f"--lease-namespace={estate.namespace}",
                    *flags(QUICK),
                    *options,
                )
            )

        yield start_


def pair(start: Start) -> tuple[OperatorProcess, OperatorProcess]:
    """Start a leader, and a standby that waits for it to go."""
    leader = start("leader", *QUICK_LEASE).ready()
    leader.until(lambda: leader.role() == "leader", "not leading")
    standby = start("standby", *QUICK_LEASE).ready()
    assert standby.role() == "standby"
    return leader, standby


def training_begins(estate: Estate) -> None:
    estate.apply(estate.whole())
    estate.watch.until(
        lambda watch: any(
            (item["status"].get("external") or {}).get("arn")
            for item in watch.all("SolutionVersion")
        ),
        "a training has begun",
    )


def assert_one_of_each(estate: Estate) -> None:
    estate.watch.ready("Campaign", "for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies", timeout=60)
    made = Counter(name for name in estate.mutations() if name.startswith("Create"))
    assert made == ONE_OF_EACH


def test_r12_a_standby_finishes_what_a_killed_leader_began(estate: Estate, start: Start) -> None:
    leader, standby = pair(start)
    training_begins(estate)
    assert standby.metric('leader_election_master_status{name="reco"}') == 0
    leader.stop(grace=0)
    standby.until(lambda: standby.role() == "leader", "no takeover", timeout=10)
    assert_one_of_each(estate)


def test_r12_a_leader_that_is_told_to_stop_hands_over_within_its_grace(
    estate: Estate, start: Start
) -> None:
    leader, standby = pair(start)
    training_begins(estate)
    began = time.monotonic()
    assert leader.stop(grace=20) == 0
    assert time.monotonic() - began < 10
    # Released, not expired: the standby need not wait for the lease's duration.
    standby.until(lambda: standby.role() == "leader", "no takeover", timeout=3)
    assert_one_of_each(estate)
    lease = json.loads(estate.kubectl("get", "lease", "reco-operator", "-o", "json"))["spec"]
    assert lease["leaseTransitions"] == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_r4_kills_at_random_moments_make_nothing_twice(
    estate: Estate, start: Start, seed: int
) -> None:
    moments = random.Random(seed)
    estate.apply(estate.whole())
    for life in range(4):
        replica = start(f"{life}").ready()
        # The moment is the point here: no event is waited for.
        time.sleep(moments.uniform(0.05, 1.0))
        replica.stop(grace=0)
    start("last")
    assert_one_of_each(estate)
    estate.delete(estate.whole())
    estate.watch.gone(timeout=60)
    assert estate.external() == {}
