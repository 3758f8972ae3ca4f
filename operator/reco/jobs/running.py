"""How a Job begins and ends: it reads its task, works, and leaves a result whatever happened.

The result is the container's termination message, and the exit code goes with it. A Job that is
told to stop (SIGTERM: a drained node, a deleted pod) ends at once with an outcome that may be tried
again. What kills the process leaves no result; then nothing counts, for manifests are written last.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from reco.jobs.progress import Progress
from reco.storage import StorageError
from reco.workload.results import Outcome, Result, leave
from reco.workload.tasks import Task, describe

SomeTask = TypeVar("SomeTask", bound=Task)


class Refused(Exception):  # noqa: N818 - a decision, not a fault
    """The Job cannot do what it is told; the text says what to change."""

    def __init__(self, outcome: Outcome, message: str, **details: Any) -> None:  # noqa: ANN401 - details are JSON
        """Say how the Job ends."""
        super().__init__(message)
        self.outcome = outcome
        self.details = details


class Interrupted(BaseException):
    """The process was told to stop."""


def run(
    kind: type[SomeTask],
    work: Callable[[SomeTask, Progress], Result],
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Do the work of this pod's task; return the exit code."""
    try:
        with _interruptible():
            result = _result(kind, work, environment)
    except Interrupted:
        result = Result(
            outcome=Outcome.INTERRUPTED,
            message="The pod was told to stop before the work was done: nothing of it counts. "
            "Trying again may help",
        )
    leave(result, environment)
    Progress().message(
        f"{result.outcome}: {result.message}" if result.message else result.outcome,
        "info" if result.outcome is Outcome.SUCCEEDED else "error",
    )
    return result.exit_code


def _result(
    kind: type[SomeTask],
    work: Callable[[SomeTask, Progress], Result],
    environment: Mapping[str, str],
) -> Result:
    with Progress() as progress:
        try:
            task = kind.from_environment(environment)
            progress.message(f"{kind.__name__} {describe(task)}")
            return work(task, progress)
        except Refused as refused:
            return Result(
                outcome=refused.outcome, message=str(refused), details=dict(refused.details)
            )
        except StorageError as error:
            return Result(outcome=error.outcome, message=str(error))
        except MemoryError as error:
            return Result(
                outcome=Outcome.INSUFFICIENT_MEMORY,
                message=f"The memory of the pod does not suffice ({error or 'no more to be had'})",
            )
        except Exception as error:  # noqa: BLE001 - a Job always leaves a result
            progress.message(traceback.format_exc(), "error")
            return Result(
                outcome=Outcome.INTERNAL_ERROR,
                message=f"{type(error).__name__}: {error}. The Job's log has the traceback",
            )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM raise `Interrupted`, once: what cleans up is left to do so."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
