"""Debian packages that the developer tools need: installed when missing, or only unpacked."""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from hack.cache import AssetError, Say
from hack.commands import run


def missing(programs: Mapping[str, str]) -> list[str]:
    """Return the packages of those programs (names on PATH, or paths of any file) not there."""
    return sorted({package for program, package in programs.items() if not _is_there(program)})


def install(programs: Mapping[str, str], say: Say) -> None:
    """Install the packages of those programs, or other files, that are not there.

    Raises:
        AssetError: this is no Debian, we are not root, or apt-get failed.
    """
    packages = missing(programs)
    if not packages:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise AssetError(
            f"these packages are missing: {' '.join(packages)}; on Debian and as root they are "
            "installed by themselves, elsewhere please install what provides "
            f"{', '.join(program for program in programs if not _is_there(program))}"
        )
    say(f"installing Debian packages: {' '.join(packages)}")
    _apt("install", "--yes", "--no-install-recommends", *packages)


def unpack(
    packages: Iterable[str], folder: Path, say: Say, *, optional: Iterable[str] = ()
) -> None:
    """Download packages and unpack them into ``folder``, changing nothing of the host.

    Those that are ``optional`` are left out where there is none of that name.

    Raises:
        AssetError: apt-get or dpkg-deb failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say(f"fetching Debian packages: {' '.join(packages)}")
    download = ("-o", "APT::Sandbox::User=root", "download")
    _apt(*download, *packages, cwd=folder)
    for package in optional:
        with suppress(AssetError):
            _apt_get(*download, package, cwd=folder)
    for archive in folder.glob("*.deb"):
        run(["dpkg-deb", "--extract", str(archive), str(folder)])
        archive.unlink()


def _is_there(program: str) -> bool:
    return bool(shutil.which(program)) or Path("/", program).exists()


def _apt(*arguments: str, cwd: Path | None = None) -> None:
    """Run apt-get, and once more with new lists of packages, as root alone may fetch them."""
    try:
        _apt_get(*arguments, cwd=cwd)
    except AssetError:
        if os.geteuid() != 0:
            raise
        _apt_get("update")  # the lists may be missing or outdated
        _apt_get(*arguments, cwd=cwd)


def _apt_get(*arguments: str, cwd: Path | None = None) -> None:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
    run(command, cwd=cwd, env={"DEBIAN_FRONTEND": "noninteractive"})
