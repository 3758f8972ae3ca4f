"""An event loop whose time passes only when nothing else is to be done."""

import asyncio
import selectors
from typing import Any

from typing_extensions import override


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for a timer, jumps to it."""

    now = 0.0

    @override
    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("deadlock: every task waits, and no timer runs")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs coroutines in virtual time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    @override
    def time(self) -> float:
        return self._jumping.now
