"""Ends the processes of a parent that died without the chance to end them itself.

Run as a child of that parent, in a session of its own, with the parent's pipe as standard input.
Lines of the form ``+PGID`` and ``-PGID`` say which process groups are alive; the end of input
says that the parent is gone, by whatever means, and what is left is terminated, then killed.

A pipe rather than ``PR_SET_PDEATHSIG``: that signal follows the *thread* that forked, needs code
between fork and exec, and exists on Linux alone.
"""

import os
import signal
import sys
import time
from contextlib import suppress

GRACE_SECONDS = 3.0
POLL_SECONDS = 0.05


def signal_groups(groups: set[int], number: int) -> set[int]:
    """Send signal ``number`` (0 only asks) to every group; return those that still exist."""
    alive = set()
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            alive.add(group)
    return alive


def main() -> None:
    """Follow the parent's messages to their end, then leave no group of its behind."""
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    groups = signal_groups(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while groups and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        groups = signal_groups(groups, 0)
    signal_groups(groups, signal.SIGKILL)


if __name__ == "__main__":
    main()
