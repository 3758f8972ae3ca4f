"""Placement: whether what a spec refers to lives where the resource itself would be made.

A Schema has an EngineClass of its own, and a class may be edited. An engine knows nothing of what
lives in another engine, account or region, and says so in words that lead nowhere, such as that
access is denied. So it is not asked.
"""

from reco.api.base import External
from reco.api.resource import Resource
from reco.api.vocabulary import Reason
from reco.decide.model import EngineView, Unsupported, Waiting
from reco.decide.references import Lookup, References, resolve


def misplaced(
    resource: Resource, references: References, lookup: Lookup, engine: EngineView
) -> Unsupported | Waiting | None:
    """Return why what a resource refers to can't be used with it, or None.

    Another class is a mistake in the spec; a class that was moved since can be put back.
    """
    ours = references.engine_class
    for found in references.direct.values():
        if not found.kind.external or ours is None:
            continue
        theirs = resolve(found, lookup).engine_class
        if theirs is not None and not _same_place(ours, theirs):
            return Unsupported(
                f"{found.key} is of {theirs.key}, and {resource.key} of {ours.key}: refer to a"
                f" {found.key.kind} of {ours.key}",
                Reason.INVALID_SPEC,
            )
        problem = moved(found.key, found.status.external, engine)
        if problem is not None:
            return Waiting(problem, Reason.ENGINE_MISMATCH)
    return None


def _same_place(one: Resource, other: Resource) -> bool:
    """Whether two classes lead to the same engine: for Personalize, to the same account there."""
    if one.key == other.key:
        return True
    places = [_place(each) for each in (one, other)]
    return None not in places and places[0] == places[1]


def _place(engine_class: Resource) -> tuple[object, ...] | None:
    """Return where a class of Personalize works; in the cluster, each has objects of its own."""
    settings = getattr(engine_class.spec, "personalize", None)
    return settings and (settings.region, settings.assume_role, settings.endpoint_url)


def moved(what: object, recorded: External | None, engine: EngineView | None) -> str | None:
    """Return why an engine is not the one in which an external object was made, or None.

    Args:
        what: whose object it is, for the text.
        recorded: what the status records of it.
        engine: the engine that is in charge now.
    """
    if recorded is None or engine is None:
        return None
    for place, was, is_now in (
        ("region", recorded.region, engine.region),
        ("account", recorded.account, engine.account),
    ):
        if was is not None and is_now is not None and was != is_now:
            return (
                f"{what} lives in {place} {was}, and EngineClass {engine.class_name} now names"
                f" {is_now}: put the class back, or make new resources under a new class"
            )
    return None
