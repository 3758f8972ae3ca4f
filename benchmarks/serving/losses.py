"""How many events are lost when each part is killed again and again (SIGKILL, no warning).

Senders repeat a call until it is acknowledged, as SDKs do; what was acknowledged must be once in
its user's history and in the offline log.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import redis
from typing_extensions import override

from benchmarks.serving.plane import GROUP, TRACKING, Plane
from hack.processes import LOOPBACK
from reco.serving.history import Keys
from reco.workload import tasks
from reco.workload.storage import Places

USERS: Final = 20
WAIT_SECONDS: Final = 120.0


class Sender(threading.Thread):
    """One client; its events are numbered below its name."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[tuple[str, str]] = []
        self.enough = threading.Event()
        self._port = port
        self._name = name
        self._connection: http.client.HTTPConnection | None = None

    @override
    def run(self) -> None:
        """Send until it is enough."""
        while not self.enough.is_set():
            number = len(self.acknowledged)
            user, item = f"{self._name}-{number % USERS}", f"{self._name}-{number}"
            event = {"eventType": "watch", "itemId": item, "eventId": item, "sentAt": time.time()}
            call = {"trackingId": TRACKING, "sessionId": "s", "userId": user, "eventList": [event]}
            while not self._sent(json.dumps(call)):
                time.sleep(0.02)
            self.acknowledged.append((user, item))

    def _sent(self, body: str) -> bool:
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=10)
            self._connection.request("POST", "/events", body)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection = None
            return False
        return answer.status == 200


def count(plane: Plane, victim: str, restart: Callable[[], None], kills: int) -> dict[str, int]:
    """Kill a part and start it again while events come; count what was sent, lost and doubled."""
    chance = random.Random(0)
    senders = [Sender(plane.ports["collector"], f"{victim}-{at}") for at in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.05, 0.5))
        restart()
    time.sleep(0.5)
    for sender in senders:
        sender.enough.set()
        sender.join()
    sent = [pair for sender in senders for pair in sender.acknowledged]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        lost, doubled = _compare(plane, sent)
        if not lost or time.monotonic() > deadline:
            return {"kills": kills, "acknowledged": len(sent), "lost": lost, "doubled": doubled}
        time.sleep(1)


def consumer(plane: Plane) -> tasks.ConsumerTask:
    """Return the task of a consumer that forgets nothing and writes soon."""
    return plane.consumer().model_copy(update={"history_length": 1_000_000, "flush_seconds": 1.0})


def _compare(plane: Plane, sent: list[tuple[str, str]]) -> tuple[int, int]:
    keys, lost, doubled = Keys(GROUP), 0, 0
    logged = _logged(plane.folder / "storage" / Places(GROUP).events)
    with redis.Redis.from_url(plane.store.url) as client:
        for user in {user for user, _ in sent}:
            lines = (client.get(keys.history(user)) or b"").splitlines()
            found = [json.loads(line)[3] for line in lines]
            doubled += len(found) - len(set(found))
            lost += sum(1 for whose, item in sent if whose == user and item not in set(found))
    return lost + sum(1 for _, item in sent if item not in logged), doubled


def _logged(folder: Path) -> set[str]:
    return {
        item
        for file in folder.rglob("*.parquet")
        for item in pq.read_table(file, columns=["ITEM_ID"])["ITEM_ID"].to_pylist()
    }
