"""What a catalog remembers of a group's storage."""

from datetime import UTC, datetime

import pytest

from reco.serving.contents import Contents, InUse
from reco.storage import ObjectStore, Sources, claim, write
from reco.workload.storage import CurrentData, Owner, Places, SnapshotManifest, VersionManifest
from reco.workload.tasks import S3, Group, Storage

PLACES = Places("shop_movies")
GROUP = Group(
    name="shop_movies",
    storage=Storage(path="/"),
    owner=Owner(cluster="c", namespace="shop", name="movies", uid="1"),
)


@pytest.fixture
def contents(store: ObjectStore) -> Contents:
    claim(store, GROUP)
    return Contents(store, GROUP, Sources(S3()))


def put_version(store: ObjectStore, version: str, size: int) -> None:
    manifest = VersionManifest(
        solution="sol", version=version, recipe="aws-sims", mode="Full", artifact="0" * 64,
        created=datetime(2026, 1, 1, tzinfo=UTC), size=size, metrics={}, training_seconds=1.0,
    )  # fmt: skip
    write(store, PLACES.version("sol", version), manifest)


def test_manifests_that_are_gone_are_forgotten(store: ObjectStore, contents: Contents) -> None:
    for number in range(3):
        put_version(store, f"v{number}", 1)
    assert [one["version"] for one in contents.versions()["versions"]] == ["v0", "v1", "v2"]
    for number in range(2):
        contents.delete_version("sol", f"v{number}")
    assert [one["version"] for one in contents.versions()["versions"]] == ["v2"]
    assert len(contents._known["versions"]) == 1


def test_a_manifest_that_changed_is_read_again(store: ObjectStore, contents: Contents) -> None:
    put_version(store, "v", 1)
    assert [one["size"] for one in contents.versions()["versions"]] == [1]
    put_version(store, "v", 22)
    assert [one["size"] for one in contents.versions()["versions"]] == [22]
    store.put(PLACES.version("sol", "v"), b"nothing of the sort")
    [damaged] = contents.versions()["damaged"]
    assert "is no VersionManifest" in damaged


def put_run(store: ObjectStore, name: str) -> None:
    manifest = SnapshotManifest(
        job=name, type="Items", mode="Full", source="s3://a/b", rows=1, columns={}, parts={},
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    write(store, PLACES.snapshot_manifest("Items", name), manifest)
    store.put(f"{PLACES.snapshot('Items', name)}/part-00000.parquet", b"x")


def test_all_runs_of_an_import_go_with_it_but_what_counts(
    store: ObjectStore, contents: Contents
) -> None:
    others = ["job-2", "jo", "job-2.1"]
    for name in ("job", "job.1", "job.2", *others):
        put_run(store, name)
    write(store, PLACES.current("Items"), CurrentData(snapshots=("job.1",)))

    def left() -> set[str]:
        return {one["job"] for one in contents.snapshots()["snapshots"]}

    with pytest.raises(InUse, match="job is part of the current data of Items"):
        contents.delete_snapshot("Items", "job")
    assert left() == {"job.1", *others}
    write(store, PLACES.current("Items"), CurrentData(snapshots=("job-2",)))
    contents.delete_snapshot("Items", "job")
    assert left() == {*others}
    assert not any("/job." in one.key for one in store.entries(PLACES.dataset("Items")))
