"""Which imports count when several end at the same time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from reco.jobs import snapshots
from reco.storage import ObjectStore, write
from reco.workload.storage import SnapshotManifest
from tests.unit.jobs.conftest import PLACES

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def ended(store: ObjectStore, number: int) -> SnapshotManifest:
    manifest = SnapshotManifest(
        job=f"job-{number}",
        type="Items",
        mode="Incremental" if number else "Full",
        source="s3://a/b",
        created=NOW + timedelta(minutes=number),
        rows=1,
        columns={},
        parts={},
    )
    write(store, PLACES.snapshot_manifest("Items", manifest.job), manifest)
    return manifest


def test_imports_that_end_together_all_count(store: ObjectStore) -> None:
    manifests = [ended(store, number) for number in range(9)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: snapshots.enter(store, PLACES, one), reversed(manifests)))

    found = snapshots.current(store, PLACES, "Items")
    assert [one.job for one in found] == [f"job-{number}" for number in range(9)]
