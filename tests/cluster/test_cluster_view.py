"""The in-cluster engine's view of its objects, against a real API server."""

import asyncio
import gc
import json
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from hack.control_plane import ControlPlane
from reco.cluster.api import KubernetesAPI, load_configuration
from reco.engines.incluster.cluster import LABEL_CLASS, LABEL_OWNER, Cluster
from reco.engines.incluster.objects import (
    Manifest,
    ObjectKey,
    key_of,
    manifest,
    reference,
    within,
)
from reco.engines.incluster.rendering import Rendered


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect here, unseen, the TLS connections that a loop leaves half closed at its end."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


OWNER = "schema-0123456789abcdef"


def config_map(namespace: str, name: str = "said", **data: str) -> dict[str, Any]:
    labels = {LABEL_CLASS: namespace, LABEL_OWNER: OWNER}
    return manifest("ConfigMap", namespace, name, labels, data=data)


@asynccontextmanager
async def view(plane: ControlPlane, namespace: str) -> AsyncIterator[Cluster]:
    """Look at the objects of the class named as the namespace."""
    api = KubernetesAPI(await load_configuration(plane.kubeconfig))
    cluster = Cluster(api, namespace, (namespace,))
    news = asyncio.Event()
    running = asyncio.create_task(cluster.run(lambda _object: news.set()))
    cluster.news = news  # type: ignore[attr-defined]  # what the test waits for
    try:
        async with asyncio.timeout(20):
            await cluster.ready()
            yield cluster
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await api.close()


async def until(cluster: Any, what: Any) -> None:
    while not what():
        cluster.news.clear()
        await cluster.news.wait()


def test_what_was_applied_is_as_wanted_whoever_looks(
    control_plane: ControlPlane, namespace: str
) -> None:
    wanted = config_map(namespace, a="1")

    async def scenario() -> None:
        async with view(control_plane, namespace) as cluster:
            await cluster.apply(wanted)
            assert within(wanted, cluster.get(key_of(wanted))) == wanted
            assert cluster.owned(namespace, OWNER) == [cluster.get(key_of(wanted))]
        async with view(control_plane, namespace) as again:  # lists, as after a restart
            assert within(wanted, again.get(key_of(wanted))) == wanted

    asyncio.run(scenario())


def test_what_a_manifest_no_longer_says_is_a_difference_and_goes(
    control_plane: ControlPlane, namespace: str
) -> None:
    def rendered(**data: str) -> Any:
        return Rendered((config_map(namespace, **data),)).fields()["ConfigMap/said"]

    before, wanted = rendered(a="1", b="2"), rendered(a="1")

    async def scenario() -> None:
        async with view(control_plane, namespace) as cluster:
            await cluster.apply(before)
            assert within(wanted, cluster.get(key_of(wanted))) != wanted
            await cluster.apply(wanted)
            found = cluster.get(key_of(wanted))
            assert found is not None
            assert found["data"] == {"a": "1"}
            assert within(wanted, found) == wanted

    asyncio.run(scenario())


def test_what_others_do_is_seen(control_plane: ControlPlane, namespace: str) -> None:
    wanted = config_map(namespace, a="1")
    key = key_of(wanted)

    async def scenario() -> None:
        async with view(control_plane, namespace) as cluster:
            await cluster.apply(wanted)
            change = json.dumps({"data": {"a": "2"}})
            run = asyncio.to_thread
            await run(control_plane.kubectl, "-n", namespace, "patch", "cm", "said", "-p", change)
            await until(cluster, lambda: (cluster.get(key) or {}).get("data") == {"a": "2"})
            await cluster.apply(wanted)  # takes it back, for it was ours
            assert within(wanted, cluster.get(key)) == wanted
            await run(control_plane.kubectl, "-n", namespace, "delete", "cm", "said")
            await until(cluster, lambda: cluster.get(key) is None)
            assert await cluster.find(key) is None

    asyncio.run(scenario())


def test_objects_of_other_classes_are_not_in_view_but_can_be_asked_for(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("-n", namespace, "create", "configmap", "foreign")
    key = ObjectKey("ConfigMap", namespace, "foreign")

    async def scenario() -> None:
        async with view(control_plane, namespace) as cluster:
            assert cluster.get(key) is None
            assert await cluster.find(key) is not None

    asyncio.run(scenario())


def test_a_secret_is_made_once_and_goes_with_its_owner(
    controller_manager: ControlPlane, namespace: str
) -> None:
    def secret(value: str, owner: Manifest) -> dict[str, Any]:
        labels = {LABEL_CLASS: namespace, LABEL_OWNER: OWNER}
        made = manifest("Secret", namespace, "store", labels, stringData={"password": value})
        made["metadata"]["ownerReferences"] = [reference(owner)]
        return made

    def password() -> str:
        path = "jsonpath={.data.password}"
        return controller_manager.kubectl("-n", namespace, "get", "secret", "store", "-o", path)

    async def scenario() -> None:
        async with view(controller_manager, namespace) as cluster:
            await cluster.apply(config_map(namespace))
            owner = cluster.get(key_of(config_map(namespace)))
            assert owner is not None
            await cluster.create_once(secret("first", owner))
            before = await asyncio.to_thread(password)
            await cluster.create_once(secret("second", owner))
            assert await asyncio.to_thread(password) == before
            await cluster.delete(owner)
            gone = ("-n", namespace, "wait", "--for=delete", "secret/store", "--timeout=15s")
            await asyncio.to_thread(controller_manager.kubectl, *gone)

    asyncio.run(scenario())
