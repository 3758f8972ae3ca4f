"""Handing over: whose an object is, and whether another resource may take it.

What a living resource owns is its owner's to give, by the annotation `reco.dev/release-to`; what
one that is gone has left is the EngineClass's. Whoever takes it says so, too, but that alone gives
nothing. Who has released an object, or lost it, changes and deletes nothing of it.
"""

from dataclasses import dataclass

from reco.api.resource import Key, Resource
from reco.api.vocabulary import ANNOTATION_ADOPT_FROM, ANNOTATION_RELEASE_TO
from reco.decide import names, owners
from reco.decide.model import EngineView, Identity, Situation
from reco.decide.tenancy import Grants, grants


def may_not_take(situation: Situation, what: str, owner: str) -> str | None:
    """Return why a resource may not take over what `owner` has marked or recorded, or None.

    Args:
        situation: of the resource that would take it.
        what: the object, for the text.
        owner: `cluster/namespace/name`.
    """
    resource, engine = situation.resource, situation.engine
    me = owners.identity_of(resource.key, situation.identity)
    refusal = refused(
        resource.key,
        Claim(me, owner, resource.annotations.get(ANNOTATION_ADOPT_FROM)),
        engine.class_name if engine is not None else "",
        grants(engine.tenancy, resource.key.namespace) if engine is not None else Grants(),
        situation.owner,
        hidden=situation.owner_hidden,
    )
    return None if refusal is None else f"{what} {refusal}"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants something of whom; both are `cluster/namespace/name`."""

    me: str
    owner: str
    adopt_from: str | None
    """What the taker's annotation says."""


def refused(
    key: Key,
    claim: Claim,
    class_name: str,
    given: Grants,
    owner: Resource | None,
    *,
    hidden: bool = False,
) -> str | None:
    """Return the part of a sentence that says why a claim is refused, or None.

    Args:
        key: the taker.
        claim: what it claims.
        class_name: the class in charge.
        given: what the class lets the taker's namespace do.
        owner: the owner, where it lives in this cluster.
        hidden: whether it may live where this operator does not look.
    """
    belongs = f"belongs to {claim.owner} (cluster/namespace/name)"
    cluster, namespace, name = owners.split(claim.owner)
    own = claim.me.startswith(f"{cluster}/{key.namespace}/") and namespace == key.namespace
    if owner is not None:
        if owner.annotations.get(ANNOTATION_RELEASE_TO) != claim.me:
            return (
                f"{belongs}, which has not released it to {claim.me}: ask the owner of"
                f" {key.kind} {namespace}/{name}, or set spec.externalName to another name"
            )
    elif hidden:
        return (
            f"{belongs}, and this operator does not watch namespace {namespace}, so it can't see"
            " whether it was released: ask whoever runs the operator"
        )
    elif not own and cluster not in given.from_clusters:
        return (
            f"{belongs}, and EngineClass {class_name} does not let namespace {key.namespace} take"
            f" over what resources of cluster {cluster} that are gone have left"
            " (spec.tenancy.adoption): ask whoever administers the class, or set"
            " spec.externalName to another name"
        )
    if claim.adopt_from == claim.owner:
        return None
    return (
        f"{belongs} and may be taken over by this resource: to do so, annotate it"
        f" {ANNOTATION_ADOPT_FROM}={claim.owner}"
    )


def released_to_group(
    group: Resource,
    releasing: Resource | None,
    view: EngineView,
    identity: Identity,
    *,
    hidden: bool,
) -> str | None:
    """Return whose place in storage a dataset group may take over, as it asks to, or None.

    Args:
        group: the group.
        releasing: what its annotation names, if it lives in this cluster.
        view: its engine.
        identity: this cluster's.
        hidden: whether that may live where this operator does not look.
    """
    owner = group.annotations.get(ANNOTATION_ADOPT_FROM)
    if owner is None or names.owner_key(owner, group.key.kind) is None:
        return None
    here = owners.split(owner)[0] == identity.cluster
    refusal = refused(
        group.key,
        Claim(owners.identity_of(group.key, identity), owner, owner),
        view.class_name,
        grants(view.tenancy, group.key.namespace),
        releasing if here else None,
        hidden=here and hidden,
    )
    return owner if refusal is None else None


def left_to(situation: Situation) -> str | None:
    """Return to whom an object is left when its resource goes, itself or with its parent."""
    resource, parent, identity = situation.resource, situation.parent, situation.identity
    taker = owners.offered_to(resource, identity)
    if taker is not None or parent is None or not resource.kind.lives_in_parent:
        return taker
    if owners.is_anothers(parent):
        return f"the owner of what {parent.key} stood for"
    return owners.offered_to(parent, identity)
