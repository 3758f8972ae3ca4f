"""Applies mutants of the product one by one, and tells which of them no test notices.

`scripts/mutants` runs this. Exit codes: 0 all killed, 1 some survived or no longer
fit, 130 interrupted.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.mutants.mutant import Mutant
from tests.mutants.running import Fate, Verdict, baseline, end_all, try_out
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="show the table and run nothing")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    asked = parser.parse_args(arguments)
    names = {mutant.name for mutant in MUTANTS}
    unknown = sorted(set(asked.only or ()) - names)
    if unknown:
        parser.error(f"no such mutant: {', '.join(unknown)}; --list shows all")
    chosen = [one for one in MUTANTS if asked.only is None or one.name in asked.only]
    if asked.list:
        for mutant in chosen:
            _say(f"{mutant.name:34} {mutant.harm}")
        return 0
    return _run(chosen, asked.jobs)


def _run(mutants: Sequence[Mutant], jobs: int) -> int:
    began = time.monotonic()
    _say(f"tests without a mutant, then {len(mutants)} mutants, {jobs} at a time")
    verdicts: dict[str, Verdict] = {}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ThreadPoolExecutor(jobs) as pool:
        without = pool.submit(baseline, mutants, ROOT)
        waiting = {pool.submit(try_out, mutant, ROOT): mutant for mutant in mutants}
        try:
            for number, done in enumerate(as_completed(waiting), start=1):
                mutant, verdict = waiting[done], done.result()
                verdicts[mutant.name] = verdict
                _say(f"{number:3}/{len(mutants)} {mutant.name:34} {verdict.fate} {verdict.text}")
            unhealthy = without.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            _say("interrupted")
            return 130
    bad = [one for one in mutants if verdicts[one.name].fate is not Fate.KILLED]
    for mutant in bad:
        _say(f"{verdicts[mutant.name].fate}: {mutant.name}: {mutant.harm}")
    if unhealthy is not None:
        _say(unhealthy)
    killed = len(mutants) - len(bad)
    _say(f"{killed} of {len(mutants)} killed, {time.monotonic() - began:.0f} s")
    return 1 if bad or unhealthy is not None else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text.rstrip()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
