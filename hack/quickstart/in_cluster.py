"""The engine in the cluster: real pods on a one-node cluster, the operator among them."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml

from hack.cache import say_with_seconds
from hack.images import Image, project_image, redis_image
from hack.installing import install_operator, offer_s3
from hack.kube_access import Cluster
from hack.node import NodeCluster, why_not
from hack.processes import ProcessError
from hack.quickstart.estate import (
    CREDENTIALS,
    ENGINE_CLASS,
    MANIFESTS,
    REGION,
    ROOT,
    S3_PORT,
    Estate,
    define_kinds,
    prepare_data,
)
from hack.quickstart.screen import console, step
from hack.s3 import S3Server

CLASS_FILE: Final = MANIFESTS / "in-cluster" / ENGINE_CLASS


def start(stack: ExitStack, folder: Path) -> Estate:
    """Start the cluster with everything in it; it is gone when the stack is.

    Raises:
        ProcessError: if this machine can't run pods.
    """
    reason = why_not()
    if reason is not None:
        raise ProcessError(reason)
    say = say_with_seconds()
    with step("images (built from the Dockerfile the first time: some minutes)"):
        images = {
            "operator": project_image("operator", say),
            "engine": project_image("engine", say),
            "redis": redis_image(say),
        }
    with step("Kubernetes with one node"):
        archives = [image.archive for image in images.values()]
        node = stack.enter_context(NodeCluster(folder / "node", archives, say=say))
    s3 = S3Server(folder / "s3.log", region=REGION, port=S3_PORT, address=node.host_address)
    stack.callback(s3.stop)
    data = prepare_data(s3)
    define_kinds(node)
    with step("operator"):
        install_operator(node, images["operator"])
    offer_s3(node, "default", s3, CREDENTIALS)
    files = [
        folder / ENGINE_CLASS,
        *sorted(file for file in MANIFESTS.glob("*.yaml") if file.name != ENGINE_CLASS),
    ]
    files[0].write_text(engine_class(images))
    console.print(
        f"  {ENGINE_CLASS} is {CLASS_FILE.relative_to(ROOT)} with the images built here",
        highlight=False,
    )
    return Estate(node, data, files, lambda endpoint: reach(node, endpoint), hints)


def engine_class(images: dict[str, Image]) -> str:
    """Return the example's EngineClass with images that the node has."""
    manifest = yaml.safe_load(CLASS_FILE.read_text())
    manifest["spec"]["inCluster"]["images"] = {
        "engine": images["engine"].reference,
        "valkey": images["redis"].reference,
        "pullPolicy": "Never",
    }
    return str(yaml.safe_dump(manifest, sort_keys=False))


def reach(cluster: Cluster, endpoint: str) -> str:
    """Return the URL at which this machine reaches a Service that an endpoint names."""
    name, namespace = (urlsplit(endpoint).hostname or "").split(".")[:2]
    found = json.loads(cluster.kubectl("-n", namespace, "get", "service", name, "-o", "json"))
    return f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"


def hints(estate: Estate) -> str:
    """Return commands to look around with."""
    status = estate.resource("campaign", "movies-for-you")["status"]
    return f"""  {estate.cluster.program("kubectl")} get deployments,statefulsets,jobs,pods
  aws --endpoint-url {estate.reach(status["endpoint"])} personalize-runtime get-recommendations \\
      --campaign-arn {status["external"]["arn"]} --user-id {estate.data.user}"""
