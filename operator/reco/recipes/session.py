"""What a model knows of one user at this moment, kept up event by event.

A session is a model's view of one user: cheap to keep, a few tens of kilobytes, and cheap to
extend. It belongs to the model that made it and is not for two threads at once.
"""

from dataclasses import dataclass, field

from reco.recipes.data import Event, Indices
from reco.recipes.encoding import Catalogue
from reco.recipes.scorers import Logits, Profile, Scorers


@dataclass(slots=True)
class Session:
    """One user's distinct items, oldest first, and the profile that a scorer made of them.

    `times` maps an item's position in the catalogue to its latest timestamp (epoch seconds), in
    the order of the history; `labels` is what the users data set says. Make one with
    `Model.session`.
    """

    catalogue: Catalogue
    scorer: Scorers
    event_type: str | None
    times: dict[int, int]
    labels: Indices
    profile: Profile = field(init=False)
    _logits: Logits | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Sum up the history."""
        self._start_over()

    @property
    def nbytes(self) -> int:
        """The size of the arrays, in bytes."""
        return self.profile.nbytes + (0 if self._logits is None else self._logits.nbytes)

    def logits(self) -> Logits:
        """Return the score of every item, kept until an event changes it: not to be written to."""
        if self._logits is None:
            self._logits = self.scorer.logits(self.profile, self.labels, None)
        return self._logits

    def add(self, event: Event) -> bool:
        """Take in one event; say whether the model listens to it and knows its item.

        An event newer than the others, of a new item, costs microseconds. One that comes late or
        repeats an item re-reads the history. The result is the same in any order.
        """
        if self.event_type is not None and event.event_type != self.event_type:
            return False
        item = int(self.catalogue.index([event.item_id])[0])
        if item < 0:
            return False
        known = self.times.get(item)
        if known is not None and known > event.timestamp:
            return True
        newest = next(reversed(self.times.values()), event.timestamp)
        self.times.pop(item, None)
        self.times[item] = event.timestamp
        self._logits = None
        if known is None and newest <= event.timestamp:
            self.profile = self.scorer.extended(self.profile, list(self.times))
        else:
            self._start_over()
        return True

    def _start_over(self) -> None:
        self.times = dict(sorted(self.times.items(), key=lambda entry: entry[1]))
        self.profile = self.scorer.profile(list(self.times))
