"""An emulator on the wire, for what only real HTTP can show."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn

from reco.emulator.core import Emulator
from reco.emulator.server import uvicorn_config
from reco.emulator.world import Settings
from tests.contract.personalize.harness import ACCOUNT, Bucket, InstantTrainer


@dataclass(frozen=True, slots=True)
class Wire:
    """An emulator that answers HTTP requests."""

    url: str
    emulator: Emulator


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    # The emulator takes a caller's account from the access key.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-that-must-not-show")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def wire(credentials: None) -> Iterator[Wire]:
    del credentials
    emulator = Emulator(
        trainer=InstantTrainer(),
        objects=Bucket(),
        time=time.time,
        randomness=random.Random(1),
        settings=Settings(account=ACCOUNT, quotas={"DatasetGroup": 10_000}),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn_config(emulator))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Wire(f"http://127.0.0.1:{listener.getsockname()[1]}", emulator)
    server.should_exit = True
    thread.join()
    emulator.close()
