"""Builds resources and situations for tests of decisions, from as little text as possible."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reco.api.resource import Resource, parse
from reco.api.vocabulary import API_VERSION, FINALIZER
from reco.decide import names
from reco.decide.conditions import merge
from reco.decide.decision import Decision
from reco.decide.model import Absent, Desired, EngineView, Identity, Observed, Situation, State
from reco.engines.personalize.kinds import GOES_WITH_PARENT, REPEATABLE, UNPROVEN
from reco.loop.status import patch

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CREATED = NOW - timedelta(days=1)
IDENTITY = Identity(cluster="cluster-1")
ENGINE = EngineView(
    "personalize",
    region="eu-west-1",
    account="123456789012",
    unproven=UNPROVEN,
    repeatable=REPEATABLE,
    goes_with_parent=GOES_WITH_PARENT,
)

SPECS: dict[str, dict[str, Any]] = {
    "DatasetGroup": {"engineClassName": "personalize"},
    "Schema": {
        "engineClassName": "personalize",
        "avro": {"type": "record", "name": "I", "fields": [{"name": "USER_ID", "type": "string"}]},
    },
    "Dataset": {
        "datasetGroupRef": {"name": "movies"},
        "type": "Interactions",
        "schemaRef": {"name": "interactions"},
    },
    "DatasetImportJob": {"datasetRef": {"name": "data"}, "source": {"s3": "s3://bucket/data/"}},
    "Solution": {"datasetGroupRef": {"name": "movies"}, "recipe": "aws-sims"},
    "SolutionVersion": {"solutionRef": {"name": "sol"}},
    "Campaign": {"solutionRef": {"name": "sol"}},
    "EventTracker": {"datasetGroupRef": {"name": "movies"}},
}


def resource(
    kind: str,
    name: str = "thing",
    *,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    generation: int = 1,
    finalizers: Sequence[str] = (FINALIZER,),
    annotations: Mapping[str, str] | None = None,
    deleted: bool = False,
    owner: Resource | None = None,
    created: datetime = CREATED,
    namespace: str = "shop",
) -> Resource:
    """Return a resource of a kind whose spec is the kind's smallest, with changes."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{kind}-{name}",
        "resourceVersion": "1",
        "generation": generation,
        "creationTimestamp": created.isoformat(),
        "finalizers": list(finalizers),
        "annotations": dict(annotations or {}),
    }
    if deleted:
        metadata["deletionTimestamp"] = NOW.isoformat()
    if owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSION,
                "kind": owner.key.kind,
                "name": owner.key.name,
                "uid": owner.uid,
            }
        ]
    return parse(
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": metadata,
            "spec": {**SPECS[kind], **(spec or {})},
            "status": dict(status or {}),
        }
    )


def desired(**fields: Any) -> Desired:
    """Return what is wanted of a campaign-like object: all fields can be changed in place."""
    wanted = {"solutionVersionArn": "arn:v1", "minProvisionedTPS": 1} | fields
    return Desired("shop_thing", wanted, frozenset(wanted), tags={})


def observed(
    of: Resource, wanted: Desired, state: State = State.ACTIVE, **changes: Any
) -> Observed:
    """Return an external object that is as wanted and carries our tags."""
    base = Observed(
        id="arn:thing",
        name=wanted.name,
        state=state,
        fields=wanted.fields,
        created=CREATED,
        account="123456789012",
        region="eu-west-1",
        tags=names.ownership_tags(of, IDENTITY.cluster),
    )
    return replace(base, **changes)


def situation(of: Resource, **changes: Any) -> Situation:
    """Return a situation in which nothing is there yet and everything wanted is known."""
    base = Situation(of, NOW, IDENTITY, ENGINE, desired(), Absent())
    return replace(base, **changes)


def settled_status(wanted: Desired, **more: Any) -> dict[str, Any]:
    """Return the status of a resource that has been in sync."""
    return {
        "observedGeneration": 1,
        "external": {"name": wanted.name, "arn": "arn:thing"},
        "applied": {"digest": wanted.digest, "generation": 1},
        "conditions": [
            condition("Ready", "True", "InSync"),
            condition("Available", "True", "InSync"),
            condition("Synced", "True", "InSync"),
        ],
    } | more


def condition(
    type_: str, status: str, reason: str, message: str = "", since: datetime = CREATED
) -> dict[str, Any]:
    """Return a condition as it stands in a manifest."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since.isoformat(),
    }


def shown(before: Resource, decision: Decision) -> dict[str, str]:
    """Return what a decision shows: conditions by type as `Status/Reason`."""
    merged = merge(
        before.status.conditions, decision.conditions, generation=before.generation, now=NOW
    )
    return {c.type: f"{c.status}/{c.reason}" for c in merged}


def written(before: Resource, decision: Decision) -> dict[str, Any]:
    """Return the status patch that a decision leads to."""
    return patch(before, decision, NOW)[0]
