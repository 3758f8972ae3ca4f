"""What the operator does in the cluster is done with just the rights that its manifest gives it."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hack.control_plane import ControlPlane
from hack.installing import OPERATOR
from reco.cluster.api import KubernetesAPI, load_configuration
from reco.cluster.errors import StoreForbidden, StoreNotFound
from reco.engines.incluster import catalog as asking
from reco.engines.incluster.catalog import Catalogs
from reco.engines.incluster.cluster import LABEL_CLASS, LABEL_OWNER, WATCHED, Cluster
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.objects import (
    APIS,
    ObjectKey,
    collection,
    key_of,
    manifest,
    reference,
    within,
)
from reco.engines.port import EngineError
from reco.loop.key import operator_key
from reco.storage import open_storage
from reco.workload.tasks import TOKEN_VARIABLE, CatalogTask, Group, Storage
from tests.serving.test_catalog import OWNER, Catalog, put_version
from tests.unit.engines.incluster.test_specs import objects, place

USER = "system:serviceaccount:reco-system:reco-operator"
CREDENTIALS = Credentials(b"k" * 32)


@pytest.fixture(scope="module")
def installed(crds: ControlPlane) -> ControlPlane:
    """A control plane with the operator's manifest, whose one pod nobody starts."""
    crds.kubectl("apply", "-f", str(OPERATOR))
    return crds


@asynccontextmanager
async def as_operator(plane: ControlPlane) -> AsyncIterator[KubernetesAPI]:
    """Send requests with the token of the operator's service account."""
    token = plane.kubectl("create", "token", "reco-operator", "-n", "reco-system").strip()
    configuration = await load_configuration(plane.kubeconfig)
    configuration.api_key = {"BearerToken": f"Bearer {token}"}
    api = KubernetesAPI(configuration)
    try:
        yield api
    finally:
        await api.close()


def spec_of(kind: str, labels: dict[str, str]) -> dict[str, Any]:
    """Return the least that the API server takes for an object of a kind."""
    containers = [{"name": "c", "image": "i"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    once = {"spec": {"containers": containers, "restartPolicy": "Never"}}
    selector = {"matchLabels": labels}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
    specs: dict[str, dict[str, Any]] = {
        "Service": {"selector": labels, "ports": [{"port": 80}]},
        "Deployment": {"selector": selector, "template": template, "replicas": 0},
        "StatefulSet": {"selector": selector, "template": template, "serviceName": "x"},
        "Job": {"template": once},
        "HorizontalPodAutoscaler": {"scaleTargetRef": target, "maxReplicas": 1},
        "PodDisruptionBudget": {"selector": selector},
        "NetworkPolicy": {"podSelector": selector},
    }
    return specs[kind]


def test_all_that_is_made_can_be_made_watched_changed_and_deleted(
    installed: ControlPlane, namespace: str
) -> None:
    labels = {LABEL_CLASS: namespace, LABEL_OWNER: "owner"}

    async def scenario() -> None:
        async with as_operator(installed) as api:
            cluster = Cluster(api, namespace)  # in all namespaces
            watching = asyncio.create_task(cluster.run(lambda _object: None))
            async with asyncio.timeout(30):
                await cluster.ready()
            for kind in WATCHED:
                if kind == "Pod":
                    continue  # made by others alone
                content = {} if kind == "ConfigMap" else {"spec": spec_of(kind, labels)}
                one = manifest(kind, namespace, "x", labels, **content)
                await cluster.apply(one)
                await cluster.annotate(key_of(one), {"a": "b"})
            for kind in WATCHED:
                assert await cluster.find(ObjectKey(kind, namespace, "absent")) is None
            with pytest.raises(StoreNotFound):
                await api.text(f"{collection('Pod', namespace)}/absent/log")
            owner = cluster.of_kind("StatefulSet", namespace)[0]
            secret = manifest("Secret", namespace, "x", labels, stringData={"a": "b"})
            secret["metadata"]["ownerReferences"] = [reference(owner)]
            await cluster.create_once(secret)
            await cluster.create_once(secret)
            for found in cluster.owned(namespace, "owner"):
                await cluster.delete(found)
            watching.cancel()

    asyncio.run(scenario())


CLIENTS = [
    {"namespaceSelector": {"matchLabels": {}}, "podSelector": {"matchLabels": {"app": "web"}}},
    {"ipBlock": {"cidr": "10.0.0.0/8"}},
]


@pytest.mark.parametrize(
    "settings", [{}, {"onlineStore": {"url": "redis://valkey:6379"}}, {"clients": CLIENTS}]
)
def test_a_group_s_objects_are_found_as_they_were_wanted(
    installed: ControlPlane, namespace: str, settings: dict[str, Any]
) -> None:
    made = objects("DatasetGroup", place(**settings))
    made = [{**one, "metadata": {**one["metadata"], "namespace": namespace}} for one in made]

    async def scenario() -> None:
        async with as_operator(installed) as api:
            cluster = Cluster(api, namespace, (namespace,))
            for one in made:
                await cluster.apply(one)
                assert within(one, cluster.get(key_of(one))) == one

    asyncio.run(scenario())


def test_the_operator_s_own_key_is_made_once(installed: ControlPlane) -> None:
    async def scenario() -> None:
        async with as_operator(installed) as api:
            made = await operator_key(api, "reco-system", "reco-operator-key", secrets.token_bytes)
            again = await operator_key(api, "reco-system", "reco-operator-key", secrets.token_bytes)
            assert made == again

    asyncio.run(scenario())


def test_r13_no_secret_but_its_own_can_be_read_changed_or_deleted(
    installed: ControlPlane, namespace: str
) -> None:
    installed.kubectl("-n", namespace, "create", "secret", "generic", "theirs")
    installed.kubectl("-n", "reco-system", "create", "secret", "generic", "theirs")

    async def refused(method: str, path: str, **more: Any) -> None:
        async with as_operator(installed) as api:
            with pytest.raises(StoreForbidden, match="cannot"):
                await api.request(method, path, **more)

    async def scenario() -> None:
        for space in (namespace, "reco-system"):
            secrets_ = collection("Secret", space)
            await refused("GET", secrets_)
            await refused("GET", f"{secrets_}/theirs")
            await refused("DELETE", f"{secrets_}/theirs")
            await refused("DELETE", secrets_)
            patch = {"metadata": {"annotations": {"a": "b"}}}
            patched = "application/merge-patch+json"
            await refused("PATCH", f"{secrets_}/theirs", body=patch, content_type=patched)
        await refused("GET", collection("Secret"))

    asyncio.run(scenario())


BEYOND = (
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "pods/exec"),
    ("create", "pods/proxy"),
    ("get", "services/proxy"),
    ("get", "nodes/proxy"),
    ("create", "serviceaccounts/token"),
    ("delete", "namespaces"),
    ("deletecollection", "configmaps"),
    ("create", "networkpolicies.networking.k8s.io/status"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
)


@pytest.mark.parametrize(("verb", "what"), BEYOND)
def test_rights_that_nothing_needs_are_not_given(
    installed: ControlPlane, verb: str, what: str
) -> None:
    resource, _, sub = what.partition("/")
    asked = [verb, resource, f"--subresource={sub}"] if sub else [verb, resource]
    told = json.loads(
        installed.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review(*asked)))
    )
    assert told["status"].get("allowed", False) is False, told


def review(verb: str, resource: str, sub: str = "") -> dict[str, Any]:
    name, _, group = resource.partition(".")
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": USER,
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {
                "namespace": "shop",
                "verb": verb,
                "group": group,
                "resource": name,
                "subresource": sub.removeprefix("--subresource="),
            },
        },
    }


def test_every_kind_that_is_made_is_one_the_manifest_names() -> None:
    assert set(WATCHED) | {"Secret"} == set(APIS)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A real catalog of this machine that knows the token of its group."""
    (tmp_path / "volume").mkdir()
    storage = Storage(path=str(tmp_path / "volume"))
    group = Group(name="shop_movies", storage=storage, owner=OWNER)
    put_version(open_storage(storage), "v1")
    token = CREDENTIALS.catalog_token("shop", "shop_movies")
    running = Catalog(CatalogTask(group=group), tmp_path, {TOKEN_VARIABLE: token})
    running.until("/readyz", 200)
    yield running
    running.process.stop()


def own_address() -> str:
    """Return an address of this machine: the API server passes nothing on to loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


def test_a_catalog_is_asked_through_the_api_server_with_its_token(
    installed: ControlPlane, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PORT", int(catalog.url.rpartition(":")[2]))
    _with_pod(installed)

    async def scenario() -> None:
        async with as_operator(installed) as api:
            cluster = Cluster(api, "permissions", ("shop",))
            watching = asyncio.create_task(cluster.run(lambda _object: None))
            async with asyncio.timeout(30):
                await cluster.ready()
            catalogs = Catalogs(cluster, CREDENTIALS, lambda: 0.0)
            told = await catalogs.versions("shop", "shop_movies")
            assert [one.version for one in told.found] == ["v1"]
            stranger = Catalogs(cluster, Credentials(b"l" * 32), lambda: 0.0)
            with pytest.raises(EngineError, match="does not know the operator's token"):
                await stranger.versions("shop", "shop_movies")
            with pytest.raises(EngineError, match="does not know the operator's token"):
                await stranger.delete_group("shop", "shop_movies", OWNER.uid)
            await catalogs.delete_version("shop", "shop_movies", "shop_for-you", "v1", OWNER.uid)
            catalogs = Catalogs(cluster, CREDENTIALS, lambda: 0.0)
            assert (await catalogs.versions("shop", "shop_movies")).found == []
            watching.cancel()

    asyncio.run(scenario())


def _with_pod(plane: ControlPlane) -> None:
    """Let namespace shop have a catalog whose pod is a process of this machine."""
    labels = {
        LABEL_CLASS: "permissions",
        LABEL_OWNER: "datasetgroup-1",
        "app.kubernetes.io/name": "reco-catalog",
    }
    plane.kubectl("create", "namespace", "shop")
    plane.kubectl("-n", "shop", "create", "serviceaccount", "default")
    spec = spec_of("Deployment", labels)
    deployment = manifest("Deployment", "shop", "movies-catalog", labels, spec=spec)
    pod_spec = {"containers": [{"name": "c", "image": "i"}]}
    pod = manifest("Pod", "shop", "movies-catalog-1", labels, spec=pod_spec)
    for one in (deployment, pod):
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(one))
    address = own_address()
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    plane.kubectl("-n", "shop", "patch", "pod", "movies-catalog-1", *patch)
