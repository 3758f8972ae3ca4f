"""A pod of the data plane from its start to its end: one process, one event loop, one worker.

On SIGTERM readiness goes first, while requests are answered as before, so that load balancers stop
sending; then the port closes, and what was begun is finished.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from typing import Final

import uvicorn
import uvloop
from typing_extensions import override

from reco.serving.connections import Connection
from reco.serving.http import Application
from reco.storage import StorageError
from reco.workload.results import Outcome, Result, leave

logger = logging.getLogger(__name__)

DRAIN_VARIABLE: Final = "RECO_DRAIN_SECONDS"
"""How long requests are still accepted after SIGTERM: as long as it takes until every load balancer
has heard of it."""
DRAIN_SECONDS: Final = 5.0
FINISH_SECONDS: Final = 15.0
KEEP_ALIVE_SECONDS: Final = 75
"""An unused connection stays open for longer than load balancers and clients keep theirs, so that
none is closed while a request is on its way."""

_BACKLOG: Final = 1024


class StartError(Exception):
    """A pod can't do its work; the text says why and what to do, `outcome` of which sort it is."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


Pod = tuple[Application, AbstractAsyncContextManager[None]]
"""What answers, and the work: what it does when it is entered makes the pod ready."""


def run(build: Callable[[], Pod], port: int) -> int:
    """Serve what `build` returns until SIGTERM or SIGINT; return the exit code.

    The port answers at once, with readiness false; the work is entered then. A `StartError` or
    `StorageError` of either is the termination message.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        uvloop.run(_serve(*build(), port))
    except (StartError, StorageError) as error:
        logger.error("%s", error)  # noqa: TRY400 - the text says it all
        leave(Result(outcome=error.outcome, message=str(error)))
        return 1
    return 0


async def _serve(app: Application, working: AbstractAsyncContextManager[None], port: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop.set)
    app.start()
    async with _listening(app, port), _unless(app.stop, working) as entered:
        if entered:
            gc.collect()
            gc.freeze()  # what lives as long as the process is never looked at again
            app.problem = None
            logger.info("Ready at port %d", port)
            await app.stop.wait()
            await _drain(app)
    app.check()


async def _drain(app: Application) -> None:
    app.draining = True
    logger.info("Draining")
    await asyncio.sleep(float(os.environ.get(DRAIN_VARIABLE, DRAIN_SECONDS)))
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await app.idle()
    except TimeoutError:
        logger.warning("Requests that took more than %g s were given up", FINISH_SECONDS)


class _Server(uvicorn.Server):
    """Leaves signals alone: readiness goes before the port does."""

    @override
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # a generator's
        return nullcontext()


@asynccontextmanager
async def _listening(app: Application, port: int) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    with socket.create_server(("0.0.0.0", port), backlog=_BACKLOG) as listener:  # noqa: S104 - a pod's own address
        serving = asyncio.create_task(server.serve([listener]), name="HTTP")
        app.needs(serving)
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait((serving,))


@asynccontextmanager
async def _unless(
    stop: asyncio.Event, working: AbstractAsyncContextManager[None]
) -> AsyncIterator[bool]:
    """Enter `working`, but give up if `stop` comes first; tell whether it was entered."""
    entering = asyncio.ensure_future(working.__aenter__())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((entering, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not entering.done():
        entering.cancel()
        await asyncio.wait((entering,))
        yield False
        return
    stopping.cancel()
    await entering
    try:
        yield True
    finally:
        await working.__aexit__(None, None, None)
