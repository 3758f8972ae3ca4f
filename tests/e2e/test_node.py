"""What tests may rely on when they have the node: services, storage, metrics, and its end."""

import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from hack.images import Images
from hack.node import NodeCluster
from hack.s3 import S3Server
from tests.e2e.estate import within
from tests.e2e.pods import create, deployment, pod_spec, run, service

ROOT = Path(__file__).parents[2]
SERVE = ["python", "-m", "http.server", "--directory", "/opt/package", "8080"]
# Computes while /burn was asked last, rests after /rest.
BURN = """
import http.server, threading
busy = threading.Event()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        (busy.set if self.path == "/burn" else busy.clear)()
        self.send_response(204)
        self.end_headers()
def burn():
    while busy.wait():
        sum(range(10_000))
threading.Thread(target=burn, daemon=True).start()
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""


def fetch(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return int(answer.status)


def field(node: NodeCluster, namespace: str, what: str, path: str) -> str:
    return node.kubectl("get", what, "-n", namespace, "-o", f"jsonpath={{{path}}}")


def ready(node: NodeCluster, namespace: str, what: str) -> None:
    node.kubectl("rollout", "status", what, "-n", namespace, "--timeout=60s", timeout=70)


def test_pods_and_this_host_reach_a_service(
    node: NodeCluster, namespace: str, images: Images
) -> None:
    engine = images["engine"].reference
    probe = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    create(
        node,
        namespace,
        deployment("web", pod_spec(engine, command=SERVE, readinessProbe=probe)),
        service("web", 8080),
    )
    ready(node, namespace, "deployment/web")
    assert fetch(f"http://{field(node, namespace, 'service/web', '.spec.clusterIP')}:8080") == 200
    pod_address = field(node, namespace, "pod", ".items[0].status.podIP")
    assert fetch(f"http://{pod_address}:8080") == 200
    ask = f"import urllib.request as u; print(u.urlopen('http://web.{namespace}:8080').status)"
    spec = pod_spec(engine, command=["python", "-c", ask])
    assert run(node, namespace, "client", spec) == "200\n"


def test_pods_reach_an_s3_on_this_host(
    node: NodeCluster, namespace: str, images: Images, s3: S3Server
) -> None:
    s3.create_bucket("from-a-pod")
    store = "import boto3; boto3.client('s3').put_object(Bucket='from-a-pod', Key='k', Body=b'v')"
    command = ["python", "-c", store]
    spec = pod_spec(images["engine"].reference, command=command, env=s3.environment)
    run(node, namespace, "store", spec)
    assert s3.client().get_object(Bucket="from-a-pod", Key="k")["Body"].read() == b"v"


def test_what_redis_has_acknowledged_outlives_its_pod(
    node: NodeCluster, namespace: str, images: Images
) -> None:
    probe = {"exec": {"command": ["valkey-cli", "ping"]}, "periodSeconds": 1}
    spec = pod_spec(
        images["redis"].reference,
        ["--appendonly", "yes", "--appendfsync", "always"],
        readinessProbe=probe,
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
    )
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    stateful_set = deployment("store", spec)
    stateful_set["kind"] = "StatefulSet"
    stateful_set["spec"] |= {"serviceName": "store", "volumeClaimTemplates": [claim]}
    create(node, namespace, stateful_set, service("store", 6379))

    def redis(*words: str) -> str:
        ready(node, namespace, "statefulset/store")
        return node.kubectl("exec", "store-0", "-n", namespace, "--", "redis-cli", *words)

    assert redis("set", "kept", "yes") == "OK\n"
    node.kubectl("delete", "pod", "store-0", "-n", namespace)
    assert redis("get", "kept") == "yes\n"


def test_an_autoscaler_scales_out_under_load_and_in_again(
    node: NodeCluster, namespace: str, images: Images
) -> None:
    resources = {"requests": {"cpu": "50m"}, "limits": {"cpu": "300m"}}
    command = ["python", "-c", BURN]
    spec = pod_spec(images["engine"].reference, command=command, resources=resources)
    quick = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    utilisation = {"type": "Utilization", "averageUtilization": 60}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "burner"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "burner"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "behavior": quick,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilisation}}],
        },
    }
    create(node, namespace, deployment("burner", spec), autoscaler)
    ready(node, namespace, "deployment/burner")
    first = field(node, namespace, "pod", ".items[0].status.podIP")

    def replicas() -> int:
        return int(field(node, namespace, "deployment/burner", ".spec.replicas"))

    within(90, lambda: answers(f"http://{first}:8080/burn"), "the pod answers")
    within(90, lambda: replicas() > 1, "scaled out")
    fetch(f"http://{first}:8080/rest")
    within(90, lambda: replicas() == 1, "scaled in")


def answers(url: str) -> bool:
    try:
        return fetch(url) < 300
    except OSError:
        return False


def test_a_program_that_was_frozen_goes_on(node: NodeCluster) -> None:
    for _ in range(20):
        with node.frozen("kube-scheduler"):
            assert states(node, "kube-scheduler") == {"T"}
    within(5, lambda: "T" not in states(node, "kube-scheduler"), "all of it goes on")


def states(node: NodeCluster, program: str) -> set[str]:
    """Return in which states the processes of a node's program are, T for stopped."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            command = (process / "cmdline").read_text()
            if str(node.directory) in command and program in command:
                found.add((process / "stat").read_text().rpartition(") ")[2][0])
    return found


def test_a_second_node_lives_beside_and_leaves_no_trace_when_its_parent_is_killed(
    node: NodeCluster, tmp_path: Path
) -> None:
    before = traces()
    parent = subprocess.Popen(
        [sys.executable, "-m", "hack.node", "--dir", str(tmp_path / "second")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    line = parent.stdout.readline()
    assert line.startswith("ready after"), line
    kubeconfig = json.loads((tmp_path / "second/kubeconfig").read_text())
    assert kubeconfig["clusters"][0]["cluster"]["server"] != node.server
    assert traces() != before
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    within(30, lambda: traces() == before, "everything of the second node is gone")
    assert node.get("/api/v1/nodes")["items"]


def traces() -> dict[str, Any]:
    """What a node adds to this host, by where one would look for it."""
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True)
    routes = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True)
    return {
        "links": {line.split("@")[0] for line in links.stdout.splitlines() if "reco-" in line},
        "routes": {line for line in routes.stdout.splitlines() if "reco-" in line},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob("*/reco-*")},
        "mounts": set(Path("/proc/self/mounts").read_text().splitlines()),
        "places": {path.name for path in Path("/run/reco-nodes").glob("*.lock")},
    }
