"""Puts into a cluster what the engine in the cluster needs beside itself: the operator, an S3."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from hack.images import Image
from hack.kube_access import Cluster
from hack.s3 import S3Server

OPERATOR: Final = Path(__file__).parent / "manifests" / "operator.yaml"


def install_operator(
    cluster: Cluster,
    image: Image,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Install the operator from plain manifests and wait until it leads.

    Args:
        cluster: where to.
        image: of the operator.
        arguments: further ones of `reco operate`.
        environment: further variables, such as credentials that an emulator takes.
    """
    manifests = list(yaml.safe_load_all(OPERATOR.read_text()))
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            container = manifest["spec"]["template"]["spec"]["containers"][0]
            container["image"] = image.reference
            container["args"] += arguments
            given = (environment or {}).items()
            container["env"] += [{"name": name, "value": value} for name, value in given]
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
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
