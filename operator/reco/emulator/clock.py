"""Virtual time: hours of training pass in seconds, or in no time at all when a test says so."""

from collections.abc import Callable
from dataclasses import dataclass, replace

_LATEST = 1e11


@dataclass(frozen=True, slots=True)
class Anchor:
    """One known pair of base and virtual time (epoch seconds) and the speed from there on."""

    base: float
    virtual: float
    scale: float

    def at(self, base: float) -> float:
        """Give the virtual time for a base time."""
        return self.virtual + (base - self.base) * self.scale


class VirtualClock:
    """Time that runs ``scale`` times as fast as ``base`` and can be advanced by hand.

    The anchor is all its state. A clock that is given a stored anchor goes on as if it had never
    stopped: time passes while the emulator is down, as it does for a service nobody looks at.
    A scale of 0 stops the clock, so that it moves only by hand.
    """

    def __init__(
        self, base: Callable[[], float], scale: float = 1.0, anchor: Anchor | None = None
    ) -> None:
        if scale < 0:
            raise ValueError(f"the time scale must be 0 or more, not {scale}")
        self._base = base
        start = base()
        virtual = anchor.at(start) if anchor else start
        self._anchor = Anchor(base=start, virtual=virtual, scale=scale)

    @property
    def anchor(self) -> Anchor:
        """The state to store."""
        return self._anchor

    def now(self) -> float:
        """Give the virtual time in epoch seconds, in whole milliseconds as the service does."""
        return round(self._anchor.at(self._base()), 3)

    def advance(self, seconds: float) -> float:
        """Move time forward and give the new time; it never moves back."""
        if not 0 <= seconds <= _LATEST - self.now():
            raise ValueError(
                f"the clock only moves forward, and not beyond the year 5138; {seconds} seconds "
                "were asked for"
            )
        self._anchor = replace(self._anchor, virtual=self._anchor.virtual + seconds)
        return self.now()
