"""Runs seeds from the command line: `uv run python -m tests.simulation.run --seed 7 --trace`."""

import argparse
import sys
import time

from tests.simulation.simulation import STEPS, Report, simulate


def replay(seed: int, steps: int = STEPS) -> str:
    """Return the command that runs one seed again."""
    more = f" --steps {steps}" if steps != STEPS else ""
    return f"uv run python -m tests.simulation.run --seed {seed}{more} --trace"


def describe(report: Report, steps: int = STEPS, lines: int = 60) -> str:
    """Return what is wrong with a seed, how it came to that, and how to see it again."""
    first = next((n for n, line in enumerate(report.lines) if "BROKEN" in line), len(report.lines))
    told = report.lines[max(0, first - lines) : first + 3]
    problems = [f"  {problem}" for problem in report.problems]
    return "\n".join(
        [
            f"seed {report.seed} breaks",
            *problems,
            *told,
            "replay:",
            f"  {replay(report.seed, steps)}",
        ]
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="one seed")
    which.add_argument("--seeds", help="a range of seeds, such as 0..999")
    parser.add_argument("--steps", type=int, default=STEPS, help="things that happen in the storm")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first break")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        seeds = range(arguments.seed, arguments.seed + 1)
    else:
        low, _, high = arguments.seeds.partition("..")
        seeds = range(int(low), int(high) + 1)
    broken = 0
    began = time.monotonic()
    for seed in seeds:
        report = simulate(seed, arguments.steps)
        if arguments.trace:
            _say("\n".join(report.lines))
        if report.problems:
            broken += 1
            _say(describe(report, arguments.steps, 0 if arguments.keep_going else 60))
            if not arguments.keep_going:
                break
    took = time.monotonic() - began
    _say(f"{len(seeds)} seeds, {broken} broken, {took:.1f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
