"""What a spec comes to in the cluster: objects, the first of which stands for the whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import GROUP
from reco.decide.model import Unsupported, Waiting, digest
from reco.engines.incluster.objects import Manifest

ROLLED_OUT = "rollout"
"""The field that says whether what was applied is also what runs."""
COMPLETE = "complete"
SECRETS = "secrets"
"""The field that says whether the Secrets are there that were made for pods. Nobody may read them,
so it is known by pods that can't start without."""
MADE = "made"
ANNOTATION_MANIFEST = f"{GROUP}/manifest"
"""On every object: the digest of its manifest. Objects are compared only in what manifests say, so
without it nobody would see that a manifest says less than before."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects that a resource is to have.

    Attributes:
        objects: manifests; the first stands for the whole.
        rolls: whether it takes a while until what was applied is what runs.
        fixed: whether the objects can't be changed once they are made.
        secrets: Secrets to make once.
        input: what runs made of it are told; None where they are told all of it.
    """

    objects: Sequence[Mapping[str, Any]]
    rolls: bool = False
    fixed: bool = False
    secrets: Sequence["Secret"] = ()
    input: object = None

    def fields(self) -> dict[str, Any]:
        """Return the wanted fields: each object under `Kind/name`."""
        named = {f"{one['kind']}/{one['metadata']['name']}": _marked(one) for one in self.objects}
        return (
            named
            | ({ROLLED_OUT: COMPLETE} if self.rolls else {})
            | ({SECRETS: MADE} if self.secrets else {})
        )


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret of one key that is made for pods and never read or changed.

    Attributes:
        name: its name.
        key: of its value.
        value: what pods are to be told; kept out of all that is shown.
        goes_with: the field of the object that it is deleted with; None for the resource itself.
    """

    name: str
    key: str
    value: str = field(repr=False)
    goes_with: str | None = None


def _marked(one: Mapping[str, Any]) -> dict[str, Any]:
    metadata = one["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION_MANIFEST: digest(one)}
    return {**one, "metadata": {**metadata, "annotations": annotations}}


def manifests(fields: Mapping[str, Any]) -> dict[str, Manifest]:
    """Return those of the wanted fields that are objects."""
    return {name: one for name, one in fields.items() if name not in {ROLLED_OUT, SECRETS}}


Rendering = Rendered | Waiting | Unsupported


def id_of(resource: Resource) -> str:
    """Return the recorded id of a resource that others may build on.

    Raises:
        ValueError: if there is none: whoever renders waits for it first.
    """
    arn = resource.status.external.arn
    if arn is None:
        raise ValueError(f"{resource.key} has no recorded id: wait for it first")
    return str(arn)


def as_json(value: object) -> str:
    """Return JSON that is the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
