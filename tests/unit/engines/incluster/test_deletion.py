"""Deletion in the cluster, broken off between any two calls."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from reco.api.resource import Resource, parse
from reco.api.vocabulary import API_VERSION
from reco.cluster.errors import StoreConflict, StoreNotFound, StoreUnavailable
from reco.decide.model import Absent, Desired, Observed, State, Waiting
from reco.decide.references import References
from reco.engines.incluster.cluster import Cluster
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.engine import InClusterEngine
from reco.engines.port import EngineError
from tests.support.situations import NOW, resource

CLASS = parse(
    {
        "apiVersion": API_VERSION,
        "kind": "EngineClass",
        "metadata": {
            "name": "in-cluster",
            "uid": "uid-class",
            "resourceVersion": "1",
            "creationTimestamp": NOW.isoformat(),
        },
        "spec": {"engine": "InCluster", "inCluster": {"storage": {"s3": {"bucket": "reco"}}}},
    }
)
ITEMS = {
    "type": "record",
    "name": "Items",
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "GENRE", "type": ["null", "string"], "categorical": True},
    ],
}
CATALOG = "/api/v1/namespaces/shop/pods/http:movies-catalog-1:8080/proxy/"
CATALOG_NEEDS = {"/apis/apps/v1/namespaces/shop/deployments/movies-catalog"}
CREDENTIALS = Credentials(b"k" * 32)


class Kubernetes:
    """Keeps objects, and fails one deletion. The catalog answers as long as it is there."""

    def __init__(self, fails_at: int = 0, *, counts: bool = False, ended: bool = False) -> None:
        self.asked: list[str] = []
        self.secrets: list[dict[str, Any]] = []
        self._ended = ended
        self._counts = counts
        self.objects: dict[str, dict[str, Any]] = {}
        self.deletions = 0
        self._fails_at = fails_at
        self._version = 1
        self._news: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    async def request(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        if path.startswith(CATALOG):
            return self._answer(method, path, **sent)
        if method == "DELETE":
            return self._delete(path)
        if method == "PATCH":
            self._version += 1
            metadata = sent["body"]["metadata"] | {
                "uid": f"uid-{path}",
                "resourceVersion": str(self._version),
                "creationTimestamp": NOW.isoformat(),
            }
            self.objects[path] = sent["body"] | {"metadata": metadata}
            if path in CATALOG_NEEDS:
                self._run(metadata)
            if self._ended and "/jobs/" in path:
                complete = {"type": "Complete", "status": "True"}
                self.objects[path]["status"] = {"conditions": [complete]}
            return self.objects[path]
        if method == "POST":
            self.secrets.append(sent["body"])
            return {}
        if "labelSelector" in (sent.get("query") or {}):
            return {"items": [], "metadata": {"resourceVersion": "1"}}
        if path not in self.objects:
            raise StoreNotFound(path)
        return self.objects[path]

    def _answer(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        if not self.objects.keys() >= CATALOG_NEEDS:
            raise StoreNotFound(path)
        name = path.removeprefix(CATALOG)
        if method == "DELETE":
            token = CREDENTIALS.catalog_token("shop", "shop_movies")
            uid = "uid-DatasetGroup-movies"
            assert sent["headers"] == {"X-Reco-Uid": uid, "X-Reco-Token": token}
            self.asked.append(name)
        if self._counts and name.startswith("snapshots/"):
            raise StoreConflict(f"DELETE {path}: HTTP 409: it is part of the current data")
        return {}

    def _delete(self, path: str) -> dict[str, Any]:
        self.deletions += 1
        if self.deletions == self._fails_at:
            raise StoreUnavailable("the API server is away")
        self._version += 1
        gone = self.objects.pop(path, None)
        if gone is not None:
            gone["metadata"]["resourceVersion"] = str(self._version)
            self._queue(path.rpartition("/")[0]).put_nowait({"type": "DELETED", "object": gone})
        return {}

    def _run(self, deployment: dict[str, Any]) -> None:
        """Let there be a pod of the catalog."""
        pod = {
            "metadata": deployment | {"name": f"{deployment['name']}-1", "uid": "uid-pod"},
            "status": {"phase": "Running"},
        }
        self.tell("/api/v1/namespaces/shop/pods", pod)

    def tell(self, collection: str, one: dict[str, Any]) -> None:
        """Let whoever watches a collection hear of a new object."""
        self._queue(collection).put_nowait({"type": "ADDED", "object": one})

    def _queue(self, collection: str) -> asyncio.Queue[dict[str, Any]]:
        return self._news.setdefault(collection, asyncio.Queue())

    async def text(self, path: str, **_: Any) -> str:
        raise StoreNotFound(path)

    async def watch(self, path: str, **_: Any) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield await self._queue(path).get()


async def news_arrive() -> None:
    """Let the engine see what has changed: whoever waits has a number of turns."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def looking(api: Kubernetes) -> AsyncIterator[InClusterEngine]:
    """Run an engine that has seen what is there: nothing yet."""
    engine = InClusterEngine(
        CLASS,
        Cluster(api, "in-cluster", ["shop"]),
        cluster_id="cluster-1",
        time=lambda: 0.0,
        credentials=CREDENTIALS,
    )
    running = asyncio.create_task(engine.run(lambda _key: None))
    await engine.capabilities()
    try:
        yield engine
    finally:
        running.cancel()


@pytest.mark.parametrize("fails_at", range(1, 12))
def test_r5_a_deletion_that_broke_off_anywhere_comes_to_its_end(fails_at: int) -> None:
    api = Kubernetes(fails_at)

    async def scenario() -> None:
        async with looking(api) as engine:
            group = resource("DatasetGroup", "movies", spec={"deletionPolicy": "Delete"})
            wanted = engine.desired(group, References({}, engine_class=CLASS))
            assert isinstance(wanted, Desired)
            await engine.create("DatasetGroup", wanted, {})
            going = replace(group, deleted=NOW)
            found: Absent | Observed | None = None
            for _ in range(5):
                found = await engine.observe(going, wanted)
                if isinstance(found, Absent):
                    break
                # None of its pods was ever ready: no reason to wait.
                assert found.state is State.ACTIVE
                with suppress(EngineError):
                    await engine.delete("DatasetGroup", found)
                await news_arrive()
        assert isinstance(found, Absent)
        assert api.objects == {}

    asyncio.run(scenario())


def test_r6_an_update_takes_no_object_of_somebody_else() -> None:
    api = Kubernetes(fails_at=0)
    theirs = "/api/v1/namespaces/shop/services/movies-runtime"

    async def scenario() -> None:
        async with looking(api) as engine:
            group = resource("DatasetGroup", "movies")
            wanted = engine.desired(group, References({}, engine_class=CLASS))
            assert isinstance(wanted, Desired)
            await engine.create("DatasetGroup", wanted, {})
            await api.request("DELETE", theirs)
            await news_arrive()
            api.objects[theirs] = {
                "kind": "Service",
                "metadata": {"namespace": "shop", "name": "x"},
            }
            found = await engine.observe(group, wanted)
            assert isinstance(found, Observed)

            with pytest.raises(EngineError, match="not this resource's"):
                await engine.update("DatasetGroup", found, wanted.fields, wanted)
        assert api.objects[theirs]["metadata"]["name"] == "x"

    asyncio.run(scenario())


READY = {
    "external": {"name": "made", "arn": "arn:made"},
    "applied": {"digest": "d", "generation": 1},
}
GROUP = resource("DatasetGroup", "movies", status=READY)
SCHEMA = resource("Schema", "items", spec={"avro": ITEMS}, status=READY)
DATA = resource("Dataset", "data", spec={"type": "Items", "deletionPolicy": "Delete"}, status=READY)
AGAIN = resource("Dataset", "data-again", spec={"type": "Items"})
JOB = resource("DatasetImportJob", "job", spec={"deletionPolicy": "Delete"})
OF_GROUP = References(
    {"datasetGroupRef": GROUP, "schemaRef": SCHEMA}, lineage=(GROUP,), engine_class=CLASS
)
OF_DATA = References(
    {"datasetRef": DATA}, lineage=(DATA, GROUP), siblings=(SCHEMA,), engine_class=CLASS
)
ALONE = ((GROUP, References({}, engine_class=CLASS)), (DATA, OF_GROUP))


def deleted(
    api: Kubernetes,
    going: Resource,
    *made: tuple[Resource, References],
    at: datetime | None = NOW,
    without: Collection[str] = (),
) -> list[str]:
    """Make resources, delete the objects of one, and return what the catalog was told to delete."""

    async def scenario() -> None:
        async with looking(api) as engine:
            for one, references in made:
                wanted = engine.desired(one, references)
                assert isinstance(wanted, Desired), wanted
                await engine.create(one.key.kind, wanted, {})
            for path in without:
                await api.request("DELETE", path)
            await news_arrive()
            found = await engine.observe(
                replace(going, deleted=at), Waiting("the parents are not looked for")
            )
            assert isinstance(found, Observed)
            await engine.delete(going.key.kind, found)
            await news_arrive()

    asyncio.run(scenario())
    return api.asked


def test_r5_the_data_of_a_dataset_goes_before_what_stands_for_it() -> None:
    api = Kubernetes()

    assert deleted(api, DATA, *ALONE) == ["datasets/Items"]
    assert not any("configmaps" in path for path in api.objects)


def test_r5_data_goes_by_a_deletion_timestamp_alone() -> None:
    assert deleted(Kubernetes(), DATA, *ALONE, at=None) == []


def test_r5_data_that_another_dataset_stands_for_stays() -> None:
    api = Kubernetes()

    assert deleted(api, DATA, *ALONE, (AGAIN, OF_GROUP)) == []
    assert sum("configmaps" in path for path in api.objects) == 1


def test_a_dataset_whose_group_is_gone_goes_alone() -> None:
    assert deleted(Kubernetes(), DATA, *ALONE, without=CATALOG_NEEDS) == []


@pytest.mark.parametrize("counts", [False, True])
def test_r5_what_an_import_left_goes_with_it_unless_it_counts(*, counts: bool) -> None:
    api = Kubernetes(counts=counts, ended=True)

    assert deleted(api, JOB, *ALONE, (JOB, OF_DATA)) == ["snapshots/Items/shop_job"]
    assert not any("/jobs/" in path for path in api.objects)


def test_an_import_that_still_writes_loses_nothing_but_its_job() -> None:
    api = Kubernetes()

    assert deleted(api, JOB, *ALONE, (JOB, OF_DATA)) == []
    assert not any("/jobs/" in path for path in api.objects)
