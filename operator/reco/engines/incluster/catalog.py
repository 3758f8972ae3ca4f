"""What lies in a group's storage, as its catalog tells: versions, and digests of sources.

The operator has no credentials of the storage; the catalog has, and is asked through the API
server, so it is reached from wherever the operator runs. A pod is asked rather than a Service: why
pods are not ready is asked of each of them anyway, and so one permission is enough. One list a
group serves every resource.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from reco.cluster.errors import StoreForbidden, StoreNotFound
from reco.decide.model import ErrorClass, Failure
from reco.engines.incluster import pods, states
from reco.engines.incluster.cluster import LABEL_OWNER, Cluster
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.failures import classed
from reco.engines.incluster.objects import Manifest, ObjectKey
from reco.engines.port import EngineError
from reco.workload.addresses import (
    CATALOG_DATASETS,
    CATALOG_GROUP,
    CATALOG_SNAPSHOTS,
    CATALOG_SOURCE,
    CATALOG_VERSIONS,
    OWNER_HEADER,
    PORT,
    TOKEN_HEADER,
    catalog_service,
)
from reco.workload.storage import Places, VersionManifest

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

_INTERACTIONS: Final = "Interactions"
KEPT_SECONDS: Final = 300.0
"""For how long an answer is good unless something is known to have changed."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What a catalog tells of its group's trained versions."""

    found: Sequence[VersionManifest] = ()
    """Newest first."""
    damaged: Sequence[str] = ()
    """What is wrong with each manifest that can't be read."""

    def of(self, solution: str, version: str) -> VersionManifest | None:
        """Return a version's manifest, or None if there is none that can be read."""
        wanted = (solution, version)
        return next((one for one in self.found if (one.solution, one.version) == wanted), None)

    def damage(self, group: str, solution: str, version: str) -> str | None:
        """Return what is wrong with a version's manifest, or None."""
        name = f"/{Places(group).version(solution, version)} "
        return next((text for text in self.damaged if name in text), None)


@dataclass(frozen=True, slots=True)
class Data:
    """What a catalog tells of its group's data."""

    imported: Mapping[str, int]
    """Rows of the imports that count, by dataset type."""
    streamed: Mapping[str, Any] | None = None
    """`rows`, interactions that a training may use, `last`, the newest one's time in epoch seconds
    or None, and `records`, rows of items and users by dataset type. None while not all is counted:
    what is known in part is no picture that could be compared with another."""


def _data_of(answer: Mapping[str, Any]) -> Data:
    rows = {(one["type"], one["job"]): int(one["rows"]) for one in answer["snapshots"]}
    imported = {
        type_: sum(rows.get((type_, name), 0) for name in names)
        for type_, names in answer.get("current", {}).items()
    }
    return Data(imported, _streamed(answer.get("streamed") or {}))


def _streamed(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    events = told.get(_INTERACTIONS)
    if events is None or not all(one["complete"] for one in told.values()):
        return None
    records = {type_: one["rows"] for type_, one in told.items() if type_ != _INTERACTIONS}
    return {"rows": events["rows"], "last": events["last"], "records": records}


class _Answers(Generic[Key, Answer]):
    """Answers by what was asked, forgotten once they are too old to be given."""

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[float, Answer]] = {}

    def since(self, oldest: float, key: Key) -> Answer | None:
        """Return an answer that is newer, or None."""
        at, answer = self._kept.get(key, (float("-inf"), None))
        return answer if at > oldest else None

    def keep(self, now: float, key: Key, answer: Answer) -> None:
        """Remember an answer of now."""
        oldest = now - KEPT_SECONDS
        self._kept = {one: known for one, known in self._kept.items() if known[0] > oldest}
        self._kept[key] = (now, answer)

    def forget(self, key: Key) -> None:
        """Let the next look ask again."""
        self._kept.pop(key, None)


class Catalogs:
    """The catalogs of all groups of an EngineClass."""

    def __init__(
        self, cluster: Cluster, credentials: Credentials, time: Callable[[], float]
    ) -> None:
        """Ask pods in the view of `cluster`; `time` is monotonic seconds."""
        self._cluster = cluster
        self._credentials = credentials
        self._time = time
        self._versions: _Answers[tuple[str, str], Versions] = _Answers()
        self._data: _Answers[tuple[str, str], Data] = _Answers()
        self._sources: _Answers[tuple[str, str, str], dict[str, Any]] = _Answers()

    async def versions(
        self, namespace: str, group: str, *, not_before: float | None = None
    ) -> Versions:
        """Return a group's trained versions, and what is damaged among them.

        Args:
            namespace: the group's.
            group: its external name.
            not_before: the oldest answer that will do, in monotonic seconds.
        """
        now = self._time()
        oldest = now - KEPT_SECONDS if not_before is None else not_before
        known = self._versions.since(oldest, (namespace, group))
        if known is None:
            answer = await self._get(namespace, group, CATALOG_VERSIONS)
            found = [VersionManifest.model_validate(one) for one in answer["versions"]]
            found.sort(key=lambda one: (one.created, one.version), reverse=True)
            known = Versions(found, answer.get("damaged", ()))
            self._versions.keep(now, (namespace, group), known)
        return known

    async def data(self, namespace: str, group: str, *, fresh: bool = False) -> Data:
        """Return what there is of imported and streamed data."""
        key, now = (namespace, group), self._time()
        known = None if fresh else self._data.since(now - KEPT_SECONDS, key)
        if known is None:
            self._data.forget(key)
            known = _data_of(await self._get(namespace, group, CATALOG_SNAPSHOTS))
            self._data.keep(now, key, known)
        return known

    async def source(
        self, namespace: str, group: str, location: str, *, fresh: bool
    ) -> dict[str, Any]:
        """Return `source`, the digest of what lies at a location, or `source_problem`."""
        key, now = (namespace, group, location), self._time()
        known = None if fresh else self._sources.since(now - KEPT_SECONDS, key)
        if known is None:
            self._sources.forget(key)  # if nobody answers, the next look has to ask again
            path = f"{CATALOG_SOURCE}?location={quote(location, safe='')}"
            answer = await self._get(namespace, group, path)
            known = (
                {"source": answer["digest"]}
                if "digest" in answer
                else {"source": None, "source_problem": answer.get("problem")}
            )
            self._sources.keep(now, key, known)
        return known

    async def delete_version(
        self, namespace: str, group: str, solution: str, version: str, uid: str
    ) -> None:
        """Delete a version, and its model where no other version has the same."""
        path = f"{CATALOG_VERSIONS}/{quote(solution, safe='')}/{quote(version, safe='')}"
        await self._send("DELETE", namespace, group, path, {OWNER_HEADER: uid})
        self._versions.forget((namespace, group))

    async def delete_snapshot(
        self, namespace: str, group: str, type_: str, job: str, uid: str
    ) -> None:
        """Delete an import's rows; `CONFLICT` if they still count."""
        path = f"{CATALOG_SNAPSHOTS}/{type_}/{quote(job, safe='')}"
        await self._send("DELETE", namespace, group, path, {OWNER_HEADER: uid})

    async def delete_dataset(self, namespace: str, group: str, type_: str, uid: str) -> None:
        """Delete all data of a dataset."""
        path = f"{CATALOG_DATASETS}/{type_}"
        await self._send("DELETE", namespace, group, path, {OWNER_HEADER: uid})

    async def delete_group(self, namespace: str, group: str, uid: str) -> None:
        """Delete everything that a group keeps in storage."""
        await self._send("DELETE", namespace, group, CATALOG_GROUP, {OWNER_HEADER: uid})
        self._versions.forget((namespace, group))

    async def _get(self, namespace: str, group: str, path: str) -> dict[str, Any]:
        return await self._send("GET", namespace, group, path, {})

    async def _send(
        self, method: str, namespace: str, group: str, path: str, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        name = catalog_service(group, namespace)
        operation = f"{method} catalog {name}"
        pod = self._pod(namespace, name)
        if pod is None:
            raise _away(operation, f"no pod of catalog {namespace}/{name} runs: see its Deployment")
        root = f"/api/v1/namespaces/{namespace}/pods/http:{pod}:{PORT}/proxy"
        sent = {TOKEN_HEADER: self._credentials.catalog_token(namespace, group), **headers}
        with classed(operation):
            try:
                return await self._cluster.api.request(method, f"{root}{path}", headers=sent)
            except StoreNotFound as error:  # of the pod: nothing is said of what it tells of
                raise _away(operation, str(error)) from error
            except StoreForbidden as error:
                if TOKEN_HEADER not in str(error):
                    raise
                text = (
                    f"catalog {namespace}/{name} does not know the operator's token. It is about"
                    f" to be replaced, or its Secret was changed: delete Secret and pod, and both"
                    f" are made anew ({error})"
                )
                raise _away(operation, text) from error

    def _pod(self, namespace: str, name: str) -> str | None:
        """Return the pod to ask: one that is ready, else one that runs, for it says why not."""
        catalog = self._cluster.get(ObjectKey("Deployment", namespace, name))
        if catalog is None:
            return None
        owner = _owner(catalog)
        running = [
            one
            for one in self._cluster.of_kind("Pod", namespace)
            if _owner(one) == owner and pods.plays(one, "catalog") and _runs(one)
        ]
        chosen = states.ready_pods(running) or running
        return max(chosen, key=_age)["metadata"]["name"] if chosen else None


def _owner(one: Manifest) -> str | None:
    return (one["metadata"].get("labels") or {}).get(LABEL_OWNER)


def _runs(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"


def _age(pod: Manifest) -> tuple[bool, str]:
    """Return what is larger for a pod that stays, and for a younger one."""
    metadata = pod["metadata"]
    return metadata.get("deletionTimestamp") is None, str(metadata["creationTimestamp"])


def _away(operation: str, text: str) -> EngineError:
    return EngineError(Failure(ErrorClass.TRANSIENT, text, operation, outcome_unknown=True))
