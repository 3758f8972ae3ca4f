"""The emulator as a process: uvicorn around the wire, real time, real training, real S3."""

import asyncio
import logging
import random
import signal
import socket
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import ClassVar

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from reco.emulator import admin
from reco.emulator.core import Emulator
from reco.emulator.objects import S3Objects
from reco.emulator.trainer import RecipeTrainer
from reco.emulator.wire import Application
from reco.emulator.world import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to run an emulator; ``port`` 0 takes a free one, ``state`` may be ``:memory:``."""

    host: str = "127.0.0.1"
    port: int = 0
    state: str = ":memory:"
    scale: float = 1.0
    s3_endpoint: str | None = None
    artifacts: Path | None = None
    seed: int | None = None
    origins: tuple[str, ...] = ()
    """Of web pages that may call from browsers; ``*`` is any."""
    emulator: Settings = field(default_factory=Settings)

    def artifacts_folder(self, temporary: str) -> Path:
        """Say where models are kept: beside the state, with which they outlive the process or not.

        ``temporary`` is a folder that ends with the process.
        """
        if self.artifacts is not None:
            return self.artifacts
        return Path(temporary if self.state == ":memory:" else f"{self.state}.artifacts")


class ConnectionKeepingProtocol(H11Protocol):
    """uvicorn's protocol that can break a connection, for answers that get lost."""

    _open: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        super().connection_made(transport)
        # asyncio forgets this for sockets of a listener made elsewhere; answers then take 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.client is not None:
            self._open[self.client] = transport

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self._open.pop(self.client, None)
        super().connection_lost(exc)

    @classmethod
    def drop(cls, client: tuple[str, int]) -> None:
        """Break the connection of a client at once."""
        cls._open[client].abort()


def uvicorn_config(emulator: Emulator, origins: Collection[str] = ()) -> uvicorn.Config:
    """Put an emulator behind HTTP; who serves says where."""
    return uvicorn.Config(
        Application(emulator, admin.answer, ConnectionKeepingProtocol.drop, origins),
        http=ConnectionKeepingProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=5,
    )


def serve(settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``on_ready`` is told the URL once requests are accepted.

    Raises ``OSError`` for an address that cannot be listened on and ``StateError`` for a state
    file that cannot be used, before anything has been changed.
    """
    with _listening(settings.host, settings.port) as listener, ExitStack() as opened:
        temporary = opened.enter_context(TemporaryDirectory(prefix="reco-emulator-"))
        trainer = RecipeTrainer(settings.artifacts_folder(temporary))
        opened.callback(trainer.close)
        emulator = Emulator(
            trainer=trainer,
            objects=S3Objects(settings.s3_endpoint),
            time=time.time,
            randomness=random.Random(settings.seed),  # noqa: S311 - ids, not secrets
            state=settings.state,
            scale=settings.scale,
            settings=settings.emulator,
        )
        opened.callback(emulator.close)
        # uvicorn stops on these signals and then raises them again for whoever handled them
        # before: by default that would end the process before it could stop the trainer's.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stopped_by)
        on_ready(f"http://{settings.host}:{listener.getsockname()[1]}")
        uvicorn.Server(uvicorn_config(emulator, settings.origins)).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def _stopped_by(number: int, _: FrameType | None) -> None:
    logger.info("Stopped by %s", signal.Signals(number).name)
