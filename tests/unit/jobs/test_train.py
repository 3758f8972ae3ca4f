import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco import recipes
from reco.cli.job import TERMINATED
from reco.jobs import training
from reco.recipes import load
from reco.serving import metadata_files
from reco.serving.compaction import LATE_SECONDS, Compaction
from reco.serving.metrics import Metrics
from reco.storage import ObjectStore, Unavailable, open_storage, read
from reco.storage.versions import Pending, drop_version, pending_of
from reco.workload.results import EXIT_RETRY, Result
from reco.workload.storage import ANONYMOUS, EVENT_COLUMNS, RECORD_COLUMNS, VersionManifest
from reco.workload.tasks import S3, Field_, Group, ImportTask, Storage, TrainTask
from tests.unit.jobs.conftest import INTERACTIONS, ITEMS, OWNER, PLACES, Jobs

RECIPE = "aws-user-personalization-v2"
_TYPES = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64()}


def bulk(users: int = 60, each: int = 25) -> str:
    drawn = random.Random(7)
    rows = [
        f"u{user},i{drawn.randrange(40) if step % 3 else (user * step) % 40},{1000 + step},click,\n"
        for user in range(users)
        for step in range(each)
    ]
    return "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\n" + "".join(rows)


def long() -> str:
    """Return three million rows: some seconds of work."""
    header, _, rows = bulk().partition("\n")
    return f"{header}\n{rows * 2000}"


def imported(
    group: Group,
    sources: Path,
    content: str,
    type_: str = "Interactions",
    fields: tuple[Field_, ...] = INTERACTIONS,
    job: str = "first",
) -> ImportTask:
    (sources / f"{type_}.csv").write_text(content)
    return ImportTask(
        group=group,
        job=job,
        type=type_,
        mode="Full",
        fields=fields,
        source=f"file://{sources}/{type_}.csv",
        sources_path=str(sources),
    )


def task(group: Group, version: str = "v1", **options: Any) -> TrainTask:
    given = {"group": group, "solution": "for-you", "version": version, "recipe": RECIPE}
    return TrainTask.model_validate(given | options)


def stored(store: ObjectStore, version: str = "v1") -> VersionManifest | None:
    return read(store, PLACES.version("for-you", version), VersionManifest)


def artifacts(store: ObjectStore) -> list[str]:
    return [entry.key for entry in store.entries(f"{PLACES.root}/artifacts")]


def parquet(columns: dict[str, str], rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return file.getvalue()


def event(number: int, **columns: Any) -> dict[str, Any]:
    return {
        "EVENT_ID": f"e{number}",
        "USER_ID": "u1",
        "ITEM_ID": f"new{number}",
        "EVENT_TYPE": "click",
        "TIMESTAMP": 5000 + number,
    } | columns


@pytest.fixture
def data(job: Jobs, group: Group, sources: Path) -> None:
    assert job("import", imported(group, sources, bulk())).outcome == "Succeeded"


@pytest.mark.usefixtures("data")
def test_a_training_leaves_a_model_by_its_digest_and_a_manifest(
    job: Jobs, group: Group, store: ObjectStore, tmp_path: Path
) -> None:
    result = job("train", task(group))
    assert result.outcome == "Succeeded"
    manifest = stored(store)
    assert manifest is not None
    assert artifacts(store) == [PLACES.artifact(manifest.artifact)]
    assert (manifest.rows, manifest.users, manifest.items) == (1500, 60, 40)
    assert manifest.trained_through == 1024
    assert manifest.peak_memory > 50 << 20
    assert result.details["artifact"] == manifest.artifact
    assert result.details["metrics"] == manifest.metrics
    assert {"coverage", "precision_at_5", "mean_reciprocal_rank_at_25"} <= set(manifest.metrics)
    store.download(PLACES.artifact(manifest.artifact), tmp_path / "model")
    assert (tmp_path / "model").stat().st_size == manifest.size
    assert load(tmp_path / "model").recommend(count=5)
    told = [(line["stage"], line["progress"]) for line in job.lines if "progress" in line]
    assert [stage for stage, _ in told if stage in {"evaluating", "training", "writing"}] == [
        "evaluating",
        "training",
        "writing",
    ]
    assert [share for _, share in told] == sorted(share for _, share in told)


@pytest.mark.usefixtures("data")
def test_the_same_data_and_seed_give_the_same_model(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    first = job("train", task(group))
    second = job("train", task(group, "v2"))
    assert second.details["artifact"] == first.details["artifact"]
    assert second.details["metrics"] == first.details["metrics"]
    assert len(artifacts(store)) == 1


@pytest.mark.usefixtures("data")
def test_a_trained_version_is_not_trained_again(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    first = job("train", task(group))
    store.delete(PLACES.current("Interactions"))
    assert job("train", task(group)) == first
    assert "evaluating" not in {line.get("stage") for line in job.lines}


@pytest.mark.usefixtures("data")
def test_streamed_events_count_once_an_id(job: Jobs, group: Group, store: ObjectStore) -> None:
    store.put(
        f"{PLACES.events}/2026-01-01/0-1.parquet",
        parquet(EVENT_COLUMNS, [event(1), event(2), event(1), event(3, ITEM_ID=None)]),
    )
    store.put(
        f"{PLACES.events}/2026-01-02/1-4.parquet",
        parquet(EVENT_COLUMNS, [event(2, ITEM_ID="other"), event(4)]),
    )
    job("train", task(group))
    manifest = stored(store)
    assert manifest is not None
    assert (manifest.rows, manifest.items) == (1503, 43)
    assert manifest.trained_through == 5004


def trained_users(store: ObjectStore, path: Path, version: str = "v1") -> dict[str, list[str]]:
    """Return the new items of each user that a version was trained with."""
    manifest = stored(store, version)
    assert manifest is not None
    store.download(PLACES.artifact(manifest.artifact), path)
    model = load(path)
    users = {user: model.history_of(user) for user in model.histories.user_ids.tolist()}
    fresh = {
        user: [one.item_id for one in events if one.item_id.startswith("new")]
        for user, events in users.items()
    }
    return {user: items for user, items in fresh.items() if items}


@pytest.mark.usefixtures("data")
def test_a_session_named_as_a_user_is_trained_apart(
    job: Jobs, group: Group, store: ObjectStore, tmp_path: Path
) -> None:
    """In the order of arrival, over files: "u1" is a user, and a session that becomes u2's."""
    session, other = f"{ANONYMOUS}u1", f"{ANONYMOUS}s"
    first = [
        event(1, USER_ID="u1", SESSION_ID="900"),
        event(2, USER_ID=session, SESSION_ID="u1"),
        event(3, USER_ID=other, SESSION_ID="s"),
    ]
    second = [
        event(4, USER_ID="u2", SESSION_ID="u1"),
        event(5, USER_ID=session, SESSION_ID="u1"),
    ]
    store.put(f"{PLACES.events}/2026-01-01/0-1.parquet", parquet(EVENT_COLUMNS, first))
    store.put(f"{PLACES.events}/2026-01-02/1-2.parquet", parquet(EVENT_COLUMNS, second))
    job("train", task(group))
    assert trained_users(store, tmp_path / "model") == {
        "u1": ["new1"],
        "u2": ["new2", "new4"],
        other: ["new3"],
        session: ["new5"],
    }


@pytest.mark.usefixtures("data")
def test_an_event_id_counts_once_a_user(
    job: Jobs, group: Group, store: ObjectStore, tmp_path: Path
) -> None:
    """Who numbers events from 1 on must not take away those of others."""
    rows = [
        event(1, EVENT_ID="1", USER_ID="u1"),
        event(2, EVENT_ID="1", USER_ID="u2"),
        event(3, EVENT_ID="1", USER_ID="u1"),
    ]
    store.put(f"{PLACES.events}/2026-01-01/0-1.parquet", parquet(EVENT_COLUMNS, rows))
    job("train", task(group))
    assert trained_users(store, tmp_path / "model") == {"u1": ["new1"], "u2": ["new2"]}


@pytest.mark.usefixtures("data")
def test_a_compacted_log_gives_the_same_model(job: Jobs, group: Group, store: ObjectStore) -> None:
    """Byte for byte: events of one user in one second keep their order, of two with one id the
    first counts, and so from the first files over those of hours to that of the day."""
    for file in range(12):
        hour = 1_700_006_400_000 + file // 4 * 3_600_000
        events = [
            event(30 * file + at, ITEM_ID=f"i{(7 * at + file) % 40}", TIMESTAMP=5000)
            for at in range(-5, 30)
        ]
        store.put(
            f"{PLACES.events}/2023-11-15/{hour + file}-0-{hour + file}-1-{file:016}.parquet",
            parquet(EVENT_COLUMNS, events),
        )
    digest = job("train", task(group)).details["artifact"]
    files = [12]
    for version, hours in enumerate((3, 24, 48, 50, 75), 2):
        now = 1_700_006_400 + hours * 3600 + LATE_SECONDS
        Compaction(store, group, Metrics(), now=lambda now=now: now).run()  # type: ignore[misc] # bound now
        assert job("train", task(group, f"v{version}")).details["artifact"] == digest
        files.append(len(list(store.entries(PLACES.events))))
    assert files == [12, 15, 15, 3, 4, 1]


@pytest.mark.usefixtures("data")
def test_items_come_from_imports_and_records_and_the_newest_counts(
    job: Jobs, group: Group, store: ObjectStore, sources: Path, tmp_path: Path
) -> None:
    items = "ITEM_ID,GENRES,CREATION_TIMESTAMP\ni1,a,5\ni1,b,6\ncold,a|b,7\n"
    job("import", imported(group, sources, items, "Items", ITEMS))
    for number, (id_, columns) in enumerate(
        [("streamed", {"GENRES": "a"}), ("cold", {"GENRES": "c", "CREATION_TIMESTAMP": 9})]
    ):
        row = {"RECORD_ID": str(number), "ID": id_, "TIMESTAMP": 70, "COLUMNS": json.dumps(columns)}
        store.put(
            f"{PLACES.records('Items')}/2026-01-01/{number}-{number}.parquet",
            parquet(RECORD_COLUMNS, [row]),
        )
    assert job("train", task(group)).outcome == "Succeeded"
    manifest = stored(store)
    assert manifest is not None
    store.download(PLACES.artifact(manifest.artifact), tmp_path / "model")
    catalogue = load(tmp_path / "model").catalogue
    at = catalogue.index(["i1", "cold", "streamed"])
    assert catalogue.created[at].tolist() == [6, 9, 70]


@pytest.mark.usefixtures("data")
def test_the_row_that_came_last_counts_whatever_clocks_say(
    job: Jobs, group: Group, store: ObjectStore, sources: Path, tmp_path: Path
) -> None:
    items = "ITEM_ID,GENRES,CREATION_TIMESTAMP\ni1,a,5\n"
    job("import", imported(group, sources, items, "Items", ITEMS))
    rows = [
        ("1700000000000-10-0", 4_102_444_800, 6),
        ("1700000000000-9-0", 4_102_444_800, 7),
        ("1700000000001-0-0", 1_700_000_000, 8),
    ]
    for number, (record, stamp, created) in enumerate(rows):
        columns = json.dumps({"CREATION_TIMESTAMP": created})
        row = {"RECORD_ID": record, "ID": "i1", "TIMESTAMP": stamp, "COLUMNS": columns}
        file = f"{PLACES.records('Items')}/2026-01-01/{9 - number}-{number}.parquet"
        store.put(file, parquet(RECORD_COLUMNS, [row]))
    digest = job("train", task(group)).details["artifact"]
    store.download(PLACES.artifact(digest), tmp_path / "model")
    catalogue = load(tmp_path / "model").catalogue
    assert catalogue.created[catalogue.index(["i1"])].tolist() == [8]
    columns_of = metadata_files.read(store, PLACES)
    assert columns_of.of("i1", ["CREATION_TIMESTAMP"]) == {"creation_timestamp": "8"}


@pytest.mark.parametrize("time", ["1700000000", "yesterday", True, [5], 2**70, -1, None])
@pytest.mark.usefixtures("data")
def test_no_streamed_creation_time_ends_a_training(
    job: Jobs, group: Group, store: ObjectStore, sources: Path, tmp_path: Path, time: object
) -> None:
    items = "ITEM_ID,GENRES,CREATION_TIMESTAMP\ni1,a,5\n"
    job("import", imported(group, sources, items, "Items", ITEMS))
    columns = json.dumps({"CREATION_TIMESTAMP": time})
    row = {"RECORD_ID": "1", "ID": "streamed", "TIMESTAMP": 70, "COLUMNS": columns}
    store.put(f"{PLACES.records('Items')}/2026-01-01/1-1.parquet", parquet(RECORD_COLUMNS, [row]))
    digest = job("train", task(group)).details["artifact"]
    store.download(PLACES.artifact(digest), tmp_path / "model")
    catalogue = load(tmp_path / "model").catalogue
    expected = 1_700_000_000 if time == "1700000000" else 70
    assert catalogue.created[catalogue.index(["i1", "streamed"])].tolist() == [5, expected]


@pytest.mark.usefixtures("data")
def test_a_truncated_snapshot_is_refused_by_its_checksum(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    part = f"{PLACES.snapshot('Interactions', 'first')}/part-00000.parquet"
    store.put(part, store.get(part)[:-9])
    result = job("train", task(group))
    assert result.outcome == "InvalidData"
    assert f"{part} is damaged" in result.message
    assert stored(store) is None
    assert artifacts(store) == []


@pytest.mark.usefixtures("data")
def test_a_damaged_event_file_is_named(job: Jobs, group: Group, store: ObjectStore) -> None:
    store.put(f"{PLACES.events}/2026-01-01/0-1.parquet", b"nothing of the sort")
    result = job("train", task(group))
    assert result.outcome == "InvalidData"
    assert "2026-01-01/0-1.parquet is damaged" in result.message


def test_too_little_data_fails_in_the_services_words(job: Jobs, group: Group) -> None:
    result = job("train", task(group, event_type="buy"))
    assert result.outcome == "InvalidData"
    assert result.message.startswith(
        "Dataset has fewer than 1000 interactions after filtering by event type: buy"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "aws-hrnn"}, "there is no recipe 'aws-hrnn'; there are"),
        ({"hyperparameters": {"bptt": "5"}}, "bptt: aws-user-personalization-v2 does not know it"),
        ({"mode": "Update"}, "there is none: train with mode Full"),
        (
            {"mode": "Update", "recipe": "aws-popularity-count"},
            "aws-popularity-count knows no training mode Update",
        ),
    ],
)
def test_settings_that_the_recipe_refuses(
    job: Jobs, group: Group, options: dict[str, Any], message: str
) -> None:
    result = job("train", task(group, **options))
    assert result.outcome == "InvalidSettings"
    assert message in result.message


@pytest.mark.usefixtures("data")
def test_a_training_that_needs_more_memory_than_there_is_does_not_start(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    result = job("train", task(group, memory_limit=64 << 20))
    assert result.outcome == "InsufficientMemory"
    assert "and its pod may use 64Mi" in result.message
    assert result.details["predictedBytes"] > result.details["memoryLimit"] == 64 << 20
    assert stored(store) is None


@pytest.mark.usefixtures("data")
def test_more_factors_are_predicted_to_need_more_memory(job: Jobs, group: Group) -> None:
    few, many = (
        job(
            "train",
            task(group, recipe="reco-als", hyperparameters={"factors": factors}, memory_limit=1),
        ).details["predictedBytes"]
        for factors in ("8", "256")
    )
    assert many > few


def test_longer_ids_are_predicted_to_need_more_memory(
    job: Jobs, group: Group, sources: Path
) -> None:
    given = imported(group, sources, bulk().replace("\nu", f"\n{'u' * 200}"))
    assert job("import", given).outcome == "Succeeded"
    # Enough to begin with: how long ids are is known once they are read.
    before_reading = job("train", task(group, memory_limit=1)).details["predictedBytes"]
    result = job("train", task(group, memory_limit=before_reading))
    short_ids = recipes.predict(RECIPE, users=60, items=40, interactions=1500)
    assert result.outcome == "InsufficientMemory"
    assert result.details["predictedBytes"] > short_ids + training._READING


@pytest.mark.usefixtures("data")
def test_an_update_takes_the_newest_full_version_to_newer_data(
    job: Jobs, group: Group, store: ObjectStore, tmp_path: Path
) -> None:
    full = job("train", task(group))
    store.put(f"{PLACES.events}/2026-01-01/0-1.parquet", parquet(EVENT_COLUMNS, [event(1)]))
    update = job("train", task(group, "v2", mode="Update"))
    assert update.outcome == "Succeeded"
    assert update.details["metrics"] == full.details["metrics"]
    manifest = stored(store, "v2")
    assert manifest is not None
    assert (manifest.mode, manifest.rows, manifest.items) == ("Update", 1501, 41)
    store.download(PLACES.artifact(manifest.artifact), tmp_path / "model")
    assert "new1" in {event.item_id for event in load(tmp_path / "model").history_of("u1")}


@pytest.mark.usefixtures("data")
def test_an_update_goes_on_from_a_base_whose_version_was_deleted(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    job("train", task(group))
    job("train", task(group, "v2", mode="Update"))
    assert (manifest := stored(store, "v2")) is not None
    assert manifest.base == "v1"
    drop_version(store, PLACES, "for-you", "v1")

    assert job("train", task(group, "v3", mode="Update")).outcome == "Succeeded"
    for name in ("v2", "v3"):
        drop_version(store, PLACES, "for-you", name)

    gone = job("train", task(group, "v4", mode="Update"))
    assert (gone.details["needs"], gone.word) == ("Full", "BaseGone")
    assert "there is none: train with mode Full" in gone.message


@pytest.mark.usefixtures("data")
def test_an_update_without_its_base_s_model_says_what_it_needs(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    digest = job("train", task(group)).details["artifact"]
    store.delete(PLACES.artifact(digest))
    gone = job("train", task(group, "v2", mode="Update"))
    assert (gone.outcome, gone.word, gone.exit_code) == ("NotFound", "BaseGone", 1)
    assert gone.message.startswith("the model of v1 is gone. Train with mode Full")


@pytest.mark.usefixtures("data")
def test_an_update_of_a_damaged_model_is_refused(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    digest = job("train", task(group)).details["artifact"]
    store.put(PLACES.artifact(digest), store.get(PLACES.artifact(digest))[:-1])
    result = job("train", task(group, "v2", mode="Update"))
    assert result.outcome == "InvalidData"
    assert result.word == "BaseGone"
    assert "is damaged: the SHA-256 of its" in result.message


@pytest.mark.usefixtures("data")
def test_an_update_of_a_model_of_another_release_says_to_train_anew(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    job("train", task(group))
    manifest = stored(store)
    assert manifest is not None
    old = b"reco-model 1 0\n"
    older = manifest.model_copy(update={"artifact": hashlib.sha256(old).hexdigest()})
    store.put(PLACES.artifact(older.artifact), old)
    store.put(PLACES.version("for-you", "v1"), older.model_dump_json().encode())
    result = job("train", task(group, "v2", mode="Update"))
    assert result.outcome == "InvalidSettings"
    assert "format version 1 is unknown" in result.message
    assert "Train with mode Full" in result.message


@pytest.mark.usefixtures("data")
def test_a_model_of_an_attempt_that_broke_off_does_not_stay(
    job: Jobs, group: Group, store: ObjectStore
) -> None:
    store.put(PLACES.artifact("0" * 64), b"of an earlier attempt")
    pending = Pending(artifact="0" * 64)
    store.put(pending_of(PLACES, "for-you", "v1"), pending.model_dump_json().encode())
    digest = job("train", task(group)).details["artifact"]
    assert artifacts(store) == [PLACES.artifact(digest)]


def started(name: str, given: TrainTask | ImportTask, log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "reco.cli.main", "job", name],
        env={"RECO_TASK": given.environment(), "RECO_TERMINATION_LOG": str(log)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.usefixtures("data")
def test_a_model_that_storage_does_not_take_makes_no_version(
    job: Jobs, group: Group, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_store: ObjectStore, key: str, _path: Path) -> None:
        raise Unavailable(f"{key} cannot be written")

    with monkeypatch.context() as full:
        full.setattr(type(store), "upload", refuse)
        assert job("train", task(group)).outcome == "Unavailable"
    assert stored(store) is None
    digest = job("train", task(group)).details["artifact"]
    assert artifacts(store) == [PLACES.artifact(digest)]


@pytest.mark.parametrize("stage", ["reading interactions", "training", "writing"])
@pytest.mark.usefixtures("data")
def test_a_training_killed_at_any_stage_is_done_again_and_leaves_one_model(
    job: Jobs, group: Group, store: ObjectStore, tmp_path: Path, stage: str
) -> None:
    log = tmp_path / "log"
    with started("train", task(group), log) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == stage:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not log.exists()
    assert job("train", task(group)).outcome == "Succeeded"
    manifest = stored(store)
    assert manifest is not None
    assert artifacts(store) == [PLACES.artifact(manifest.artifact)]
    assert store.find(pending_of(PLACES, "for-you", "v1")) is None


def test_an_import_killed_in_the_middle_leaves_nothing_that_counts_and_is_done_again(
    job: Jobs, group: Group, store: ObjectStore, sources: Path, tmp_path: Path
) -> None:
    given = imported(group, sources, long())
    with started("import", given, tmp_path / "log") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == "reading":
                process.send_signal(signal.SIGKILL)
                break
    assert store.find(PLACES.current("Interactions")) is None
    assert job("import", given).details["rows"] == 3_000_000


_MEASURED = """
import sys
from reco.cli.job import TERMINATED
from reco.cli.main import main
code = main(["job", "import"])
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
sys.exit(code)
"""


def test_an_import_takes_no_more_memory_than_a_few_blocks_of_its_file(
    group: Group, sources: Path, tmp_path: Path
) -> None:
    """Measured: 300 MB, as for three times the rows; most of it is what Parquet is written with."""
    given = imported(group, sources, long())
    variables = {"RECO_TASK": given.environment(), "RECO_TERMINATION_LOG": str(tmp_path / "log")}
    command = [sys.executable, "-c", _MEASURED]
    ended = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    assert int(ended.stdout.split()[-1]) < 400 << 10


def test_a_job_that_is_told_to_stop_says_that_it_may_be_tried_again(
    group: Group, sources: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    given = imported(group, sources, long())
    with started("import", given, log) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == "reading":
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stdout.read()
    assert process.returncode == EXIT_RETRY
    result = Result.decode(log.read_text())
    assert result is not None
    assert result.outcome == "Interrupted"
    assert "Traceback" not in rest


def test_the_whole_way_in_a_bucket(job: Jobs, s3: S3, sources: Path) -> None:
    group = Group(name="shop_movies", storage=Storage(s3=s3), owner=OWNER)
    assert job("import", imported(group, sources, bulk())).outcome == "Succeeded"
    store = open_storage(group.storage)
    store.put(f"{PLACES.events}/2026-01-01/0-1.parquet", parquet(EVENT_COLUMNS, [event(1)]))
    full = job("train", task(group))
    assert full.outcome == "Succeeded"
    # The data has not changed since, and so the model is the same.
    update = job("train", task(group, "v2", mode="Update"))
    assert update.details["artifact"] == full.details["artifact"]
    assert len(artifacts(store)) == 1


def test_a_job_that_is_told_to_stop_while_it_still_imports_may_be_tried_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "slow.py").write_text("print('imports', flush=True); import time; time.sleep(60)")
    begin = (
        "import sys; from reco.cli import job, main; "
        "job.JOBS['train'] = ('slow', 'TrainTask', ''); sys.exit(main.main(['job', 'train']))"
    )
    command = [sys.executable, "-c", begin]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "imports\n"
        process.terminate()
    assert process.returncode == TERMINATED
