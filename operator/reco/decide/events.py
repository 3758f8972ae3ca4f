"""Kubernetes Events: one for each transition that a person would want to know of, and no others."""

from collections.abc import Sequence
from dataclasses import dataclass

from reco.api.base import Condition
from reco.api.vocabulary import ABNORMAL_TRUE, ConditionType, Reason

_TOLD = (
    ConditionType.READY,
    ConditionType.SUCCEEDED,
    ConditionType.AVAILABLE,
    ConditionType.LAST_TRAINING_SUCCEEDED,
    ConditionType.LAST_IMPORT_SUCCEEDED,
    ConditionType.DRIFTED,
    ConditionType.PAUSED,
    ConditionType.RUNS_HELD,
    ConditionType.DELETION_BLOCKED,
    ConditionType.CREDENTIALS_VALID,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One Event to post."""

    type: str
    """`Normal` or `Warning`."""
    reason: str
    message: str


def transitions(before: Sequence[Condition], after: Sequence[Condition]) -> list[Event]:
    """Return the Events for what changed between two lists of conditions.

    A change is one of status or of reason; a new wording alone is none. Conditions that say the
    same thing are told once.
    """
    old = {condition.type: condition for condition in before}
    events: list[Event] = []
    told: set[tuple[str, str]] = set()
    for condition in after:
        previous = old.get(condition.type)
        if condition.type not in _TOLD or _same(previous, condition):
            continue
        if (condition.reason, condition.message) in told:
            continue
        told.add((condition.reason, condition.message))
        type_ = "Warning" if _bad(condition) else "Normal"
        message = condition.message or f"{condition.type} is {condition.status}"
        events.append(Event(type_, condition.reason, message))
    return events


def _same(previous: Condition | None, condition: Condition) -> bool:
    return previous is not None and (previous.status, previous.reason) == (
        condition.status,
        condition.reason,
    )


_EXPECTED_WHILE_FALSE = frozenset(
    {"AwaitingDependency", "AwaitingData", "Deleting", "Suspended", "Creating", "Pending"}
)


def _bad(condition: Condition) -> bool:
    if condition.reason in {Reason.CRD_OUTDATED, Reason.STATUS_REFUSED}:
        return True
    if condition.reason in _EXPECTED_WHILE_FALSE or condition.type == ConditionType.PAUSED:
        return False
    return condition.status == ("True" if condition.type in ABNORMAL_TRUE else "False")
