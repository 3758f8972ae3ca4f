import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import uvloop

from hack.slim import cut_symbols, main

# One file for each row that holds for all packages.
OF_ALL = ("a/tests/test_a.py", "a/a.h", "a/a.pxd", "a/a.pxi", "a/a.pyx", "a/a.pyi")


def write(root: Path, names: Iterable[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def left(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_what_is_listed_goes_and_the_rest_stays(tmp_path: Path) -> None:
    used = {"a/a.py", "scipy/version.py", "implicit/als.py"}
    used |= {f"scipy/{name}/b.so" for name in ("_lib", "_external", "linalg", "sparse")}
    write(tmp_path, used | {*OF_ALL, "scipy/stats/b.so", "implicit/gpu/_cuda.so"})
    assert main(tmp_path) is None
    assert left(tmp_path) == used


@pytest.mark.parametrize(
    ("names", "row"),
    [
        (["implicit/als.py"], "implicit/gpu/*.so"),
        (["scipy/_lib/b.so", "scipy/linear/b.so", "scipy/sparse/b.so"], "scipy"),
        (["scipy/_lib/b.so", "scipy/linalg/b.so", "scipy/sparse/b.so"], "scipy"),
    ],
)
def test_a_row_without_a_meaning_is_named_before_anything_goes(
    tmp_path: Path, names: list[str], row: str
) -> None:
    write(tmp_path, [*OF_ALL, *names])
    assert main(tmp_path) == f"rows of slim.py that match nothing any more: {row}"
    assert left(tmp_path) == {*OF_ALL, *names}


def test_a_library_without_symbols_is_smaller_and_works(tmp_path: Path) -> None:
    package = tmp_path / "uvloop"
    shutil.copytree(Path(uvloop.__file__).parent, package)
    [library] = package.glob("loop.*.so")
    before = library.stat().st_size
    cut_symbols(library)
    assert library.stat().st_size < before / 2
    program = "import asyncio, uvloop; uvloop.run(asyncio.sleep(0)); print(uvloop.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(package / "__init__.py")


def test_what_is_no_library_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "libc.so"
    file.write_text("INPUT(libc.so.6)\n")
    cut_symbols(file)
    assert file.read_text() == "INPUT(libc.so.6)\n"
