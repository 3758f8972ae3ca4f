"""The view of the engine's objects: what is kept of them, and who hears of what."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from typing_extensions import override

from reco.cluster.errors import StoreNotFound
from reco.engines.incluster.cluster import LABEL_OWNER, Cluster
from reco.engines.incluster.objects import ObjectKey
from tests.support.virtual_loop import VirtualLoop


def seen(kind: str, version: int, **content: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "shop",
        "name": "for-you",
        "uid": "1",
        "resourceVersion": str(version),
        "labels": {LABEL_OWNER: "campaign-1"},
    }
    return {"kind": kind, "metadata": metadata, **content}


class Watched:
    """Lists nothing, and then tells these events."""

    def __init__(self, collection: str, *events: dict[str, Any]) -> None:
        self._collection = collection
        self._events = events

    async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        assert method == "GET", path
        return {"items": [], "metadata": {"resourceVersion": "1"}}

    async def text(self, path: str, **_: Any) -> str:
        raise StoreNotFound(path)

    async def watch(self, path: str, **_: Any) -> AsyncIterator[dict[str, Any]]:
        for event in self._events if path.endswith(self._collection) else ():
            yield {"type": "MODIFIED", "object": event}
        await asyncio.Event().wait()


async def told(cluster: Cluster) -> int:
    """Return how often somebody was told of a change."""
    changes: list[Any] = []
    running = asyncio.create_task(cluster.run(changes.append))
    await cluster.ready()
    for _ in range(50):
        await asyncio.sleep(0)
    running.cancel()
    return len(changes)


def test_r9_what_an_autoscaler_measures_makes_nobody_look() -> None:
    events = [seen("HorizontalPodAutoscaler", n, spec={}, status={"at": n}) for n in (2, 3, 4)]
    cluster = Cluster(Watched("horizontalpodautoscalers", *events), "in-cluster", ["shop"])

    assert asyncio.run(told(cluster)) == 1


def test_of_a_pod_is_kept_what_is_read() -> None:
    spec = {"nodeName": "worker-3", "containers": ["much"]}
    pods = [seen("Pod", 2, spec=spec, status={"phase": "Running"})]
    cluster = Cluster(Watched("pods", *pods), "in-cluster", ["shop"])

    assert asyncio.run(told(cluster)) == 1
    found = cluster.get(ObjectKey("Pod", "shop", "for-you"))
    assert found is not None
    assert found["spec"] == {"nodeName": "worker-3"}
    assert found["status"] == {"phase": "Running"}


class Silent(Watched):
    """Passes on to a pod, or to its node, which does not answer."""

    @override
    async def request(self, *_: str, **__: Any) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    @override
    async def text(self, *_: str, **__: Any) -> str:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_node_that_is_silent_holds_up_nobody_who_works() -> None:
    cluster = Cluster(Silent("pods"), "in-cluster", ["shop"])

    async def scenario() -> float:
        assert await cluster.last_line("shop", "train") is None
        assert await cluster.problem("shop", "catalog") is None
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(scenario()) < 5


def test_a_view_that_fell_over_looks_again_when_it_is_run_again() -> None:
    events = [seen("Pod", 2), {"kind": "Pod"}]  # the second is no object at all
    cluster = Cluster(Watched("pods", *events), "in-cluster", ["shop"])

    async def scenario() -> list[Any]:
        with pytest.raises(ExceptionGroup):
            await cluster.run(lambda _object: None)
        again: list[Any] = []
        with pytest.raises(ExceptionGroup):
            await cluster.run(again.append)
        return again

    assert len(asyncio.run(scenario())) == 1  # the list says that the pod is gone


def test_r14_a_label_that_another_namespace_copies_makes_nothing_ours() -> None:
    ours, theirs = (seen("ConfigMap", version) for version in (2, 3))
    theirs["metadata"] |= {"namespace": "evil", "uid": "2"}
    cluster = Cluster(Watched("configmaps", ours, theirs), "in-cluster")

    assert asyncio.run(told(cluster)) == 2
    assert [one["metadata"]["uid"] for one in cluster.owned("shop", "campaign-1")] == ["1"]
