"""Puts into a cluster what the engine in the cluster needs beside itself: the operator, an S3."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hack.images import Image
from hack.kube_access import Cluster
from hack.s3 import S3Server

OPERATOR: Final = Path(__file__).parent / "manifests" / "operator.yaml"
IMAGE_IN_MANIFEST: Final = "localhost/reco-operator:dev"


def install_operator(cluster: Cluster, image: Image, *arguments: str) -> None:
    """Install the operator from plain manifests and wait until it leads.

    Args:
        cluster: where to.
        image: of the operator.
        arguments: further ones of `reco operate`.
    """
    manifest = OPERATOR.read_text().replace(IMAGE_IN_MANIFEST, image.reference)
    manifest = manifest.replace("args: [operate]", f"args: {json.dumps(['operate', *arguments])}")
    cluster.kubectl("apply", "-f", "-", stdin=manifest)
    rollout = ("rollout", "status", "deployment/reco-operator", "--timeout=120s")
    cluster.kubectl("-n", "reco-system", *rollout, timeout=130)


def offer_s3(
    cluster: Cluster, namespace: str, s3: S3Server, credentials: Mapping[str, str]
) -> None:
    """Give a namespace a Service `s3` that leads to an S3 on the host, and credentials for it."""
    address = urlsplit(s3.url)
    keys = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in credentials.items()
        if name in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    }
    named = {"name": "s3", "namespace": namespace}
    port = {"name": "http", "port": address.port, "protocol": "TCP"}
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": named, "data": keys},
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"ports": [port]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**named, "labels": {"kubernetes.io/service-name": "s3"}},
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [{"addresses": [address.hostname], "conditions": {"ready": True}}],
        },
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    cluster.kubectl("apply", "-f", "-", stdin=text)
