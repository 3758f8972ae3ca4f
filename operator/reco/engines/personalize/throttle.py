"""A token bucket: at most so many calls a second in one account, with a short burst."""

from collections.abc import Awaitable, Callable


class TokenBucket:
    """Lets callers through in the order in which they came, `rate` a second.

    Several may share a bucket, each with a limit of its own: the lowest holds for all.

    Args:
        rate: calls a second, for as long as nobody sets a limit.
        time: a monotonic time in seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        rate: float,
        time: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._limits: dict[str, float] = {}
        self._set(rate)
        self._time = time
        self._sleep = sleep
        self._next = float("-inf")

    def limit(self, whose: str, rate: float) -> None:
        """Set the limit of one of those who share the bucket, in the place of its former one."""
        self._limits[whose] = rate
        self._set(min(self._limits.values()))

    def _set(self, rate: float) -> None:
        self._interval = 1 / rate
        # One second's worth may go at once after a quiet second.
        self._burst = 1.0 - self._interval

    async def take(self) -> None:
        """Wait for a place. A place is reserved at once, so nobody is overtaken."""
        now = self._time()
        place = max(self._next, now - self._burst)
        self._next = place + self._interval
        if place > now:
            await self._sleep(place - now)
