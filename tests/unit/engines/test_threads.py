"""Blocking calls beside an event loop."""

import asyncio
import subprocess
import sys
import threading

import pytest

from reco.engines.personalize.threads import Threads

_LEAVES_WORK_BEHIND = """
import asyncio, threading
from reco.engines.personalize.threads import Threads

async def main():
    started = threading.Event()
    def work():
        started.set()
        threading.Event().wait()
    threads = Threads(1, "calls")
    working = asyncio.ensure_future(threads.run(work))
    await asyncio.to_thread(started.wait)
    working.cancel()

asyncio.run(main())
"""


def test_no_process_waits_for_a_call_that_it_has_left() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _LEAVES_WORK_BEHIND], timeout=30, check=False, capture_output=True
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_an_answer_and_an_error_reach_who_asked() -> None:
    async def scenario() -> None:
        threads = Threads(2, "calls")
        assert await threads.run(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)

    asyncio.run(scenario())


def test_no_more_than_the_limit_work_at_once_even_if_nobody_waits_for_them() -> None:
    async def scenario() -> None:
        threads = Threads(2, "calls")
        go_on = threading.Event()
        first = [asyncio.create_task(threads.run(go_on.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        for task in first:
            task.cancel()
        await asyncio.wait(first)
        third = asyncio.create_task(threads.run(lambda: "free"))
        await asyncio.sleep(0)
        assert not third.done()
        go_on.set()
        assert await third == "free"

    asyncio.run(scenario())
