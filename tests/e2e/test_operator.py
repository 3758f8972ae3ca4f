"""The operator in a pod: its image, its rights and its probes."""

import json
import secrets

from hack.node import NodeCluster


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
