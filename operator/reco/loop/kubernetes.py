"""The store over the real Kubernetes API: the only module that knows the `kubernetes` package.

Of that package it uses the transport of the async half alone (connections, credentials, TLS);
objects stay dictionaries, and the paths of the API are spelled out here.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import load_incluster_config
from kubernetes.aio.config.kube_config import load_kube_config

from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource, parse
from reco.api.vocabulary import API_VERSION, FIELD_MANAGER
from reco.loop.events import EventRecorder, micro_time
from reco.loop.informer import slim
from reco.loop.lease import LeaseRecord
from reco.loop.store import (
    StoreConflict,
    StoreError,
    StoreExists,
    StoreForbidden,
    StoreInvalid,
    StoreNotFound,
    StoreUnavailable,
)

PAGE: Final = 500
_MERGE_PATCH: Final = "application/merge-patch+json"
_BY_REASON: Final[Mapping[str, type[StoreError]]] = {
    "AlreadyExists": StoreExists,
    "Conflict": StoreConflict,
}
_BY_CODE: Final[Mapping[int, type[StoreError]]] = {
    400: StoreInvalid,
    401: StoreForbidden,
    403: StoreForbidden,
    404: StoreNotFound,
    405: StoreInvalid,
    409: StoreConflict,
    410: StoreConflict,
    413: StoreInvalid,
    415: StoreInvalid,
    422: StoreInvalid,
}


class RequestObserver(Protocol):
    """What wants to know of requests to the API: the metrics."""

    def requested(self, method: str, host: str, code: str, seconds: float) -> None:
        """A request ended with an HTTP status, or with `<error>` for none at all."""
        ...


async def load_configuration(kubeconfig: Path | None) -> Configuration:
    """Return how to reach the API: by a kubeconfig, or as a pod by its service account.

    Raises:
        ValueError: if neither says how.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            load_incluster_config(  # type: ignore[no-untyped-call]  # has no types
                client_configuration=configuration
            )
        else:
            await load_kube_config(  # type: ignore[no-untyped-call]  # has no types
                config_file=str(kubeconfig),
                client_configuration=configuration,
                persist_config=False,
            )
    except ConfigException as error:
        where = "the pod's service account" if kubeconfig is None else kubeconfig
        raise ValueError(
            f"can't tell from {where} how to reach the Kubernetes API: {error};"
            " outside a cluster, name a kubeconfig (--kubeconfig or RECO_KUBECONFIG)"
        ) from error
    return configuration


class KubernetesAPI:
    """Requests for JSON, with deadlines, and answers or `StoreError`."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        timeout: float = 30.0,
        observer: RequestObserver | None = None,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            configuration: from `load_configuration`.
            timeout: seconds for one request, from connecting to the last byte.
            observer: told of every request.
        """
        self._client = ApiClient(configuration)
        self._client.user_agent = FIELD_MANAGER
        self._host = str(configuration.host)
        self._timeout = timeout
        self._observer = observer

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # has no types

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Send one request and return the object that the API answers with.

        Raises:
            StoreError: of the subclass that says what the refusal means.
        """
        began = time.monotonic()
        code = "<error>"
        try:
            _, url, headers, data, _ = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            async with asyncio.timeout(self._timeout):
                response = await self._client.call_api(
                    method, url, headers, data, _request_timeout=self._timeout
                )
                answer = await response.read()  # type: ignore[no-untyped-call]  # has no types
            code = str(response.status)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else error
            raise StoreUnavailable(f"{method} {path}: {what}") from error
        finally:
            if self._observer is not None:
                self._observer.requested(method, self._host, code, time.monotonic() - began)
        content = _decode(answer)
        if response.status >= 400:  # noqa: PLR2004 - where HTTP's errors begin
            raise _error(f"{method} {path}", response.status, content)
        return content


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
        return await _unless_gone(self._read("GET", path_of(key)))

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
        return await self._read(
            "POST",
            collection(manifest["kind"], namespace),
            query={"fieldManager": FIELD_MANAGER},
            body=manifest,
        )

    async def delete(self, key: Key, uid: str) -> None:
        """Ask for deletion of the resource with this UID."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        try:
            await self._api.request("DELETE", path_of(key), body=body)
        except (StoreNotFound, StoreConflict):
            return  # gone, or the name is another object's now: ours is gone either way

    async def patch_status(
        self, key: Key, status_patch: Mapping[str, Any], resource_version: str
    ) -> Resource:
        """Merge a patch into the status."""
        return await self._read(
            "PATCH",
            f"{path_of(key)}/status",
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"resourceVersion": resource_version}, "status": status_patch},
            content_type=_MERGE_PATCH,
        )

    async def set_finalizers(
        self, key: Key, finalizers: Sequence[str], resource_version: str
    ) -> Resource | None:
        """Replace the finalizers; None if the resource is gone, by this or before."""
        metadata = {"resourceVersion": resource_version, "finalizers": [*finalizers]}
        resource = await _unless_gone(
            self._read(
                "PATCH",
                path_of(key),
                query={"fieldManager": FIELD_MANAGER},
                body={"metadata": metadata},
                content_type=_MERGE_PATCH,
            )
        )
        if resource is not None and resource.deleted is not None and not resource.finalizers:
            return None
        return resource

    async def create_event(
        self, resource: Resource, type_: str, reason: str, message: str, action: str = "Reconcile"
    ) -> None:
        """Tell the user what happened; never raises."""
        await self._recorder.record(resource, type_, reason, message, action)

    async def namespace_uid(self, name: str) -> str:
        """Return the UID of a namespace."""
        answer = await self._api.request("GET", f"/api/v1/namespaces/{name}")
        return str(answer["metadata"]["uid"])

    async def _read(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Resource:
        answer = await self._api.request(
            method, path, query=query, body=body, content_type=content_type
        )
        return parse(slim(answer))

    async def _list(self, kind: str, path: str) -> Sequence[Resource]:
        found: list[Resource] = []
        token = ""
        while True:
            query = {"limit": PAGE} | ({"continue": token} if token else {})
            page = await self._api.request("GET", path, query=query)
            found.extend(
                # Items of a list carry neither their kind nor their version.
                parse(slim(item | {"kind": kind, "apiVersion": API_VERSION}))
                for item in page["items"]
            )
            token = page["metadata"].get("continue", "")
            if not token:
                return found


def collection(kind: str, namespace: str) -> str:
    """Return the path of all resources of a kind, in one namespace or (empty) everywhere."""
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{within}/{KINDS[kind].plural}"


def path_of(key: Key) -> str:
    """Return the path of one resource."""
    return f"{collection(key.kind, key.namespace)}/{key.name}"


async def _unless_gone(request: Awaitable[Resource]) -> Resource | None:
    try:
        return await request
    except StoreNotFound:
        return None


def _decode(answer: bytes) -> dict[str, Any]:
    try:
        content = json.loads(answer)
    except ValueError:  # a proxy's error page, for instance
        return {"message": answer[:500].decode(errors="replace")}
    return content if isinstance(content, dict) else {"message": str(content)[:500]}


def _error(request: str, status: int, content: Mapping[str, Any]) -> StoreError:
    reason = str(content.get("reason") or "")
    class_ = _BY_REASON.get(reason) or _BY_CODE.get(status) or StoreUnavailable
    return class_(f"{request}: HTTP {status} {reason}: {content.get('message', '')}")


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
