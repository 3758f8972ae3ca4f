import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco.jobs import snapshots
from reco.storage import ObjectStore, open_storage, read
from reco.workload.storage import CurrentData
from reco.workload.tasks import S3, Group, ImportTask, Storage
from tests.unit.jobs.conftest import INTERACTIONS, ITEMS, OWNER, PLACES, Jobs

HEADER = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\n"


def csv(rows: int, first: int = 0) -> str:
    return HEADER + "".join(
        f"u{row % 50},i{row % 20},{row},click,0.5\n" for row in range(first, first + rows)
    )


def task(group: Group, folder: Path, name: str = "", **options: Any) -> ImportTask:
    given: dict[str, Any] = {
        "group": group,
        "job": "first",
        "type": "Interactions",
        "mode": "Full",
        "fields": INTERACTIONS,
        "source": name if "://" in name else f"file://{folder}/{name}",
        "sources_path": str(folder),
    }
    return ImportTask.model_validate(given | options)


def row(*values: Any) -> dict[str, Any]:
    return dict(zip([field.name for field in INTERACTIONS], values, strict=True))


def rows(store: ObjectStore, type_: str = "Interactions") -> list[dict[str, Any]]:
    return [
        one
        for manifest in snapshots.current(store, PLACES, type_)
        for batch in snapshots.batches(store, PLACES, manifest, list(manifest.columns))
        for one in batch.to_pylist()
    ]


def test_a_csv_becomes_a_typed_snapshot_with_a_manifest(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(f'{HEADER}"u,1",i1,7,,\nu2,i2,-8,NA,1e3\n')
    result = job("import", task(group, sources, "a.csv"))
    assert result.outcome == "Succeeded"
    assert result.details == {"rows": 2, "rejectedRows": 0}
    assert rows(store) == [
        row("u,1", "i1", 7, None, None),
        row("u2", "i2", -8, "NA", 1000.0),
    ]
    [manifest] = snapshots.current(store, PLACES, "Interactions")
    assert manifest.columns == {
        "USER_ID": "string",
        "ITEM_ID": "string",
        "TIMESTAMP": "int64",
        "EVENT_TYPE": "string",
        "EVENT_VALUE": "float",
    }
    assert (manifest.rows, list(manifest.parts)) == (2, ["part-00000.parquet"])


def test_csv_gzip_and_parquet_below_a_prefix_make_one_snapshot(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "in").mkdir()
    (sources / "in" / "a.csv").write_text(csv(10))
    (sources / "in" / "b.csv.gz").write_bytes(
        gzip.compress(csv(10, 10).encode()) + gzip.compress(b"u,i,20,,\n")
    )
    table = pa.table(
        {
            "ITEM_ID": pa.array([1, 2]),
            "USER_ID": pa.array(["x", "y"]).dictionary_encode(),
            "TIMESTAMP": pa.array([21, 22], pa.int32()),
            "EVENT_TYPE": pa.array([None, None]),
            "EVENT_VALUE": pa.array([0.1, None]),
            "OTHER": pa.array([{"a": 1}, None]),
        }
    )
    pq.write_table(table, sources / "in" / "c.parquet")
    (sources / "in" / "_SUCCESS").write_text("")
    result = job("import", task(group, sources, "in/"))
    assert result.details == {"rows": 23, "rejectedRows": 0}
    found = rows(store)
    assert [row["TIMESTAMP"] for row in found] == list(range(23))
    assert found[21] == row("x", "1", 21, None, pytest.approx(0.1))


def test_lists_of_categories_are_joined(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    table = pa.table({"ITEM_ID": ["a", "b"], "GENRES": [["x", "y"], None]})
    table = table.append_column("CREATION_TIMESTAMP", pa.array([5, None]))
    pq.write_table(table, sources / "items.parquet")
    job("import", task(group, sources, "items.parquet", type="Items", fields=ITEMS))
    assert [row["GENRES"] for row in rows(store, "Items")] == ["x|y", None]
    [manifest] = snapshots.current(store, PLACES, "Items")
    assert manifest.categorical == ("GENRES",)


def test_from_one_bucket_to_another_prefix_of_it(job: Jobs, s3: S3, sources: Path) -> None:
    group = Group(name="shop_movies", storage=Storage(s3=s3), owner=OWNER)
    source = open_storage(Storage(s3=s3.model_copy(update={"prefix": "sources"})))
    source.put("in/a.csv", csv(1000).encode())
    source.put("in/b.csv.gz", gzip.compress(csv(500).encode()))
    given = task(group, sources, "s3://data/sources/in", sources=S3(endpoint_url=s3.endpoint_url))
    assert job("import", given).details == {"rows": 1500, "rejectedRows": 0}
    assert len(rows(open_storage(group.storage))) == 1500


BAD = [
    ("u,i,1,click", "has 4 cells: the header has 5: 'u,i,1,click'"),
    (",i,1,,", "USER_ID is empty: the schema does not allow null"),
    ("u,i,,,", "TIMESTAMP is empty: the schema does not allow null"),
    ("u,i,1.5,,", "TIMESTAMP is '1.5': it must be a whole number from -9223372036854775808"),
    ("u,i,0x10,,", "TIMESTAMP is '0x10': it must be a whole number"),
    ("u,i,9223372036854775808,,", "TIMESTAMP is '9223372036854775808': it must be a whole"),
    ("u,i,1,,nan", "EVENT_VALUE is 'nan': it must be a finite number such as 1.5 (float)"),
    ("u,i,1,,1e60", "EVENT_VALUE is '1e60': it must be a finite number"),
    (f"{'u' * 257},i,1,,", "USER_ID has 257 characters: at most 256 are allowed"),
    (f"u,i,1,{'e' * 1001},", "EVENT_TYPE has 1001 characters: at most 1000 are allowed"),
    ("u,i,one,,two", "TIMESTAMP is 'one': it must be a whole number"),
    ("u,\udcff,1,,", "ITEM_ID is not UTF-8"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=range(len(BAD)))
def test_a_bad_row_refuses_the_import_and_says_which_row_and_what_is_allowed(
    job: Jobs, group: Group, sources: Path, store: ObjectStore, bad: str, reason: str
) -> None:
    (sources / "a.csv").write_text(csv(3))
    text = f"{csv(4)}{bad}\n+u,i,+9223372036854775807,,-.5E-2\n"
    (sources / "b.csv").write_bytes(text.encode(errors="surrogateescape"))
    result = job("import", task(group, sources))
    assert result.outcome == "InvalidData"
    assert result.message.startswith("Input csv has rows that do not conform to the dataset schema")
    assert (result.details["rows"], result.details["rejectedRows"]) == (8, 1)
    [shown] = result.details["badRows"]
    assert (shown["file"], shown["line"]) == ("b.csv", 6)
    assert shown["reason"].startswith(reason)
    assert snapshots.current(store, PLACES, "Interactions") == []


def test_the_first_ten_of_many_bad_rows_are_shown_in_order(
    job: Jobs, group: Group, sources: Path
) -> None:
    lines = [f"u,i,{row},," if row % 3 else ("u,i" if row % 2 else "u,i,x,,") for row in range(60)]
    (sources / "a.csv").write_text(HEADER + "\n".join(lines))
    result = job("import", task(group, sources, "a.csv"))
    assert result.details["rejectedRows"] == 20
    assert [row["line"] for row in result.details["badRows"]] == list(range(2, 32, 3))
    assert "20 of 60 rows are at fault" in result.message


def test_a_file_of_nothing_but_malformed_rows_is_counted(
    job: Jobs, group: Group, sources: Path
) -> None:
    (sources / "a.csv").write_text(HEADER + "u;i;1\n" * 250_000)
    result = job("import", task(group, sources, "a.csv"))
    assert result.outcome == "InvalidData"
    assert (result.details["rows"], result.details["rejectedRows"]) == (0, 250_000)
    assert [shown["line"] for shown in result.details["badRows"]] == list(range(2, 12))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            b"USER_ID,ITEM_ID,EVENT_VALUE\nu,i,1\n",
            "Input csv is missing the following columns: [TIMESTAMP, EVENT_TYPE]. a.csv has USER",
        ),
        ("a.csv", HEADER.replace("\n", ",USER_ID\n").encode(), "columns more than once: USER_ID"),
        ("a.csv", HEADER.encode(), "has no rows"),
        ("a.csv", b"\n", "a.csv cannot be read as what its name says: CSV parse error: Empty CSV"),
        ("a.csv.gz", b"no gzip", "a.csv.gz cannot be read as what its name says"),
        ("a.csv.gz", gzip.compress(csv(9999).encode())[:999], "Truncated compressed stream"),
        ("a.parquet", b"no parquet", "a.parquet cannot be read as what its name says"),
        ("a.txt", b"x", "a.txt is of no known format: names of files must end with .csv"),
    ],
)
def test_a_file_that_is_no_table_of_the_schema_refuses_the_import(
    job: Jobs, group: Group, sources: Path, name: str, content: bytes, message: str
) -> None:
    (sources / name).write_bytes(content)
    result = job("import", task(group, sources, name))
    assert result.outcome == "InvalidData"
    assert message in result.message


def test_a_parquet_column_of_another_type_refuses_the_import(
    job: Jobs, group: Group, sources: Path
) -> None:
    table = pa.table({"ITEM_ID": ["a"], "GENRES": ["x"]})
    table = table.append_column("CREATION_TIMESTAMP", pa.array([5], pa.timestamp("s")))
    pq.write_table(table, sources / "a.parquet")
    result = job("import", task(group, sources, "a.parquet", type="Items", fields=ITEMS))
    assert result.outcome == "InvalidData"
    assert "CREATION_TIMESTAMP has the type timestamp[ms], which is no long" in result.message


@pytest.mark.parametrize(
    ("source", "outcome", "message"),
    [
        ("nothing.csv", "NotFound", "Invalid Data location. "),
        ("../secret.csv", "AccessDenied", "Insufficient privileges for accessing data. "),
        ("gs://bucket/a.csv", "NotFound", "write s3://bucket/file-or-prefix"),
    ],
)
def test_a_wrong_location_is_refused(
    job: Jobs, group: Group, sources: Path, source: str, outcome: str, message: str
) -> None:
    result = job("import", task(group, sources, source))
    assert result.outcome == outcome
    assert message in result.message


def test_a_source_that_may_not_be_read_is_refused_in_the_services_words(
    job: Jobs, group: Group, sources: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    given = task(group, sources, "s3://data/a.csv", sources=S3(endpoint_url=s3.endpoint_url))
    result = job("import", given)
    assert result.outcome == "AccessDenied"
    assert result.message.startswith("Insufficient privileges for accessing data. s3://data/a.csv")


def test_a_group_of_somebody_else_is_left_alone(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(3))
    assert job("import", task(group, sources, "a.csv")).outcome == "Succeeded"
    before = list(store.entries(""))
    other = OWNER.model_copy(update={"namespace": "bank"})
    result = job(
        "import", task(group.model_copy(update={"owner": other}), sources, "a.csv", job="theirs")
    )
    assert result.outcome == "OwnedElsewhere"
    assert "belongs to c/shop/movies" in result.message
    assert list(store.entries("")) == before


def test_full_replaces_and_incremental_adds(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(1000))
    (sources / "b.csv").write_text(csv(1000, 1000))
    more: dict[str, Any] = {"mode": "Incremental", "source": f"file://{sources}/b.csv"}
    early = job("import", task(group, sources, job="early", **more))
    assert early.outcome == "InvalidData"
    assert "needs data of an earlier full import" in early.message
    for name, options in [
        ("first", {}),
        ("second", more),
        ("third", {"source": f"file://{sources}/b.csv"}),
        ("fourth", more),
    ]:
        result = job("import", task(group, sources, "a.csv", job=name, **options))
        assert result.outcome == "Succeeded"
        counting = read(store, PLACES.current("Interactions"), CurrentData)
        assert counting is not None
        expected = {
            "first": ("first",),
            "second": ("first", "second"),
            "third": ("third",),
            "fourth": ("third", "fourth"),
        }
        assert counting.snapshots == expected[name]
    assert len(rows(store)) == 2000


def test_a_small_incremental_import_of_interactions_is_refused(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(999))
    job("import", task(group, sources, "a.csv"))
    result = job("import", task(group, sources, "a.csv", job="second", mode="Incremental"))
    assert result.outcome == "InvalidData"
    assert "needs at least 1000 rows" in result.message
    assert [one.job for one in snapshots.current(store, PLACES, "Interactions")] == ["first"]


def test_an_import_that_ended_is_not_done_again(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    first = job("import", task(group, sources, "a.csv"))
    before = list(store.entries(""))
    (sources / "a.csv").unlink()
    assert job("import", task(group, sources, "a.csv")) == first
    assert list(store.entries("")) == before


def test_an_import_that_ended_long_ago_does_not_come_back(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    job("import", task(group, sources, "a.csv"))
    job("import", task(group, sources, "a.csv", job="second"))
    job("import", task(group, sources, "a.csv"))
    assert [one.job for one in snapshots.current(store, PLACES, "Interactions")] == ["second"]


def at(minute: int) -> datetime:
    return datetime(2026, 1, 2, 3, minute, tzinfo=UTC)


def current_rows(store: ObjectStore) -> list[int]:
    return [one.rows for one in snapshots.current(store, PLACES, "Interactions")]


def test_r4_a_then_b_then_a_again_counts_a(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    (sources / "b.csv").write_text(csv(7))
    counting = []
    for minute, name in enumerate(["a", "b", "a", "b", "a", "a"]):
        of = task(group, sources, f"{name}.csv", job=name, asked=at(minute))
        result = job("import", of)
        assert (result.outcome, result.details.get("counts", True)) == ("Succeeded", True)
        counting.append(current_rows(store))
    assert counting == [[5], [7], [5], [7], [5], [5]]
    manifests = [one for one in store.entries("") if one.key.endswith("/manifest.json")]
    assert len(manifests) == 5  # the last one asked for what counted already


def test_r4_the_same_name_with_other_data_is_another_import(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    for name, number in (("a", 5), ("b", 7), ("a", 6), ("a", 6)):
        (sources / "d.csv").write_text(csv(number))
        assert job("import", task(group, sources, "d.csv", job=name)).details.get("counts", True)
        assert current_rows(store) == [number]


def test_a_pod_of_an_old_job_neither_replaces_newer_data_nor_says_so(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    old = task(group, sources, "a.csv", job="old", asked=at(1))
    job("import", old)
    job("import", task(group, sources, "a.csv", job="new", asked=at(2)))
    (sources / "a.csv").write_text(csv(6))

    result = job("import", old)

    assert (result.outcome, result.details["counts"]) == ("Succeeded", False)
    assert "new was asked for later and counts instead" in result.message
    assert [one.job for one in snapshots.current(store, PLACES, "Interactions")] == ["new"]


def test_what_was_asked_for_last_counts_whichever_ends_first(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    (sources / "b.csv").write_text(csv(7))
    job("import", task(group, sources, "b.csv", job="later", asked=at(2)))
    slow = job("import", task(group, sources, "a.csv", job="slow", asked=at(1)))
    assert slow.details["counts"] is False
    assert current_rows(store) == [7]


def test_r7_what_counts_is_not_read_again_nor_missed_when_its_source_is_gone(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    job("import", task(group, sources, "a.csv", asked=at(1)))
    before = list(store.entries(""))
    assert job("import", task(group, sources, "a.csv", asked=at(2))).details.get("counts", True)
    (sources / "a.csv").unlink()
    assert job("import", task(group, sources, "a.csv", asked=at(3))).details.get("counts", True)
    assert list(store.entries("")) == before


def test_a_run_again_that_fails_leaves_what_counts(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    job("import", task(group, sources, "a.csv", asked=at(1)))
    (sources / "a.csv").write_text(csv(5) + "u,i,x,,\n")
    refused = job("import", task(group, sources, "a.csv", asked=at(2)))
    assert refused.outcome == "InvalidData"
    assert current_rows(store) == [5]


def test_a_failed_import_leaves_the_last_good_snapshot(
    job: Jobs, group: Group, sources: Path, store: ObjectStore
) -> None:
    (sources / "a.csv").write_text(csv(5))
    job("import", task(group, sources, "a.csv"))
    good = rows(store)
    (sources / "a.csv").write_text(csv(5) + "u,i,x,,\n")
    assert job("import", task(group, sources, "a.csv", job="second")).outcome == "InvalidData"
    assert rows(store) == good


def test_progress_is_told_in_lines_of_json(job: Jobs, group: Group, sources: Path) -> None:
    (sources / "a.csv").write_text(csv(5))
    job("import", task(group, sources, "a.csv"))
    told = [(line["stage"], line["progress"]) for line in job.lines if "progress" in line]
    assert told[0][0] == "reading"
    assert told[-1] == ("done", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
