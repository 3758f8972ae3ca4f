"""The engine's own objects in the cluster: a view kept true by watches, and the calls on them.

One list and one watch a kind show all objects of an EngineClass, so looking at a resource costs no
call. What a call of ours returned is in the view at once; an object that the view lacks is asked
for before anybody may think that it is gone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from reco.cluster import requests
from reco.cluster.errors import StoreConflict, StoreError, StoreExists, StoreNotFound
from reco.engines.incluster.objects import (
    APIS,
    Manifest,
    ObjectKey,
    collection,
    key_of,
    path_of,
)
from reco.workload.addresses import PORT, READY

WATCHED: Final = (
    "ConfigMap",
    "Service",
    "Deployment",
    "StatefulSet",
    "Job",
    "Pod",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
)
LABEL_CLASS: Final = "reco.dev/engine-class"
LABEL_OWNER: Final = "reco.dev/owner"
FIELD_MANAGER: Final = "reco-engine"

_WATCH_SECONDS: Final = 300
_RETRY_SECONDS: Final = 2.0
_ASIDE_SECONDS: Final = 2.0
"""How long a pod, or its node, may take to say what is good to know and no more."""
_GONE_REMEMBERED: Final = 10_000
_READ: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "Pod": {"spec": ("nodeName",)},
    "HorizontalPodAutoscaler": {"status": ()},  # news every 15 s, whatever happens
    "PodDisruptionBudget": {"status": ()},
}
"""By kind, of which parts of an object which members alone are read; of others everything is."""

logger = logging.getLogger(__name__)


class API(requests.Requests, Protocol):
    """All that is asked of the Kubernetes API here."""

    async def text(self, path: str, *, query: Mapping[str, str | int] | None = None) -> str:
        """Read what is no JSON."""
        ...

    def watch(
        self, path: str, *, query: Mapping[str, str | int], seconds: int
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a watch until it ends."""
        ...


class Cluster:
    """The objects of one EngineClass."""

    def __init__(self, api: API, engine_class: str, namespaces: Sequence[str] = ()) -> None:
        """See nothing yet; `run` starts to look.

        Args:
            api: sends the requests.
            engine_class: the class whose objects are watched, by their label.
            namespaces: to look in; none means all.
        """
        self.api = api
        self._selector = f"{LABEL_CLASS}={engine_class}"
        spaces = tuple(namespaces) or ("",)
        self._spaces = frozenset(spaces)
        self._followed = [(kind, namespace) for kind in WATCHED for namespace in spaces]
        self._objects: dict[ObjectKey, Manifest] = {}
        self._by_owner: dict[str, set[ObjectKey]] = {}
        self._gone: dict[ObjectKey, int] = {}  # an answer that comes late must not bring one back
        self._unlisted = set(self._followed)
        self._listed = asyncio.Event()
        self._notify: Callable[[Manifest], None] = lambda _object: None

    # Looking

    async def run(self, notify: Callable[[Manifest], None]) -> None:
        """Keep the view true until cancelled, and hand over each object that changed."""
        self._notify = notify
        async with asyncio.TaskGroup() as group:
            for kind, namespace in self._followed:
                group.create_task(self._follow(kind, namespace))

    async def ready(self) -> None:
        """Wait until every kind was listed once."""
        await self._listed.wait()

    def get(self, key: ObjectKey) -> Manifest | None:
        """Return an object as the view has it."""
        return self._objects.get(key)

    def watches(self, namespace: str) -> bool:
        """Whether the objects of a namespace are seen."""
        return not self._spaces.isdisjoint({"", namespace})

    def owned(self, namespace: str, owner: str) -> list[Manifest]:
        """Return the objects in a namespace that carry an owner's label, sorted.

        Whoever may make objects in another namespace can give them any label.
        """
        keys = sorted(key for key in self._by_owner.get(owner, ()) if key.namespace == namespace)
        return [self._objects[key] for key in keys]

    def of_kind(self, kind: str, namespace: str) -> list[Manifest]:
        """Return the objects of a kind in a namespace, sorted."""
        keys = sorted(
            key for key in self._objects if (key.kind, key.namespace) == (kind, namespace)
        )
        return [self._objects[key] for key in keys]

    async def find(self, key: ObjectKey) -> Manifest | None:
        """Return an object from the view, or else from the API, whoever's it is."""
        found = self._objects.get(key)
        if found is not None:
            return found
        try:
            return await self.api.request("GET", path_of(key))
        except StoreNotFound:
            return None

    async def _follow(self, kind: str, namespace: str) -> None:
        while True:
            try:
                version = await self._list(kind, namespace)
                self._unlisted.discard((kind, namespace))
                if not self._unlisted:
                    self._listed.set()
                while True:
                    version = await self._watch(kind, namespace, version)
            except StoreConflict:
                continue  # what was seen last is too old to go on from
            except StoreError as error:
                logger.warning("can't watch %s, and try again: %s", kind, error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _list(self, kind: str, namespace: str) -> str:
        items, version = await requests.listed(
            self.api,
            collection(kind, namespace),
            kind=kind,
            api_version=APIS[kind][0],
            selector=self._selector,
        )
        found = {key_of(one): one for one in items}
        here = [
            key
            for key in self._objects
            if key.kind == kind and namespace in {"", key.namespace} and key not in found
        ]
        for key in here:
            self._remove(self._objects[key])
        for manifest in found.values():
            self._take(manifest)
        return version

    async def _watch(self, kind: str, namespace: str, version: str) -> str:
        query: dict[str, str | int] = {
            "labelSelector": self._selector,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
        }
        events = self.api.watch(collection(kind, namespace), query=query, seconds=_WATCH_SECONDS)
        async for event in events:
            manifest = {"kind": kind, **event["object"]}
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._take(manifest)
                case "DELETED":
                    self._remove(manifest)
                case "ERROR":
                    raise StoreConflict(f"WATCH {kind}: {event['object'].get('message')}")
                case _:
                    pass  # a bookmark
            version = manifest["metadata"]["resourceVersion"]
        return version

    def _take(self, manifest: Manifest) -> None:
        key = key_of(manifest)
        known = self._objects.get(key)
        newest = self._gone.get(key, 0) if known is None else _version(known)
        if newest >= _version(manifest):
            return
        manifest = _slim(manifest)
        self._objects[key] = manifest
        owner = _owner(manifest)
        if owner is not None:
            self._by_owner.setdefault(owner, set()).add(key)
        if known is None or _unversioned(known) != _unversioned(manifest):
            self._notify(manifest)

    def _remove(self, manifest: Manifest) -> None:
        key = key_of(manifest)
        known = self._objects.get(key)
        if known is None or known["metadata"]["uid"] != manifest["metadata"]["uid"]:
            return
        del self._objects[key]
        self._gone[key] = max(_version(known), _version(manifest))
        if len(self._gone) > _GONE_REMEMBERED:
            del self._gone[next(iter(self._gone))]
        owner = _owner(known)
        if owner is not None:
            self._by_owner.get(owner, set()).discard(key)
            if not self._by_owner.get(owner):
                self._by_owner.pop(owner, None)
        self._notify(manifest)

    async def last_line(self, namespace: str, pod: str) -> str | None:
        """Return what a running pod's program logged last, or None where that can't be read."""
        path = f"{path_of(ObjectKey('Pod', namespace, pod))}/log"
        try:
            async with asyncio.timeout(_ASIDE_SECONDS):
                lines = (await self.api.text(path, query={"tailLines": 1})).strip().splitlines()
        except (StoreError, TimeoutError):
            return None  # the pod has not begun, or has just ended, or its node is silent
        return lines[-1] if lines else None

    async def problem(self, namespace: str, pod: str) -> str | None:
        """Return why a pod of the data plane is not ready, in its own words, or None."""
        path = f"/api/v1/namespaces/{namespace}/pods/http:{pod}:{PORT}/proxy{READY}"
        try:
            async with asyncio.timeout(_ASIDE_SECONDS):
                await self.api.request("GET", path)
        except StoreError as error:
            return str(error).partition(": HTTP ")[2].partition(": ")[2] or str(error)
        except TimeoutError:
            pass
        return None

    # Changing

    async def apply(self, manifest: Manifest) -> None:
        """Make an object as its manifest says, or change it to be so (server-side apply)."""
        answer = await self.api.request(
            "PATCH",
            path_of(key_of(manifest)),
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=manifest,
            content_type=requests.APPLY_PATCH,
        )
        self._take({"kind": manifest["kind"], **answer})

    async def create_once(self, manifest: Manifest) -> None:
        """Make an object unless there is one of that name, which stays as it is."""
        key = key_of(manifest)
        with suppress(StoreExists):
            await self.api.request(
                "POST",
                collection(key.kind, key.namespace),
                query={"fieldManager": FIELD_MANAGER},
                body=manifest,
            )

    async def annotate(self, key: ObjectKey, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of an object, and remove those that are None."""
        answer = await self.api.request(
            "PATCH",
            path_of(key),
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"annotations": dict(annotations)}},
            content_type=requests.MERGE_PATCH,
        )
        self._take({"kind": key.kind, **answer})

    async def delete(self, manifest: Manifest) -> None:
        """Ask for deletion of exactly this object; what it owns goes first or along with it."""
        path = path_of(key_of(manifest))
        if not await requests.delete(self.api, path, manifest["metadata"]["uid"]):
            self._remove(manifest)


def _owner(manifest: Manifest) -> str | None:
    owner = (manifest["metadata"].get("labels") or {}).get(LABEL_OWNER)
    return str(owner) if owner is not None else None


def _version(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("resourceVersion") or 0)


def _slim(manifest: Manifest) -> dict[str, Any]:
    """Leave out what nobody here reads."""
    metadata = {
        name: value for name, value in manifest["metadata"].items() if name != "managedFields"
    }
    parts = {
        part: {name: value for name, value in manifest.get(part, {}).items() if name in members}
        for part, members in _READ.get(manifest["kind"], {}).items()
    }
    return {**manifest, **parts, "metadata": metadata}


def _unversioned(manifest: Manifest) -> dict[str, Any]:
    metadata = {**manifest["metadata"], "resourceVersion": ""}
    return {**manifest, "metadata": metadata}
