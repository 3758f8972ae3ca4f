"""Ownership: whose an external object is, and whether we may take it.

What somebody else owns is never touched. What nobody has marked is adopted by
`adoptionPolicy: Adopt`, and what another resource has marked by the annotation
`reco.dev/adopt-from`, where the EngineClass or the present owner lets: see `decide.tenancy`.
"""

from dataclasses import dataclass

from reco.api.vocabulary import ANNOTATION_RELEASE_TO, AdoptionPolicy, Reason
from reco.decide import handover, names, owners, tenancy
from reco.decide.model import CLOCK_SKEW, NEVER_APPLIED, Desired, Observed, Situation


@dataclass(frozen=True, slots=True)
class Foreign:
    """Why an external object is not ours."""

    reason: Reason
    message: str


def foreign(situation: Situation, observed: Observed) -> Foreign | None:
    """Return why `observed` is not ours to change, or None when it is, or may be taken."""
    resource = situation.resource
    adopts = _policy(situation) is AdoptionPolicy.ADOPT
    if observed.tags is None:
        held = _recorded(situation, observed) and situation.owner is None
        return None if held else _without_tags(situation, observed)
    owner = owners.owner_named(situation, observed)
    if owner is None:
        if _recorded(situation, observed) and (_was_in_sync(situation) or not adopts):
            return None  # somebody took our tags off; putting them back is drift repair
        return _unmarked(situation, observed)
    if owner == owners.identity_of(resource.key, situation.identity):
        same_uid = observed.tags.get(names.TAG_UID) == resource.uid
        if same_uid or _policy(situation) is not AdoptionPolicy.NEVER:
            return None
        return Foreign(
            Reason.NAME_CONFLICT,
            f"{observed.name} exists already and spec.adoptionPolicy is 'Never': allow"
            " 'AdoptOrCreate', or set spec.externalName",
        )
    return _marked_by(situation, observed, owner)


def provably_ours(situation: Situation, observed: Observed) -> bool:
    """Whether an object may be deleted for its resource.

    It carries the resource's marks, or was once in sync with its spec, or was made for it. What was
    only found under a name, which may have been mistyped, is none of these.
    """
    owner = names.owner_in(observed.tags) if observed.tags is not None else None
    if owner is not None:
        return owner == owners.identity_of(situation.resource.key, situation.identity)
    if not _recorded(situation, observed):
        return _made_by_us(situation, observed)
    made = situation.resource.status.external.creation_time is None  # recorded by our own call
    untagged_part = observed.tags is None and situation.resource.kind.lives_in_parent
    return made or untagged_part or _was_in_sync(situation) or _made_by_us(situation, observed)


def _policy(situation: Situation) -> AdoptionPolicy:
    spec = situation.resource.spec
    return AdoptionPolicy.NEVER if spec is None else spec.adoption_policy


def _recorded(situation: Situation, observed: Observed) -> bool:
    recorded = situation.resource.status.external
    return recorded is not None and recorded.arn == observed.id


def _was_in_sync(situation: Situation) -> bool:
    applied = situation.resource.status.applied
    return applied is not None and applied.digest != NEVER_APPLIED


def _made_by_us(situation: Situation, observed: Observed) -> bool:
    """Whether the recorded intent of a call is what made an object."""
    intent = situation.resource.status.intent
    return (
        intent is not None
        and intent.name == observed.name
        and observed.created >= intent.time - CLOCK_SKEW
    )


def _marked_by(situation: Situation, observed: Observed, owner: str) -> Foreign | None:
    """Judge an object that another resource stands for."""
    if situation.resource.annotations.get(ANNOTATION_RELEASE_TO) == owner:
        return Foreign(
            Reason.OWNED_ELSEWHERE,
            f"{observed.name} was handed over to {owner} (cluster/namespace/name): delete this"
            " resource, which leaves the object alone, or remove its annotation"
            f" {ANNOTATION_RELEASE_TO} once it is handed back",
        )
    if tenancy.taken_with_parent(situation, owner):
        return None
    refusal = handover.may_not_take(situation, observed.name, owner)
    return None if refusal is None else Foreign(Reason.OWNED_ELSEWHERE, refusal)


def _unmarked(situation: Situation, observed: Observed) -> Foreign | None:
    """Judge an object that nobody has marked."""
    allowed = tenancy.may_adopt_unmarked(situation)
    if _policy(situation) is AdoptionPolicy.ADOPT and allowed:
        return None
    exists = f"{observed.name} exists already and nobody marked it as ours"
    if allowed:
        return Foreign(
            Reason.NAME_CONFLICT,
            f"{exists}: set spec.adoptionPolicy to 'Adopt' to take it, or set spec.externalName",
        )
    engine = situation.engine
    return Foreign(
        Reason.NAME_CONFLICT,
        f"{exists}, and EngineClass {engine.class_name if engine is not None else ''} does not let"
        f" namespace {situation.resource.key.namespace} adopt it (spec.tenancy.adoption): ask"
        " whoever administers the class, or set spec.externalName to another name",
    )


def _without_tags(situation: Situation, observed: Observed) -> Foreign | None:
    """Judge an object of a kind that takes no tags: by our own record, or by what it is."""
    owner = owners.owner_named(situation, observed)
    if owner is not None:
        return _marked_by(situation, observed, owner)
    if _made_by_us(situation, observed):
        return None
    desired = situation.desired
    same = isinstance(desired, Desired) and all(
        observed.fields.get(key) == value for key, value in desired.fields.items()
    )
    if (
        same
        and _policy(situation) is AdoptionPolicy.ADOPT_OR_CREATE
        and tenancy.may_adopt_unmarked(situation)
    ):
        return None
    return _unmarked(situation, observed)


def wanted_tags(situation: Situation, desired: Desired) -> dict[str, str]:
    """Return the user's tags and ours."""
    return dict(desired.tags or {}) | names.ownership_tags(
        situation.resource, situation.identity.cluster
    )
