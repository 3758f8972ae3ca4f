"""The operator that reco is compared with: a plain one, as kopf's documentation teaches to write.

A handler each for creation, update and deletion, and a timer for every object, which describes it
and writes its status when that has changed. boto3 runs in kopf's threads. It does less than reco
(no ownership, no drift, no order of deletion), and is spared what such operators often get wrong:
it shares one client, adopts what it made before a crash, and patches only what changed.

Set INTERVAL (seconds) and AWS_ENDPOINT_URL, and run it by `kopf run`.
"""

# ruff: noqa: ANN401 - kopf passes what it likes, and boto3's clients have no common type

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import boto3
import kopf
from botocore.config import Config

GROUPS: Final = "datasetgroups.v1alpha1.reco.dev"
INTERVAL: Final = float(os.environ["INTERVAL"])
THREADS: Final = 8
"""As many as reco has for the same work."""


@cache
def personalize() -> Any:
    """Return the client, which all threads share."""
    return boto3.client("personalize", config=Config(max_pool_connections=THREADS))


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Give handlers as many threads as reco has; the rest stays as kopf has it."""
    settings.execution.max_workers = THREADS


@kopf.on.login()
def login(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo | None:
    """Read KUBECONFIG."""
    return kopf.login_with_kubeconfig(settings=settings)


@kopf.on.create(GROUPS)
def create(name: str, namespace: str | None, spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
    """Make the external object, or take the one that has the name."""
    external = f"{namespace}_{name}"
    try:
        answer = personalize().create_dataset_group(name=external, tags=_tags(spec))
        arn = answer["datasetGroupArn"]
    except personalize().exceptions.ResourceAlreadyExistsException:
        arn = _find(external)
    patch.status["external"] = {"name": external, "arn": arn}


@kopf.on.update(GROUPS, field="spec.tags")
def update(spec: kopf.Spec, status: kopf.Status, **_: Any) -> None:
    """Carry over tags, all that can change."""
    personalize().tag_resource(resourceArn=status["external"]["arn"], tags=_tags(spec))


@kopf.on.delete(GROUPS)
def delete(status: kopf.Status, **_: Any) -> None:
    """Delete the external object."""
    if "external" in status:
        personalize().delete_dataset_group(datasetGroupArn=status["external"]["arn"])


@kopf.timer(GROUPS, interval=INTERVAL)
def poll(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    """Describe the external object and show its state, if it is another."""
    if "external" not in status:
        return
    answer = personalize().describe_dataset_group(datasetGroupArn=status["external"]["arn"])
    state = answer["datasetGroup"]["status"]
    shown = {one["type"]: one["message"] for one in status.get("conditions", ())}
    if shown.get("Ready") != state:
        patch.status["conditions"] = [_ready(state)]


def _find(name: str) -> str:
    pages = personalize().get_paginator("list_dataset_groups").paginate()
    return next(
        str(found["datasetGroupArn"])
        for page in pages
        for found in page["datasetGroups"]
        if found["name"] == name
    )


def _tags(spec: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"tagKey": key, "tagValue": value} for key, value in spec.get("tags", {}).items()]


def _ready(state: str) -> dict[str, str]:
    return {
        "type": "Ready",
        "status": "True" if state == "ACTIVE" else "False",
        "reason": "InSync" if state == "ACTIVE" else "Creating",
        "message": state,
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
