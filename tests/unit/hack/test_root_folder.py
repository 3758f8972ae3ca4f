import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack import root_folder

ALL_ALONE = """
import bz2, ctypes, curses, hashlib, lzma, os, pwd, sqlite3, ssl, uuid, zlib, zoneinfo
for name in ("libgcc_s.so.1", "libgomp.so.1", "libstdc++.so.6"):
    ctypes.CDLL(name)
assert zoneinfo.ZoneInfo("Europe/Paris")
assert not os.path.exists("/bin/sh")
print(pwd.getpwuid(os.getuid()).pw_name)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder its root")
def test_python_runs_alone_in_its_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert root_folder.main(root) is None
    python = f"{sys.base_prefix}/bin/python3"
    command = ["chroot", "--userspec=65532:65532", str(root), python, "-I", "-c", ALL_ALONE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("nonroot\n", "")
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert sum(path.lstat().st_size for path in root.rglob("*")) < 50e6


def test_what_a_base_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_folder, "EXPECTED", {tmp_path / "zones": "tzdata"})
    said = root_folder.main(tmp_path / "root")
    assert said == f"an image needs {tmp_path}/zones: install tzdata in the base image"
    monkeypatch.setattr(root_folder, "EXPECTED", {})
    monkeypatch.setattr(root_folder, "WHEEL_LIBRARIES", ("libnobodyhas1",))
    assert "libraries of Debian's libnobodyhas1" in str(root_folder.main(tmp_path / "root"))
