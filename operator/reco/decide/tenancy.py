"""Tenancy: what the EngineClass and the present owner let a namespace do.

Two tenants of one engine see the same names. A namespace may use the names that are its own by the
way names are derived; everything beyond is somebody else's word: the owner's, by an annotation on
the owner's resource, or the class's, by `spec.tenancy`. Nothing that a namespace writes into its
own resources gives it a right. A refusal says what is missing and whom to ask.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reco.api.resource import Resource
from reco.api.tenancy import From, LabelRequirement, NamespaceSelector, Operator, Tenancy
from reco.api.vocabulary import ManagementPolicy, Reason
from reco.decide import names, owners
from reco.decide.model import Desired, EngineView, Observed, Situation, Waiting
from reco.decide.references import References

_EVERY_NAMESPACE = "*"


@dataclass(frozen=True, slots=True)
class Grants:
    """What a class lets one namespace do beyond what is its own anyway."""

    patterns: tuple[str, ...] = ()
    adopt: bool = False
    observe: bool = False
    from_clusters: frozenset[str] = frozenset()

    def allows_name(self, name: str) -> bool:
        """Whether a pattern matches the whole name; `*` stands for any characters."""
        return any(
            re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name)
            for pattern in self.patterns
        )


def grants(tenancy: Tenancy, namespace: str) -> Grants:
    """Return what a class's rules give a namespace, taken together."""

    def concern(namespaces: Iterable[str]) -> bool:
        return not {_EVERY_NAMESPACE, namespace}.isdisjoint(namespaces)

    named = [rule for rule in tenancy.external_names or () if concern(rule.namespaces)]
    adopting = [rule for rule in tenancy.adoption or () if concern(rule.namespaces)]
    return Grants(
        patterns=tuple(pattern for rule in named for pattern in rule.patterns),
        adopt=any(rule.adopt for rule in adopting),
        observe=any(rule.observe for rule in adopting),
        from_clusters=frozenset(id_ for rule in adopting for id_ in rule.from_clusters or ()),
    )


# Who may use a class at all --------------------------------------------------------------------


def needs_labels(tenancy: Tenancy) -> bool:
    """Whether the labels of a namespace decide whether it may use the class."""
    return tenancy.namespaces.from_ is From.SELECTOR


def barred(
    resource: Resource, view: EngineView, labels: Mapping[str, str] | str | None
) -> str | None:
    """Return why a class lets nothing be done for a resource, or None.

    Args:
        resource: the resource; one whose spec can't be read is not judged.
        view: its engine.
        labels: those of its namespace; a text says why they are not known. None where they don't
            matter.
    """
    if resource.spec is None:
        return None
    namespace = resource.key.namespace
    ask = f"ask whoever administers EngineClass {view.class_name}"
    if isinstance(labels, str):
        return f"EngineClass {view.class_name} chooses namespaces by their labels, and {labels}"
    if not _may_use(view.tenancy, namespace, labels or {}):
        return (
            f"EngineClass {view.class_name} does not admit namespace {namespace}"
            f" (spec.tenancy.namespaces): {ask}; what exists stays as it is"
        )
    given = grants(view.tenancy, namespace)
    observes = resource.spec.management_policy is ManagementPolicy.OBSERVE
    name = names.external_name(resource)
    if (
        resource.kind.lives_in_parent
        or names.has_own_name(resource)
        or given.allows_name(name)
        or (observes and given.observe)
    ):
        return None
    return (
        f"namespace {namespace} may not use the external name {name} in EngineClass"
        f" {view.class_name}: names that begin with '{namespace}_' are its own, and for others"
        f" {ask} (spec.tenancy.externalNames); what exists stays as it is"
    )


def _may_use(tenancy: Tenancy, namespace: str, labels: Mapping[str, str]) -> bool:
    allowed = tenancy.namespaces
    match allowed.from_:
        case From.ALL:
            return True
        case From.NAMES:
            return namespace in (allowed.names or ())
        case From.SELECTOR:
            return allowed.selector is not None and _selects(allowed.selector, labels)


def _selects(selector: NamespaceSelector, labels: Mapping[str, str]) -> bool:
    exact = selector.match_labels or {}
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        _meets(requirement, labels) for requirement in selector.match_expressions or ()
    )


def _meets(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    """Judge as Kubernetes does: a label that is not there is `NotIn` any values."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
        case Operator.IN:
            return value in (requirement.values or ())
        case Operator.NOT_IN:
            return value not in (requirement.values or ())


# Observing and building on what is only observed -----------------------------------------------


def may_not_observe(situation: Situation, observed: Observed) -> str | None:
    """Return why a resource may not show an object that it only observes, or None."""
    resource, engine = situation.resource, situation.engine
    if engine is None or grants(engine.tenancy, resource.key.namespace).observe:
        return None
    if resource.kind.lives_in_parent:
        return None  # whoever may look at the parent may look at its parts
    owner = owners.owner_named(situation, observed)
    if owner is None or owner.startswith(f"{situation.identity.cluster}/{resource.key.namespace}/"):
        return None
    return (
        f"{observed.name} belongs to {owner} (cluster/namespace/name), and EngineClass"
        f" {engine.class_name} does not let namespace {resource.key.namespace} observe what others"
        " own (spec.tenancy.adoption): ask whoever administers the class"
    )


def observes_others(resource: Resource, view: EngineView) -> bool:
    """Whether a resource may watch an object only while its owner is of its own namespace."""
    return (
        resource.spec is not None
        and resource.spec.management_policy is ManagementPolicy.OBSERVE
        and not resource.kind.lives_in_parent
        and not names.has_own_name(resource)
        and not grants(view.tenancy, resource.key.namespace).observe
    )


def builds_on_others(
    resource: Resource, references: References, view: EngineView
) -> Waiting | None:
    """Return why a resource may not build on what is only observed, or None.

    The objects that a parent observes are others', unless their names say that they can't be.
    """
    lineage = (*references.direct.values(), *references.lineage)
    for found in lineage:
        if owners.is_anothers(found):
            return Waiting(f"{found.key} stands for what another owns", Reason.OWNED_ELSEWHERE)
    if grants(view.tenancy, resource.key.namespace).observe:
        return None
    for found in lineage:
        if (
            found.kind.external
            and not found.kind.lives_in_parent
            and found.spec is not None
            and found.spec.management_policy is ManagementPolicy.OBSERVE
            and not names.has_own_name(found)
        ):
            return Waiting(
                f"{found.key} only observes {names.external_name(found)}, and EngineClass"
                f" {view.class_name} does not let namespace {resource.key.namespace} build on what"
                " others own (spec.tenancy.adoption): ask whoever administers the class",
                Reason.NOT_PERMITTED,
            )
    return None


# Adopting -------------------------------------------------------------------------------------


def may_adopt_unmarked(situation: Situation) -> bool:
    """Whether a resource may adopt an object of its external name that nobody has marked."""
    resource, engine = situation.resource, situation.engine
    if names.has_own_name(resource) or _parent_is_ours(situation):
        return True
    return engine is not None and grants(engine.tenancy, resource.key.namespace).adopt


def taken_with_parent(situation: Situation, owner: str) -> bool:
    """Whether an object that another namespace has marked came along with its parent."""
    here = f"{situation.identity.cluster}/{situation.resource.key.namespace}/"
    return _parent_is_ours(situation) and not owner.startswith(here)


def _parent_is_ours(situation: Situation) -> bool:
    """Whether the object is part of one that is managed here, and was found there."""
    parent = situation.parent
    return (
        situation.resource.kind.lives_in_parent
        and isinstance(situation.desired, Desired)
        and parent is not None
        and parent.spec is not None
        and parent.spec.management_policy is ManagementPolicy.MANAGE
    )
