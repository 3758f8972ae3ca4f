"""Folders that become the root of an image: programs of this machine with what they link to."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hack import debian
from hack.cache import AssetError, Say
from hack.slim import cut_symbols

# Of these packages all libraries are copied: wheels link to them without anyone here knowing.
WHEEL_LIBRARIES: Final = ("libc6", "libgcc-s1", "libstdc++6")
MACHINE: Final = Path("/")
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
ZONES: Final = Path("/usr/share/zoneinfo")
# Parts of Python's own library for developers, and for screens.
UNUSED_IN_PYTHON: Final = (
    "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages",
    "test", "tests", "tkinter", "turtle*", "_tkinter*", "_test*", "nis.*", "__pycache__",
)  # fmt: skip
LINKED: Final = re.compile(r"(/\S+) \(0x")  # as ldd prints it


def write_common(root: Path) -> None:
    """Fill a folder with what any program expects: places, users, certificates."""
    for folder in ("etc", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/local/bin", "var/tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("bin", "lib", "lib64"):
        (root / folder).symlink_to(f"usr/{folder}")
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/tmp:/sbin/nologin\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnonroot:x:65532:\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    if CERTIFICATES.exists():
        copy(CERTIFICATES, MACHINE, root)
    for package in WHEEL_LIBRARIES:
        for library in package_libraries(package):
            copy(library, MACHINE, root)


def unpack(packages: Sequence[str], root: Path, say: Say) -> Path:
    """Unpack Debian packages beside ``root`` and return that folder, to take files from."""
    folder = root.with_name(f"{root.name}-packages")
    debian.unpack(packages, folder, say)
    return folder


def write_busybox(unpacked: Path, root: Path) -> None:
    """Add the busybox of an unpacked package, under the names of its programs."""
    shutil.copy2(next(unpacked.glob("**/bin/busybox")), root / "bin/busybox")
    command = [str(root / "bin/busybox"), "--list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    for name in listed.stdout.split():
        if not (root / "bin" / name).exists():
            (root / "bin" / name).symlink_to("busybox")


def write_python(root: Path) -> None:
    """Add the Python that runs us, below /usr/local as in the official images."""
    base = {"base": sys.base_prefix, "installed_base": sys.base_prefix}
    library = Path(sysconfig.get_path("stdlib", vars=base))
    version = library.name
    target = root / "usr/local/lib" / version
    shutil.copytree(library, target, ignore=shutil.ignore_patterns(*UNUSED_IN_PYTHON))
    (target / "site-packages").mkdir()
    program = Path(sys.base_prefix) / "bin" / version
    shutil.copy2(program.resolve(), root / "usr/local/bin" / version)
    for name in ("python3", "python"):
        (root / "usr/local/bin" / name).symlink_to(version)
    write_linked([program, *target.glob("lib-dynload/*.so")], root)
    for library in (*target.glob("lib-dynload/*.so"), *root.glob("usr/lib/libpython*")):
        cut_symbols(library)
    if ZONES.exists():
        ignored = shutil.ignore_patterns("right", "posix")
        shutil.copytree(ZONES, root / ZONES.relative_to("/"), symlinks=True, ignore=ignored)


def package_libraries(package: str) -> list[Path]:
    """Return the shared libraries of an installed Debian package, without converters of charsets.

    Raises:
        AssetError: it is not installed, or this is no Debian.
    """
    try:
        listed = subprocess.run(
            ["dpkg-query", "--listfiles", package], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise AssetError(f"an image needs the libraries of Debian's {package}: {error}") from error
    paths = map(Path, listed.stdout.split())
    return [
        path
        for path in paths
        if ".so" in path.name and path.is_file() and path.parent.name != "gconv"
    ]


def write_linked(programs: Iterable[Path], root: Path, *, packages: Path | None = None) -> None:
    """Copy the shared libraries that programs link to to where a loader looks.

    They are looked for in ``packages``, a folder of unpacked packages, before this machine.
    """
    environment = dict(os.environ)
    if packages:
        folders = packages.glob("usr/lib/*-linux-gnu")
        environment["LD_LIBRARY_PATH"] = ":".join(map(str, folders))
    for program in programs:
        said = subprocess.run(
            ["ldd", program], capture_output=True, text=True, check=False, env=environment
        )
        for match in LINKED.finditer(said.stdout):
            library = Path(match[1])
            if packages and library.is_relative_to(packages):
                copy(library, packages, root)
            elif library.parts[1] in {"lib", "lib64", "usr"}:
                copy(library, MACHINE, root)
            else:  # found by a path inside the program
                copy(library, library.parent, root / "usr/lib")


def copy(source: Path, base: Path, root: Path) -> None:
    """Copy the file that ``source``, below ``base``, leads to, to the same place below ``root``."""
    target = root / source.relative_to(base)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(source.resolve(), target)
