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
    keys: tuple[str, ...] = ()
    """Where in the online store the history was looked for."""
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

    def latest(self, user: str) -> Known | None:
        """Return a user as last asked for; None for whom is not remembered."""
        known = self._known.get(user)
        if known is not None:
            self._known.move_to_end(user)
        return known

    def of(self, user: str, history: bytes | None, keys: tuple[str, ...] = ()) -> Known:
        """Return a user after a history, found at `keys`; None if it can't be read just now."""
        known = self._known.pop(user, None)
        if known is not None and history is not None and not history.startswith(known.history):
            self.size -= known.size
            known = None
        if known is None:
            session = self._model.session(list(parse(history or b"")), user_id=user)
            known = Known(history or b"", session, keys)
            if history is None:
                return known
        elif history is not None and history != known.history:
            for event in parse(history[len(known.history) :]):
                known.session.add(event)
            known.history = history
            known.answers.clear()
        self._known[user] = known
        self._measure(known)
        return known

    def _measure(self, known: Known) -> None:
        """Count a user, whose session may have grown, and forget whom there is no room for."""
        now = (
            _OVERHEAD
            + len(known.history)
            + known.session.nbytes
            + _BYTES_AN_ITEM * len(known.session.times)
        )
        self.size += now - known.size
        known.size = now
        while self.size > self._limit and len(self._known) > 1:
            _, gone = self._known.popitem(last=False)
            self.size -= gone.size
