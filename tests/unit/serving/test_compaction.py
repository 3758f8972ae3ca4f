"""The offline log's files become few, while others write, read, die and delete."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typing_extensions import override

from reco.serving.compaction import (
    LATE_SECONDS,
    MOST_BYTES,
    Compaction,
    deletable,
    mergeable,
    merged_name,
)
from reco.serving.contents import Contents
from reco.serving.event_log import parquet
from reco.serving.metrics import Metrics
from reco.storage import Entry, NotFound, ObjectStore, Sources, claim, offline_log
from reco.storage.offline_log import KEPT_SECONDS, Merge
from reco.storage.parquet import batches
from reco.workload.storage import EVENT_COLUMNS, MERGED, RECORD_COLUMNS, Owner, Places
from reco.workload.tasks import S3, Group, Storage

HOUR = 3600.0
DAY = 24 * HOUR
START = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
PLACES = Places("shop_movies")
GROUP = Group(
    name="shop_movies",
    storage=Storage(path="/"),
    owner=Owner(cluster="c", namespace="shop", name="movies", uid="1"),
)
FOLDER = f"{PLACES.events}/2026-01-05"


def name(hours: float, place: int = 0) -> str:
    """Return the name of a file whose events came so long after midnight."""
    milliseconds = int((START + hours * HOUR) * 1000) + place
    return f"{milliseconds}-0-{milliseconds}-1-{'0' * 16}"


def log(store: ObjectStore, hours: float, *events: str, place: int = 0) -> str:
    """Write a file of events; return its key."""
    key = f"{FOLDER}/{name(hours, place)}.parquet"
    rows = [(event, "u", "s", event, "click", None, 7, None, None, None) for event in events]
    store.put(key, parquet(EVENT_COLUMNS, rows))
    return key


def a_day(store: ObjectStore, hours: int = 24, each: int = 3) -> list[str]:
    """Write some files for each hour, and none beside; return the events of all."""
    claim(store, GROUP)
    store.delete(*stored(store))
    found: list[str] = []
    for hour in range(hours):
        for at in range(each):
            # The last event of a file is written again as the first of the next.
            events = [f"{hour}-{at}-{place}" for place in range(3)]
            log(store, hour + at / each, *found[-1:], *events)
            found += events
    return found


def compact(store: ObjectStore, hours: float | Callable[[], float]) -> Compaction:
    """Do a pass so long after midnight."""
    clock = hours if callable(hours) else lambda: hours
    passing = Compaction(store, GROUP, Metrics(), now=lambda: START + clock() * HOUR)
    passing.run()
    return passing


def over(hours: float) -> float:
    """Return when a period that ends then is over."""
    return hours + LATE_SECONDS / HOUR


def read(store: ObjectStore, files: list[str] | None = None) -> list[str]:
    """Return events as a training has them: of several with one id the first."""
    if files is None:
        files = offline_log.files(store, PLACES.events)
    found = [
        event
        for key in files
        for batch in batches(store, key, ["EVENT_ID"])
        for event in batch["EVENT_ID"].to_pylist()
    ]
    return list(dict.fromkeys(found))


def stored(store: ObjectStore) -> list[str]:
    return [entry.key for entry in store.entries(PLACES.events)]


class Disturbed:
    """Storage in which something happens before each call, and after each that writes."""

    def __init__(self, store: ObjectStore, happens: Callable[[], None]) -> None:
        self._store = store
        self._happens = happens

    def __getattr__(self, called: str) -> object:
        act = getattr(self._store, called)
        if not callable(act):
            return act

        def disturbed(*given: object) -> object:
            self._happens()
            result = act(*given)
            if called in {"put", "delete"}:
                self._happens()
            return result

        return disturbed


class KilledError(BaseException):
    pass


def at_step(number: int, happens: Callable[[], None]) -> Callable[[], None]:
    """Let something happen at one of the moments."""
    step = iter(range(sys.maxsize))

    def happen() -> None:
        if next(step) == number:
            happens()

    return happen


def kill() -> None:
    raise KilledError


def test_a_day_becomes_one_file_by_way_of_its_hours(store: ObjectStore) -> None:
    events = a_day(store, hours=8)
    raw = stored(store)
    compact(store, over(24))
    # Nobody that has listed the files of before is disturbed.
    assert read(store, raw) == events
    assert len(stored(store)) == 24 + 1
    assert len(offline_log.files(store, PLACES.events)) == 1
    assert read(store) == events
    compact(store, over(24) + 23)
    assert len(stored(store)) == 24 + 1
    compact(store, over(24) + 25)
    assert len(stored(store)) == 1
    assert read(store) == events


def test_hours_of_a_day_that_goes_on_become_files(store: ObjectStore) -> None:
    events = a_day(store, hours=3)
    compact(store, over(2))
    files = offline_log.files(store, PLACES.events)
    assert [key.endswith(MERGED) for key in files] == [True, True, False, False, False]
    assert read(store) == events
    compact(store, over(3))
    assert len(offline_log.files(store, PLACES.events)) == 3
    compact(store, over(2) + 24)
    # The third hour's sources may still be read: the day waits for them.
    assert len(offline_log.files(store, PLACES.events)) == 3
    compact(store, over(3) + 24)
    compact(store, over(3) + 25)
    assert len(offline_log.files(store, PLACES.events)) == 1
    assert read(store) == events
    compact(store, over(3) + 50)
    assert len(stored(store)) == 1


def test_what_comes_late_joins(store: ObjectStore) -> None:
    events = a_day(store)
    compact(store, over(24))
    log(store, 5, "late", place=1)
    assert read(store) == [*events, "late"]
    compact(store, over(24) + 25)
    compact(store, over(24) + 26)
    assert len(offline_log.files(store, PLACES.events)) == 1
    assert read(store) == [*events, "late"]


def test_a_pass_says_how_many_files_there_are(store: ObjectStore) -> None:
    a_day(store, hours=2)
    log(store, 5, "x")
    told = compact(store, over(2))
    assert told._counting._value.get() == 3
    assert told._merged._value.get() == 6


def test_rows_of_items_and_users_become_one_file_each(store: ObjectStore) -> None:
    claim(store, GROUP)
    for type_ in ("Items", "Users"):
        for place in range(3):
            key = f"{PLACES.records(type_)}/2026-01-05/{name(1, place)}.parquet"
            store.put(key, parquet(RECORD_COLUMNS, [(f"{place}", type_, 7, "{}")]))
    compact(store, over(24))
    for type_ in ("Items", "Users"):
        [key] = offline_log.files(store, PLACES.records(type_))
        [batch] = batches(store, key)
        assert batch["RECORD_ID"].to_pylist() == ["0", "1", "2"]
        assert batch["ID"].to_pylist() == [type_] * 3


def test_a_pass_killed_at_any_moment_loses_nothing_and_the_next_goes_on(
    store: ObjectStore,
) -> None:
    events = a_day(store, hours=2, each=2)
    for hours, left in ((over(1), 5), (over(2), 6), (over(24) + 24, 3), (over(24) + 49, 1)):
        kills = 0
        while True:
            try:
                compact(Disturbed(store, at_step(kills, kill)), hours)  # type: ignore[arg-type]
            except KilledError:
                assert read(store) == events
                kills += 1
            else:
                break
        assert kills > 3
        assert read(store) == events
        assert len(stored(store)) == left


def test_two_passes_at_once_do_no_harm(store: ObjectStore) -> None:
    events = a_day(store, hours=2, each=2)
    for hours in (over(2), over(24) + 25, over(24) + 26, over(24) + 51):
        step, among = 0, True
        while among:
            among = False

            def other(hours: float = hours) -> None:
                nonlocal among
                among = True
                compact(store, hours)
                assert read(store) == events

            compact(Disturbed(store, at_step(step, other)), hours)  # type: ignore[arg-type]
            assert read(store) == events
            step += 1
        assert step > 3
    assert len(stored(store)) == 1


def test_one_that_was_asleep_for_days_takes_nothing_away(store: ObjectStore) -> None:
    for step in range(7):
        events = a_day(store, hours=1)
        clock = [over(1)]

        def sleep(clock: list[float] = clock) -> None:
            for clock[0] in (over(24), over(48) + 1, over(72) + 2):
                compact(store, clock[0])

        with suppress(NotFound):
            compact(Disturbed(store, at_step(step, sleep)), lambda clock=clock: clock[0])  # type: ignore[arg-type,misc] # bound now
        assert clock[0] > over(72)
        assert read(store) == events


class Listed(Disturbed):
    """Storage whose lists take long: each next file is asked for when the one before is given."""

    def entries(self, folder: str) -> Iterator[Entry]:
        last = ""
        while True:
            self._happens()
            found = next((one for one in self._store.entries(folder) if one.key > last), None)
            if found is None:
                return
            yield found
            last = found.key


@pytest.mark.parametrize("before", [1, 3])
@pytest.mark.parametrize("period", [over(1), over(24), over(24) + 25, over(24) + 50])
def test_a_reader_that_lists_and_reads_meanwhile_has_each_event_once(
    store: ObjectStore, period: float, before: int
) -> None:
    """It begins some passes before something is due, an hour each, and takes a day."""
    events = a_day(store, hours=2, each=2)
    start = period - before
    for hours in (over(1), over(2), over(24) + 25):
        if hours <= start:
            compact(store, hours)
    clock = [start]

    def later() -> None:
        compact(store, clock[0])
        clock[0] += 1

    files = offline_log.files(Listed(store, later), PLACES.events)  # type: ignore[arg-type]
    while clock[0] < start + 24:
        later()
    assert read(store, files) == events


def test_any_course_of_events_keeps_all_rows_in_their_order(store: ObjectStore) -> None:
    chance = random.Random(3)
    claim(store, GROUP)
    events: set[str] = set()
    hours = 0.0
    for step in range(20):
        hours += chance.choice([0.1, 0.6, 3, 26])
        for _ in range(chance.randrange(3)):
            added = {f"{step}-{chance.randrange(5)}" for _ in range(3)}
            log(store, chance.uniform(0, min(hours, 24)), *sorted(added), place=step)
            events |= added
        before = read(store)
        disturbed = Disturbed(store, at_step(chance.randrange(30), kill))
        with suppress(KilledError):
            compact(disturbed, hours)  # type: ignore[arg-type]
        assert read(store) == before
        assert set(before) == events


def test_a_group_of_another_s_is_let_alone(store: ObjectStore) -> None:
    a_day(store, hours=1)
    other = GROUP.model_copy(update={"owner": GROUP.owner.model_copy(update={"uid": "2"})})
    Compaction(store, other, Metrics(), now=lambda: START + 2 * DAY).run()
    assert len(stored(store)) == 3


def test_a_day_with_a_damaged_file_keeps_no_other_from_being_compacted(
    store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    a_day(store, hours=1)
    damaged = f"{PLACES.events}/2026-01-04/{name(-2)}.parquet"
    store.put(damaged, b"nothing of the sort")
    store.put(f"{PLACES.events}/2026-01-04/{name(-1)}.parquet", b"")
    before = read(store, [key for key in stored(store) if "01-05" in key])
    compact(store, over(24))
    assert f"{damaged} is damaged" in caplog.text
    files = offline_log.files(store, PLACES.events)
    assert [key for key in files if "01-04" in key] == [key for key in files if key <= files[1]]
    assert read(store, files[2:]) == before
    assert len(files) == 3


def test_what_is_deleted_meanwhile_does_not_come_back(store: ObjectStore) -> None:
    contents = Contents(store, GROUP, Sources(S3()))
    step, deleted = 0, True
    while deleted:
        a_day(store, hours=1)
        deleted = False

        def delete() -> None:
            nonlocal deleted
            deleted = True
            assert contents.delete_dataset("Interactions")

        disturbed = Disturbed(store, at_step(step, delete))
        with suppress(NotFound):
            compact(disturbed, over(24))  # type: ignore[arg-type]
        assert bool(stored(store)) is not deleted
        step += 1
    assert step > 3


def test_what_is_written_while_a_list_is_deleted_goes_too(store: ObjectStore) -> None:
    a_day(store, hours=1)

    class Late(Disturbed):
        @override
        def __getattr__(self, called: str) -> object:
            return getattr(self._store, called)

        def delete(self, *keys: str) -> None:
            self._happens()
            self._store.delete(*keys)

    def merge() -> None:
        compact(store, over(24))

    late = Late(store, at_step(0, merge))
    contents = Contents(late, GROUP, Sources(S3()))  # type: ignore[arg-type]
    assert contents.delete_dataset("Interactions")
    assert stored(store) == []


def entries(*named: tuple[str, int]) -> list[Entry]:
    return sorted(
        (Entry(f"{FOLDER}/{one}.parquet", size, "") for one, size in named),
        key=lambda entry: entry.key,
    )


def runs(found: list[Entry], now: float, **merges: Merge) -> list[list[Entry]]:
    return list(mergeable(found, {f"{FOLDER}/{k}{MERGED}": m for k, m in merges.items()}, now))


def test_a_merged_file_is_no_larger_than_one_request_reads() -> None:
    found = entries(*((name(0, at), MOST_BYTES // 3) for at in range(7)))
    assert [len(run) for run in runs(found, START + 2 * DAY)] == [3, 3]
    large = entries((name(0, 0), 1), (name(0, 1), 2 * MOST_BYTES), (name(0, 2), 1))
    assert runs(large, START + 2 * DAY) == []


def test_files_of_a_time_that_goes_on_and_those_of_unknown_names_stay() -> None:
    found = entries((name(0, 0), 1), (name(0, 1), 1), (name(1, 0), 1), (name(1, 1), 1))
    assert runs(found, START + HOUR) == []
    assert runs(found, START + over(1) * HOUR) == [found[:2]]
    assert runs(entries(("a", 1), ("b", 1)), START + 9 * DAY) == []


def test_a_file_is_deleted_a_day_after_it_was_merged() -> None:
    found = entries(*((name(0, at), 1) for at in range(3)))
    merged = merged_name(found[:2])
    sources = tuple(entry.key.rpartition("/")[2] for entry in found[:2])
    merges = {merged: Merge(sources=sources, made=START)}
    assert deletable(found, merges, START + KEPT_SECONDS - 1) == []
    assert deletable(found, merges, START + KEPT_SECONDS) == [entry.key for entry in found[:2]]


def test_a_merged_file_is_listed_in_the_place_of_the_first() -> None:
    found = entries(*((name(0, at), 1) for at in range(4)))
    first = Entry(merged_name(found[1:3]), 1, "")
    assert found[0].key < first.key < found[1].key
    second = merged_name([first, found[3]])
    assert found[0].key < second < found[1].key
    assert second != first.key
    assert len(second) == len(first.key), "names do not grow"


_MEASURED = """
import sys
from reco.serving.compaction import Compaction, MOST_BYTES
from reco.serving.event_log import parquet
from reco.serving.metrics import Metrics
from reco.storage import offline_log, open_storage, parquet as tables
from reco.workload.storage import EVENT_COLUMNS, Owner, Places
from reco.workload.tasks import Group, Storage
import resource, secrets

store = open_storage(Storage(path=sys.argv[1]))
owner = Owner(cluster="c", namespace="n", name="n", uid="u")
group = Group(name="g", storage=Storage(path=sys.argv[1]), owner=owner)
store.put(Places("g").owner, owner.model_dump_json().encode())
for file in range(int(sys.argv[2])):
    same = ("u", "s", "i", "click", None, 7, None, None, "x" * 1000)
    rows = [(f"{file}-{at}-{secrets.token_hex(16)}", *same) for at in range(2000)]
    name = f"{file:04}-0-{file:04}-1.parquet"
    store.put(f"{Places('g').events}/1970-01-01/{name}", parquet(EVENT_COLUMNS, rows))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Compaction(store, group, Metrics()).run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
print(len(offline_log.files(store, Places("g").events)))
"""


def test_a_pass_takes_no_more_memory_for_more_rows(tmp_path: Path) -> None:
    """Measured: 47 MB for a quarter of the rows, 55 MB for these, half a gigabyte in memory."""
    command = [sys.executable, "-c", _MEASURED, str(tmp_path), "400"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    more, files = map(int, ended.stdout.split())
    assert files > 1
    assert more < 96 << 10
