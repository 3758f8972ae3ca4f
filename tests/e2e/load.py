"""Applications that ask for recommendations while something happens."""

import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.estate import Estate


class Load:
    """Clients with the SDK's standard retries, from `with` to its end.

    Attributes:
        answered: requests that were answered.
        failed: what clients were told when the SDK gave up, and how often.
    """

    def __init__(self, estate: Estate, *, clients: int = 2, pause: float = 0.2) -> None:
        """Choose how many clients there are, and for how long each rests after an answer."""
        self._runtime = estate.runtime()
        self._arn = estate.arn()
        self._pause = pause
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(clients)
        ]
        self.answered = 0
        self.failed: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, number: int, seconds: float = 60) -> None:
        """Wait until that many further requests were answered."""
        wanted = self.answered + number
        deadline = time.monotonic() + seconds
        while self.answered < wanted:
            assert time.monotonic() < deadline, f"{wanted - self.answered} answers are missing"
            time.sleep(0.05)

    def check(self) -> None:
        """Assert that nobody was let down."""
        assert not self.failed, f"{dict(self.failed)} beside {self.answered} answers"
        assert self.answered

    def _work(self, number: int) -> None:
        asked = number
        while not self._stop.wait(self._pause):
            asked += 7
            try:
                answer: Any = self._runtime.get_recommendations(
                    campaignArn=self._arn, userId=f"u{asked % 60}", numResults=10
                )
            except (ClientError, BotoCoreError) as error:
                with self._lock:
                    self.failed[f"{time.strftime('%X')} {error}"] += 1
                continue
            assert answer["itemList"]
            with self._lock:
                self.answered += 1
