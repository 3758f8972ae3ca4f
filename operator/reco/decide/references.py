"""Following references: what a spec names, up to the EngineClass in charge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reco.api.kinds import KINDS, ReferenceField
from reco.api.resource import Key, Resource
from reco.api.vocabulary import (
    ANNOTATION_ADOPT_FROM,
    ANNOTATION_DEFAULT_CLASS,
    ConditionType,
    Reason,
)
from reco.decide import names
from reco.decide.model import Waiting


class Lookup(Protocol):
    """What is known of the cluster: a view of the cache."""

    def get(self, key: Key) -> Resource | None:
        """Return a resource, or None."""
        ...

    def all(self, kind: str, namespace: str | None = None) -> Sequence[Resource]:
        """Return all resources of a kind, in one namespace or everywhere, sorted by key."""
        ...

    def referring(self, key: Key, kind: str | None = None) -> Sequence[Resource]:
        """Return the resources whose specs name `key`, of one kind or of all, sorted by key."""
        ...


@dataclass(frozen=True, slots=True)
class References:
    """What a resource refers to, as far as it exists."""

    direct: Mapping[str, Resource]
    """By the first part of the field's path, such as `datasetGroupRef`."""
    lineage: Sequence[Resource] = ()
    """Parent, its parent, and so on to the DatasetGroup; nearest first, the EngineClass not."""
    engine_class: Resource | None = None
    missing: Mapping[str, Key] = field(default_factory=dict)
    """Fields whose target does not exist, with what they name."""
    releasing: Resource | None = None
    """What the dataset group's annotation says it takes over from, if it lives."""
    siblings: Sequence[Resource] = ()
    """Other resources that an engine may need to know: see `Rules.complete`."""


def field_name(reference: ReferenceField) -> str:
    """Return the first part of a reference's path, under which it is known."""
    return reference.path.partition(".")[0]


def target_of(resource: Resource, reference: ReferenceField) -> Key | None:
    """Return the key that a reference names, or None where the field is left out."""
    name = reference.name(resource.spec) if resource.spec is not None else None
    if name is None:
        return None
    namespace = resource.key.namespace if KINDS[reference.target].namespaced else ""
    return Key(reference.target, namespace, name)


def targets(resource: Resource) -> list[Key]:
    """Return all keys that a resource's spec names."""
    found = (target_of(resource, reference) for reference in resource.kind.references)
    return [key for key in found if key is not None]


def resolve(resource: Resource, lookup: Lookup) -> References:
    """Follow a resource's references, and its parents' up to the EngineClass."""
    direct: dict[str, Resource] = {}
    missing: dict[str, Key] = {}
    for reference in resource.kind.references:
        key = target_of(resource, reference)
        if key is None:
            continue
        found = lookup.get(key)
        if found is None:
            missing[field_name(reference)] = key
        else:
            direct[field_name(reference)] = found
    lineage: list[Resource] = []
    here = resource
    while (parent := _parent(here, lookup)) is not None and parent.key.kind != "EngineClass":
        lineage.append(parent)
        here = parent
    engine_class = _parent(here, lookup) if _names_class(here) else None
    from_ = names.owner_key(here.annotations.get(ANNOTATION_ADOPT_FROM), here.key.kind)
    releasing = lookup.get(from_) if from_ is not None and from_ != here.key else None
    return References(direct, tuple(lineage), engine_class, missing, releasing)


def parent_of(resource: Resource, references: References) -> Resource | None:
    """Return the resource that another names as its parent, if it is there."""
    parent = next((r for r in resource.kind.references if r.parent), None)
    return None if parent is None else references.direct.get(field_name(parent))


def _names_class(resource: Resource) -> bool:
    return any(reference.target == "EngineClass" for reference in resource.kind.references)


def _parent(resource: Resource, lookup: Lookup) -> Resource | None:
    reference = next((r for r in resource.kind.references if r.parent), None)
    if reference is None:
        return None
    key = target_of(resource, reference)
    if key is not None:
        return lookup.get(key)
    if reference.target != "EngineClass":
        return None
    return _recorded_class(resource, lookup) or default_class(lookup)


def _recorded_class(resource: Resource, lookup: Lookup) -> Resource | None:
    """Return the class in charge of what was made already: another default moves nothing."""
    status = resource.status
    if status.external is None or status.engine_class_name is None:
        return None
    return lookup.get(Key("EngineClass", "", status.engine_class_name))


def default_class(lookup: Lookup) -> Resource | None:
    """Return the EngineClass annotated as default: of several the oldest, then by name."""
    marked = [
        resource
        for resource in lookup.all("EngineClass")
        if resource.annotations.get(ANNOTATION_DEFAULT_CLASS) == "true"
    ]
    return min(marked, key=lambda resource: (resource.created, resource.key.name), default=None)


def tags_of(resource: Resource, references: References) -> dict[str, str]:
    """Return the tags that specs give a resource: its group's, under its own."""
    groups = [one for one in references.lineage if one.key.kind == "DatasetGroup"]
    layers = [one.spec.tags for one in (*groups, resource) if one.spec is not None]
    return {key: value for tags in layers if tags for key, value in tags.items()}


def usable(resource: Resource) -> bool:
    """Whether others can build on a resource: its object was in sync and is still there."""
    if resource.kind.runs_to_completion:
        return resource.deleted is None and resource.is_true(ConditionType.SUCCEEDED)
    status, ready = resource.status, resource.condition(ConditionType.READY)
    return (
        resource.deleted is None
        and (ready is None or ready.reason != Reason.EXTERNAL_DELETED)
        and status.external is not None
        and status.external.arn is not None
        and status.applied is not None
    )


def blocker(resource: Resource, references: References) -> Waiting | None:
    """Return what a resource has to wait for before anything can be wanted, or None."""
    for key in references.missing.values():
        return Waiting(f"{key} does not exist")
    for found in references.direct.values():
        if found.key.kind == "EngineClass":
            continue
        if found.deleted is not None:
            return Waiting(f"{found.key} is being deleted")
        if not usable(found):
            return Waiting(f"{found.key} is not ready: {_why_not(found)}")
    if references.engine_class is None:
        return Waiting(_no_class(resource, references))
    if references.engine_class.deleted is not None and resource.status.external is None:
        return Waiting(f"{references.engine_class.key} is being deleted")
    return None


def _why_not(resource: Resource) -> str:
    for type_ in (ConditionType.SUCCEEDED, ConditionType.READY):
        condition = resource.condition(type_)
        if condition is not None:
            return f"{condition.reason}: {condition.message}".rstrip(": ")
    return "not looked at yet"


def _no_class(resource: Resource, references: References) -> str:
    last = references.lineage[-1] if references.lineage else resource
    if not _names_class(last):
        parent = next(r for r in last.kind.references if r.parent)
        return f"{target_of(last, parent)} does not exist"
    name = getattr(last.spec, "engine_class_name", None)
    if name is not None:
        return f"EngineClass {name} does not exist"
    return (
        "spec.engineClassName is left out and no EngineClass is annotated"
        f' {ANNOTATION_DEFAULT_CLASS}: "true"'
    )
