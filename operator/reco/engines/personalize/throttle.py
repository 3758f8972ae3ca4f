"""A token bucket: at most so many calls a second in one account, with a short burst."""

from collections.abc import Awaitable, Callable


class TokenBucket:
    """Lets callers through in the order in which they came, `rate` a second.

    Args:
        rate: calls a second.
        time: a monotonic time in seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        rate: float,
        time: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._interval = 1 / rate
        # One second's worth may go at once after a quiet second.
        self._burst = 1.0 - self._interval
        self._time = time
        self._sleep = sleep
        self._next = float("-inf")

    def slow_down(self, rate: float) -> None:
        """Let no more than `rate` calls a second through from now on; never speeds up."""
        self._interval = max(self._interval, 1 / rate)
        self._burst = 1.0 - self._interval

    async def take(self) -> None:
        """Wait for a place. A place is reserved at once, so nobody is overtaken."""
        now = self._time()
        place = max(self._next, now - self._burst)
        self._next = place + self._interval
        if place > now:
            await self._sleep(place - now)
