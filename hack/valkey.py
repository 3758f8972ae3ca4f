"""A Valkey or Redis server on loopback for tests and benchmarks, found or fetched.

In this order the program comes from: ``valkey-server`` or ``redis-server`` on PATH; our cache;
Debian's package, unpacked into the cache by ``apt-get download`` and ``dpkg-deb``, which needs no
root and changes nothing of the host. ``uv run python -m hack.valkey`` prints its path.
"""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from typing_extensions import override

from hack import debian
from hack.cache import AssetError, Say, cache_root, lock, say_with_seconds
from hack.processes import LOOPBACK, Process, Server, free_port

PROGRAMS: Final = ("valkey-server", "redis-server")
# Of Debian: the server, which is a link into the second one, and what that links to. A library
# that a release calls otherwise is missed at the start, with its name.
PACKAGES: Final = ("redis-server", "redis-tools")
LIBRARIES: Final = (
    "libjemalloc2", "liblua5.1-0", "liblzf1", "liblua5.1-bitop0", "liblua5.1-cjson0",
    "libhiredis0.14", "libatomic1",
)  # fmt: skip
READY_SECONDS: Final = 30.0


def locate() -> tuple[Path, Mapping[str, str]]:
    """Return the server's program, and the variables that it needs.

    Raises:
        AssetError: there is none, and it can't be fetched here.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return Path(found), {}
    home = cache_root() / "redis-server"
    say = say_with_seconds()
    # In Debian's package redis-server is a link to this.
    program = home / "usr/bin/redis-check-rdb"
    with lock(home, say):
        if not program.exists():
            _unpack(home, say)
    libraries = ":".join(str(path) for path in sorted(home.glob("usr/lib/*-linux-*")))
    return home / "usr/bin/redis-server", {"LD_LIBRARY_PATH": libraries}


class ValkeyServer(Server):
    """A server between ``start`` and ``stop``, or within a ``with`` block.

    It keeps what it was told through ``kill`` and ``start``: append-only, synced with every write.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        maxmemory: str = "0",
        address: str = LOOPBACK,
        password: str = "",
    ) -> None:
        """Choose; nothing runs yet.

        Args:
            folder: data and log go below it.
            port: where it listens; a free one by default.
            maxmemory: bytes, or such as ``3mb``, after which it refuses writes; 0 for no limit.
            address: of this machine, where it listens; pods do not reach loopback.
            password: asked of clients, unless empty.
        """
        self._folder = folder
        self._address = address
        self._port = port or free_port()
        self._maxmemory = maxmemory
        self._password = password
        self._process: Process | None = None
        self.url = f"redis://{address}:{self._port}/0"

    @override
    def start(self) -> None:
        """Start and return once it answers.

        Raises:
            ProcessError: it did not become ready; the text holds the end of its log.
            AssetError: there is no such program.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        program, environment = locate()
        options = {
            "bind": self._address,
            "port": str(self._port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory": self._maxmemory,
            "maxmemory-policy": "noeviction",
            "requirepass": self._password,
        }
        command = [str(program)]
        for name, value in options.items():
            command += [f"--{name}", value]
        log = self._folder / "server.log"
        self._process = Process("redis-server", command, log=log, env=environment)
        self._process.wait_until(self._problem, timeout=READY_SECONDS)

    @override
    def stop(self) -> None:
        """End it in order."""
        if self._process:
            self.thaw()
            self._process.stop()
        self._process = None

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process:
            self._process.stop(grace=0)
        self._process = None

    def freeze(self) -> None:
        """Let it hold connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo ``freeze``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            os.kill(self._process.pid, number)

    def _problem(self) -> str | None:
        """Say why it is not ready: it answers PING, or asks who is there, once all is loaded."""
        try:
            with socket.create_connection((self._address, self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
        except OSError as error:
            return str(error)
        return (
            None if answer.startswith((b"+PONG", b"-NOAUTH")) else answer.decode(errors="replace")
        )


def _unpack(home: Path, say: Say) -> None:
    try:
        debian.unpack(PACKAGES, home, say, optional=LIBRARIES)
    except AssetError as error:
        shutil.rmtree(home, ignore_errors=True)
        raise AssetError(
            f"there is no {' or '.join(PROGRAMS)} on PATH, and Debian's can't be fetched: "
            f"{error}. Please install one"
        ) from error


def main() -> int:
    """Print where the program is."""
    try:
        print(locate()[0])
    except AssetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
