"""Conditions: from verdicts to the list that stands in a status."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reco.api.base import Condition
from reco.api.vocabulary import ABNORMAL_TRUE, ConditionType
from reco.decide.decision import Keep, Verdict

MESSAGE_LIMIT = 2048
"""Characters of a message; an engine's text can be long."""


def merge(
    before: Sequence[Condition],
    verdicts: Mapping[ConditionType, Verdict | Keep],
    *,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """Return the new list of conditions, in the fixed order of `ConditionType`.

    A condition's transition time moves with its status alone. Abnormal-true conditions that are
    not True, and a CredentialsValid that is not False, are left out.
    """
    old = {condition.type: condition for condition in before}
    merged = []
    for type_ in ConditionType:
        previous = old.get(type_)
        condition = _condition(type_, previous, verdicts.get(type_), generation, now)
        if condition is not None and _present(condition):
            merged.append(condition)
    return merged


def _condition(
    type_: ConditionType,
    previous: Condition | None,
    verdict: Verdict | Keep | None,
    generation: int,
    now: datetime,
) -> Condition | None:
    if verdict is None:
        fleeting = type_ in ABNORMAL_TRUE or type_ is ConditionType.CREDENTIALS_VALID
        return None if fleeting else previous
    if isinstance(verdict, Keep):
        if previous is not None:
            return previous.model_copy(update={"observed_generation": generation})
        verdict = verdict.otherwise
    moved = previous is None or previous.status != verdict.status
    return Condition(
        type=type_.value,
        status=verdict.status,
        reason=verdict.reason.value,
        message=verdict.message[:MESSAGE_LIMIT],
        observed_generation=generation,
        last_transition_time=now if moved or previous is None else previous.last_transition_time,
    )


def _present(condition: Condition) -> bool:
    if condition.type in ABNORMAL_TRUE:
        return condition.status == "True"
    if condition.type == ConditionType.CREDENTIALS_VALID:
        return condition.status == "False"
    return True


def manifest(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """Return conditions as they stand in a manifest, times to the second."""
    return [
        condition.manifest() | {"lastTransitionTime": timestamp(condition.last_transition_time)}
        for condition in conditions
    ]


def timestamp(time: datetime) -> str:
    """Return a time as Kubernetes writes it: RFC 3339, UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
