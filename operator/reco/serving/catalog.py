"""`reco serve catalog`: tells what lies in a group's storage, and deletes from it when told to.

It has the credentials; the operator has none and asks. The group is claimed before the pod is
ready: what belongs to another resource keeps it from being so, with the reason at `/readyz`. So
does an online store that can't be used, where it is a user's own; requests are answered all the
same, for they are about storage.

| request | answer |
| --- | --- |
| `GET /versions` | `{"versions": [VersionManifest, ...]}`, with an ETag |
| `GET /snapshots` | `{"snapshots": [SnapshotManifest, ...], "current": ..., "streamed": ...}` |
| `GET /source?location=...` | `{"digest": ..., "objects": n}` or `{"problem": ...}` |
| `DELETE /versions/<solution>/<version>` | `{}`; gone already is fine |
| `DELETE /snapshots/<type>/<job>` | `{}`, also in a group of another's; 409 while it counts |
| `DELETE /datasets/<type>` | `{}`, likewise; 503 while there is more: ask again |
| `DELETE /group` | `{}`, also where it is another's and stays; 503 while there is more: ask again |

Every request but `/healthz`, `/readyz` and `/metrics` must have the group's token in
`X-Reco-Token`, and is answered 401 without it: the port is open to whoever reaches the pod.
Deletions name the owner in `X-Reco-Uid`, too. `current` has by dataset type the names of snapshots
that count, `streamed` what `Streamed` tells. What is refused answers `{"message": ...}`.
"""

import asyncio
import hashlib
import hmac
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import orjson
from redis.exceptions import RedisError
from typing_extensions import override

from reco.serving.contents import Contents, InUse
from reco.serving.http import Application, Message, Receive, Send
from reco.serving.metrics import Metrics
from reco.serving.online import connect, meaning
from reco.serving.server import Pod, StartError, run
from reco.storage import (
    Sources,
    StorageError,
    open_storage,
)
from reco.workload.addresses import (
    CATALOG_DATASETS,
    CATALOG_GROUP,
    CATALOG_SNAPSHOTS,
    CATALOG_SOURCE,
    CATALOG_VERSIONS,
    HEALTH,
    METRICS,
    OWNER_HEADER,
    READY,
    TOKEN_HEADER,
)
from reco.workload.results import Outcome
from reco.workload.tasks import TOKEN_VARIABLE, CatalogTask, OnlineStore

logger = logging.getLogger(__name__)

_OWNER_HEADER: Final = OWNER_HEADER.lower().encode()
_TOKEN_HEADER: Final = TOKEN_HEADER.lower().encode()
_ETAG: Final = b"etag"
CHECK_SECONDS: Final = 15.0
"""How often storage is looked at when nobody asks."""
CLAIM_SECONDS: Final = 5.0
NOT_ASKED: Final = "the online store was not asked yet"
STORE_SECONDS: Final = 2.0
STORE_TIMEOUT: Final = 2.0
_ELSEWHERE: Final = f"{Outcome.OWNED_ELSEWHERE}: "
_LET_GO: Final = frozenset({CATALOG_DATASETS, CATALOG_GROUP, CATALOG_SNAPSHOTS})
"""What may be deleted in a group that is another's: nothing of ours is there, so nothing goes."""
_TYPED: Final = frozenset({CATALOG_DATASETS, CATALOG_SNAPSHOTS})


class _Answer(Exception):  # noqa: N818 - an answer, not a fault
    """Another answer than the one asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Catalog(Application):
    """The catalog's ASGI application."""

    def __init__(self, task: CatalogTask, contents: Contents, token: str) -> None:
        """Answer for one group whoever knows its token."""
        super().__init__({}, Metrics())
        self._token = token.encode()
        self._owner = task.group.owner.uid.encode()
        self._contents = contents
        self.store_problem = NOT_ASKED if task.online_store is not None else None
        self._acts: dict[tuple[str, str, int], Callable[..., Any]] = {
            ("GET", CATALOG_VERSIONS, 0): contents.versions,
            ("GET", CATALOG_SNAPSHOTS, 0): contents.snapshots,
            ("GET", CATALOG_SOURCE, 0): contents.source,
            ("DELETE", CATALOG_VERSIONS, 2): contents.delete_version,
            ("DELETE", CATALOG_SNAPSHOTS, 2): contents.delete_snapshot,
            ("DELETE", CATALOG_DATASETS, 1): self._delete_dataset,
            ("DELETE", CATALOG_GROUP, 0): self._delete_group,
        }

    @override
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        if path in {HEALTH, METRICS}:
            await super().__call__(scope, receive, send)
            return
        await receive()
        status, body = 200, b"{}"
        try:
            if path == READY:
                self._check_ready(self.store_problem)
            else:
                self._check_token(scope)
                body = orjson.dumps(await asyncio.to_thread(self._chosen(scope)) or {})
        except _Answer as answer:
            status, body = answer.status, orjson.dumps({"message": str(answer)})
        except InUse as error:
            status, body = 409, orjson.dumps({"message": str(error)})
        except StorageError as error:
            status, body = 503, orjson.dumps({"message": str(error)})
        except Exception:
            logger.exception("%s %s failed", scope["method"], path)
            status, body = 500, b'{"message":"a fault of the catalog; its log has the traceback"}'
        self.metrics.requests.labels(self._named(scope["method"], path), status).inc()
        tag = b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
        if status == 200 and dict(scope["headers"]).get(b"if-none-match") == tag:  # noqa: PLR2004 - OK
            status, body = 304, b""
        await self._send(send, status, body, (_ETAG, tag))

    def _named(self, method: str, path: str) -> str:
        """Return the name of a request in metrics: one of few, whatever strangers ask for."""
        root = f"/{path.split('/')[1]}"
        known = {(method, root) for method, root, _ in self._acts} | {("GET", READY)}
        return f"{method} {root}" if (method, root) in known else "other"

    def _check_token(self, scope: Message) -> None:
        given = dict(scope["headers"]).get(_TOKEN_HEADER, b"")
        if not hmac.compare_digest(given, self._token):
            raise _Answer(401, f"requests must have the token of this catalog in {TOKEN_HEADER}")

    def _check_ready(self, other: str | None = None) -> None:
        problem = "draining" if self.draining else self.problem or other
        if problem:
            raise _Answer(503, problem)

    def _chosen(self, scope: Message) -> Callable[[], Any]:
        """Return what a request asks for."""
        method = scope["method"]
        path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode()
        root, *names = (unquote(part) for part in path.removeprefix("/").split("/"))
        theirs = (self.problem or "").startswith(_ELSEWHERE)
        if not (theirs and method == "DELETE" and f"/{root}" in _LET_GO):
            self._check_ready()  # but a group that is another's never gets ready, and may go
        act = self._acts.get((method, f"/{root}", len(names)))
        if act is None:
            raise _Answer(404, f"there is no {method} {path} here")
        if method == "DELETE" and dict(scope["headers"]).get(_OWNER_HEADER) != self._owner:
            raise _Answer(403, f"deletions must name the group's owner in {OWNER_HEADER}")
        if f"/{root}" == CATALOG_SOURCE:
            names = parse_qs(scope["query_string"].decode()).get("location", [])[:1]
            if not names:
                raise _Answer(400, f"name what to look at: {CATALOG_SOURCE}?location=...")
        if method == "DELETE" and f"/{root}" in _TYPED and not names[0].isidentifier():
            raise _Answer(404, f"{names[0]!r} is no type of a dataset")
        return partial(act, *names)

    def _delete_dataset(self, type_: str) -> None:
        _wholly(self._contents.delete_dataset(type_))

    def _delete_group(self) -> None:
        _wholly(self._contents.delete_group())


def _wholly(done: bool) -> None:  # noqa: FBT001 - what was answered
    if not done:
        raise _Answer(503, "there is more to delete: ask again")


def serve(task: CatalogTask) -> int:
    """Serve until told to end; return the exit code."""
    return run(partial(_built, task), task.port)


def _built(task: CatalogTask) -> Pod:
    storage = task.group.storage
    sources = Sources(task.sources, task.sources_path, apart_from=storage, group=task.group.name)
    contents = Contents(open_storage(storage), task.group, sources)
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise StartError(
            Outcome.INVALID_SETTINGS,
            f"{TOKEN_VARIABLE} is not set: a catalog answers nobody without a token",
        )
    app = Catalog(task, contents, token)
    return app, _working(contents, task.online_store, app)


@asynccontextmanager
async def _working(
    contents: Contents, store: OnlineStore | None, app: Catalog
) -> AsyncIterator[None]:
    """Claim the group, however long it takes, then keep an eye on storage and online store."""
    while problem := await asyncio.to_thread(_problem, contents.claim):
        app.problem = problem
        await asyncio.sleep(CLAIM_SECONDS)
    watching = [asyncio.create_task(_watch(contents, app))]
    if store is not None:
        watching.append(asyncio.create_task(_watch_store(store, app)))
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def _watch_store(store: OnlineStore, app: Catalog) -> None:
    async with connect(store, timeout=STORE_TIMEOUT) as client:
        while True:
            try:
                await client.echo("")
            except RedisError as error:
                app.store_problem = meaning(error)
            else:
                app.store_problem = None
            await asyncio.sleep(STORE_SECONDS)


async def _watch(contents: Contents, app: Catalog) -> None:
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        app.problem = await asyncio.to_thread(_problem, contents.check)


def _problem(act: Callable[[], None]) -> str | None:
    try:
        act()
    except StorageError as error:
        return f"{error.outcome}: {error}"
    return None
