"""The emulator as a process: uvicorn around the wire, real time, real training, real S3."""

import random
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from reco.emulator import admin
from reco.emulator.core import Emulator
from reco.emulator.objects import S3Objects
from reco.emulator.trainer import RecipeTrainer
from reco.emulator.wire import Application
from reco.emulator.world import Settings


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
    emulator: Settings = field(default_factory=Settings)

    def artifacts_folder(self) -> Path:
        """Say where models are kept: beside the state, so that they outlive the process with it."""
        if self.artifacts is not None:
            return self.artifacts
        if self.state == ":memory:":
            return Path(tempfile.mkdtemp(prefix="reco-emulator-"))
        return Path(f"{self.state}.artifacts")


def serve(settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``on_ready`` is told the URL once requests are accepted."""
    trainer = RecipeTrainer(settings.artifacts_folder())
    emulator = Emulator(
        trainer=trainer,
        objects=S3Objects(settings.s3_endpoint),
        time=time.time,
        randomness=random.Random(settings.seed),  # noqa: S311 - ids, not secrets
        state=settings.state,
        scale=settings.scale,
        settings=settings.emulator,
    )
    listener = socket.create_server((settings.host, settings.port))
    config = uvicorn.Config(
        Application(emulator, admin.answer),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=5,
    )
    try:
        on_ready(f"http://{settings.host}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        trainer.close()
        emulator.close()
