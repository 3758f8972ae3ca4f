"""What clients send: kept, folded once, logged, trimmed; and never lost, whoever dies."""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import override

from reco.serving.event_log import parquet
from reco.serving.history import Keys
from reco.storage import claim, offline_log, open_storage
from reco.workload import tasks
from reco.workload.storage import ANONYMOUS, EVENT_COLUMNS, MERGED, Places
from tests.serving.stack import GROUP, TRACKING, Stack, event, put, until

KEYS = Keys(GROUP)
ITEMS = {
    "datasets": {"Items": "shop_movies-items"},
    "fields": {
        "Items": (
            tasks.Field_(name="ITEM_ID", types=("string",)),
            tasks.Field_(name="CATEGORY_L1", types=("string", "null")),
        )
    },
}


def history(stack: Stack, id_: str, key: Callable[[str], str] = KEYS.history) -> list[str]:
    """Return the items of the history of a user, or of a session, in order."""
    with redis.Redis.from_url(stack.store.url) as client:
        lines = (client.get(key(id_)) or b"").splitlines()
    return [json.loads(line)[3] for line in lines]


def logged(stack: Stack, folder: str = "events") -> list[dict[str, Any]]:
    """Return all rows of the offline log."""
    root = stack.folder / "storage" / "groups" / GROUP / folder
    return [
        row for file in sorted(root.rglob("*.parquet")) for row in pq.read_table(file).to_pylist()
    ]


def waiting(stack: Stack) -> int:
    with redis.Redis.from_url(stack.store.url) as client:
        return int(client.xlen(KEYS.stream))


def test_events_become_history_and_log(stack: Stack) -> None:
    stack.start("collector", stack.collector())
    stack.start("consumer", stack.consumer(history_length=3))
    client = stack.client("personalize-events", "collector")
    put(client, event("a", eventId="1"), event("b", eventId="2"), session="s1")
    put(client, event("b", eventId="2"), session="s1")
    until(lambda: history(stack, "s1", KEYS.session) == ["a", "b"])
    put(client, event("c", eventId="3", impression=["c", "d"]), session="s1", userId="ann")
    until(lambda: history(stack, "ann") == ["a", "b", "c"])
    assert history(stack, "s1", KEYS.session) == [], "the session turned out to be ann's"
    put(client, event("d", eventId="4"), {"eventType": "login", "sentAt": 1}, userId="ann")
    until(lambda: history(stack, "ann") == ["b", "c", "d"])
    put(client, event("e"), session="null")
    until(lambda: len(logged(stack)) == 6)
    by_id = {row["EVENT_ID"]: row for row in logged(stack)}
    assert by_id["3"]["USER_ID"] == "ann"
    assert by_id["3"]["SESSION_ID"] == "s1"
    assert by_id["3"]["IMPRESSION"] == "c|d"
    assert by_id["1"]["USER_ID"] == f"{ANONYMOUS}s1"
    assert "e" not in {row["ITEM_ID"] for row in logged(stack)}
    until(lambda: stack.metric("consumer", "reco_stream_lag") == 0)
    with redis.Redis.from_url(stack.store.url) as store:
        assert 0 < store.ttl(KEYS.history("ann")) <= 90 * 86_400


def test_a_session_named_as_a_user_takes_nothing_from_them(stack: Stack) -> None:
    stack.start("collector", stack.collector())
    stack.start("consumer", stack.consumer())
    client = stack.client("personalize-events", "collector")
    put(client, event("a"), event("b"), session="900", userId="42")
    until(lambda: history(stack, "42") == ["a", "b"])
    put(client, event("x"), session="42")
    put(client, event("y"), session="42", userId="other")
    until(lambda: history(stack, "other") == ["x", "y"])
    assert history(stack, "42") == ["a", "b"]
    with pytest.raises(client.exceptions.InvalidInputException, match="userId must not begin"):
        put(client, event("z"), userId=f"{ANONYMOUS}42")


def test_the_files_of_an_hour_that_is_over_become_one(stack: Stack) -> None:
    """While the consumer does everything else; an earlier hour is one of yesterday."""
    stack.start("collector", stack.collector())
    consumer = stack.consumer(compact_seconds=0.1)
    files = open_storage(stack.group.storage)
    claim(files, stack.group)
    long_ago = f"{Places(GROUP).events}/2023-11-15"
    for at in range(1_700_006_400_000, 1_700_006_400_009):
        row = (f"{at}", "ann", "s", "a", "click", None, 7, None, None, None)
        content = parquet(EVENT_COLUMNS, [row])
        files.put(f"{long_ago}/{at}-0-{at}-0-{at:016}.parquet", content)
    stack.start("consumer", consumer)
    until(lambda: stack.metric("consumer", "reco_log_files_merged_total") == 9)
    put(stack.client("personalize-events", "collector"), event("b", eventId="2"), userId="ann")
    until(lambda: stack.metric("consumer", "reco_log_files") == 2)
    [merged, new] = offline_log.files(files, Places(GROUP).events)
    assert [merged.endswith(MERGED), new.endswith(MERGED)] == [True, False]
    assert "Traceback" not in stack.pods["consumer"].log.read_text()


def test_rows_are_logged_under_the_columns_of_the_schema(stack: Stack) -> None:
    stack.start("collector", stack.collector(**ITEMS))
    stack.start("consumer", stack.consumer())
    client = stack.client("personalize-events", "collector")
    row = {"itemId": "1", "properties": '{"categoryL1": "Drama", "more": 1}'}
    for arn in ("arn:reco:personalize:::dataset/shop_movies-items",
                "arn:aws:personalize:eu-west-1:1:dataset/movies/ITEMS"):  # fmt: skip
        client.put_items(datasetArn=arn, items=[row])
    until(lambda: len(logged(stack, "records/Items")) == 2)
    assert logged(stack, "records/Items")[0]["ID"] == "1"
    assert json.loads(logged(stack, "records/Items")[0]["COLUMNS"]) == {"CATEGORY_L1": "Drama"}
    users = "arn:aws:personalize:eu-west-1:1:dataset/movies/USERS"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.put_users(datasetArn=users, users=[{"userId": "1"}])
    with pytest.raises(client.exceptions.InvalidInputException):
        client.put_users(datasetArn=arn, users=[{"userId": "1"}])


def test_an_unknown_tracker_is_refused(stack: Stack) -> None:
    stack.start("collector", stack.collector())
    client = stack.client("personalize-events", "collector")
    with pytest.raises(client.exceptions.InvalidInputException):
        client.put_events(trackingId="other", sessionId="s", eventList=[event("a")])
    with pytest.raises(ClientError, match="at 'eventList' failed"):
        client.put_events(trackingId=TRACKING, sessionId="s", eventList=[event("a")] * 11)


def test_what_is_acknowledged_is_read_no_more(stack: Stack) -> None:
    stack.start("collector", stack.collector())
    stack.start("consumer", stack.consumer())
    client = stack.client("personalize-events", "collector")
    for number in range(300):
        put(client, event(f"i{number}"), userId=f"u{number % 7}")
    until(lambda: len(logged(stack)) == 300)
    until(lambda: waiting(stack) < 150)


class Sender(threading.Thread):
    """A client that repeats a call until it is acknowledged, as SDKs do, each event with its id."""

    def __init__(self, stack: Stack, users: int = 5) -> None:
        super().__init__(daemon=True)
        self.sent: list[tuple[str, str]] = []
        self.enough = threading.Event()
        self._client = stack.client("personalize-events", "collector")
        self._users = users

    @override
    def run(self) -> None:
        while not self.enough.is_set():
            number = len(self.sent)
            user = f"u{number % self._users}"
            while not self._acknowledged(f"i{number}", user):
                time.sleep(0.01)
            self.sent.append((user, f"i{number}"))

    def _acknowledged(self, item: str, user: str) -> bool:
        try:
            put(self._client, event(item, eventId=item), userId=user)
        except (BotoCoreError, ClientError):
            return False
        return True


def ten_more(sender: "Sender") -> None:
    """Wait until ten more events are acknowledged."""
    enough = len(sender.sent) + 10
    until(lambda: len(sender.sent) >= enough)


def all_there(stack: Stack, sender: Sender) -> None:
    """Hold what was acknowledged against histories (each once) and the log (each at least once)."""
    sender.enough.set()
    sender.join()
    assert len(sender.sent) > 20
    expected = {user: [i for u, i in sender.sent if u == user] for user, _ in sender.sent}
    for user, sent in expected.items():
        until(lambda user=user, sent=sent: set(sent) <= set(history(stack, user)))  # type: ignore[misc] # bound now
        found = history(stack, user)
        assert len(found) == len(set(found)), "no event is twice in a history"
    until(lambda: {item for _, item in sender.sent} <= {row["ITEM_ID"] for row in logged(stack)})


@pytest.mark.parametrize("victim", ["collector", "consumer"])
def test_killing_a_part_again_and_again_loses_nothing(stack: Stack, victim: str) -> None:
    chance = random.Random(1)
    parts = {
        "collector": stack.collector(),
        "consumer": stack.consumer(history_length=100_000),
    }
    for role, task in parts.items():
        stack.start(role, task)
    sender = Sender(stack)
    sender.start()
    for _ in range(4):
        time.sleep(chance.uniform(0.05, 0.4))  # anywhere in its work
        stack.pods[victim].stop(grace=0)
        stack.start(victim, parts[victim])
    all_there(stack, sender)


def test_two_consumers_share_the_work_and_take_over_from_each_other(stack: Stack) -> None:
    task = stack.consumer(history_length=100_000)
    stack.start("collector", stack.collector())
    stack.start("consumer", task, "first")
    stack.start("consumer", task, "second")
    sender = Sender(stack)
    sender.start()
    until(lambda: len(sender.sent) > 100)
    stack.pods["first"].stop(grace=0)
    all_there(stack, sender)


def test_a_store_that_restarts_loses_nothing(stack: Stack) -> None:
    stack.start("collector", stack.collector())
    stack.start("consumer", stack.consumer(history_length=100_000))
    sender = Sender(stack)
    sender.start()
    for _ in range(3):
        ten_more(sender)
        stack.store.kill()
        stack.store.start()
    ten_more(sender)
    all_there(stack, sender)
