"""What a Job says while it runs: lines of JSON that people, collectors and the operator read.

A line with `progress` (0 to 1) and `stage` comes at least every `EVERY` seconds, also in the
middle of a computation that reports nothing by itself.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TextIO

from reco.workload.progress import line

EVERY: Final = 3.0


class Progress:
    """The latest stage and share of the work, told again and again while the block runs."""

    def __init__(self, output: TextIO | None = None, every: float = EVERY) -> None:
        """Write to standard output, or to `output`."""
        self._output = output
        self._every = every
        self._lock = threading.Lock()
        self._latest: tuple[str, float] = ("starting", 0.0)
        self._told = -every
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)

    def __enter__(self) -> Self:
        """Start to repeat."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to repeat."""
        self._done.set()
        self._thread.join()

    def __call__(self, stage: str, share: float) -> None:
        """Note how far the work is, and say so if the stage is new or the last line is old."""
        with self._lock:
            new = stage != self._latest[0]
            self._latest = (stage, share)
        if new or time.monotonic() - self._told >= self._every:
            self._tell()

    def part(self, start: float, end: float) -> Callable[[str, float], None]:
        """Return a progress of its own, 0 to 1, for a part of the work."""
        return lambda stage, share: self(stage, start + (end - start) * share)

    def message(self, text: str, level: str = "info") -> None:
        """Say something for people."""
        self._write(json.dumps({"time": _now(), "level": level, "message": text}))

    def _tell(self) -> None:
        with self._lock:
            stage, share = self._latest
            self._told = time.monotonic()
        seconds = round(time.monotonic() - self._started, 1)
        self._write(line(stage, share, time=_now(), seconds=seconds))

    def _write(self, text: str) -> None:
        output = self._output or sys.stdout
        output.write(f"{text}\n")
        output.flush()

    def _repeat(self) -> None:
        while not self._done.wait(self._every / 3):
            if time.monotonic() - self._told >= self._every:
                self._tell()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
