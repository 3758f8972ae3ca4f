"""How much was streamed, told by the ends of files."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco.serving.compaction import Compaction
from reco.serving.event_log import schema_of
from reco.serving.metrics import Metrics
from reco.serving.streamed import Streamed
from reco.storage import ObjectStore, claim
from reco.workload.storage import EVENT_COLUMNS, RECORD_COLUMNS, Owner, Places
from reco.workload.tasks import Group, Storage

PLACES = Places("shop_movies")
OWNER = Owner(cluster="c", namespace="shop", name="movies", uid="1")
GROUP = Group(name="shop_movies", storage=Storage(path="/"), owner=OWNER)
DAY = 1_800_000_000 // 86_400 * 86_400
NOTHING = {"rows": 0, "last": None, "complete": True}


def put_events(store: ObjectStore, minute: int, *items: str | None) -> str:
    """Write a file of events, one an item; None is an event without one."""
    rows = [
        dict.fromkeys(EVENT_COLUMNS)
        | {
            "EVENT_ID": f"{minute}-{at}",
            "USER_ID": "u",
            "EVENT_TYPE": "watch",
            "ITEM_ID": item,
            "TIMESTAMP": DAY + 60 * minute + at,
        }
        for at, item in enumerate(items)
    ]
    milliseconds = (DAY + 60 * minute) * 1000
    key = f"{PLACES.events}/2027-01-15/{milliseconds}-0-{milliseconds}-9-abc.parquet"
    store.put(key, parquet(EVENT_COLUMNS, rows))
    return key


def parquet(columns: dict[str, str], rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema_of(columns)), buffer)
    return buffer.getvalue()


def test_rows_that_a_training_may_use_are_counted_by_type(store: ObjectStore) -> None:
    streamed = Streamed(store, PLACES)
    assert streamed.told() == {"Interactions": NOTHING, "Items": NOTHING, "Users": NOTHING}
    put_events(store, 1, "i1", None, "i2")
    put_events(store, 2, "i3")
    record = {"RECORD_ID": "r", "ID": "i1", "TIMESTAMP": 5, "COLUMNS": "{}"}
    store.put(
        f"{PLACES.records('Items')}/2027-01-15/1-1.parquet", parquet(RECORD_COLUMNS, [record])
    )

    assert streamed.told() == {
        "Interactions": {"rows": 3, "last": DAY + 120, "complete": True},
        "Items": {"rows": 1, "last": 5, "complete": True},
        "Users": NOTHING,
    }


def test_compaction_changes_nothing_of_what_is_told(store: ObjectStore) -> None:
    claim(store, GROUP)
    for minute in range(5):
        put_events(store, minute, "i1", "i2")
    streamed = Streamed(store, PLACES)
    before = streamed.told()
    later = DAY + 3 * 86_400.0

    Compaction(store, GROUP, Metrics(), now=lambda: later).run()
    merged = streamed.told()
    Compaction(store, GROUP, Metrics(), now=lambda: later + 2 * 86_400.0).run()

    assert len(list(store.entries(PLACES.events))) == 1
    assert before["Interactions"]["rows"] == 10
    assert before == merged == streamed.told() == Streamed(store, PLACES).told()


class Reading:
    """A store that counts what is opened."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.opened = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "open":
            self.opened += 1
        return getattr(self._store, name)  # type: ignore[no-any-return] # a method


def test_each_file_is_looked_into_once_and_few_at_a_time(store: ObjectStore) -> None:
    for minute in range(7):
        put_events(store, minute, "i")
    reading = Reading(store)
    streamed = Streamed(reading, PLACES, most=3)  # type: ignore[arg-type]

    told = [streamed.told()["Interactions"] for _ in range(4)]

    assert [(one["rows"], one["complete"]) for one in told] == [
        (3, False),
        (6, False),
        (7, True),
        (7, True),
    ]
    assert reading.opened == 7


@pytest.mark.parametrize("damage", [b"", b"nothing of the sort"])
def test_a_damaged_file_counts_for_nothing_and_hides_no_other(
    store: ObjectStore, damage: bytes
) -> None:
    put_events(store, 1, "i1")
    store.put(put_events(store, 2, "i2"), damage)
    assert Streamed(store, PLACES).told()["Interactions"]["rows"] == 1


def test_what_was_deleted_is_told_no_longer(store: ObjectStore) -> None:
    streamed = Streamed(store, PLACES)
    store.delete(put_events(store, 1, "i1"), put_events(store, 2, "i2"))
    put_events(store, 3, "i3")
    assert streamed.told()["Interactions"]["rows"] == 1
    store.delete(put_events(store, 3, "i3"))
    assert streamed.told()["Interactions"] == NOTHING
    assert streamed._known == {}
