"""Debian packages that the developer tools need: installed when missing, or only unpacked."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from hack.cache import AssetError, Say


def missing(programs: Mapping[str, str]) -> list[str]:
    """Return the packages of those programs (names on PATH, or paths) that are not there."""
    return sorted({package for program, package in programs.items() if not shutil.which(program)})


def install(programs: Mapping[str, str], say: Say) -> None:
    """Install the packages of those programs that are not there.

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
            f"{', '.join(program for program in programs if not shutil.which(program))}"
        )
    say(f"installing Debian packages: {' '.join(packages)}")
    install_command = ["install", "--yes", "--no-install-recommends", *packages]
    try:
        _apt(*install_command)
    except AssetError:
        _apt("update")  # the lists may be missing or outdated
        _apt(*install_command)


def unpack(packages: Iterable[str], folder: Path, say: Say) -> None:
    """Download packages and unpack them into ``folder``, changing nothing of the host.

    Raises:
        AssetError: apt-get or dpkg-deb failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say(f"fetching Debian packages: {' '.join(packages)}")
    download = ["-o", "APT::Sandbox::User=root", "download", *packages]
    try:
        _apt(*download, cwd=folder)
    except AssetError:
        _apt("update")
        _apt(*download, cwd=folder)
    for archive in folder.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(archive), str(folder)])
        archive.unlink()


def _apt(*arguments: str, cwd: Path | None = None) -> None:
    _run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments], cwd=cwd)


def _run(command: list[str], cwd: Path | None = None) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=cwd
        )
    except OSError as error:
        raise AssetError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        raise AssetError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
