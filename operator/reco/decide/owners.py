"""Owners: whose an external object is, by its marks, by what is on record, and by what was said."""

from reco.api.resource import Key, Resource
from reco.api.vocabulary import (
    ANNOTATION_ADOPT_FROM,
    ANNOTATION_RELEASE_TO,
    ConditionType,
    ManagementPolicy,
    Reason,
)
from reco.decide import names
from reco.decide.model import Identity, Observed, Situation
from reco.decide.references import Lookup

_PARTS = 3


def identity_of(key: Key, identity: Identity) -> str:
    """Return a resource as ownership tags name it: `cluster/namespace/name`."""
    return f"{identity.cluster}/{key.namespace}/{key.name}"


def split(owner: str) -> list[str]:
    """Return cluster, namespace and name; what is missing is empty."""
    return [*owner.split("/", _PARTS - 1), "", ""][:_PARTS]


def owner_named(situation: Situation, observed: Observed) -> str | None:
    """Return whose an object is, as `cluster/namespace/name`, or None if nothing says so."""
    marked = names.owner_in(observed.tags) if observed.tags is not None else None
    if marked is not None or situation.owner is None:
        return marked
    return identity_of(situation.owner.key, situation.identity)


def owner_of(
    resource: Resource, observed: Observed, identity: Identity, lookup: Lookup
) -> tuple[Resource | None, str | None]:
    """Return the other living resource that stands for an object, and the owner's namespace.

    Tags name it; what has none is its who has it on record and manages it, or has a name of its own
    that is the object's and has yet to look.
    """
    marked = names.owner_in(observed.tags) if observed.tags is not None else None
    if marked is not None:
        cluster, namespace, name = split(marked)
        key = Key(resource.key.kind, namespace, name)
        if cluster != identity.cluster or key == resource.key:
            return None, None
        return lookup.get(key), namespace
    others = [*lookup.all(resource.key.kind)]
    if _holds(resource, observed.id):
        # Only whom it is released to may have it now.
        taker = names.owner_key(offered_to(resource, identity), resource.key.kind)
        found = lookup.get(taker) if taker is not None else None
        others = [found] if found is not None else []
    for other in others:
        if other.key != resource.key and (
            _holds(other, observed.id) or _is_entitled(other, resource, observed.name)
        ):
            return other, other.key.namespace
    return None, None


def _is_entitled(other: Resource, resource: Resource, name: str) -> bool:
    """Whether another namespace's resource, which has nothing on record, is named as an object."""
    return (
        other.key.namespace != resource.key.namespace
        and other.spec is not None
        and other.spec.management_policy is ManagementPolicy.MANAGE
        and other.status.external is None
        and names.external_name(other) == name
        and names.has_own_name(other)
        and not names.has_own_name(resource)
    )


def _holds(resource: Resource, id_: str) -> bool:
    """Whether a resource has an object on record and manages it."""
    external, spec = resource.status.external, resource.spec
    return (
        external is not None
        and external.arn == id_
        and spec is not None
        and spec.management_policy is ManagementPolicy.MANAGE
    )


def is_anothers(resource: Resource) -> bool:
    """Whether what a resource stands for turned out to be, or was handed over to, another's."""
    ready = resource.condition(ConditionType.READY)
    return ready is not None and ready.reason == Reason.OWNED_ELSEWHERE


def offered_to(resource: Resource, identity: Identity) -> str | None:
    """Return whom a resource's object is released to; None where it is not."""
    taker = resource.annotations.get(ANNOTATION_RELEASE_TO)
    return taker if taker and taker != identity_of(resource.key, identity) else None


def counterparts(resource: Resource) -> list[Key]:
    """Return the resources that this one hands its object over to, or takes one from."""
    said = (
        names.owner_key(resource.annotations.get(annotation), resource.key.kind)
        for annotation in (ANNOTATION_RELEASE_TO, ANNOTATION_ADOPT_FROM)
    )
    return [key for key in said if key is not None and key != resource.key]
