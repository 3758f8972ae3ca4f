"""Files below a folder: a mounted volume, shared by all pods of a dataset group."""

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from reco.storage.port import AccessDenied, Entry, NotFound, StorageError, Unavailable

_BLOCK: Final = 8 << 20
_PARTIAL: Final = ".partial"
_ABANDONED_SECONDS: Final = 86_400.0
"""Since its last byte: nobody writes a file any more."""
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


class FolderStore:
    """An `ObjectStore` in a folder, which must exist: a missing one is a missing mount.

    Symbolic links are followed as long as they stay in the folder.
    """

    def __init__(self, root: Path) -> None:
        """Name the folder; nothing is touched yet."""
        self._root = root
        self._real = os.path.realpath(root)

    @property
    def location(self) -> str:
        """Where the keys begin."""
        return f"file://{self._root}"

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading."""
        with self._classed(key, "read"):
            return self._path(key).open("rb")

    def get(self, key: str) -> bytes:
        """Return the content of a small file."""
        with self.open(key) as file, self._classed(key, "read"):
            return file.read()

    def download(self, key: str, path: Path) -> None:
        """Copy a file of any size to a local one."""
        with self.open(key) as source, path.open("wb") as target, self._classed(key, "read"):
            shutil.copyfileobj(source, target, _BLOCK)

    def put(self, key: str, content: bytes) -> None:
        """Write a small file."""
        with self._classed(key, "written"), self._unfinished(key) as (unfinished, path):
            _write(unfinished, content)
            unfinished.replace(path)
            _keep(path.parent)

    def upload(self, key: str, path: Path) -> None:
        """Copy a local file of any size."""
        with (
            path.open("rb") as source,
            self._classed(key, "written"),
            self._unfinished(key) as (unfinished, place),
        ):
            with unfinished.open("wb") as target:
                shutil.copyfileobj(source, target, _BLOCK)
                target.flush()
                os.fsync(target.fileno())
            unfinished.replace(place)
            _keep(place.parent)

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Write a small file unless there is one."""
        with self._classed(key, "written"), self._unfinished(key) as (unfinished, path):
            _write(unfinished, content)
            try:
                path.hardlink_to(unfinished)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                # A file system without links: the writer is still one, a reader may meet it early.
                try:
                    _write(path, content)
                except FileExistsError:
                    return False
            _keep(path.parent)
            return True

    def replace(self, key: str, was: bytes, content: bytes) -> bool:
        """Write a small file if it still holds `was`, as surely as the file system has locks."""
        with self._classed(key, "written"), self._locked(key) as path:
            try:
                if path.read_bytes() != was:
                    return False
            except FileNotFoundError:
                return False
            self.put(key, content)
            return True

    def find(self, key: str) -> Entry | None:
        """Return what a list would say of a file."""
        self._check_root()
        with self._classed(key, "read"):
            path = self._path(key)
            try:
                return _entry(key, path.stat()) if path.is_file() else None
            except (FileNotFoundError, NotADirectoryError):
                return None

    def entries(self, folder: str) -> Iterator[Entry]:
        """List all files below a folder."""
        self._check_root()
        with self._classed(folder, "listed"):
            found = list(self._below(self._path(folder)))
        yield from sorted(found, key=lambda entry: entry.key)

    def delete(self, *keys: str) -> None:
        """Delete files, and the folders that they leave empty but for what killed writers left."""
        folders: dict[Path, str] = {}
        for key in keys:
            with self._classed(key, "deleted"):
                path = self._path(key)
                path.unlink(missing_ok=True)
                folders[path.parent] = key
        for folder, key in folders.items():
            with self._classed(key, "deleted"):
                self._prune(folder)

    def resolved(self, key: str) -> str:
        """Return the key of what a key leads to by symbolic links and dots."""
        return os.path.relpath(os.path.realpath(self._root / key), self._real)

    def _below(self, folder: Path) -> Iterator[Entry]:
        for path, _, names in os.walk(folder, onerror=_unless_absent, followlinks=True):
            for name in names:
                # A file may go while the list is made; one that is being written is none yet.
                try:
                    status = os.stat(os.path.join(path, name))  # noqa: PTH116, PTH118 - a Path for each of many files is slow
                except FileNotFoundError:
                    continue
                if not (name.startswith(".") and name.endswith(_PARTIAL)):
                    yield _entry(Path(path, name).relative_to(self._root).as_posix(), status)

    def _path(self, key: str) -> Path:
        path = self._root / key
        real = os.path.realpath(path)
        if real != self._real and not real.startswith(f"{self._real.rstrip('/')}/"):
            raise AccessDenied(
                f"{path} may not be used: it leads out of {self._root}. Name a file below it"
            )
        return path

    @contextmanager
    def _unfinished(self, key: str) -> Iterator[tuple[Path, Path]]:
        """Give the name to write to before a file gets its own, and the latter."""
        self._check_root()
        path = self._path(key)
        _make(path.parent)
        unfinished = path.with_name(f".{secrets.token_hex(8)}{_PARTIAL}")
        try:
            yield unfinished, path
        finally:
            unfinished.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, key: str) -> Iterator[Path]:
        """Keep other writers that lock a file away from it, and give its path."""
        self._check_root()
        path = self._path(key)
        _make(path.parent)
        lock = path.with_name(f".{path.name}.lock{_PARTIAL}")
        while True:
            with lock.open("wb") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX)
                except OSError as error:
                    if error.errno not in _NO_LOCKS:
                        raise
                # Who had the lock before has deleted its file: the next may be locked already.
                if not _is(lock, handle.fileno()):
                    continue
                try:
                    yield path
                finally:
                    lock.unlink(missing_ok=True)
                return

    def _prune(self, folder: Path) -> None:
        while folder != self._root and self._root in folder.parents:
            _sweep(folder)
            try:
                folder.rmdir()
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY}:
                    return
                raise
            folder = folder.parent

    def _check_root(self) -> None:
        if not self._root.is_dir():
            raise NotFound(f"{self._root} is no folder: mount a volume there, or name another")

    @contextmanager
    def _classed(self, key: str, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _error(f"{self._root / key} cannot be {done}", error) from error


def _error(what: str, error: OSError) -> StorageError:
    reason = f"{what}: {error.strerror or error}"
    if error.errno in _DENIED:
        return AccessDenied(
            f"{reason}. Let the user id and group of the pod (securityContext, fsGroup) use the "
            f"volume, and mount it writable where it holds the storage"
        )
    if error.errno in _ABSENT:
        return NotFound(f"{reason}. Check the path and what is mounted there")
    if error.errno in _FULL:
        return Unavailable(f"{reason}. Make the volume larger, or delete what is no longer needed")
    return Unavailable(f"{reason}. Check the volume; trying again may help")


def _sweep(folder: Path) -> None:
    """Delete what writers that were killed left in a folder."""
    latest = time.time() - _ABANDONED_SECONDS
    for path in folder.glob(f".*{_PARTIAL}"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < latest:
                path.unlink()


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _entry(key: str, status: os.stat_result) -> Entry:
    return Entry(key, status.st_size, f"{status.st_mtime_ns:x}-{status.st_size:x}")


def _unless_absent(error: OSError) -> None:
    if error.errno not in _ABSENT:
        raise error


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _make(folder: Path) -> None:
    """Make a folder and those above it, so that the names of new ones outlive a crash, too."""
    if folder.exists():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _keep(folder.parent)


def _keep(folder: Path) -> None:
    """Make a name in a folder outlive a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # not every file system can
            raise
    finally:
        os.close(handle)
