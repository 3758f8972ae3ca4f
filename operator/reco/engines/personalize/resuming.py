"""Going on after a restart without describing everything anew.

A list says when an object last changed, and the status says since when it has been in sync. What
has not changed since then is still as it was wanted, and is known without a call of its own. Should
two clocks disagree by the seconds in which somebody else changed it, the slow sweep, which
describes everything in its turn, finds out.
"""

from datetime import datetime

from reco.api.resource import Resource
from reco.api.vocabulary import ConditionType, DriftPolicy
from reco.decide.model import Desired, Observed, State
from reco.engines.personalize.listing import Summary
from reco.engines.personalize.wire import Wire, place_of


def settled_since(resource: Resource, wanted: Desired | None) -> datetime | None:
    """Return since when an object has been as wanted by the status; None where that is not certain.

    Args:
        resource: the resource, with its recorded object.
        wanted: what the object should be; None where that is not known.
    """
    external, applied = resource.status.external, resource.status.applied
    if wanted is None or external is None or external.name is None:
        return None
    if resource.kind.runs_to_completion:  # what has run is never compared
        return _since(resource, ConditionType.SUCCEEDED)
    if applied is None or applied.digest != wanted.digest:
        return None
    if resource.spec.drift_policy is DriftPolicy.IGNORE:
        return None  # in sync may mean that a difference is ignored
    return _since(resource, ConditionType.SYNCED)


def _since(resource: Resource, type_: ConditionType) -> datetime | None:
    condition = resource.condition(type_)
    if condition is None or condition.status != "True":
        return None
    return condition.last_transition_time


def resumed(
    wire: Wire, resource: Resource, wanted: Desired, entry: Summary, since: datetime
) -> Observed | None:
    """Return a resource's object as it must still be, or None where that is not certain.

    Args:
        wire: the kind.
        resource: the resource, with its recorded object.
        wanted: what the object should be.
        entry: the object's entry in the newest list.
        since: as of `settled_since`.
    """
    if wire.state(entry.raw) is not State.ACTIVE:
        return None
    if entry.updated.replace(microsecond=0) > since:  # the status tells whole seconds
        return None
    region, account = place_of(entry.id)
    return Observed(
        id=entry.id,
        name=resource.status.external.name,
        state=State.ACTIVE,
        fields=wanted.fields,
        created=entry.created,
        account=account,
        region=region,
    )
