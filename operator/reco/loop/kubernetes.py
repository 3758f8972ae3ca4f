"""The store and the lease over the real Kubernetes API, with the paths of our kinds."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource, parse
from reco.api.vocabulary import API_VERSION, FIELD_MANAGER
from reco.cluster import requests
from reco.cluster.api import KubernetesAPI
from reco.cluster.errors import StoreNotFound
from reco.loop.events import EventRecorder, micro_time
from reco.loop.informer import slim
from reco.loop.lease import LeaseRecord


class KubernetesStore:
    """A `reco.loop.store.Store` over the Kubernetes API."""

    def __init__(
        self, api: KubernetesAPI, recorder: EventRecorder, namespaces: Sequence[str] = ()
    ) -> None:
        """Make a store.

        Args:
            api: sends the requests.
            recorder: writes Events.
            namespaces: to list in; none means all.
        """
        self._api = api
        self._recorder = recorder
        self._namespaces = tuple(namespaces)

    async def get(self, key: Key) -> Resource | None:
        """Read one resource; None if there is none."""
        return await _unless_gone(_read(self._api.request("GET", path_of(key))))

    async def list(self, kind: str) -> Sequence[Resource]:
        """Read all resources of a kind, page by page."""
        if not self._namespaces or not KINDS[kind].namespaced:
            return await self._list(kind, collection(kind, ""))
        return [
            resource
            for namespace in self._namespaces
            for resource in await self._list(kind, collection(kind, namespace))
        ]

    async def create(self, manifest: Mapping[str, Any]) -> Resource:
        """Make a resource."""
        namespace = manifest["metadata"].get("namespace", "")
        return await _read(
            self._api.request(
                "POST",
                collection(manifest["kind"], namespace),
                query={"fieldManager": FIELD_MANAGER},
                body=manifest,
            )
        )

    async def delete(self, key: Key, uid: str) -> None:
        """Ask for deletion of the resource with this UID."""
        await requests.delete(self._api, path_of(key), uid)

    async def patch_status(
        self,
        key: Key,
        status_patch: Mapping[str, Any],
        resource_version: str,
        *,
        dry_run: bool = False,
    ) -> Resource:
        """Merge a patch into the status."""
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        return await _read(
            self._api.request(
                "PATCH",
                f"{path_of(key)}/status",
                query=query,
                body={"metadata": {"resourceVersion": resource_version}, "status": status_patch},
                content_type=requests.MERGE_PATCH,
            )
        )

    async def set_finalizers(
        self, key: Key, finalizers: Sequence[str], resource_version: str
    ) -> Resource | None:
        """Replace the finalizers; None if the resource is gone, by this or before."""
        resource = await _unless_gone(
            self._patch_metadata(key, resource_version, finalizers=[*finalizers])
        )
        if resource is not None and resource.deleted is not None and not resource.finalizers:
            return None
        return resource

    async def set_owners(
        self, key: Key, owners: Sequence[Mapping[str, Any]], resource_version: str
    ) -> Resource:
        """Replace the owner references."""
        return await self._patch_metadata(key, resource_version, ownerReferences=[*owners])

    async def _patch_metadata(
        self, key: Key, resource_version: str, **metadata: object
    ) -> Resource:
        return await _read(
            self._api.request(
                "PATCH",
                path_of(key),
                query={"fieldManager": FIELD_MANAGER},
                body={"metadata": {"resourceVersion": resource_version, **metadata}},
                content_type=requests.MERGE_PATCH,
            )
        )

    async def create_event(
        self, resource: Resource, type_: str, reason: str, message: str, action: str = "Reconcile"
    ) -> None:
        """Tell the user what happened; never raises."""
        await self._recorder.record(resource, type_, reason, message, action)

    async def namespace_uid(self, name: str) -> str:
        """Return the UID of a namespace."""
        answer = await self._api.request("GET", f"/api/v1/namespaces/{name}")
        return str(answer["metadata"]["uid"])

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of a namespace."""
        answer = await self._api.request("GET", f"/api/v1/namespaces/{name}")
        return dict(answer["metadata"].get("labels") or {})

    async def _list(self, kind: str, path: str) -> Sequence[Resource]:
        found, _ = await requests.listed(self._api, path, kind=kind, api_version=API_VERSION)
        return [parse(slim(one)) for one in found]


def collection(kind: str, namespace: str) -> str:
    """Return the path of all resources of a kind, in one namespace or (empty) everywhere."""
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{within}/{KINDS[kind].plural}"


def path_of(key: Key) -> str:
    """Return the path of one resource."""
    return f"{collection(key.kind, key.namespace)}/{key.name}"


async def _read(answer: Awaitable[dict[str, Any]]) -> Resource:
    return parse(slim(await answer))


async def _unless_gone(request: Awaitable[Resource]) -> Resource | None:
    try:
        return await request
    except StoreNotFound:
        return None


class KubernetesLease:
    """A `reco.loop.lease.LeaseStore` over a Lease of `coordination.k8s.io/v1`."""

    def __init__(self, api: KubernetesAPI, namespace: str, name: str) -> None:
        """Name the Lease; nothing is sent yet."""
        self._api = api
        self._name = name
        self._namespace = namespace
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def read(self) -> LeaseRecord | None:
        """Return what the Lease says; None if there is none."""
        try:
            return _lease_record(await self._api.request("GET", f"{self._collection}/{self._name}"))
        except StoreNotFound:
            return None

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        """Make the Lease."""
        return _lease_record(
            await self._api.request("POST", self._collection, body=self._manifest(record))
        )

    async def replace(self, record: LeaseRecord) -> LeaseRecord:
        """Write the Lease, unless it changed since `record.resource_version` was read."""
        path = f"{self._collection}/{self._name}"
        return _lease_record(await self._api.request("PUT", path, body=self._manifest(record)))

    def _manifest(self, record: LeaseRecord) -> dict[str, Any]:
        metadata = {"name": self._name, "namespace": self._namespace}
        if record.resource_version:
            metadata["resourceVersion"] = record.resource_version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": record.holder,
                "leaseDurationSeconds": max(1, round(record.duration)),
                "acquireTime": micro_time(record.acquired),
                "renewTime": micro_time(record.renewed),
                "leaseTransitions": record.transitions,
            },
        }


def _lease_record(body: Mapping[str, Any]) -> LeaseRecord:
    spec = body.get("spec") or {}
    never = datetime.fromtimestamp(0, UTC)
    times = {
        name: datetime.fromisoformat(spec[name]) if spec.get(name) else never
        for name in ("acquireTime", "renewTime")
    }
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 0),
        acquired=times["acquireTime"],
        renewed=times["renewTime"],
        transitions=spec.get("leaseTransitions") or 0,
        resource_version=body["metadata"]["resourceVersion"],
    )
