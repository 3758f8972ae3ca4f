"""Serving in the cluster goes on: through retrainings, lost pods, bad data and broken models.

One estate for all tests here; each leaves it serving.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from hack.images import Images
from hack.node import NodeCluster
from hack.s3 import S3Server
from tests.cluster.emulated import interactions
from tests.cluster.watching import condition, says
from tests.e2e.estate import (
    Estate,
    in_cluster_class,
    upload,
    watched,
    within,
)
from tests.e2e.load import Load
from tests.e2e.movies import (
    MOVIES,
    PATIENCE,
    SOURCE,
    all_trained,
    class_with,
    failure_of,
    last_import,
    looked_at,
    never_down,
    one_model_each,
    put,
    recommended,
    refused,
    retrained,
    serving,
    settled,
    told,
    training,
    trains,
)
from tests.e2e.setting import estate_in
from tests.support.proxy import Proxy

NAME = "e2e-faults"
"""Of the class, the namespace and the bucket."""
SERVING = {
    "minReplicas": 2,
    "maxReplicas": 4,
    "scaleDownSeconds": 1,
    "resources": {"cpu": "200m", "memory": "256Mi"},
}
RANKERS = ("-l", "app.kubernetes.io/name=reco-ranker")

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def estate(operator: NodeCluster, images: Images, s3: S3Server, storage: Proxy) -> Iterator[Estate]:
    """The quickstart's estate with two rankers and data of its own."""
    upload(s3, interactions(), NAME)
    endpoint = f"http://{urlsplit(s3.url).hostname}:{storage.port}"
    engine_class = in_cluster_class(NAME, images, endpoint, serving=SERVING)
    engine_class["spec"]["inCluster"]["storage"]["s3"]["bucket"] = NAME
    with estate_in(operator, engine_class, s3) as estate:
        estate.apply(*estate.quickstart(bucket=NAME))
        settled(estate)
        estate.watch.ready("EventTracker", "movies", timeout=60)
        yield estate


def test_retraining_under_load_fails_no_request(estate: Estate) -> None:
    before, since = serving(estate), len(estate.watch.seen)
    with Load(estate) as load:
        retrained(estate)
        settled(estate)
        load.more(10)
    load.check()
    after = serving(estate)
    assert after["current"] != before["current"]
    # One between them is fine: where the last training had failed, new data alone starts another.
    assert after["previous"] not in {None, after["current"]}
    never_down(estate, since)


def test_a_lost_ranker_fails_no_request(estate: Estate) -> None:
    first, *_ = estate.items("pods", *RANKERS)
    with Load(estate) as load:
        load.more(5)
        estate.kubectl("delete", "pod", first["metadata"]["name"], "--wait=false")
        within(90, lambda: gone(estate, first) and all_ready(estate), "another took its place")
        second = within(60, lambda: kill_one(estate), "a ranker's program runs and is killed")
        within(90, lambda: restarted(estate, second) and all_ready(estate), "all are ready again")
        load.more(10)
    load.check()


def gone(estate: Estate, pod: Any) -> bool:
    return pod["metadata"]["uid"] not in {
        one["metadata"]["uid"] for one in estate.items("pods", *RANKERS)
    }


def all_ready(estate: Estate) -> bool:
    pods = estate.items("pods", *RANKERS)
    return len(pods) >= 2 and all(condition(pod, "Ready").get("status") == "True" for pod in pods)


def restarted(estate: Estate, pod: Any) -> bool:
    """Whether a pod's program was started again, or the pod has gone for another."""
    [now] = [
        one
        for one in estate.items("pods", *RANKERS)
        if one["metadata"]["uid"] == pod["metadata"]["uid"]
    ] or [None]
    return now is None or bool(now["status"]["containerStatuses"][0]["restartCount"])


def kill_one(estate: Estate) -> Any:
    """End the program of some ranker as the kernel does when memory is short; return its pod."""
    for pod in estate.items("pods", *RANKERS, "--sort-by=.metadata.creationTimestamp"):
        for process in processes_of(pod):
            with suppress(ProcessLookupError):  # went with its parent
                os.kill(process, signal.SIGKILL)
                return pod
    return None


def processes_of(pod: Any) -> list[int]:
    """Return the programs of ours that run in a pod."""
    uid = pod["metadata"]["uid"].replace("-", "_")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # has ended
            group = (folder / "cgroup").read_text().replace("-", "_")
            if uid in group and b"reco" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def test_bad_data_is_refused_once_and_leaves_what_serves(estate: Estate) -> None:
    good = watched(interactions())
    since = len(estate.watch.seen)
    bad_rows = "ann,i1,watch,yesterday", ",i2,watch,1700000000"
    put(estate, "\n".join((good, *bad_rows)))
    refused(estate, "interactions.csv:1202", "interactions.csv:1203")
    put(estate, good.replace("ITEM_ID", "MOVIE"))
    refused(estate, "ITEM_ID")
    estate.s3.client().delete_object(Bucket=NAME, Key=SOURCE)
    refused(estate, "Invalid Data location", ask="run-now")
    assert says(estate.get("dataset", "movies-interactions"), "Ready").startswith("True/")
    never_down(estate, since)
    put(estate, watched(interactions(1400, seed=3)))
    looked_at(estate)
    last_import(estate, "True/Imported")


def test_a_broken_model_never_serves(estate: Estate) -> None:
    # Versions of the same data are one model: what is broken must not be what serves.
    for _ in range(2):
        retrained(estate)
        all_trained(estate)
        settled(estate)
    now, since = serving(estate), len(estate.watch.seen)
    old = estate.get("solutionversion", now["previous"])["status"]["artifact"]
    assert old != estate.get("solutionversion", now["current"])["status"]["artifact"]
    client = estate.s3.client()
    [key] = [
        one["Key"]
        for one in client.list_objects_v2(Bucket=NAME)["Contents"]
        if one["Key"].endswith(f"{old}.model")
    ]
    whole = client.get_object(Bucket=NAME, Key=key)["Body"].read()
    estate.s3.upload(NAME, key, whole[:-100])
    with Load(estate) as load:
        estate.patch(
            "campaign", MOVIES, {"spec": {"version": {"name": now["previous"], "follow": None}}}
        )
        told(estate, "Campaign", MOVIES, "is damaged", timeout=120)
        assert serving(estate) == now
        load.more(10)
        estate.patch("campaign", MOVIES, {"spec": {"version": {"name": now["current"]}}})
        settled(estate)
    load.check()
    assert {
        says(item, "Available") for item in estate.watch.history("Campaign", MOVIES, since)
    } <= {"True/InSync", "True/OutOfSync"}
    estate.s3.upload(NAME, key, whole)
    estate.patch("campaign", MOVIES, {"spec": {"version": {"name": None, "follow": "Latest"}}})
    settled(estate)


def test_a_lost_online_store_loses_no_event(estate: Estate) -> None:
    tracking = estate.get("eventtracker", "movies")["status"]["trackingID"]
    store = ("-l", "app.kubernetes.io/name=reco-online-store")
    [before] = estate.items("pods", *store)
    kept: dict[str, set[str]] = {}
    with Load(estate) as load:
        for number in range(240):
            if number == 20:
                estate.kubectl("delete", "pod", before["metadata"]["name"], "--wait=false")
            if number > 60 and back(estate.items("pods", *store), before):
                break
            user, item = f"fan{number // 8}", f"i{number * 7 % 40}"
            watches = {"eventType": "watch", "itemId": item, "sentAt": datetime.now(UTC)}
            with suppress(ClientError, BotoCoreError):  # was not acknowledged
                estate.events().put_events(
                    trackingId=tracking, userId=user, sessionId=user, eventList=[watches]
                )
                kept.setdefault(user, set()).add(item)
        within(90, lambda: back(estate.items("pods", *store), before), "the store is back")
        load.more(10)
    load.check()

    def forgotten() -> list[str]:
        return [
            f"{user}: {item}"
            for user, items in kept.items()
            for item in items & recommended(estate, user)
        ]

    within(30, lambda: not forgotten(), "what was watched is not recommended")


def back(pods: list[Any], before: Any) -> bool:
    return any(
        pod["metadata"]["uid"] != before["metadata"]["uid"]
        and condition(pod, "Ready").get("status") == "True"
        for pod in pods
    )


def test_without_storage_it_serves_on_and_says_so(estate: Estate, storage: Proxy) -> None:
    settled(estate)
    since = len(estate.watch.seen)
    with Load(estate) as load:
        storage.cut()
        told(estate, "DatasetGroup", "movies", "Unavailable", timeout=120)
        load.more(20)
        storage.mend()
        estate.watch.ready("DatasetGroup", "movies", timeout=120)
        load.more(10)
    load.check()
    never_down(estate, since)


def test_rankers_come_and_go_with_the_load(estate: Estate) -> None:
    settled(estate)
    since = len(estate.watch.seen)
    with (
        class_with(estate, serving={"targetCPUUtilization": 20}),
        Load(estate, clients=6, pause=0) as load,
    ):
        within(120, lambda: rankers(estate) > 2, "rankers were added")
    load.check()
    within(180, lambda: rankers(estate) == 2, "rankers were taken away")
    settled(estate)
    never_down(estate, since)


def rankers(estate: Estate) -> int:
    [found] = estate.items("deployments", *RANKERS)
    return int(found["spec"]["replicas"])


@pytest.mark.parametrize(
    ("memory", "word"), [("100Mi", "InsufficientMemory"), ("32Mi", "OutOfMemory")]
)
def test_a_training_without_memory_says_what_to_raise(
    estate: Estate, memory: str, word: str
) -> None:
    settled(estate)
    since = len(estate.watch.seen)
    with class_with(estate, training={"resources": {"cpu": "100m", "memory": memory}}):
        version = training(estate)
        text = failure_of(estate, version)
    assert text.startswith(f"{word}: ")
    # The pod knew why; that it is gone changes nothing of it.
    estate.kubectl("delete", "pod", "-l", f"job-name={version}-train")
    token = estate.ask("solutionversion", version, "reconcile-requested-at")
    within(
        30,
        lambda: (
            token == estate.get("solutionversion", version)["status"].get("lastHandledReconcileAt")
        ),
        "it was looked at again",
    )
    told(estate, "SolutionVersion", version, text)
    assert f"raise spec.inCluster.training.resources.memory of EngineClass {NAME}" in text
    never_down(estate, since)


def test_a_training_waits_in_its_queue_and_ends_at_its_deadline(estate: Estate) -> None:
    nowhere = {"queueName": "team-a", "nodeSelector": {"disk": "none"}}
    with class_with(estate, training=nowhere):
        version = training(estate)
        job = f"{version}-train"
        labels = estate.get("job", job)["metadata"]["labels"]
        assert labels["kueue.x-k8s.io/queue-name"] == "team-a"
        estate.patch("job", job, {"spec": {"suspend": True}})  # as Kueue does
        told(estate, "SolutionVersion", version, "queued: Job suspended")
        found = estate.watch.get("SolutionVersion", version)
        assert says(found, "Succeeded") == "Unknown/Queued"
        estate.patch("job", job, {"spec": {"suspend": False}})
        told(estate, "SolutionVersion", version, "no node takes it")
        estate.patch("job", job, {"spec": {"activeDeadlineSeconds": 1}})
        text = failure_of(estate, version)
    assert f"raise spec.inCluster.training.deadlineSeconds of EngineClass {NAME}" in text


def test_a_killed_training_is_tried_again_and_leaves_one_model(
    estate: Estate, storage: Proxy
) -> None:
    all_trained(estate)
    storage.cut()  # lest it end before it is killed
    version = training(estate)
    job, pod = f"{version}-train", trains(estate, version)
    estate.kubectl("delete", "pod", pod, "--wait=false")
    storage.mend()
    estate.watch.shows("SolutionVersion", version, "Succeeded", "True/Trained", timeout=120)
    assert estate.get("job", job)["status"]["failed"] == 1
    one_model_each(estate, estate.s3, version)
    within(PATIENCE, lambda: serving(estate)["current"] == version, "the new version serves")
    settled(estate)


def test_what_somebody_changed_is_mended_or_shown(estate: Estate) -> None:
    settled(estate)
    [deployment] = estate.items("deployments", *RANKERS)
    name = deployment["metadata"]["name"]
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]

    def as_wanted() -> bool:
        [found] = estate.items("deployments", *RANKERS)
        return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == image)

    since = len(estate.watch.seen)
    with Load(estate) as load:
        estate.kubectl("set", "image", f"deployment/{name}", "ranker=localhost/other:1")
        within(30, as_wanted, "the image is mended")
        estate.patch("campaign", MOVIES, {"spec": {"driftPolicy": "Warn"}})
        settled(estate)
        estate.kubectl("set", "image", f"deployment/{name}", "ranker=localhost/other:2")
        text = estate.watch.shows("Campaign", MOVIES, "Drifted", "True/Drifted", timeout=30)
        assert "localhost/other:2" in text
        assert not as_wanted()
        estate.patch("campaign", MOVIES, {"spec": {"driftPolicy": "Correct"}})
        within(30, as_wanted, "the image is mended")
        settled(estate)
    load.check()
    assert all(
        says(item, "Available").startswith("True/")
        for item in estate.watch.history("Campaign", MOVIES, since)
    )
    estate.kubectl("delete", "service", name)
    one = ("--field-selector", f"metadata.name={name}")
    within(30, lambda: estate.items("services", *one), "the Service is there again")

    def answers() -> bool:
        with suppress(ClientError):  # its name is not known everywhere at once
            return bool(recommended(estate, "u1"))
        return False

    within(30, answers, "it answers")
    settled(estate)


def test_a_deleted_secret_is_made_again_the_same(estate: Estate) -> None:
    settled(estate)
    [token] = [
        one
        for one in estate.items("secrets", "-l", "app.kubernetes.io/managed-by=reco-operator")
        if "-catalog-" in one["metadata"]["name"]
    ]
    name = token["metadata"]["name"]
    estate.kubectl("delete", "secret", name)
    estate.kubectl("delete", "pods", "-l", "app.kubernetes.io/name=reco-catalog")

    one = ("--field-selector", f"metadata.name={name}")
    within(120, lambda: estate.items("secrets", *one), "the Secret is there again")
    [again] = estate.items("secrets", *one)
    assert again["data"] == token["data"]
    settled(estate)
    retrained(estate)  # which needs a catalog that knows the operator


@pytest.mark.ends_estate
def test_deleting_the_namespace_leaves_nothing(estate: Estate) -> None:
    estate.node.kubectl("delete", "namespace", NAME, "--timeout=180s", timeout=190)
    assert not estate.node.kubectl("get", "namespace", NAME, "--ignore-not-found")
