"""Official releases: binaries that are downloaded and checked against their published checksum."""

import hashlib
import io
import tarfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final

from hack.cache import AssetError, Say, host_platform, installing

REACH_SECONDS: Final = 2.0
DOWNLOAD_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one project: where its binaries and its Go modules are published.

    ``binary_url`` and ``checksum_url`` may contain ``{version}``, ``{number}`` (without the v),
    ``{os}``, ``{arch}`` and ``{name}``; empty where no binaries are published. A checksum file
    holds a bare SHA-256, or lines of SHA-256 and file name.
    """

    module: str
    version: str
    binary_url: str = ""
    checksum_url: str = ""
    has_staging: bool = False  # its go.mod points modules at folders that are published apart
    stamps: Mapping[str, str] | None = None  # linker variables of its packages


def download(release: Release, program: Path, unreachable: set[str], say: Say) -> bool:
    """Try to install ``program`` as released; False if it cannot be reached or does not exist.

    Modules whose releases proved out of reach are added to ``unreachable`` and not asked again.
    """
    if not release.binary_url or release.module in unreachable:
        return False
    system, machine = host_platform()
    words = {
        "version": release.version,
        "number": release.version.removeprefix("v"),
        "os": system,
        "arch": machine,
        "name": program.name,
    }
    url = release.binary_url.format_map(words)
    is_archive = url.endswith((".tar.gz", ".tgz"))
    if is_archive and system != "linux":
        return False
    # Asked first: it is tiny, so it tells soon whether the place can be reached at all.
    checksums = _fetch(release.checksum_url.format_map(words), REACH_SECONDS)
    if checksums is None:
        say(f"no release of {release.module} {release.version} can be reached")
        unreachable.add(release.module)
        return False
    say(f"downloading {url}")
    content = _fetch(url, DOWNLOAD_SECONDS)
    if content is None:
        return False
    if hashlib.sha256(content).hexdigest() not in checksums.decode().split():
        raise AssetError(
            f"{url} does not match {release.checksum_url.format_map(words)}: "
            "something between here and there alters downloads; put the programs into a folder "
            "yourself and name it in RECO_KUBE_ASSETS"
        )
    with installing(program) as partial:
        partial.write_bytes(_unpack(content, program.name) if is_archive else content)
        partial.chmod(0o755)
    return True


def _fetch(url: str, seconds: float) -> bytes | None:
    """Return what ``url`` holds, or None if that takes longer or fails.

    In a thread, because no timeout bounds the look-up of a host name.
    """
    result: list[bytes] = []

    def read() -> None:
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310  (https, by our table)
                result.append(answer.read())
        except OSError:
            return  # an empty result is the answer; the caller has another way

    thread = Thread(target=read, daemon=True)
    thread.start()
    thread.join(seconds)
    return result[0] if result else None


def _unpack(archive: bytes, name: str) -> bytes:
    """Return the one file called ``name`` of a tar.gz archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile() and Path(member.name).name == name:
                content = tar.extractfile(member)
                if content is not None:
                    return content.read()
    raise AssetError(f"the downloaded archive holds no file {name}")
