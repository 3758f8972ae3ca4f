"""Ownership: whose an external object is, and whether we may take it.

What somebody else owns is never touched until a person says so (`adoptionPolicy: Adopt` for what
nobody has marked, the annotation `reco.dev/adopt-from` for what another resource has marked).
"""

from dataclasses import dataclass
from datetime import timedelta

from reco.api.vocabulary import ANNOTATION_ADOPT_FROM, AdoptionPolicy, Reason
from reco.decide import names
from reco.decide.model import Desired, Observed, Situation

_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Foreign:
    """Why an external object is not ours."""

    reason: Reason
    message: str


def foreign(situation: Situation, observed: Observed) -> Foreign | None:
    """Return why `observed` is not ours to change, or None when it is, or may be taken."""
    resource = situation.resource
    recorded = resource.status.external
    if observed.tags is None:
        if recorded is not None and recorded.arn == observed.id:
            return None
        return _without_tags(situation, observed)
    owner = names.owner_in(observed.tags)
    ours = f"{situation.identity.cluster}/{resource.key.namespace}/{resource.key.name}"
    same_uid = observed.tags.get(names.TAG_UID) == resource.uid
    if owner == ours and (same_uid or _policy(situation) is not AdoptionPolicy.NEVER):
        return None
    if owner is None:
        if recorded is not None and recorded.arn == observed.id:
            return None  # somebody took our tags off; putting them back is drift repair
        return None if _policy(situation) is AdoptionPolicy.ADOPT else _unmarked(observed)
    if resource.annotations.get(ANNOTATION_ADOPT_FROM) == owner:
        return None
    if owner == ours:
        return Foreign(
            Reason.NAME_CONFLICT,
            f"{observed.name} exists already and spec.adoptionPolicy is 'Never': allow"
            " 'AdoptOrCreate', or set spec.externalName",
        )
    return Foreign(
        Reason.OWNED_ELSEWHERE,
        f"{observed.name} belongs to {owner} (cluster/namespace/name): set spec.externalName, or"
        f" to take it over annotate {ANNOTATION_ADOPT_FROM}={owner}",
    )


def _policy(situation: Situation) -> AdoptionPolicy:
    spec = situation.resource.spec
    return AdoptionPolicy.NEVER if spec is None else spec.adoption_policy


def _unmarked(observed: Observed) -> Foreign:
    return Foreign(
        Reason.NAME_CONFLICT,
        f"{observed.name} exists already and nobody marked it as ours: set spec.adoptionPolicy to"
        " 'Adopt' to take it, or set spec.externalName",
    )


def _without_tags(situation: Situation, observed: Observed) -> Foreign | None:
    """Judge an object of a kind that takes no tags: by our own record, or by what it is."""
    desired = situation.desired
    intent = situation.resource.status.intent
    made_by_us = (
        intent is not None
        and intent.name == observed.name
        and observed.created >= intent.time - _CLOCK_SKEW
    )
    same = isinstance(desired, Desired) and all(
        observed.fields.get(key) == value for key, value in desired.fields.items()
    )
    policy = _policy(situation)
    if made_by_us or policy is AdoptionPolicy.ADOPT:
        return None
    if same and policy is AdoptionPolicy.ADOPT_OR_CREATE:
        return None
    return _unmarked(observed)


def wanted_tags(situation: Situation, desired: Desired) -> dict[str, str]:
    """Return the user's tags and ours."""
    return dict(desired.tags or {}) | names.ownership_tags(
        situation.resource, situation.identity.cluster
    )
