"""What the ranker remembers of the users it has seen: their sessions, kept up as events come."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from reco.recipes import Model
from reco.recipes.session import Session
from reco.serving.history import parse

_OVERHEAD: Final = 8192
"""Bytes of a user beside profile and history: Python objects, an answer."""
_BYTES_AN_ITEM: Final = 160


@dataclass(slots=True)
class Known:
    """One user: the history that the session is of, and answers as long as it stays the same."""

    history: bytes
    session: Session
    answers: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    """JSON of items by what was asked; the asker decides what may be kept."""
    size: int = 0


class Sessions:
    """The latest users' sessions with one model, in about `limit` bytes.

    A history that grew costs its new lines; one that is otherwise (trimmed, expired, adopted) is
    read anew.
    """

    def __init__(self, model: Model, limit: int) -> None:
        self._model = model
        self._limit = limit
        self._known: OrderedDict[str, Known] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        """Return how many users are remembered."""
        return len(self._known)

    def of(self, user: str, history: bytes | None) -> Known:
        """Return a user after a history; None if the history can't be read just now."""
        known = self._known.get(user)
        if known is not None:
            self._known.move_to_end(user)
            if history is None or history == known.history:
                return known
            if history.startswith(known.history):
                for event in parse(history[len(known.history) :]):
                    known.session.add(event)
                known.history = history
                known.answers.clear()
                self._measure(known)
                return known
        session = self._model.session(list(parse(history or b"")), user_id=user)
        known = Known(history or b"", session)
        if history is not None:
            self._remember(user, known)
        return known

    def _remember(self, user: str, known: Known) -> None:
        former = self._known.pop(user, None)
        if former is not None:
            self.size -= former.size
        self._known[user] = known
        self._measure(known)
        while self.size > self._limit and len(self._known) > 1:
            _, gone = self._known.popitem(last=False)
            self.size -= gone.size

    def _measure(self, known: Known) -> None:
        now = (
            _OVERHEAD
            + len(known.history)
            + known.session.profile.nbytes
            + _BYTES_AN_ITEM * len(known.session.times)
        )
        self.size += now - known.size
        known.size = now
