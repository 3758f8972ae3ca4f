"""Tags: which of an object's tags are ours to set and to remove.

Others may tag an object too, so a tag is removed only if we have set it. A key is written down
before it is set, and remembered until the tag was seen to be gone: however fast a spec is edited,
and whatever breaks off in between, none is left behind.
"""

from collections.abc import Mapping

from reco.api.resource import Resource
from reco.api.vocabulary import Reason
from reco.decide import names, ownership
from reco.decide.decision import TagExternal
from reco.decide.model import Desired, Observed, Situation, Unsupported

MOST = 50 - len(names.OWNERSHIP_TAGS)
"""Tags of a user's that one object can have: the service holds 50 in all."""


def problem(wanted: Desired) -> Unsupported | None:
    """Return why an object can't have all the tags that its specs give it, or None."""
    if wanted.tags is None or len(wanted.tags) <= MOST:
        return None
    return Unsupported(
        f"spec.tags: with those of its DatasetGroup and EngineClass it would have"
        f" {len(wanted.tags)} tags; at most {MOST} are allowed",
        Reason.INVALID_SPEC,
    )


def difference(situation: Situation, observed: Observed, wanted: Desired) -> TagExternal | None:
    """Return how to make an object's tags as wanted, or None where they are, or were not read."""
    if wanted.tags is None or observed.tags is None:
        return None
    all_ = ownership.wanted_tags(situation, wanted)
    missing = {key: value for key, value in all_.items() if observed.tags.get(key) != value}
    stale = sorted(_remembered(situation.resource) & observed.tags.keys() - all_.keys())
    return TagExternal(observed, missing, stale) if missing or stale else None


def to_record(
    resource: Resource, wanted: Desired, found: Mapping[str, str] | None = None
) -> list[str] | None:
    """Return the keys to write down before tags are set; None where all are known already.

    Args:
        resource: whose tags they are. A job's stay as they were made.
        wanted: what is about to be set.
        found: the tags that are there, where they were read.
    """
    keys = frozenset(wanted.tags or ())
    if resource.kind.runs_to_completion or keys <= _remembered(resource):
        return None
    pending = frozenset(resource.status.pending_tag_keys or ())
    return sorted(keys | (pending if found is None else pending & found.keys()))


def settled(resource: Resource, observed: Observed) -> dict[str, None]:
    """Return the status of an object whose tags are as wanted: nothing is pending any more.

    That holds only once they were read.
    """
    unread = observed.tags is None and resource.status.pending_tag_keys
    return {} if unread else {"pendingTagKeys": None}


def _remembered(resource: Resource) -> frozenset[str]:
    applied = resource.status.applied
    known = applied.tag_keys if applied is not None else None
    return frozenset(known or ()) | frozenset(resource.status.pending_tag_keys or ())
