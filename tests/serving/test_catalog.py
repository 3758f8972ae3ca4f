"""The catalog as its own process on a real folder or bucket, asked over HTTP."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hack.processes import LOOPBACK, Process, free_port
from hack.s3 import S3Server
from hack.valkey import ValkeyServer
from reco.serving.catalog import NOT_ASKED
from reco.storage import ObjectStore, claim, open_storage, write
from reco.workload.addresses import TOKEN_HEADER
from reco.workload.storage import (
    CurrentData,
    Owner,
    Places,
    SnapshotManifest,
    VersionManifest,
)
from reco.workload.tasks import (
    PASSWORD_VARIABLE,
    S3,
    TOKEN_VARIABLE,
    CatalogTask,
    Group,
    OnlineStore,
    Storage,
)

OWNER = Owner(cluster="c", namespace="shop", name="movies", uid="1")
PLACES = Places("shop_movies")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
TOKEN = "right-token"
Answer = tuple[int, dict[str, Any]]


class Catalog:
    """A running catalog."""

    def __init__(self, task: CatalogTask, folder: Path, environment: dict[str, str]) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        given = task.model_copy(update={"port": port}).environment()
        self.process = Process(
            "catalog",
            [sys.executable, "-m", "reco.cli.main", "serve", "catalog"],
            log=folder / "catalog.log",
            env={"RECO_TASK": given, "RECO_DRAIN_SECONDS": "0", TOKEN_VARIABLE: TOKEN}
            | environment,
        )
        self.process.wait_ready(f"{self.url}/healthz", timeout=30)

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Answer:
        headers = {TOKEN_HEADER: TOKEN} | headers
        request = urllib.request.Request(f"{self.url}{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer) | {"etag": answer.headers["etag"]}
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def delete(self, path: str) -> Answer:
        status, answer = self(path, "DELETE", **{"X-Reco-Uid": "1"})
        answer.pop("etag", None)
        return status, answer

    def until(self, path: str, status: int) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while (found := self(path))[0] != status:
            assert time.monotonic() < deadline, f"{path} still answers {found}"
            time.sleep(0.05)
        return found[1]


Start = Callable[..., Catalog]


@pytest.fixture
def group(tmp_path: Path) -> Group:
    (tmp_path / "volume").mkdir()
    storage = Storage(path=str(tmp_path / "volume"))
    return Group(name="shop_movies", storage=storage, owner=OWNER)


@pytest.fixture
def store(group: Group) -> ObjectStore:
    return open_storage(group.storage)


@pytest.fixture
def start(tmp_path: Path, group: Group) -> Iterator[Start]:
    running: list[Catalog] = []

    def run(
        given: Group = group,
        sources: S3 = S3(),  # noqa: B008 - frozen
        online_store: OnlineStore | None = None,
        **environment: str,
    ) -> Catalog:
        task = CatalogTask(
            group=given,
            sources=sources,
            sources_path=str(tmp_path / "sources"),
            online_store=online_store,
        )
        running.append(Catalog(task, tmp_path, environment))
        return running[-1]

    yield run
    for one in running:
        one.process.stop()


def version(name: str, artifact: str = "a" * 64) -> VersionManifest:
    return VersionManifest(
        solution="shop_for-you",
        version=name,
        recipe="aws-sims",
        mode="Full",
        created=NOW,
        artifact=artifact,
        size=1,
        metrics={"coverage": 0.5},
        training_seconds=2.0,
    )


def put_version(store: ObjectStore, name: str, artifact: str = "a" * 64) -> VersionManifest:
    manifest = version(name, artifact)
    write(store, PLACES.version(manifest.solution, name), manifest)
    store.put(PLACES.artifact(artifact), b"x")
    return manifest


def put_snapshot(store: ObjectStore, job: str) -> None:
    folder = PLACES.snapshot("Items", job)
    store.put(f"{folder}/part-00000.parquet", b"x")
    manifest = SnapshotManifest(
        job=job,
        type="Items",
        mode="Full",
        source="s3://a/b",
        created=NOW,
        rows=1,
        columns={},
        parts={},
    )
    write(store, f"{folder}/manifest.json", manifest)


def keys(store: ObjectStore, folder: str = "") -> list[str]:
    return [entry.key for entry in store.entries(folder)]


def test_it_claims_the_group_and_lists_versions_and_snapshots(
    start: Start, store: ObjectStore
) -> None:
    catalog = start()
    catalog.until("/readyz", 200)
    assert Owner.model_validate_json(store.get(PLACES.owner)) == OWNER
    assert catalog("/versions")[1]["versions"] == []
    first, second = put_version(store, "v1"), put_version(store, "v2/odd")
    put_snapshot(store, "j1")
    found = catalog("/versions")[1]["versions"]
    assert [VersionManifest.model_validate(one) for one in found] == [first, second]
    write(store, PLACES.current("Items"), CurrentData(snapshots=("j1",)))
    told = catalog("/snapshots")[1]
    [snapshot] = told["snapshots"]
    assert SnapshotManifest.model_validate(snapshot).job == "j1"
    assert told["current"] == {"Items": ["j1"]}
    assert told["streamed"]["Interactions"] == {"rows": 0, "last": None, "complete": True}


ASKED = (
    ("GET", "/versions"),
    ("GET", "/snapshots"),
    ("GET", "/source?location=s3://169.254.169.254/latest/"),
    ("GET", "/nothing"),
    ("DELETE", "/group"),
    ("DELETE", "/datasets/Items"),
    ("DELETE", "/snapshots/Items/j1"),
    ("DELETE", "/versions/shop_for-you/v1"),
    ("HEAD", "/versions"),
)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "\u00e9"])
def test_r14_without_the_token_nobody_learns_or_deletes(
    start: Start, store: ObjectStore, token: str
) -> None:
    put_version(store, "v1")
    put_snapshot(store, "j1")
    catalog = start()
    catalog.until("/readyz", 200)
    before = keys(store)

    for method, path in ASKED:
        status, answer = catalog(path, method, **{"X-Reco-Uid": "1", TOKEN_HEADER: token})
        assert status == 401, (method, path)
        assert method == "HEAD" or answer == {
            "message": f"requests must have the token of this catalog in {TOKEN_HEADER}"
        }

    assert keys(store) == before
    for open_ in ("/healthz", "/readyz"):
        assert catalog(open_, **{TOKEN_HEADER: token})[0] == 200


def test_r14_strangers_make_no_new_names_in_metrics(start: Start) -> None:
    catalog = start()
    catalog.until("/readyz", 200)
    for number in range(20):
        catalog(f"/made-up-{number}", **{TOKEN_HEADER: ""})
    with urllib.request.urlopen(f"{catalog.url}/metrics") as answer:
        page = answer.read().decode()
    assert "made-up" not in page
    assert 'reco_requests_total{code="401",operation="other"} 20.0' in page


def test_what_has_not_changed_is_not_sent_again(start: Start, store: ObjectStore) -> None:
    put_version(store, "v1")
    catalog = start()
    catalog.until("/readyz", 200)
    tag = catalog("/versions")[1]["etag"]
    assert catalog("/versions", **{"If-None-Match": tag})[0] == 304
    put_version(store, "v2")
    assert catalog("/versions", **{"If-None-Match": tag})[0] == 200


def test_a_damaged_manifest_hides_no_other(start: Start, store: ObjectStore) -> None:
    put_version(store, "v1")
    store.put(PLACES.version("s", "v2"), b"nothing of the sort")
    catalog = start()
    catalog.until("/readyz", 200)
    answer = catalog("/versions")[1]
    assert [one["version"] for one in answer["versions"]] == ["v1"]
    assert "v2/manifest.json is no VersionManifest" in answer["damaged"][0]


def test_the_group_of_another_resource_keeps_it_from_being_ready(
    start: Start, store: ObjectStore, group: Group
) -> None:
    claim(store, group)
    put_version(store, "v1")
    other = group.model_copy(update={"owner": OWNER.model_copy(update={"name": "books"})})
    catalog = start(other)
    while (answer := catalog("/readyz")[1])["message"] == "starting":
        time.sleep(0.05)
    assert answer["message"].startswith("OwnedElsewhere: ")
    assert "belongs to c/shop/movies" in answer["message"]
    assert "has not released it to c/shop/books" in answer["message"]
    assert catalog("/versions") == (503, answer)
    for path in ("/group", "/datasets/Items", "/snapshots/Items/j1"):
        assert catalog.delete(path) == (200, {})
    assert len(keys(store)) == 3


def test_a_group_that_was_taken_over_is_no_longer_deleted_from(
    start: Start, store: ObjectStore
) -> None:
    catalog = start()
    catalog.until("/readyz", 200)
    put_version(store, "v1")
    write(store, PLACES.owner, OWNER.model_copy(update={"cluster": "other", "uid": "2"}))

    status, answer = catalog.delete("/versions/shop_for-you/v1")

    assert (status, "taken over by other/shop/movies" in answer["message"]) == (503, True)
    assert catalog.delete("/group") == (200, {})
    assert len(keys(store)) == 3


def test_storage_that_does_not_answer_is_the_reason_and_may_come_back(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "volume").rename(tmp_path / "away")
    catalog = start()
    while (answer := catalog("/readyz")[1])["message"] == "starting":
        time.sleep(0.05)
    assert "mount a volume" in answer["message"]
    (tmp_path / "away").rename(tmp_path / "volume")
    catalog.until("/readyz", 200)


def test_a_source_has_a_digest_that_changes_with_it_or_a_problem(
    start: Start, tmp_path: Path
) -> None:
    catalog = start()
    catalog.until("/readyz", 200)
    asked = f"/source?location=file://{tmp_path}/sources/in%20here"
    assert "mount a volume" in catalog(asked)[1]["problem"]
    (tmp_path / "sources" / "in here").mkdir(parents=True)
    assert "holds no data" in catalog(asked)[1]["problem"]
    (tmp_path / "sources" / "in here" / "a.csv").write_text("x")
    first = catalog(asked)[1]
    assert first["objects"] == 1
    assert catalog(asked)[1] == first
    (tmp_path / "sources" / "in here" / "b.csv").write_text("x")
    second = catalog(asked)[1]
    assert (second["objects"], second["digest"] != first["digest"]) == (2, True)
    assert "write s3://bucket" in catalog("/source?location=gs://x")[1]["problem"]
    assert catalog("/source")[0] == 400


def test_deletions_need_the_owner_and_heed_what_is_used(start: Start, store: ObjectStore) -> None:
    put_version(store, "v1", "a" * 64)
    put_version(store, "v2", "a" * 64)
    put_snapshot(store, "j1")
    put_snapshot(store, "j2")
    write(store, PLACES.current("Items"), CurrentData(snapshots=("j2",)))
    catalog = start()
    catalog.until("/readyz", 200)
    assert catalog("/versions/shop_for-you/v1", "DELETE")[0] == 403
    assert catalog("/group", "DELETE", **{"X-Reco-Uid": "2"})[0] == 403

    assert catalog.delete("/versions/shop_for-you/v1") == (200, {})
    assert keys(store, f"{PLACES.root}/artifacts") == [PLACES.artifact("a" * 64)]
    assert catalog.delete("/versions/shop_for-you/v2") == (200, {})
    assert catalog.delete("/versions/shop_for-you/v2") == (200, {})
    assert keys(store, f"{PLACES.root}/artifacts") == []
    assert keys(store, PLACES.versions) == []

    status, answer = catalog.delete("/snapshots/Items/j2")
    assert (status, "import with mode Full first" in answer["message"]) == (409, True)
    assert catalog.delete("/snapshots/Items/j1") == (200, {})
    assert keys(store, PLACES.snapshot("Items", "j1")) == []

    assert catalog.delete("/nothing") == (404, {"message": "there is no DELETE /nothing here"})
    store.put("groups/shop_movies-2/group.json", b"of a neighbour")
    assert catalog.delete("/group") == (200, {})
    assert keys(store) == ["groups/shop_movies-2/group.json"]


def test_a_dataset_goes_with_what_was_imported_and_streamed(
    start: Start, store: ObjectStore
) -> None:
    put_version(store, "v1")
    put_snapshot(store, "j1")
    write(store, PLACES.current("Items"), CurrentData(snapshots=("j1",)))
    store.put(f"{PLACES.records('Items')}/2026-01-02/1-2.parquet", b"x")
    kept = [PLACES.current("ItemsToo"), f"{PLACES.records('Users')}/2026-01-02/1-2.parquet"]
    events = f"{PLACES.events}/2026-01-02/1-2.parquet"
    for key in (*kept, events):
        store.put(key, b"x")
    catalog = start()
    catalog.until("/readyz", 200)
    assert catalog("/datasets/Items", "DELETE", **{"X-Reco-Uid": "2"})[0] == 403
    for odd in ("", "..", "%2E%2E%2Fversions"):
        assert catalog.delete(f"/datasets/{odd}")[0] == 404

    assert catalog.delete("/datasets/Items") == (200, {})
    assert catalog.delete("/datasets/Items") == (200, {})
    assert (
        keys(store, f"{PLACES.root}/datasets/Items") == keys(store, PLACES.records("Items")) == []
    )
    assert catalog.delete("/datasets/Interactions") == (200, {})
    assert keys(store, PLACES.events) == []
    assert {*kept} < {*keys(store)}
    assert len(catalog("/versions")[1]["versions"]) == 1


def test_metrics_and_a_clean_end(start: Start) -> None:
    catalog = start()
    catalog.until("/readyz", 200)
    catalog("/versions")
    with urllib.request.urlopen(f"{catalog.url}/metrics") as answer:
        assert b'reco_requests_total{code="200",operation="GET /versions"} 1.0' in answer.read()
    catalog.process.stop()
    assert "Traceback" not in catalog.process.log.read_text()


def test_a_bucket_is_listed_by_pages_and_manifests_are_read_once(
    start: Start, tmp_path: Path, group: Group
) -> None:
    with S3Server(tmp_path / "moto.log") as server:
        server.create_bucket("data")
        s3 = S3(bucket="data", prefix="some/where", endpoint_url=server.url)
        in_bucket = group.model_copy(update={"storage": Storage(s3=s3)})
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            store = open_storage(in_bucket.storage)
            for number in range(5):
                put_version(store, f"v{number}")
        catalog = start(in_bucket, **server.environment)
        catalog.until("/readyz", 200)
        assert len(catalog("/versions")[1]["versions"]) == 5
        before = (tmp_path / "moto.log").read_text().count(" HTTP/1.1")
        for _ in range(3):
            assert len(catalog("/versions")[1]["versions"]) == 5
        assert (tmp_path / "moto.log").read_text().count(" HTTP/1.1") == before + 3
        assert catalog.delete("/group") == (200, {})


def test_an_online_store_of_one_s_own_is_looked_after_and_keeps_nobody_from_the_storage(
    tmp_path: Path, start: Start
) -> None:
    with ValkeyServer(tmp_path / "store", password="right") as server:
        store = OnlineStore(url=server.url)
        wrong = start(online_store=store, **{PASSWORD_VARIABLE: "wrong"})
        while (told := wrong("/readyz"))[1]["message"] in {"starting", NOT_ASKED}:
            time.sleep(0.05)
        assert told[0] == 503
        assert "refuses the password" in told[1]["message"]
        assert "passwordSecretRef" in told[1]["message"]
        assert wrong("/versions")[0] == 200

        right = start(online_store=store, **{PASSWORD_VARIABLE: "right"})
        right.until("/readyz", 200)
        server.stop()
        told = right.until("/readyz", 503)["message"]
        assert "spec.inCluster.onlineStore.url" in told
        assert right.delete("/group") == (200, {})
        server.start()
        right.until("/readyz", 200)
