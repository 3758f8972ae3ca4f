"""What estates on pods stand in: a namespace, a class, credentials."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from hack.installing import offer_s3
from hack.node import NodeCluster
from hack.s3 import S3Server
from tests.cluster.watching import Watcher
from tests.e2e.estate import Estate, Manifest


@contextmanager
def estate_in(node: NodeCluster, engine_class: Manifest, s3: S3Server) -> Iterator[Estate]:
    """Give an EngineClass and a namespace of its name, with credentials for S3 in it."""
    name = engine_class["metadata"]["name"]
    node.kubectl("create", "namespace", name)
    node.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    offer_s3(node, name, s3, s3.environment)
    node.kubectl("apply", "-f", "-", stdin=json.dumps(engine_class))
    with Watcher(node, name) as watch:
        estate = Estate(node, name, engine_class, s3, watch)
        try:
            yield estate
        finally:
            estate.close()
            node.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
