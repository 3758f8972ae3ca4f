"""The operator in a pod: its image, its rights and its probes."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.images import Image
from hack.node import NodeCluster

MANIFEST = Path(__file__).parent / "manifests" / "operator.yaml"


@pytest.fixture
def operator(crds: NodeCluster, images: dict[str, Image]) -> Iterator[NodeCluster]:
    """The node with the operator at work, as a Deployment."""
    manifest = MANIFEST.read_text().replace("IMAGE", images["operator"].reference)
    crds.kubectl("apply", "-f", "-", stdin=manifest)
    crds.kubectl(
        *("rollout", "status", "deployment/reco-operator", "-n", "reco-system"),
        "--timeout=60s",
        timeout=70,
    )
    yield crds
    crds.kubectl("delete", "--wait=false", "-f", "-", stdin=manifest)


def test_it_says_in_a_status_what_a_resource_waits_for(
    operator: NodeCluster, namespace: str
) -> None:
    group = {
        "apiVersion": "reco.dev/v1alpha1",
        "kind": "DatasetGroup",
        "metadata": {"name": "movies", "namespace": namespace},
        "spec": {"engineClassName": f"absent-{secrets.token_hex(2)}"},
    }
    operator.kubectl("apply", "-f", "-", stdin=json.dumps(group))
    waits = "--for=condition=Ready=false"
    operator.kubectl("wait", waits, "dsg/movies", "-n", namespace, "--timeout=30s")
