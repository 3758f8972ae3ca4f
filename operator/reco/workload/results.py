"""What a Job leaves behind: a short JSON document as the container's termination message.

Kubernetes keeps 4,096 bytes of it, so a result shortens itself. A Job that was killed leaves none:
then the exit code and the pod's reason tell what happened.
"""

import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

TERMINATION_LOG: Final = Path("/dev/termination-log")
LOG_VARIABLE: Final = "RECO_TERMINATION_LOG"
"""Names another file for the result, for tests and people."""
LIMIT: Final = 4096
"""Bytes of a termination message that Kubernetes keeps."""


class Outcome(StrEnum):
    """How a Job ended, and what can be done about it."""

    SUCCEEDED = "Succeeded"
    INVALID_DATA = "InvalidData"
    """The data is at fault: trying again helps only with other data."""
    ACCESS_DENIED = "AccessDenied"
    """The source or the storage may not be read or written."""
    NOT_FOUND = "NotFound"
    """The source does not exist."""
    OWNED_ELSEWHERE = "OwnedElsewhere"
    """The group's storage belongs to another resource."""
    INVALID_SETTINGS = "InvalidSettings"
    """The recipe refuses its settings."""
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    """More memory is needed than the Job may use."""
    UNAVAILABLE = "Unavailable"
    """The storage did not answer: trying again may help."""
    INTERRUPTED = "Interrupted"
    """The pod was told to stop before it was done: trying again may help."""
    INTERNAL_ERROR = "InternalError"
    """A fault of the program itself; its log has the traceback."""


NEEDS_FULL: Final = "Full"
"""The detail `needs` of a training with mode Update that has nothing to go on from."""
EXIT_FAILED: Final = 1
"""Exit code of a Job that would fail again with the same input."""
EXIT_RETRY: Final = 75
"""Exit code of a Job that may succeed when it is tried again (`EX_TEMPFAIL` of sysexits.h)."""
EXIT_KILLED: Final = 137
"""Exit code of a container that was killed: out of memory, for one."""
_PASSING: Final = frozenset({Outcome.UNAVAILABLE, Outcome.INTERRUPTED, Outcome.INTERNAL_ERROR})


_BASE_GONE: Final = "BaseGone"


class Result(BaseModel):
    """How a Job ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    outcome: Outcome
    message: str = ""
    """For a person to read: what happened, and what to change."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Import: `rows`, `rejectedRows`, `badRows` (the first ten, as `file`, `line`, `reason`),
    `counts` (false) where data counts that was asked for later.
    Training: `artifact`, `metrics`, `trainingSeconds`; out of memory: `predictedBytes`,
    `memoryLimit`; without anything to go on from: `needs` (`NEEDS_FULL`)."""

    @property
    def lacks_base(self) -> bool:
        """Whether a training with mode Update has nothing to go on from."""
        return self.details.get("needs") == NEEDS_FULL

    @property
    def word(self) -> str:
        """How its text begins: the outcome, or what is missing."""
        return _BASE_GONE if self.lacks_base else self.outcome.value

    @property
    def exit_code(self) -> int:
        """The exit code that goes with it: Kubernetes tries a Job again by it."""
        if self.outcome is Outcome.SUCCEEDED:
            return 0
        return EXIT_RETRY if self.outcome in _PASSING else EXIT_FAILED

    def encode(self) -> bytes:
        """Return at most `LIMIT` bytes of JSON; what is too long loses its longest texts' ends."""
        message, details = self.message, dict(self.details)
        rows = list(details.get("badRows", ()))
        while True:
            content = {"outcome": self.outcome.value, "message": message, "details": details}
            encoded = json.dumps(content, separators=(",", ":")).encode()
            if len(encoded) <= LIMIT:
                return encoded
            if rows:
                rows.pop()
                details["badRows"] = rows
            elif len(message) > LIMIT // 8:
                message = f"{message[: len(message) // 2]}..."
            else:
                details = {}

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Read a termination message; None if it is none of ours."""
        try:
            return cls.model_validate_json(text)
        except ValueError:
            return None


def leave(result: Result, environment: Mapping[str, str] = os.environ) -> None:
    """Write a result where Kubernetes looks for it, or where `LOG_VARIABLE` says; else nowhere."""
    named = environment.get(LOG_VARIABLE)
    if named or TERMINATION_LOG.exists():  # the latter in pods alone
        Path(named or TERMINATION_LOG).write_bytes(result.encode())
