"""The emulator without HTTP: one object, one method that takes a request and gives an answer.

It has no threads, never sleeps, and knows neither the real time nor chance: both are given to it.
A deterministic simulation drives it directly; the wire puts HTTP around it.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from reco.emulator import faults, settling, training
from reco.emulator.clock import Anchor, VirtualClock
from reco.emulator.dataplane import OPERATIONS as DATA_PLANE
from reco.emulator.errors import (
    LostResponseError,
    ServiceError,
    access_denied,
    not_implemented,
)
from reco.emulator.model import CONTROL, SERVICES, error_status, operation_model, validate
from reco.emulator.operations import OPERATIONS as CONTROL_PLANE
from reco.emulator.ports import ObjectStore, Trainer
from reco.emulator.store import Store
from reco.emulator.world import Call, Settings, World
from reco.serving.requests import OPERATIONS as REQUESTS
from reco.serving.validation import without_nulls

OPERATIONS: dict[str, dict[str, Callable[[Call], dict[str, Any]]]] = {
    CONTROL: dict(CONTROL_PLANE),
    **DATA_PLANE,
}
"""What the emulator implements, by service."""

_READS = ("Describe", "List", "Get")
_ARN = re.compile(r"arn:[a-z\d-]+:personalize:([^:]*):([^:]*):(.+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call went: an answer or a refusal, and what the wire should do with it.

    ``lost`` says that the answer must not reach the caller; ``delay`` is how many real seconds it
    should take to arrive.
    """

    answer: dict[str, Any] | None = None
    error: ServiceError | None = None
    lost: bool = False
    delay: float = 0.0


class Emulator:
    """Amazon Personalize in one object.

    ``state`` is a SQLite file or ``:memory:``; ``time`` gives base time in epoch seconds and
    ``scale`` says how much faster virtual time runs. ``randomness`` is the only source of ids and
    seeds. Not safe for use by several threads at once.
    """

    def __init__(
        self,
        *,
        trainer: Trainer,
        objects: ObjectStore,
        time: Callable[[], float],
        randomness: random.Random,
        state: str = ":memory:",
        scale: float = 1.0,
        settings: Settings | None = None,
    ) -> None:
        store = Store(state)
        self._world = World(store, trainer, objects, randomness, settings or Settings())
        stored = store.setting("clock")
        self._clock = VirtualClock(time, scale, Anchor(**stored) if stored else None)
        self._keep_clock()
        training.resume(self._world)
        store.commit()

    @property
    def settings(self) -> Settings:
        """How this emulator behaves."""
        return self._world.settings

    def close(self) -> None:
        """Close the state file."""
        self._world.store.close()

    def now(self) -> float:
        """Give the virtual time in epoch seconds."""
        return self._clock.now()

    def advance(self, seconds: float) -> float:
        """Move virtual time forward and give the new time."""
        now = self._clock.advance(seconds)
        self._keep_clock()
        self._world.store.commit()
        return now

    def next_event(self) -> float | None:
        """Give the virtual time at which something happens by itself next, if anything does.

        A time that has come already means a version that waits for its real training.
        """
        self._settle()
        return self._world.store.next_due()

    def call(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        region: str,
        account: str | None = None,
    ) -> dict[str, Any]:
        """Execute one request and give its answer, shaped as boto3 shapes it.

        ``service`` is ``personalize``, ``personalize-runtime`` or ``personalize-events``;
        timestamps in answers are aware datetimes. Raises ``ServiceError``, or
        ``LostResponseError`` where a fault loses the answer of a call that was executed.
        """
        outcome = self.execute(service, operation, parameters, region=region, account=account)
        if outcome.lost:
            raise LostResponseError(operation)
        if outcome.error is not None:
            raise outcome.error
        answer: dict[str, Any] = without_nulls(outcome.answer or {})
        return answer

    def execute(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        region: str,
        account: str | None = None,
    ) -> Outcome:
        """Execute one request as ``call`` does, but tell how it went instead of raising."""
        if service not in SERVICES:
            raise ValueError(f"service must be one of {', '.join(SERVICES)}, not {service!r}")
        parameters = without_nulls(parameters)
        store = self._world.store
        caller = account or self._world.settings.account
        now = self._settle()
        effects = faults.strike(store, service, operation, parameters, caller)
        store.commit()
        lag = self._world.settings.list_lag if effects.list_lag is None else effects.list_lag
        call = Call(
            world=self._world,
            service=service,
            operation=operation,
            parameters=parameters,
            region=region,
            account=caller,
            now=now,
            failure=effects.failure,
            quotas={**self._world.settings.quotas, **effects.quotas},
            list_lag=lag,
        )
        outcome = Outcome(lost=effects.lost, delay=effects.delay)
        try:
            outcome = replace(outcome, answer=_dispatch(call, effects.refusal))
        except ServiceError as error:
            store.rollback()
            if error.http_status == 400:  # noqa: PLR2004 - what a rule knows no better than
                error.http_status = error_status(service, error.code)
            outcome = replace(outcome, error=error)
        except Exception:
            store.rollback()
            self._log(call, replace(outcome, error=ServiceError("InternalFailure", "", 500)))
            raise
        self._log(call, outcome)
        return outcome

    def log_unreadable(self, what: str, error: ServiceError) -> None:
        """Log a request that never became a call: unsigned, unknown or malformed."""
        self._world.store.add_call(
            {
                "time": self._clock.now(),
                "service": None,
                "operation": what,
                "region": None,
                "account": None,
                "mutating": False,
                "parameters": "{}",
                "outcome": error.code,
                "message": error.message,
                "answer": None,
            }
        )
        self._world.store.commit()

    def calls(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        operation: str | None = None,
        mutating: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Read the log of calls with numbers above ``after``, the oldest first."""
        return self._world.store.calls(
            after=after, limit=limit, operation=operation, mutating=mutating
        )

    def add_fault(self, fault: Mapping[str, Any]) -> int:
        """Ask for a fault and give its number; ``ValueError`` says what is wrong with it."""
        faults.check(fault)
        number = self._world.store.add_fault(fault)
        self._world.store.commit()
        return number

    def faults(self) -> list[tuple[int, dict[str, Any]]]:
        """Read the faults that are still to come."""
        return self._world.store.faults()

    def remove_faults(self, number: int | None = None) -> None:
        """Call off one fault, or all."""
        self._world.store.remove_faults(number)
        self._world.store.commit()

    def reset(self) -> None:
        """Forget all resources, data, calls and faults; the clock goes on."""
        for version in self._world.store.find("SolutionVersion"):
            self._world.trainer.discard(version.arn)
        self._world.store.clear()
        self._world.store.commit()

    def counts(self) -> dict[str, int]:
        """Count what exists, by kind."""
        self._settle()
        return self._world.store.counts()

    def _settle(self) -> float:
        now = self._clock.now()
        settling.settle(self._world, now)
        self._world.store.commit()
        return now

    def _keep_clock(self) -> None:
        self._world.store.set_setting("clock", asdict(self._clock.anchor))

    def _log(self, call: Call, outcome: Outcome) -> None:
        error = outcome.error
        lost = "LOST" if outcome.lost else "OK"
        mutating = call.service == CONTROL and not call.operation.startswith(_READS)
        shown = json.dumps(outcome.answer, default=str) if mutating and outcome.answer else None
        self._world.store.add_call(
            {
                "time": call.now,
                "service": call.service,
                "operation": call.operation,
                "region": call.region,
                "account": call.account,
                "mutating": mutating,
                "parameters": json.dumps(call.parameters, default=str),
                "outcome": error.code if error else lost,
                "message": error.message if error else None,
                "answer": shown,
            }
        )
        self._world.store.commit()


def _dispatch(call: Call, refusal: ServiceError | None) -> dict[str, Any]:
    if refusal is not None:
        raise refusal
    model = operation_model(call.service, call.operation)
    if model is None:
        raise ServiceError("UnknownOperationException", "")
    if call.operation not in REQUESTS:  # those are checked as they are read
        validate(model, call.parameters)
    operation = OPERATIONS[call.service].get(call.operation)
    if operation is None:
        raise not_implemented(call.operation)
    for arn in _arns(call.parameters):
        found = _ARN.fullmatch(arn)
        if found and found[2] != call.account and not found[3].startswith(_PUBLIC):
            raise access_denied(
                f"User: arn:aws:sts::{call.account}:assumed-role/reco/session is not authorized "
                "to access this resource"
            )
    return operation(call)


_PUBLIC = ("recipe/", "algorithm/", "feature-transformation/")


def _arns(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name, value in parameters.items():
        if isinstance(value, str) and name.endswith("Arn"):
            yield value
