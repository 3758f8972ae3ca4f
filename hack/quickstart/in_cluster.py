"""The engine in the cluster: real pods on a one-node cluster, the operator among them."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import yaml

from hack.cache import say_with_seconds
from hack.images import Images, built_images, class_settings
from hack.installing import install_operator, offer_s3
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
        images = built_images(say)
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
    return Estate(node, data, files, hints)


def engine_class(images: Images) -> str:
    """Return the example's EngineClass with images that the node has."""
    manifest = yaml.safe_load(CLASS_FILE.read_text())
    manifest["spec"]["inCluster"]["images"] = class_settings(images)
    return str(yaml.safe_dump(manifest, sort_keys=False))


def hints(estate: Estate) -> str:
    """Return commands to look around with."""
    status = estate.resource("campaign", "movies-for-you")["status"]
    url = estate.cluster.reach(status["endpoint"])
    return f"""  {estate.cluster.program("kubectl")} get deployments,statefulsets,jobs,pods
  aws --endpoint-url {url} personalize-runtime get-recommendations \\
      --campaign-arn {status["external"]["arn"]} --user-id {estate.data.user}"""
