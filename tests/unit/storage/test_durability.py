"""What counts as written outlives the machine: contents are synced before a name, names after it.

No test can pull the plug, so what is asked of the system is looked at: which file or folder was
synced, how much of it there was, and whether its name was there by then.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reco.storage.folder import FolderStore

CONTENT = b"x" * 100_000
KEY = "groups/shop/2026-03-02/file"


@dataclass(frozen=True, slots=True)
class Synced:
    """One fsync."""

    inode: int
    size: int
    named: bool
    """Whether the file had its name by then."""


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Synced]]:
    """Give every fsync, which is carried out all the same."""
    done: list[Synced] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        status = os.fstat(handle)
        fsync(handle)
        done.append(Synced(status.st_ino, status.st_size, (tmp_path / KEY).exists()))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", noting)
        yield done


def put(store: FolderStore, _: Path) -> None:
    store.put(KEY, CONTENT)


def put_if_absent(store: FolderStore, _: Path) -> None:
    assert store.put_if_absent(KEY, CONTENT)


def upload(store: FolderStore, folder: Path) -> None:
    local = folder.with_name("local")
    local.write_bytes(CONTENT)
    store.upload(KEY, local)


def written(path: Path, synced: list[Synced]) -> list[Synced]:
    """Return the syncs of a file that had all of its contents."""
    status = path.stat()
    return [one for one in synced if one.inode == status.st_ino and one.size == status.st_size]


@pytest.mark.parametrize("write", [put, put_if_absent, upload])
def test_contents_are_synced_before_they_get_their_name(
    tmp_path: Path, synced: list[Synced], write: Callable[[FolderStore, Path], None]
) -> None:
    write(FolderStore(tmp_path), tmp_path)
    assert (tmp_path / KEY).read_bytes() == CONTENT
    assert [one.named for one in written(tmp_path / KEY, synced)] == [False]


def test_contents_that_replace_others_are_synced(tmp_path: Path, synced: list[Synced]) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, b"before")
    assert store.replace(KEY, b"before", CONTENT)
    assert len(written(tmp_path / KEY, synced)) == 1


def test_contents_are_synced_where_a_file_system_has_no_links(
    tmp_path: Path, synced: list[Synced], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    put_if_absent(FolderStore(tmp_path), tmp_path)
    assert written(tmp_path / KEY, synced)


@pytest.mark.parametrize("write", [put, put_if_absent, upload])
def test_names_are_synced_up_to_the_first_folder_that_was_there(
    tmp_path: Path, synced: list[Synced], write: Callable[[FolderStore, Path], None]
) -> None:
    (tmp_path / "groups").mkdir()
    write(FolderStore(tmp_path), tmp_path)
    after = {one.inode for one in synced}
    for folder in (tmp_path / KEY).parents[:3]:
        assert folder.stat().st_ino in after, f"what is new in {folder}"
    assert synced[-1] == Synced(
        (tmp_path / KEY).parent.stat().st_ino, (tmp_path / KEY).parent.stat().st_size, named=True
    )
