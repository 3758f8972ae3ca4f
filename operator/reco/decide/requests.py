"""What a person asks for beside the spec: to leave a resource alone, or to try again now."""

from reco.api.resource import Resource
from reco.api.vocabulary import ANNOTATION_PAUSED, ANNOTATION_RECONCILE
from reco.decide import names
from reco.decide.conditions import timestamp
from reco.decide.model import Situation


def pause_reason(situation: Situation) -> str | None:
    """Return why a resource is to be left alone, or None."""
    resource = situation.resource
    if resource.spec is not None and resource.spec.suspend:
        return "spec.suspend is true"
    value = resource.annotations.get(ANNOTATION_PAUSED, "false")
    if value in {"", "false"}:
        return None
    if value == "true":
        return f"annotation {ANNOTATION_PAUSED} is set"
    return None if value <= timestamp(situation.now) else f"annotation {ANNOTATION_PAUSED}: {value}"


def token(resource: Resource) -> str | None:
    """Return a person's `reco.dev/reconcile-requested-at`, short enough to be repeated."""
    asked = resource.annotations.get(ANNOTATION_RECONCILE)
    return None if asked is None else names.echo(asked)


def forced(resource: Resource) -> bool:
    """Whether a person has asked, by annotation, to try again now."""
    asked = token(resource)
    return asked is not None and asked != resource.status.last_handled_reconcile_at
