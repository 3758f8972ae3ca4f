"""What it costs that clients sign: the same requests to two pods, one of which checks signatures.

Requests are signed by botocore beforehand, for the load generator must not be what is measured; a
signature is good for five minutes. Both pods get them signed, as SDKs sign whether it is asked for
or not, and take turns; the ratio is the median of the turns'.
"""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.serving.load import WARM_UP, Load, run
from benchmarks.serving.plane import TRACKING, Plane
from reco.workload import tasks

CONNECTIONS: Final = 16
ROUNDS: Final = 5
_PAIR: Final = ("AKIDBENCH", "a-secret-that-opens-nothing-but-this")


def authentication(plane: Plane) -> tasks.Authentication:
    """Write a Secret with one key pair, and return what pods are told of it."""
    folder = Path(plane.folder) / "clients"
    folder.mkdir(exist_ok=True)
    (folder / _PAIR[0]).write_text(json.dumps({"secretKey": _PAIR[1]}), encoding="utf-8")
    return tasks.Authentication(folder=str(folder), secret="clients")


def heads(url: str, bodies: Sequence[str]) -> tuple[str, ...]:
    """Return the headers by which each body is signed, as botocore does it."""
    signer = SigV4Auth(Credentials(*_PAIR), "personalize", "eu-west-1")
    found = []
    for body in bodies:
        headers = {"Content-Type": "application/json"}
        request = AWSRequest(method="POST", url=url, data=body.encode(), headers=headers)
        signer.add_auth(request)
        names = ("X-Amz-Date", "Authorization")
        found.append("".join(f"{name}: {request.headers[name]}\r\n" for name in names))
    return tuple(found)


def compare(
    plane: Plane,
    what: str,
    role: str,
    task: tasks.RankerTask | tasks.CollectorTask,
    path: str,
    bodies: tuple[str, ...],
) -> dict[str, Any]:
    """Measure a pod of this task, which checks nothing, against one that does, in turns."""
    pods = (role, f"{role}, checking")
    plane.start(role, pods[0], task)
    plane.start(role, pods[1], task.model_copy(update={"authentication": authentication(plane)}))
    throughput: dict[str, list[float]] = {name: [] for name in pods}
    busy: dict[str, list[float]] = {name: [] for name in pods}
    failed = 0
    seconds = 1.5
    for _ in range(ROUNDS):
        for name in pods:
            url = f"{plane.url(name)}{path}"
            signed = heads(url, bodies)
            before = plane.processor_seconds(name)
            result = run(Load(url, bodies, CONNECTIONS, seconds, heads=signed))
            spent = plane.processor_seconds(name) - before
            throughput[name].append(result.throughput)
            busy[name].append(1000 * spent / (result.sent * (seconds + WARM_UP) / seconds))
            failed += result.failed
    for name in pods:
        plane.stop(name)
    plain, checked = (statistics.median(throughput[name]) for name in pods)
    turns = zip(throughput[pods[1]], throughput[pods[0]], strict=True)
    cost, checking = (statistics.median(busy[name]) for name in pods)
    return {
        "side": what,
        "requests/s": plain,
        "checked": checked,
        "ratio": statistics.median(after / before for after, before in turns),
        "processor us": 1000 * cost,
        "checked us": 1000 * checking,
        "failed": failed,
    }


def sending(count: int) -> tuple[str, ...]:
    """Return an event a request."""
    return tuple(
        json.dumps(
            {
                "trackingId": TRACKING,
                "sessionId": f"s{at}",
                "userId": f"u{at % 500}",
                "eventList": [{"eventType": "watch", "itemId": f"i{at % 997}", "sentAt": at}],
            }
        )
        for at in range(count)
    )
