"""Removes from an installed environment what no container of ours uses; part of the Dockerfile.

``python slim.py SITE_PACKAGES``. The tables say what goes and why. A row about a package that is
installed must match something, whichever Python its version is locked for, else the build fails: a
row that has lost its meaning gives back megabytes without anyone noticing. What must work
afterwards is tested on the finished images.
"""

import os
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Files and folders by glob, relative to site-packages: why nobody here uses them.
UNUSED: Final = {
    "**/tests": "tests of others",
    "numpy/_core/_*_tests.*": "tests of others",
    "pyarrow/_pyarrow_cpp_tests.*": "tests of others",
    "numpy/_core/include": "for those who compile against it",
    "numpy/_core/lib": "for those who compile against it",
    "pyarrow/include": "for those who compile against it",
    "pyarrow/src": "for those who compile against it",
    "**/*.h": "for those who compile against it",
    "**/*.pxd": "for those who compile against it",
    "**/*.pxi": "source of what is compiled",
    "**/*.pyx": "source of what is compiled",
    "**/*.pyi": "for type checkers",
    "pydantic/v1": "models as they were before version 2",
    "pyarrow/_flight.*": "a network protocol",
    "pyarrow/libarrow_flight.*": "a network protocol",
    "pyarrow/libarrow_python_flight.*": "a network protocol",
    "pyarrow/_azurefs.*": "a file system; we have boto3",
    "pyarrow/_gcsfs.*": "a file system; we have boto3",
    "pyarrow/_hdfs.*": "a file system; we have boto3",
    "pyarrow/_s3fs.*": "a file system; we have boto3",
    "pyarrow/libarrow_s3.*": "a file system; we have boto3",
    "pyarrow/_dataset_orc.*": "another format than CSV and Parquet",
    "pyarrow/_feather.*": "another format than CSV and Parquet",
    "pyarrow/_orc.*": "another format than CSV and Parquet",
    "pyarrow/_substrait.*": "plans of queries",
    "pyarrow/*parquet_encryption*": "we encrypt no columns",
    "pyarrow/libarrow_python.so": "a copy under the name that linkers ask for",
    "pyarrow/libarrow_python.so.*.*": "a copy under the name that nobody asks for",
    "implicit/gpu/*.so": "needs CUDA",
}
# Folders of which only some folders are used, and those, by glob.
USED: Final = {
    # Gram matrices are sparse, their inverses dense; implicit wants no more either. What scipy's
    # own folders share has other names from one version, hence one Python, to the next.
    "scipy": ("_*", "linalg", "sparse"),
    # Services that we call, or that finding credentials does, among 400.
    "botocore/data": (
        "personalize",
        "personalize-events",
        "personalize-runtime",
        "s3",
        "signin",
        "sso",
        "sso-oidc",
        "sts",
    ),
}


def main(site_packages: Path) -> str | None:
    """Remove what the tables list, and symbols; return what is wrong with a table."""
    listed = {row: list(_matches(site_packages, row)) for row in (*UNUSED, *USED)}
    stale = [
        row
        for row, matches in listed.items()
        if not matches and any(site_packages.glob(row.partition("/")[0]))
    ]
    if stale:
        return f"rows of slim.py that match nothing any more: {', '.join(stale)}"
    for path in {path for matches in listed.values() for path in matches}:
        _remove(path)
    cut_all_symbols(site_packages)
    return None


def _matches(site_packages: Path, row: str) -> Iterator[Path]:
    """Yield what a row removes; nothing if a folder that a row keeps is not there."""
    if row in UNUSED:
        yield from site_packages.glob(row)
    elif all(used := [set((site_packages / row).glob(name)) for name in USED[row]]):
        folders = filter(Path.is_dir, (site_packages / row).iterdir())
        yield from set(folders).difference(*used)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)  # its folder may have gone before it


def cut_all_symbols(folder: Path) -> None:
    """Cut off the symbols of all shared libraries in a folder."""
    for path in folder.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            cut_symbols(path)


def cut_symbols(library: Path) -> None:
    """Cut off the end of a shared library or a program that only debuggers and linkers read.

    Debug symbols and the table of sections lie behind all that is loaded into memory. Unlike
    ``strip`` this moves nothing, which libraries that patchelf has edited don't survive, and needs
    no program. Files that are no 64-bit little-endian ELF stay as they are.
    """
    with library.open("r+b") as file:
        header = bytearray(file.read(64))
        if header[:6] != b"\x7fELF\2\1":
            return
        [table] = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        segments = file.read(size * count)
        end = table + len(segments)
        for start in range(0, len(segments), size):
            [offset] = struct.unpack_from("<Q", segments, start + 8)
            [length] = struct.unpack_from("<Q", segments, start + 32)
            end = max(end, offset + length)
        if end < file.seek(0, os.SEEK_END):
            struct.pack_into("<Q", header, 40, 0)  # no table of sections
            struct.pack_into("<HHH", header, 58, 0, 0, 0)  # of no entries
            file.seek(0)
            file.write(header)
            file.truncate(end)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
