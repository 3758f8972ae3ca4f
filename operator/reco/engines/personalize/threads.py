"""Threads for calls that block: at most so many, and none that a process waits for at its end.

The threads of `concurrent.futures` are joined when the interpreter exits, so a call to an endpoint
that does not answer would hold up the end of a process for all of its timeout. What a call that is
left behind may have done is found out by the next process, as after a crash.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

Answer = TypeVar("Answer")


class Threads:
    """Runs blocking work beside an event loop, at most `limit` pieces at a time."""

    def __init__(self, limit: int, name: str) -> None:
        self._places = asyncio.Semaphore(limit)
        self._name = name

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Return what `work` returns, or raise what it raises.

        Who is cancelled while waiting leaves the work to itself; its place is free when it ends.
        """
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Answer] = loop.create_future()

        def finish(tell: Callable[[], None]) -> None:
            self._places.release()
            if not outcome.done():
                tell()

        def carry_out() -> None:
            try:
                tell = partial(outcome.set_result, work())
            except Exception as error:  # noqa: BLE001 - raised where the outcome is awaited
                tell = partial(outcome.set_exception, error)
            with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(finish, tell)

        try:
            Thread(target=carry_out, name=self._name, daemon=True).start()
        except RuntimeError:  # the system has no thread to give
            self._places.release()
            raise
        return await outcome
