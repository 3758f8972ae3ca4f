"""Tenancy: which namespaces may use an EngineClass, and what of an engine each may take or watch.

An engine is shared by all namespaces of a cluster, and what lies in it by all that know its name.
So who may use a name, adopt or observe is said here, by whoever administers the cluster, and never
in the namespace that would gain by it.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import ApiModel, Must, rules
from reco.api.in_cluster import LabelValue

Namespace = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
    Must("must be the name of a namespace, such as 'shop'"),
]
NamespaceOrAll = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63, pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$"),
    Must("must be the name of a namespace, such as 'shop', or '*' for all of them"),
]
NamePattern = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9*][a-zA-Z0-9_/*-]*$"),
    Must(
        "must be an external name in which '*' stands for any characters or none, such as 'live-*'"
    ),
]
ClusterID = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$"),
    Must(
        "must be a cluster id as it stands in the tag reco.dev/cluster: the UID of namespace"
        " kube-system, or what --cluster-id says"
    ),
]
_LABEL_KEY = r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
_KEY_MUST = "must be the key of a label, such as 'team' or 'example.com/team'"
LabelKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=317, pattern=_LABEL_KEY),
    Must(_KEY_MUST),
]
Labels = Annotated[
    dict[Annotated[str, StringConstraints(min_length=1, max_length=317)], LabelValue],
    Field(
        max_length=32,
        json_schema_extra=rules(
            (f"self.all(key, key.matches(r'{_LABEL_KEY}'))", f"keys {_KEY_MUST}")
        ),
    ),
]


class Operator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelRequirement(ApiModel):
    """What is asked of one label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "must have values if and only if operator is 'In' or 'NotIn'",
            )
        )
    )

    key: LabelKey
    """The label."""
    operator: Operator
    """`In` or `NotIn` the values, `Exists`, `DoesNotExist`."""
    values: Annotated[list[LabelValue], Field(max_length=64)] | None = None
    """The values of `In` and `NotIn`."""


class NamespaceSelector(ApiModel):
    """Which labels a namespace must have; all that is said must be true."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.matchLabels) || has(self.matchExpressions)",
                "must have matchLabels or matchExpressions; for every namespace use from: All",
            )
        )
    )

    match_labels: Labels | None = None
    """Labels with exactly these values."""
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=32)] | None = None
    """Further conditions on labels."""


class From(StrEnum):
    """How namespaces are chosen."""

    ALL = "All"
    NAMES = "Names"
    SELECTOR = "Selector"


class AllowedNamespaces(ApiModel):
    """The namespaces whose resources may use a class."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.from == 'Names') == has(self.names)",
                "names must be given if and only if from is 'Names'",
            ),
            (
                "(self.from == 'Selector') == has(self.selector)",
                "selector must be given if and only if from is 'Selector'",
            ),
        )
    )

    from_: From = Field(default=From.ALL, alias="from")
    """`All`, those of `names`, or those whose labels the `selector` matches."""
    names: Annotated[list[Namespace], Field(max_length=256)] | None = None
    """The namespaces."""
    selector: NamespaceSelector | None = None
    """Labels of the namespaces."""


class ExternalNameRule(ApiModel):
    """External names that some namespaces may use beside their own."""

    namespaces: Annotated[list[NamespaceOrAll], Field(min_length=1, max_length=64)]
    """Whose rule it is; `*` is every namespace."""
    patterns: Annotated[list[NamePattern], Field(min_length=1, max_length=64)]
    """The names, with `*` for any characters."""


class AdoptionRule(ApiModel):
    """What some namespaces may do to objects that are not marked as theirs."""

    namespaces: Annotated[list[NamespaceOrAll], Field(min_length=1, max_length=64)]
    """Whose rule it is; `*` is every namespace."""
    adopt: bool = False
    """They may adopt what nobody has marked, also under a name that is not their own by itself."""
    observe: bool = False
    """They may observe what others own, build on it, and read of it all that a status shows."""
    from_clusters: Annotated[list[ClusterID], Field(max_length=16)] | None = None
    """They may take over what resources that are gone have marked: those of other clusters with
    these ids, which no longer run, and of this one by its own id."""


class Tenancy(ApiModel):
    """Who may do what with a class; what is not said here is not allowed."""

    namespaces: AllowedNamespaces = Field(default_factory=AllowedNamespaces)
    """Which namespaces may use the class."""
    external_names: Annotated[list[ExternalNameRule], Field(max_length=64)] | None = None
    """Names that namespaces may use beside the derived ones. Without a rule a namespace may use
    only names that begin with its own name and an underscore."""
    adoption: Annotated[list[AdoptionRule], Field(max_length=64)] | None = None
    """Who may adopt and observe what is not marked as theirs. Without a rule a namespace adopts
    only what is marked as its own, or is unmarked and has a name of its own."""
