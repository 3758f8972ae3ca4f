"""kopf as an informer: lists, watches and reconnects, and hands every event on. Nothing else.

There is one `on.event` per kind and no other handler, so kopf never writes: no annotations, no
finalizers, no Events. It runs in a thread with an event loop of its own, because at its end kopf
cancels every task that began after it in the same loop, and because it must not wait for ours.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import kopf

from reco.api.kinds import KINDS
from reco.api.vocabulary import GROUP, VERSION
from reco.cluster.credentials import Access, renew_at

Sink = Callable[[str | None, Mapping[str, Any]], None]
"""Receives the type of an event (None for a replay) and the object."""

STOP_WITHIN: Final = 10.0

logger = logging.getLogger(__name__)


class ErrorBackoffs:
    """Pauses between attempts of one request: ten minutes in all, and iterable more than once."""

    def __iter__(self) -> Iterator[float]:
        """Yield seconds, with jitter, so that replicas don't come back together."""
        for pause in (1, 2, 3, 5, 8, 13, 21, 34, *[60] * 9):
            yield pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter is no secret


class Watch:
    """Watches all kinds until stopped; ends with an error if it can't go on."""

    def __init__(
        self,
        load: Callable[[], Awaitable[Access]],
        sink: Sink,
        *,
        identity: str,
        namespaces: Sequence[str] = (),
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            load: tells how to reach the API, anew each time credentials are refused or end. Its
                ValueError is the error that the watch ends with.
            sink: called in the event loop of `start` with each event.
            identity: names this process.
            namespaces: to watch; none means all.
        """
        self._load = load
        self._tell: Callable[[BaseException | None], object] = lambda _error: None
        self._sink = sink
        self._identity = identity
        self._namespaces = tuple(namespaces)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> asyncio.Future[None]:
        """Start to watch; the future is done when the watch has ended, with its error if any."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def hand_over(type_: str | None, body: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(self._sink, type_, body)

        def finish(error: BaseException | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        def tell(error: BaseException | None) -> None:
            try:
                loop.call_soon_threadsafe(finish, error)
            except RuntimeError:  # nobody is left to hear of it
                logger.debug("the watch ended after its event loop")

        def run() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._operate(hand_over))
            except Exception as failure:  # noqa: BLE001 - handed to whoever awaits the future
                error = failure
            tell(error)

        self._tell = tell
        self._thread = threading.Thread(target=run, name="watch", daemon=True)
        self._thread.start()
        return ended

    async def stop(self) -> None:
        """Ask the watch to end and wait for it, but not for ever."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, STOP_WITHIN)

    async def _operate(self, hand_over: Sink) -> None:
        await kopf.operator(
            registry=registry(hand_over, self._access),
            settings=settings(),
            identity=self._identity,  # type: ignore[arg-type]  # kopf does not export its type
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
        )

    async def _access(self) -> Access:
        try:
            return await self._load()
        except ValueError as error:
            # kopf logs it, and then waits for other credentials for ever.
            self._tell(error)
            self._stop.set()
            raise


def registry(sink: Sink, load: Callable[[], Awaitable[Access]]) -> kopf.OperatorRegistry:
    """Return the handlers: a login, and one for the events of each kind."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(id="login", registry=handlers, errors=kopf.ErrorsMode.PERMANENT)
    async def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf passes what it likes
        return connection(await load())

    async def handle(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401 - as above
        sink(event["type"], event["object"])

    for kind in KINDS.values():
        kopf.on.event(
            group=GROUP, version=VERSION, plural=kind.plural, id=kind.plural, registry=handlers
        )(handle)
    return handlers


def connection(access: Access) -> kopf.ConnectionInfo:
    """Translate what our own client connects with, so that both use the same credentials."""
    configuration = access.configuration
    header = (configuration.api_key.get("BearerToken") or "").strip()
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        token=header.partition(" ")[2] or header or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        # Asked for anew by then. What has ended already would be asked for again and again.
        expiration=renew_at(access, datetime.now(UTC)),
    )


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings; the values that differ from its own say why."""
    chosen = kopf.OperatorSettings()
    # A connection that a load balancer has silently dropped must not look like a quiet cluster.
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 310
    chosen.watching.connect_timeout = 30
    chosen.watching.reconnect_backoff = 1.0
    chosen.watching.chunk_size = 500
    chosen.networking.request_timeout = 60
    chosen.networking.connect_timeout = 10
    # An API server may be away for minutes during an upgrade.
    chosen.networking.error_backoffs = ErrorBackoffs()
    # kopf writes nothing here; these names keep it apart from us even so.
    chosen.persistence.finalizer = f"kopf.{GROUP}/unused"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(
        prefix=f"kopf.{GROUP}", v1=False
    )
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(
        prefix=f"kopf.{GROUP}", v1=False
    )
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.execution.max_workers = 1
    # It would kill the whole process, and how that ends is decided elsewhere.
    chosen.process.ultimate_exiting_timeout = None
    return chosen
