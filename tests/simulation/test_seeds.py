"""Rules R1 to R12 in several hundred drawn worlds; see `rules` and `ending` for what each says.

More seeds: `uv run python -m tests.simulation.run --seeds 0..9999`, or set RECO_SIMULATION_SEEDS.
"""

import os
import subprocess
import sys

import pytest

from tests.simulation.run import describe
from tests.simulation.simulation import simulate

SEEDS = int(os.environ.get("RECO_SIMULATION_SEEDS", "300"))
CHUNK = 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_rule_holds_in_every_world(first: int) -> None:
    broken = [
        describe(report)
        for report in map(simulate, range(first, min(first + CHUNK, SEEDS)))
        if report.problems
    ]
    assert not broken, "\n\n".join(broken)


def test_a_seed_repeats_itself_whatever_the_hash_seed() -> None:
    command = [sys.executable, "-m", "tests.simulation.run", "--seed", "4", "--trace"]
    traces = [
        subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout.splitlines()[:-1]
        for hash_seed in ("1", "2")
    ]
    assert len(traces[0]) > 100
    assert traces[0] == traces[1]
