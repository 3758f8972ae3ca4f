"""Whose an anonymous session turned out to be, for events in the order in which they came.

The same rule as online (`serving.history.FOLD`): what a session did before a call names a user with
it is that user's from then on. What comes after that call without a user waits for the next one.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence

import pyarrow as pa

from reco.workload.storage import ANONYMOUS

_UNKNOWN = -1


class SessionOwners:
    """Looks through events once, then names the users of those that were anonymous.

    Memory: 12 bytes an anonymous event, and some 200 a stretch of a session without a user.
    """

    def __init__(self) -> None:
        self._rows = array("q")
        """Places of anonymous events, ascending."""
        self._stretches = array("i")
        """Of each of them, the number of its stretch."""
        self._owners = array("i")
        """Of each stretch, the number of its user."""
        self._open: dict[str, int] = {}
        """Sessions that wait for a user, and the stretch that waits."""
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []

    def look_at(self, users: Sequence[str | None], sessions: Sequence[str | None], at: int) -> None:
        """Take in the next events, the first of them at place `at`."""
        for row, (user, session) in enumerate(zip(users, sessions, strict=True), start=at):
            if user is None or session is None:
                continue
            if user.startswith(ANONYMOUS):
                stretch = self._open.get(session)
                if stretch is None:
                    stretch = self._open[session] = len(self._owners)
                    self._owners.append(_UNKNOWN)
                self._rows.append(row)
                self._stretches.append(stretch)
            elif self._open and session in self._open:
                number = self._numbers.setdefault(user, len(self._names))
                if number == len(self._names):
                    self._names.append(user)
                self._owners[self._open.pop(session)] = number

    def named(self, events: pa.RecordBatch, at: int) -> pa.RecordBatch:
        """Return events with the users of their sessions, once all events were looked at.

        The first of them is at place `at`.
        """
        if not self._rows:
            return events
        first, last = bisect_left(self._rows, at), bisect_left(self._rows, at + events.num_rows)
        if first == last:
            return events
        column = events.schema.get_field_index("USER_ID")
        users = events["USER_ID"].to_pylist()
        for place in range(first, last):
            owner = self._owners[self._stretches[place]]
            if owner != _UNKNOWN:
                users[self._rows[place] - at] = self._names[owner]
        return events.set_column(column, "USER_ID", pa.array(users, pa.string()))
