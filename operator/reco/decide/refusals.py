"""Refusals: what the engine would not do, remembered so that it is not asked again unchanged."""

from collections.abc import Mapping
from typing import Any

from reco.api.vocabulary import Reason
from reco.decide import pictures
from reco.decide.decision import Decision
from reco.decide.model import Desired, Situation
from reco.decide.requests import forced

_MESSAGE_LIMIT = 4096


def record(desired: Desired, reason: Reason, message: str) -> dict[str, str]:
    """Return how a refusal is recorded in a status."""
    return {
        "digest": desired.digest,
        "reason": reason.value,
        "message": message[:_MESSAGE_LIMIT],
    }


def kept(situation: Situation) -> Mapping[str, Any] | None:
    """Return the recorded refusal, to be left as it is."""
    refusal = situation.resource.status.refusal
    return None if refusal is None else refusal.manifest()


def standing(situation: Situation, desired: Desired) -> Decision | None:
    """Return what to show while a refusal stands: the wish is the same, and nobody insists."""
    refusal = situation.resource.status.refusal
    if refusal is None or refusal.digest != desired.digest or forced(situation.resource):
        return None
    reason = Reason(refusal.reason)
    if reason is Reason.INVALID_SPEC:
        return Decision(pictures.rejected(situation, reason, refusal.message))
    return Decision(pictures.stuck(situation, reason, refusal.message))
