"""The store over a real API server: what each refusal becomes, and what writes leave alone."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hack.control_plane import ControlPlane
from reco.api.resource import Key, Resource
from reco.api.vocabulary import API_VERSION, FIELD_MANAGER, FINALIZER
from reco.cluster.api import KubernetesAPI, load_configuration
from reco.cluster.errors import (
    StoreConflict,
    StoreError,
    StoreExists,
    StoreForbidden,
    StoreInvalid,
    StoreNotFound,
    StoreUnavailable,
)
from reco.loop.events import EventRecorder
from reco.loop.kubernetes import KubernetesLease, KubernetesStore
from reco.loop.lease import LeaseRecord

T = TypeVar("T")
Act = Callable[[Callable[[KubernetesStore], Awaitable[T]]], T]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def with_store(
    kubeconfig: Path, act: Callable[[KubernetesStore], Awaitable[T]], **options: Any
) -> T:
    api = KubernetesAPI(await load_configuration(kubeconfig), **options)
    try:
        return await act(KubernetesStore(api, EventRecorder(api, "test", lambda: NOW)))
    finally:
        await api.close()


@pytest.fixture
def act(crds: ControlPlane) -> Act[Any]:
    """Do something with a store."""
    return lambda body: asyncio.run(with_store(crds.kubeconfig, body))


def group(namespace: str, name: str = "group", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "DatasetGroup",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def key(namespace: str, name: str = "group") -> Key:
    return Key("DatasetGroup", namespace, name)


def test_what_is_made_can_be_read_and_listed(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> None:
        made = await store.create(group(namespace))
        assert await store.get(key(namespace)) == made
        assert made in await store.list("DatasetGroup")
        assert made.status.observed_generation == -1, "the CRD says: not looked at yet"
        with pytest.raises(StoreExists, match="already exists"):
            await store.create(group(namespace))
        assert await store.get(key(namespace, "nobody")) is None

    act(body)


def test_a_list_longer_than_a_page_is_complete(
    act: Act[Any], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reco.cluster.requests.PAGE", 3)

    async def body(store: KubernetesStore) -> None:
        for number in range(8):
            await store.create(group(namespace, f"g{number}"))
        listed = await store.list("DatasetGroup")
        assert [r.key.name for r in listed if r.key.namespace == namespace] == [
            f"g{number}" for number in range(8)
        ]

    act(body)


def test_a_stale_status_is_refused_and_a_fresh_one_merged(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> None:
        made = await store.create(group(namespace))
        first = await store.patch_status(
            made.key, {"engineClassName": "a", "observedGeneration": 1}, made.resource_version
        )
        with pytest.raises(StoreConflict):
            await store.patch_status(made.key, {"engineClassName": "b"}, made.resource_version)
        second = await store.patch_status(
            made.key, {"engineClassName": None}, first.resource_version
        )
        assert second.status.engine_class_name is None
        assert second.status.observed_generation == 1
        assert second.generation == 1, "a status is no change of the spec"
        again = await store.patch_status(made.key, {}, second.resource_version)
        assert again.resource_version == second.resource_version, "no change, no write"

    act(body)


def test_unknown_status_fields_are_pruned_and_wrong_ones_refused(
    act: Act[Any], namespace: str
) -> None:
    async def body(store: KubernetesStore) -> None:
        made = await store.create(group(namespace))
        written = await store.patch_status(made.key, {"inventedHere": 1}, made.resource_version)
        assert "inventedHere" not in written.raw_status
        with pytest.raises(StoreInvalid, match="observedGeneration"):
            await store.patch_status(
                made.key, {"observedGeneration": "three"}, written.resource_version
            )

    act(body)


def test_a_status_can_be_tried_without_being_written(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> None:
        made = await store.create(group(namespace))
        version = made.resource_version
        tried = await store.patch_status(
            made.key, {"engineClassName": "personalize"}, version, dry_run=True
        )
        assert tried.status.engine_class_name == "personalize"
        too_long = {"lastHandledReconcileAt": "x" * 257}
        for dry_run in (True, False):
            with pytest.raises(StoreInvalid, match="may not be more than 256"):
                await store.patch_status(made.key, too_long, version, dry_run=dry_run)
        assert await store.get(made.key) == made

    act(body)


def test_a_spec_that_breaks_the_schema_is_refused(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> None:
        with pytest.raises(StoreInvalid, match="domain"):
            await store.create(group(namespace, domain="GARDENING"))

    act(body)


def test_finalizers_hold_a_resource_until_the_last_is_gone(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> None:
        made = await store.create(group(namespace))
        held = await store.set_finalizers(made.key, [FINALIZER], made.resource_version)
        assert held is not None
        assert held.finalizers == (FINALIZER,)
        with pytest.raises(StoreConflict):
            await store.set_finalizers(made.key, [], made.resource_version)
        await store.delete(made.key, made.uid)
        going = await store.get(made.key)
        assert going is not None
        assert going.deleted is not None
        assert await store.set_finalizers(made.key, [], going.resource_version) is None
        assert await store.get(made.key) is None
        assert await store.set_finalizers(made.key, [], going.resource_version) is None

    act(body)


def test_only_the_resource_that_was_meant_is_deleted(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> None:
        first = await store.create(group(namespace))
        await store.delete(first.key, first.uid)
        second = await store.create(group(namespace))
        await store.delete(first.key, first.uid)
        assert await store.get(first.key) == second
        await store.delete(key(namespace, "nobody"), first.uid)

    act(body)


def test_a_resource_that_is_gone_is_not_found(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> None:
        with pytest.raises(StoreNotFound, match=re.escape("group")):
            await store.patch_status(key(namespace), {"observedGeneration": 1}, "1")

    act(body)


def test_no_field_of_a_spec_ever_belongs_to_the_operator(
    act: Act[Any], crds: ControlPlane, namespace: str
) -> None:
    crds.kubectl("apply", "-f", "-", stdin=json.dumps(group(namespace)))

    async def body(store: KubernetesStore) -> None:
        found = await store.get(key(namespace))
        assert found is not None
        held = await store.set_finalizers(found.key, [FINALIZER], found.resource_version)
        assert held is not None
        await store.patch_status(found.key, {"engineClassName": "a"}, held.resource_version)

    act(body)
    text = crds.kubectl(
        "get", "dsg", "group", "-n", namespace, "-o", "json", "--show-managed-fields"
    )
    ours = [
        entry
        for entry in json.loads(text)["metadata"]["managedFields"]
        if entry["manager"] == FIELD_MANAGER
    ]
    assert len(ours) == 2
    assert all("f:spec" not in entry["fieldsV1"] for entry in ours)


def test_repeated_news_are_one_event_with_a_count(
    act: Act[Any], crds: ControlPlane, namespace: str
) -> None:
    async def body(store: KubernetesStore) -> None:
        made = await store.create(group(namespace))
        for _ in range(3):
            await store.create_event(made, "Warning", "AccessDenied", "no such role")
        await store.create_event(made, "Normal", "InSync", "x" * 5000)

    act(body)
    text = crds.kubectl("get", "events.v1.events.k8s.io", "-n", namespace, "-o", "json")
    events = {item["reason"]: item for item in json.loads(text)["items"]}
    assert set(events) == {"AccessDenied", "InSync"}
    assert events["AccessDenied"]["series"]["count"] == 3
    assert events["AccessDenied"]["regarding"]["name"] == "group"
    assert len(events["InSync"]["note"]) == 1024
    assert "no such role" in crds.kubectl("describe", "dsg", "group", "-n", namespace)


def test_an_event_that_can_not_be_written_is_no_error(
    act: Act[Any], namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(store: KubernetesStore) -> Resource:
        made = await store.create(group(namespace))
        await store.create_event(made, "Loud", "InSync", "no such type")
        return made

    act(body)
    assert "could not write an Event" in caplog.text


def test_the_cluster_is_known_by_the_uid_of_its_system_namespace(
    act: Act[Any], crds: ControlPlane
) -> None:
    async def body(store: KubernetesStore) -> str:
        return await store.namespace_uid("kube-system")

    assert act(body) == crds.cluster_id


def test_the_labels_of_a_namespace_are_read(act: Act[Any], namespace: str) -> None:
    async def body(store: KubernetesStore) -> Mapping[str, str]:
        return await store.namespace_labels(namespace)

    assert act(body)["kubernetes.io/metadata.name"] == namespace


def test_who_may_not_is_told_so(crds: ControlPlane, namespace: str, tmp_path: Path) -> None:
    stranger = tmp_path / "kubeconfig"
    stranger.write_text(crds.kubeconfig.read_text().replace(crds.token, "wrong"))

    async def body(store: KubernetesStore) -> None:
        await store.get(key(namespace))

    with pytest.raises(StoreForbidden, match="401"):
        asyncio.run(with_store(stranger, body))


def test_an_api_that_does_not_answer_is_unavailable(crds: ControlPlane, tmp_path: Path) -> None:
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(crds.kubeconfig.read_text().replace(crds.server, "https://127.0.0.1:1"))

    async def body(store: KubernetesStore) -> None:
        await store.list("DatasetGroup")

    with pytest.raises(StoreUnavailable):
        asyncio.run(with_store(nowhere, body))


def test_a_lease_is_written_by_whoever_read_it_last(crds: ControlPlane, namespace: str) -> None:
    async def body() -> None:
        api = KubernetesAPI(await load_configuration(crds.kubeconfig))
        try:
            lease = KubernetesLease(api, namespace, "reco")
            assert await lease.read() is None
            made = await lease.create(LeaseRecord("first", 15, NOW, NOW))
            assert await lease.read() == made
            with pytest.raises(StoreExists):
                await lease.create(LeaseRecord("second", 15, NOW, NOW))
            await lease.replace(made)
            with pytest.raises(StoreError):
                await lease.replace(LeaseRecord("second", 15, NOW, NOW, resource_version="1"))
        finally:
            await api.close()

    asyncio.run(body())
