"""A resource as the operator sees it: the metadata that decisions need, typed spec, status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from typing_extensions import override

from reco.api.base import ApiModel, Condition, SharedStatus
from reco.api.kinds import KINDS, Kind
from reco.api.vocabulary import API_VERSION, ConditionType


class Key(NamedTuple):
    """What identifies a resource: kind, namespace (empty for cluster-scoped kinds) and name."""

    kind: str
    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        """Return `Kind namespace/name`, as messages show it."""
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else f"{self.kind} {self.name}"
        )


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner reference."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of ours, parsed."""

    key: Key
    uid: str
    resource_version: str
    generation: int
    created: datetime
    deleted: datetime | None
    """When deletion was asked for; None for a live resource."""
    finalizers: tuple[str, ...]
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    owners: tuple[Owner, ...]
    spec: Any
    """The kind's spec model; None when the stored spec can't be read (see `problem`)."""
    status: Any
    """The kind's status model."""
    raw_status: Mapping[str, Any] = field(repr=False)
    """The status as stored, to see whether a write would change anything."""
    problem: str | None = None
    """Why the spec can't be read."""

    @property
    def kind(self) -> Kind:
        """The row of the table of kinds."""
        return KINDS[self.key.kind]

    def condition(self, type_: ConditionType) -> Condition | None:
        """Return the condition of a type, or None."""
        return next((c for c in self.status.conditions if c.type == type_), None)

    def is_true(self, type_: ConditionType) -> bool:
        """Whether a condition is there and True."""
        condition = self.condition(type_)
        return condition is not None and condition.status == "True"


def parse(body: Mapping[str, Any]) -> Resource:
    """Read an API object of one of our kinds.

    A stored spec that the models refuse (a CRD older or newer than this code) does not raise: the
    resource comes back with `spec=None` and the `problem`, so that its status can say so.

    Raises:
        KeyError: if the kind is not ours.
    """
    kind = KINDS[body["kind"]]
    metadata = body["metadata"]
    raw_status = body.get("status") or {}
    spec: ApiModel | None = None
    problem = None
    try:
        spec = kind.spec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        problem = describe(error)
    try:
        status: SharedStatus = kind.status.model_validate(raw_status)
    except ValidationError:
        # Status is a cache that is rebuilt from the engine; one we can't read is as good as none.
        status = kind.status.model_validate({"observedGeneration": -1})
    return Resource(
        key=Key(kind.name, metadata.get("namespace") or "", metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 1),
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        deleted=(
            datetime.fromisoformat(metadata["deletionTimestamp"])
            if metadata.get("deletionTimestamp")
            else None
        ),
        finalizers=tuple(metadata.get("finalizers") or ()),
        annotations=metadata.get("annotations") or {},
        labels=metadata.get("labels") or {},
        owners=tuple(
            Owner(owner["kind"], owner["name"], owner["uid"])
            for owner in metadata.get("ownerReferences") or ()
            if owner.get("apiVersion") == API_VERSION
        ),
        spec=spec,
        status=status,
        raw_status=raw_status,
        problem=problem,
    )


def describe(error: ValidationError) -> str:
    """Return a validation error as one line a user can act on."""
    return "; ".join(
        f"spec.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False, include_context=False)
    )
