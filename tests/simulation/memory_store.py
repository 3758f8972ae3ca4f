"""An API server in memory: our kinds with the semantics that the loop relies on.

Bodies are never changed in place, so readers may keep what they were given. That the answers are
those of a real API server is held by `tests/cluster/test_memory_store.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from reco.api.resource import Key, Resource, parse
from reco.api.vocabulary import API_VERSION, FIELD_MANAGER
from reco.cluster.errors import (
    StoreConflict,
    StoreError,
    StoreExists,
    StoreForbidden,
    StoreInvalid,
    StoreNotFound,
)
from reco.decide import names
from reco.decide.conditions import timestamp
from reco.loop.informer import slim
from reco.loop.lease import LeaseRecord
from tests.simulation.schema import check_of

Body = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log that watches read."""

    version: int
    type: str
    """`ADDED`, `MODIFIED` or `DELETED`."""
    before: Body | None
    body: Body
    manager: str
    """Who wrote it."""
    what: str
    """Which request it was: `create`, `status`, `finalizers`, `update`, `delete`."""


def key_of(body: Mapping[str, Any]) -> Key:
    """Return the key of a body."""
    metadata = body["metadata"]
    return Key(body["kind"], metadata.get("namespace", ""), metadata["name"])


def merged(target: Any, patch: Any) -> Any:
    """Return a target with a merge patch (RFC 7386) applied."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class MemoryStore:
    """Objects, namespaces, the log of changes, and one lease."""

    def __init__(self, now: Callable[[], datetime], new_uid: Callable[[], str]) -> None:
        self._now = now
        self._new_uid = new_uid
        self._version = 100
        self.objects: dict[Key, Body] = {}
        self.log: list[Change] = []
        self._without_defaults: set[str] = set()
        """UIDs of objects stored before their status had its default: any write adds it."""
        self.namespaces: dict[str, str] = {}
        self.namespace_labels: dict[str, dict[str, str]] = {}
        """UIDs by name."""
        self.terminating: set[str] = set()
        self.lease: LeaseRecord | None = None
        self._parsed: dict[str, Resource] = {}
        self.listeners: list[Callable[[Change], None]] = []

    # --- reading ----------------------------------------------------------------------------

    def get(self, key: Key) -> Body | None:
        """Return an object."""
        return self.objects.get(key)

    def list(self, kind: str) -> list[Body]:
        """Return all objects of a kind in the order of their keys."""
        return [self.objects[key] for key in sorted(self.objects) if key.kind == kind]

    def parsed(self, body: Body) -> Resource:
        """Return an object as the operator sees it; each version is read once."""
        version = body["metadata"]["resourceVersion"]
        if version not in self._parsed:
            self._parsed[version] = parse(slim(body))
        return self._parsed[version]

    # --- writing ----------------------------------------------------------------------------

    def create(self, manifest: Mapping[str, Any], manager: str = "user") -> Body:
        """Make an object; its status is left out, as by a real API server."""
        key = key_of(manifest)
        if key.namespace:
            if key.namespace not in self.namespaces:
                raise StoreNotFound(f"namespaces {key.namespace!r} not found")
            if key.namespace in self.terminating:
                raise StoreForbidden(f"namespace {key.namespace} is being terminated")
        if not names.usable_name(key.name):
            raise StoreInvalid(f"{key}: metadata.name must be an RFC 1123 subdomain")
        spec = self._checked(key, "spec", manifest.get("spec", {}))
        if key in self.objects:
            raise StoreExists(f"{key} already exists")
        given = manifest["metadata"]
        kept = ("name", "namespace", "annotations", "labels", "ownerReferences", "finalizers")
        metadata = {name: given[name] for name in kept if given.get(name)}
        metadata |= {
            "uid": self._new_uid(),
            "generation": 1,
            "creationTimestamp": timestamp(self._now()),
        }
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "metadata": metadata,
            "spec": spec,
            "status": {"observedGeneration": -1},
        }
        return self._store("ADDED", None, body, manager, "create")

    def update(
        self, key: Key, patch: Mapping[str, Any], manager: str = "user", what: str = "update"
    ) -> Body:
        """Merge a patch into everything but the status."""
        before = self._existing(key, patch)
        body: Body = merged(
            before, {name: part for name, part in patch.items() if name != "status"}
        )
        body["spec"] = self._checked(key, "spec", body.get("spec", {}))
        metadata = body["metadata"] = _with_system_fields(body["metadata"], before["metadata"])
        if metadata.get("deletionTimestamp"):
            new = set(metadata.get("finalizers", ())) - set(before["metadata"]["finalizers"])
            if new:
                raise StoreInvalid(f"{key}: no new finalizers can be added while it is deleted")
            if not metadata.get("finalizers"):
                return self._remove(key, body, manager, what)
        if body["spec"] != before["spec"]:
            metadata["generation"] += 1
        return self._store("MODIFIED", before, body, manager, what)

    def patch_status(
        self,
        key: Key,
        patch: Mapping[str, Any],
        version: str | None,
        manager: str,
        *,
        dry_run: bool = False,
    ) -> Body:
        """Merge a patch into the status alone."""
        before = self._existing(key, {"metadata": {"resourceVersion": version}})
        status = self._checked(key, "status", merged(before.get("status", {}), patch))
        body = {**before, "metadata": dict(before["metadata"]), "status": status}
        if dry_run:
            return body
        return self._store("MODIFIED", before, body, manager, "status")

    def delete(self, key: Key, uid: str | None = None, manager: str = "user") -> None:
        """Delete an object; finalizers hold it back."""
        before = self.objects.get(key)
        if before is None:
            raise StoreNotFound(f"{key} not found")
        if uid is not None and before["metadata"]["uid"] != uid:
            raise StoreConflict(f"{key} has another UID")
        if before["metadata"].get("deletionTimestamp"):
            return
        if not before["metadata"].get("finalizers"):
            self._remove(key, dict(before), manager, "delete")
            return
        metadata = {
            **before["metadata"],
            "deletionTimestamp": timestamp(self._now()),
            "deletionGracePeriodSeconds": 0,
            "generation": before["metadata"]["generation"] + 1,
        }
        self._store("MODIFIED", before, {**before, "metadata": metadata}, manager, "delete")

    def collect_garbage(self) -> None:
        """Delete what belongs to owners that are all gone, as the garbage collector does."""
        living = {body["metadata"]["uid"] for body in self.objects.values()}
        for key, body in list(self.objects.items()):
            owners = body["metadata"].get("ownerReferences", ())
            if owners and not any(owner["uid"] in living for owner in owners):
                self.delete(key, manager="garbage-collector")

    def create_namespace(self, name: str) -> str:
        """Make a namespace and return its UID."""
        return self.namespaces.setdefault(name, self._new_uid())

    def delete_namespace(self, name: str) -> None:
        """Refuse new objects in a namespace and delete those in it; then it goes."""
        self.terminating.add(name)
        for key in [key for key in self.objects if key.namespace == name]:
            self.delete(key, manager="namespace-controller")
        self._end_namespace(name)

    def wipe(self) -> None:
        """Forget every object without asking anybody: a new, empty cluster."""
        self.objects.clear()
        self.log.clear()
        self.terminating.clear()

    # --- within -----------------------------------------------------------------------------

    def _existing(self, key: Key, patch: Mapping[str, Any]) -> Body:
        before = self.objects.get(key)
        if before is None:
            raise StoreNotFound(f"{key} not found")
        version = patch.get("metadata", {}).get("resourceVersion")
        if version is not None and version != before["metadata"]["resourceVersion"]:
            raise StoreConflict(f"{key}: the object has been modified")
        return before

    def _checked(self, key: Key, part: str, value: Any) -> Any:
        wrong: list[str] = []
        checked = check_of(key.kind, part)(value, part, wrong)
        if wrong:
            raise StoreInvalid(f"{key} is invalid: {'; '.join(wrong)}")
        return checked

    def _store(self, type_: str, before: Body | None, body: Body, manager: str, what: str) -> Body:
        uid = body["metadata"]["uid"]
        if before is None:
            self._without_defaults.add(uid)
        elif body == before and uid not in self._without_defaults:
            return before
        else:
            self._without_defaults.discard(uid)
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.objects[key_of(body)] = body
        self._tell(Change(self._version, type_, before, body, manager, what))
        return body

    def _remove(self, key: Key, body: Body, manager: str, what: str) -> Body:
        self._version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self._version)}
        last = {**body, "metadata": metadata}
        before = self.objects.pop(key)
        self._tell(Change(self._version, "DELETED", before, last, manager, what))
        if key.namespace in self.terminating:
            self._end_namespace(key.namespace)
        return last

    def _end_namespace(self, name: str) -> None:
        if not any(key.namespace == name for key in self.objects):
            self.terminating.discard(name)
            self.namespaces.pop(name, None)

    def _tell(self, change: Change) -> None:
        self.log.append(change)
        for listener in self.listeners:
            listener(change)


_SYSTEM = (
    "name",
    "namespace",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
)


def _with_system_fields(metadata: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in metadata.items() if name not in _SYSTEM}
    kept |= {name: before[name] for name in _SYSTEM if name in before}
    return {name: value for name, value in kept.items() if value not in ({}, [])}


Send = Callable[[str, Callable[[], T]], Awaitable[T]]
"""Carries a request, with its description, to the server and the answer back."""


class StoreClient:
    """A `reco.loop.store.Store` over a `MemoryStore`, through whatever carries the requests."""

    def __init__(
        self, server: MemoryStore, send: Send[Any], events: Callable[..., None] | None = None
    ) -> None:
        self._server = server
        self._send = send
        self._events = events

    async def get(self, key: Key) -> Resource | None:
        body = await self._send(f"get {key}", lambda: self._server.get(key))
        return None if body is None else self._server.parsed(body)

    async def list(self, kind: str) -> Sequence[Resource]:
        bodies = await self._send(f"list {kind}", lambda: self._server.list(kind))
        return [self._server.parsed(body) for body in bodies]

    async def create(self, manifest: Mapping[str, Any]) -> Resource:
        return await self._read(
            f"create {key_of(manifest)}", lambda: self._server.create(manifest, FIELD_MANAGER)
        )

    async def delete(self, key: Key, uid: str) -> None:
        try:
            await self._send(f"delete {key}", lambda: self._server.delete(key, uid, FIELD_MANAGER))
        except (StoreNotFound, StoreConflict):
            return

    async def patch_status(
        self,
        key: Key,
        status_patch: Mapping[str, Any],
        resource_version: str,
        *,
        dry_run: bool = False,
    ) -> Resource:
        def write() -> Body:
            return self._server.patch_status(
                key, status_patch, resource_version, FIELD_MANAGER, dry_run=dry_run
            )

        if dry_run:
            return parse(await self._send(f"try status of {key}", write))
        return await self._read(f"patch status of {key}", write)

    async def set_finalizers(
        self, key: Key, finalizers: Sequence[str], resource_version: str
    ) -> Resource | None:
        patch = {"metadata": {"finalizers": [*finalizers], "resourceVersion": resource_version}}
        try:
            resource = await self._read(
                f"set finalizers of {key}",
                lambda: self._server.update(key, patch, FIELD_MANAGER, "finalizers"),
            )
        except StoreNotFound:
            return None
        return None if resource.deleted is not None and not resource.finalizers else resource

    async def set_owners(
        self, key: Key, owners: Sequence[Mapping[str, Any]], resource_version: str
    ) -> Resource:
        patch = {"metadata": {"ownerReferences": [*owners], "resourceVersion": resource_version}}
        return await self._read(
            f"set owners of {key}",
            lambda: self._server.update(key, patch, FIELD_MANAGER, "owners"),
        )

    async def create_event(
        self, resource: Resource, type_: str, reason: str, message: str, action: str = "Reconcile"
    ) -> None:
        del action

        def tell() -> None:
            if self._events is not None:
                self._events(resource, type_, reason, message)

        with suppress(StoreError):
            await self._send(f"event {type_} {reason} of {resource.key}: {message}", tell)

    async def namespace_uid(self, name: str) -> str:
        return str(await self._send(f"get namespace {name}", lambda: self._server.namespaces[name]))

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        def read() -> Mapping[str, str]:
            if name not in self._server.namespaces:
                raise StoreNotFound(f"namespace {name} not found")
            return self._server.namespace_labels.get(name, {})

        found: Mapping[str, str] = await self._send(f"get namespace {name}", read)
        return found

    async def _read(self, what: str, request: Callable[[], Body]) -> Resource:
        return self._server.parsed(await self._send(what, request))


class LeaseClient:
    """A `reco.loop.lease.LeaseStore` over the same."""

    def __init__(self, server: MemoryStore, send: Send[Any]) -> None:
        self._server = server
        self._send = send
        self._versions = 0

    async def read(self) -> LeaseRecord | None:
        found: LeaseRecord | None = await self._send("get lease", lambda: self._server.lease)
        return found

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        def make() -> LeaseRecord:
            if self._server.lease is not None:
                raise StoreExists("the lease already exists")
            return self._write(record)

        made: LeaseRecord = await self._send("create lease", make)
        return made

    async def replace(self, record: LeaseRecord) -> LeaseRecord:
        def swap() -> LeaseRecord:
            held = self._server.lease
            if held is None or held.resource_version != record.resource_version:
                raise StoreConflict("the lease has been modified")
            return self._write(record)

        written: LeaseRecord = await self._send(f"renew lease as {record.holder!r}", swap)
        return written

    def _write(self, record: LeaseRecord) -> LeaseRecord:
        self._server._version += 1
        self._server.lease = replace(record, resource_version=str(self._server._version))
        return self._server.lease
