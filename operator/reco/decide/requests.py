"""What a person asks for beside the spec: to leave a resource alone, or to try again now."""

from reco.api.resource import Resource
from reco.api.vocabulary import (
    ANNOTATION_PAUSED,
    ANNOTATION_RECONCILE,
    ANNOTATION_RELEASE_TO,
)
from reco.decide import names, owners
from reco.decide.conditions import timestamp
from reco.decide.model import Observed, Situation


def pause_reason(situation: Situation) -> str | None:
    """Return why a resource is to be left alone, or None."""
    resource = situation.resource
    if resource.spec is not None and resource.spec.suspend:
        return "spec.suspend is true"
    taker = owners.offered_to(resource, situation.identity)
    if taker is not None and not _taken(situation):
        return (
            f"annotation {ANNOTATION_RELEASE_TO} releases the object to {taker}, which has not"
            " taken it yet: until then nothing of it is changed"
        )
    value = resource.annotations.get(ANNOTATION_PAUSED, "false")
    if value in {"", "false"}:
        return None
    if value == "true":
        return f"annotation {ANNOTATION_PAUSED} is set"
    return None if value <= timestamp(situation.now) else f"annotation {ANNOTATION_PAUSED}: {value}"


def _taken(situation: Situation) -> bool:
    """Whether what was released is marked as another's now."""
    seen = situation.observation
    owner = owners.owner_named(situation, seen) if isinstance(seen, Observed) else None
    return owner not in {None, owners.identity_of(situation.resource.key, situation.identity)}


def token(resource: Resource) -> str | None:
    """Return a person's `reco.dev/reconcile-requested-at`, short enough to be repeated."""
    asked = resource.annotations.get(ANNOTATION_RECONCILE)
    return None if asked is None else names.echo(asked)


def forced(resource: Resource) -> bool:
    """Whether a person has asked, by annotation, to try again now."""
    asked = token(resource)
    return asked is not None and asked != resource.status.last_handled_reconcile_at
