"""Our cache of programs: where it is, who may fill it, and that nothing half made stays in it.

The folder is ``RECO_CACHE``, else ``$XDG_CACHE_HOME/reco``, else ``~/.cache/reco``.
"""

import fcntl
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]


class AssetError(RuntimeError):
    """A program could be neither found nor built; the text says what to do."""


def cache_root() -> Path:
    """Folder of all that is cached; need not exist yet."""
    if folder := os.environ.get("RECO_CACHE"):
        return Path(folder).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reco"


def host_platform() -> tuple[str, str]:
    """Operating system and architecture as Go names them."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@contextmanager
def lock(folder: Path, say: Say) -> Iterator[None]:
    """Hold ``folder`` against other builders; the kernel lets go of it if we are killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process fills {folder}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        for leftover in folder.glob("*.partial"):  # of a builder that was killed
            leftover.unlink()
        yield


@contextmanager
def installing(file: Path) -> Iterator[Path]:
    """Give a path to write to; it becomes ``file`` in one step if all went well."""
    partial = file.with_name(f"{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def say_with_seconds() -> Say:
    """Make a printer to standard error that puts the seconds since now before each line."""
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:5.0f} s] {text}", file=sys.stderr, flush=True)

    return say
