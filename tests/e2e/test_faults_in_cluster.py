"""What others do to an estate: they take permissions, nodes, room, passwords; and what it says.

Sources lie in an S3 that asks for permissions, storage behind a proxy, and the online store is a
server of the user's own. One estate for all tests here; each leaves it serving.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from botocore.exceptions import BotoCoreError, ClientError

from hack.images import Images
from hack.node import NodeCluster
from hack.s3 import S3Server
from hack.valkey import ValkeyServer
from reco.api.kinds import KINDS
from tests.cluster.emulated import interactions
from tests.cluster.watching import says
from tests.e2e.estate import Estate, in_cluster_class, upload, watched, within
from tests.e2e.load import Load
from tests.e2e.movies import (
    MOVIES,
    PATIENCE,
    all_trained,
    class_with,
    last_good_import,
    last_import,
    looked_at,
    never_down,
    one_model_each,
    put,
    recommended,
    refused,
    serving,
    settled,
    told,
    training,
    trains,
)
from tests.e2e.setting import estate_in
from tests.support.guarded_s3 import GuardedS3
from tests.support.proxy import Proxy

NAME = "e2e-others"
"""Of the class, the namespace, and the buckets."""
PASSWORD = "first"
SECRET = "valkey"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
READING = ("s3:ListBucket", "s3:GetObject")

pytestmark = pytest.mark.timeout(900)


@dataclass
class Store:
    """The user's own online store, and what its administrator does to it."""

    server: ValkeyServer
    password: str = PASSWORD

    def set(self, name: str, value: object) -> None:
        """Change a setting."""
        with self._client() as client:
            client.config_set(name, str(value))

    def change_password(self, password: str) -> None:
        """Change the password, and let nobody stay who knows only the old one."""
        with self._client() as client:
            client.config_set("requirepass", password)
            client.client_kill_filter(_type="normal", skipme=True)
        self.password = password

    def _client(self) -> Any:
        return redis.Redis.from_url(self.server.url, password=self.password)


@pytest.fixture(scope="module")
def sources(node: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedS3]:
    log = tmp_path_factory.mktemp("sources") / "moto.log"
    with GuardedS3(log, address=node.host_address) as server:
        server.allow(*READING)
        yield server


@pytest.fixture(scope="module")
def store(node: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    with ValkeyServer(folder, address=node.host_address, password=PASSWORD) as server:
        yield Store(server)


@pytest.fixture(scope="module")
def estate(
    operator: NodeCluster,
    images: Images,
    s3: S3Server,
    storage: Proxy,
    sources: GuardedS3,
    store: Store,
) -> Iterator[Estate]:
    upload(sources, interactions(), NAME)
    s3.create_bucket(NAME)
    secret = {"name": SECRET, "key": "password"}
    engine_class = in_cluster_class(
        NAME,
        images,
        f"http://{urlsplit(s3.url).hostname}:{storage.port}",
        sources={"endpointURL": sources.url, "credentialsSecretRef": {"name": "sources"}},
        onlineStore={"url": store.server.url, "passwordSecretRef": secret},
    )
    engine_class["spec"]["inCluster"]["storage"]["s3"]["bucket"] = NAME
    with estate_in(operator, engine_class, sources) as estate:
        offer(estate, "s3", s3.environment)
        offer(estate, "sources", sources.reader)
        offer(estate, SECRET, {"password": PASSWORD})
        estate.apply(*estate.quickstart(bucket=NAME))
        settled(estate)
        estate.watch.ready("EventTracker", "movies", timeout=60)
        yield estate


def offer(estate: Estate, name: str, values: dict[str, str]) -> None:
    """Make a Secret, or change it."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    estate.apply(estate.placed({**secret, "stringData": values}))


def watch(estate: Estate, user: str, item: str) -> None:
    """Say once that a user watches an item; raises what the SDK does."""
    tracking = estate.get("eventtracker", "movies")["status"]["trackingID"]
    event = {"eventType": "watch", "itemId": item, "sentAt": datetime.now(UTC)}
    estate.events().put_events(trackingId=tracking, userId=user, sessionId=user, eventList=[event])


def test_a_source_that_may_not_be_read_is_refused_once(estate: Estate, sources: GuardedS3) -> None:
    good, since = last_good_import(estate), len(estate.watch.seen)
    sources.allow("s3:ListBucket")
    put(estate, watched(interactions(1300, seed=5)))
    refused(estate, "AccessDenied: Insufficient privileges", "s3:GetObject", f"s3://{NAME}/")
    sources.allow("s3:ListAllMyBuckets")
    refused(estate, "AccessDenied: Insufficient privileges", "s3:ListBucket", ask="run-now")
    assert last_good_import(estate) == good
    assert says(estate.get("dataset", "movies-interactions"), "Ready").startswith("True/")
    never_down(estate, since)
    sources.allow(*READING)
    looked_at(estate, "run-now")
    last_import(estate, "True/Imported")


def test_an_evicted_training_is_tried_again_and_made_once(
    estate: Estate, s3: S3Server, storage: Proxy
) -> None:
    settled(estate)
    all_trained(estate)
    since = len(estate.watch.seen)
    storage.cut()  # lest it end before it is disturbed
    version = training(estate)
    pod = trains(estate, version)
    # Whoever makes another pod waits until it was seen why.
    with estate.node.frozen("kube-controller-manager"):
        evict(estate, pod)
        told(estate, "SolutionVersion", version, "its pod was evicted")
    within(60, partial(gone, estate, pod), "the pod is gone")
    storage.mend()
    made_by_another(estate, s3, version, pod)
    never_down(estate, since)


def evict(estate: Estate, pod: str) -> None:
    """Evict a pod as a drain does."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": estate.namespace},
    }
    path = f"/api/v1/namespaces/{estate.namespace}/pods/{pod}/eviction"
    estate.node.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def gone(estate: Estate, pod: str) -> bool:
    return not estate.items("pods", "--field-selector", f"metadata.name={pod}")


def made_by_another(estate: Estate, s3: S3Server, version: str, first: str) -> None:
    """Assert that a version is made, by another pod than the first and uncounted, and once."""
    estate.watch.shows("SolutionVersion", version, "Succeeded", "True/Trained", timeout=120)
    pods = estate.items("pods", "-l", f"job-name={version}-train")
    assert first not in {pod["metadata"]["name"] for pod in pods}
    status = estate.get("job", f"{version}-train")["status"]
    assert (status["succeeded"], status.get("failed", 0)) == (1, 0)
    one_model_each(estate, s3, version)


def test_a_training_on_a_lost_node_is_tried_again_and_made_once(
    estate: Estate, s3: S3Server, storage: Proxy
) -> None:
    """The kubelet falls silent and what runs there runs on, as when a network parts."""
    settled(estate)
    at_once = {
        "key": "node.kubernetes.io/unreachable",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 0,
    }
    with class_with(estate, training={"tolerations": [at_once]}):
        version = training(estate)
        storage.hold()  # lest it end before its node is lost
        pod = trains(estate, version)
        node = estate.get("pod", pod)["spec"]["nodeName"]
        with estate.node.frozen("kubelet"):
            storage.mend()
            lost = f"its node {node} was lost: tried again once"
            told(estate, "SolutionVersion", version, lost, timeout=90)
            told(estate, "SolutionVersion", version, f"tainted {OUT_OF_SERVICE}")
            assert is_stored(estate, s3, version), "what ran there has ended"
            with out_of_service(estate, node):
                within(60, partial(gone, estate, pod), "the pod is gone")
        made_by_another(estate, s3, version, pod)
    settled(estate)


@contextmanager
def out_of_service(estate: Estate, node: str) -> Iterator[None]:
    """Give a node up, as its administrator does, but for the pods that were not evicted yet."""
    estate.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}=nodeshutdown:NoSchedule")
    try:
        yield
    finally:
        estate.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}-")


def is_stored(estate: Estate, storage: S3Server, version: str) -> bool:
    listed = storage.client().list_objects_v2(Bucket=estate.namespace)["Contents"]
    return any(one["Key"].endswith(f"{version}/manifest.json") for one in listed)


def test_a_full_online_store_refuses_events_and_says_so_until_there_is_room(
    estate: Estate, store: Store
) -> None:
    estate.watch.ready("EventTracker", "movies", timeout=60)
    watch(estate, "fan", "i1")
    within(30, lambda: "i1" not in recommended(estate, "fan"), "the event is heeded")
    since = len(estate.watch.seen)
    with Load(estate) as load:
        store.set("maxmemory", 1)
        told(estate, "EventTracker", "movies", "the online store is full", timeout=60)
        with pytest.raises(ClientError) as caught:
            watch(estate, "fan", "i2")
        assert caught.value.response["Error"]["Code"] == "ServiceUnavailableException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        load.more(10)
        store.set("maxmemory", 0)
        estate.watch.ready("EventTracker", "movies", timeout=60)
    load.check()
    watch(estate, "fan", "i3")
    within(30, lambda: not {"i1", "i3"} & recommended(estate, "fan"), "both events are heeded")
    never_down(estate, since)


def test_an_online_store_of_one_s_own_may_be_away_and_have_another_password(
    estate: Estate, store: Store
) -> None:
    estate.watch.ready("DatasetGroup", "movies", timeout=60)
    since = len(estate.watch.seen)
    with Load(estate) as load:
        store.server.kill()
        told(estate, "DatasetGroup", "movies", "check that it runs, spec.inCluster.onlineStore.url")
        store.server.start()
        estate.watch.ready("DatasetGroup", "movies", timeout=60)
        store.change_password("second")
        told(estate, "DatasetGroup", "movies", "refuses the password")
        told(estate, "DatasetGroup", "movies", "spec.inCluster.onlineStore.passwordSecretRef")
        told(estate, "EventTracker", "movies", "refuses the password")
        offer(estate, SECRET, {"password": "second"})
        estate.kubectl("rollout", "restart", "deployment")  # as it says
        estate.watch.ready("DatasetGroup", "movies", timeout=120)
        estate.watch.ready("EventTracker", "movies", timeout=120)
        settled(estate)
        load.more(10)
    load.check()
    never_down(estate, since)

    def watches() -> bool:
        with suppress(ClientError, BotoCoreError):  # old collectors are still ending
            watch(estate, "late", "i5")
            return True
        return False

    within(30, watches, "events are taken")
    within(30, lambda: "i5" not in recommended(estate, "late"), "the event is heeded")


def test_a_version_that_never_gets_ready_leaves_the_old_one_serving_and_says_why(
    estate: Estate,
) -> None:
    settled(estate)
    before, since = serving(estate)["current"], len(estate.watch.seen)
    with Load(estate) as load:
        nowhere = {"nodeSelector": {"disk": "none"}, "progressDeadlineSeconds": 10}
        with class_with(estate, serving=nowhere):
            version = training(estate)
            estate.watch.shows("SolutionVersion", version, "Succeeded", "True/Trained", timeout=120)
            text = estate.watch.shows(
                "Campaign", MOVIES, "Synced", "False/ExternalFailure", timeout=60
            )
            assert "what was there serves on" in text
            assert "no node takes it" in text
            assert serving(estate)["current"] == before
            load.more(10)
        within(PATIENCE, lambda: serving(estate)["current"] == version, "the new version serves")
        settled(estate)
    load.check()
    never_down(estate, since)


@pytest.mark.ends_estate
def test_an_estate_can_be_deleted_without_its_online_store(
    estate: Estate, s3: S3Server, store: Store
) -> None:
    store.server.kill()
    told(estate, "DatasetGroup", "movies", "the online store fails")
    kinds = ",".join(kind.plural for kind in KINDS.values() if kind.namespaced)
    estate.kubectl("delete", kinds, "--all", "--timeout=120s", timeout=130)
    assert not s3.client().list_objects_v2(Bucket=NAME).get("Contents")
