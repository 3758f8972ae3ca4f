"""Which times of interactions are to be believed.

Ages are counted from the newest interaction. One client with a wrong clock, or a few rows in
milliseconds, would else age what everybody did.
"""

import numpy as np

from reco.recipes.data import Timestamps

_NO_SECONDS = 100_000_000_000
"""In the year 5138: what is larger are milliseconds, microseconds or nanoseconds."""
_GAP = 365 * 86_400
"""Seconds. A few rows beyond such a gap are taken for mistakes of a clock."""
_FEW = 50
"""One row in so many is few."""
_ENOUGH = 100
"""So many rows in the past are no mistake, however few they are beside all others."""


def in_seconds(times: Timestamps) -> Timestamps:
    """Return times as epoch seconds, where some are in a smaller unit: as PutEvents takes them."""
    while (large := times >= _NO_SECONDS).any():
        times = np.where(large, times // 1000, times)
    return times


def believed(times: Timestamps, now: int | None = None) -> tuple[int, int]:
    """Return the earliest and the latest time that are to be believed, in epoch seconds.

    `now` is the reader's own clock: nothing happened later, unless half of all rows say so. Few
    rows that lie more than a year from all others are not believed either.
    """
    ordered = np.sort(times)
    if now is not None:
        past = int(np.searchsorted(ordered, now, side="right"))
        ordered = ordered[:past] if 2 * past >= len(ordered) else ordered
    if not len(ordered):
        return 0, 0
    few = len(ordered) // _FEW
    first = ordered[: few + 1]
    alone = np.flatnonzero(np.diff(first) > _GAP)
    earliest = first[alone[-1] + 1] if len(alone) else first[0]
    last = ordered[-(few if now is None else min(few, _ENOUGH - 1)) - 1 :]
    alone = np.flatnonzero(np.diff(last) > _GAP)
    latest = last[alone[0]] if len(alone) else last[-1]
    return int(earliest), int(latest)
