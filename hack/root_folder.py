"""Makes folders that become the root of an image: programs, what they link to, and little else.

``python -m hack.root_folder ROOT`` makes the one with Python; part of the Dockerfile. An image is
built on a base with a shell, a package manager and more, but holds none of that, so its size does
not depend on the base.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hack.slim import cut_all_symbols, cut_symbols

# Of these packages all libraries are copied: wheels link to them without anyone here knowing.
WHEEL_LIBRARIES: Final = ("libc6", "libgcc-s1", "libgomp1", "libstdc++6")
# Of what Python and wheels expect, but don't link to: the package that has it.
EXPECTED: Final = {
    Path("/etc/ssl/certs/ca-certificates.crt"): "ca-certificates",
    Path("/usr/share/zoneinfo"): "tzdata",
}
# Parts of Python's own library for developers, and for screens.
UNUSED_IN_PYTHON: Final = (
    "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages",
    "test", "tests", "tkinter", "turtle*", "_tkinter*", "_test*", "nis.*", "__pycache__",
)  # fmt: skip
LISTED: Final = re.compile(r"^/\S+-linux-gnu\w*/[^/\s]+\.so[.\d]*$", re.MULTILINE)  # by dpkg-query
LINKED: Final = re.compile(r"(/\S+) \(0x")  # as ldd prints it


def main(root: Path) -> str | None:
    """Fill a folder with the Python that runs us and what wheels expect of a system.

    Returns what the system lacks for that, if anything.
    """
    for path, package in EXPECTED.items():
        if not path.exists():
            return f"an image needs {path}: install {package} in the base image"
    command = ["dpkg-query", "--listfiles", *WHEEL_LIBRARIES]
    try:
        listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        packages = ", ".join(WHEEL_LIBRARIES)
        return f"an image needs the libraries of Debian's {packages} in the base image: {error}"
    write_places(root)
    for path in map(Path, LISTED.findall(listed)):
        _copy_library(path, root)
    for path in EXPECTED:
        _copy(path, root)
    _write_python(root)
    cut_all_symbols(root)
    return None


def write_places(root: Path) -> None:
    """Fill a folder with what any program expects: places and users."""
    for folder in ("etc", "tmp", "usr/bin", "usr/lib", "usr/local/bin", "usr/sbin", "var/tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("bin", "lib", "lib64", "sbin"):
        (root / folder).symlink_to(f"usr/{folder}")
    (root / "usr/lib64").symlink_to("lib")
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/tmp:/sbin/nologin\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnonroot:x:65532:\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def write_linked(
    programs: Iterable[Path], root: Path, *, library_path: Iterable[Path] = ()
) -> None:
    """Copy the shared libraries that programs link to.

    They are looked for in the folders ``library_path`` before the places of the system.
    """
    folders = [*map(str, library_path), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, folders))}
    # It fails for programs that link to nothing.
    said = subprocess.run(
        ["ldd", *programs], stdout=subprocess.PIPE, text=True, check=False, env=environment
    )
    for library in LINKED.findall(said.stdout):
        _copy_library(Path(library), root)


def _write_python(root: Path) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    program = Path(sys.base_prefix) / "bin" / library.name
    copied = _copy(library, root, *UNUSED_IN_PYTHON)
    write_linked([program, *copied.glob("lib-dynload/*.so")], root)
    copied = _copy(program, root)
    cut_symbols(copied)
    for name in ("python3", "python"):
        copied.with_name(name).symlink_to(library.name)


def _copy(source: Path, root: Path, *ignored: str) -> Path:
    """Copy a file or folder to the same place below ``root``, and return that."""
    target = root / source.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignore = shutil.ignore_patterns(*ignored)
        shutil.copytree(source, target, ignore=ignore, symlinks=True)
    else:
        shutil.copy2(source, target)
    return target


def _copy_library(library: Path, root: Path) -> None:
    """Copy a shared library to the one folder of ours, which every loader looks into."""
    file = library.resolve()
    target = root / "usr/lib" / file.name
    if not target.exists():
        shutil.copy2(file, target)
    if not (name := target.with_name(library.name)).exists():
        name.symlink_to(file.name)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
