"""Stands between a client and a server, so that a test can cut them off, or make them wait."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Passes connections on to a server, until it is cut or held."""

    def __init__(self, target: tuple[str, int], address: str = "127.0.0.1") -> None:
        """Listen at a free port of `address`."""
        self._target = target
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._cut = threading.Event()
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        self._cut.set()
        for end in self._open:
            with suppress(OSError):  # ended by its peer already
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def hold(self) -> None:
        """Keep what is under way, and whoever is new, without an answer."""
        self._flows.clear()

    def mend(self) -> None:
        """Pass everything on again."""
        self._cut.clear()
        self._flows.set()

    def close(self) -> None:
        """Drop every connection and end."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if self._cut.is_set():
                here.close()
                continue
            there = socket.create_connection(self._target)
            self._open += [here, there]
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with source, suppress(OSError):
            try:
                while data := source.recv(65536):
                    self._flows.wait()
                    sink.sendall(data)
            finally:
                sink.shutdown(socket.SHUT_RDWR)  # lets the other direction end too
