"""Runs tests against a copy of the checkout that a mutant has changed."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.mutants.mutant import Mutant, StaleError

_FAILED, _PASSED = 1, 0  # pytest's exit codes; any other means that the tests did not run
_OPTIONS = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--no-header")
_SHOWN = 15


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    STALE = "STALE"
    """The row no longer fits: neither noticed nor missed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate and why."""

    fate: Fate
    text: str = ""


def try_out(mutant: Mutant, root: Path) -> Verdict:
    """Change a copy of the checkout, run the mutant's tests there, and judge."""
    with scratch_copy(root) as copy:
        python = python_of(copy)
        try:
            for edit in mutant.edits:
                edit.apply(copy)
            check_imports(python, copy, [edit.module for edit in mutant.edits])
        except StaleError as error:
            return Verdict(Fate.STALE, str(error))
        code, output = run_tests(copy, mutant.tests, mutant.seconds, "-x")
    return judge(mutant, code, output)


def judge(mutant: Mutant, code: int | None, output: str) -> Verdict:
    """Say what the end of the tests means.

    Args:
        mutant: what they ran against.
        code: pytest's exit code; None where the time ran out.
        output: what pytest printed.
    """
    if code is None:
        return Verdict(Fate.KILLED, f"no end within {mutant.seconds} s")
    if code == _PASSED:
        return Verdict(Fate.SURVIVED, "all tests pass")
    if code != _FAILED:
        return Verdict(Fate.STALE, f"the tests did not run: {_end(output)}")
    if mutant.says not in output:
        return Verdict(Fate.SURVIVED, f"no test says {mutant.says!r}: {_end(output)}")
    return Verdict(Fate.KILLED)


def baseline(mutants: Sequence[Mutant], root: Path) -> str | None:
    """Run all tests of some mutants without any; return what fails: it would notice nothing."""
    limits = {test: mutant.seconds for mutant in mutants for test in mutant.tests}
    with scratch_copy(root) as copy:
        python_of(copy)
        code, output = run_tests(copy, sorted(limits), sum(limits.values()))
    return None if code == _PASSED else f"the tests fail without a mutant: {_end(output)}"


@contextmanager
def scratch_copy(root: Path) -> Iterator[Path]:
    """Give a copy of all files that Git knows or would add, as they are now."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="reco-mutant-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder).resolve()
        for name in listed.split("\0"):
            source, target = root / name, copy / name
            if name and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        yield copy


def python_of(copy: Path) -> Path:
    """Make an interpreter that imports the copy's code, and all else from this environment.

    Variables would not do: tests start processes without those of their own. The scripts beside the
    interpreter are this environment's, but for the product's own.
    """
    home, here = copy / ".venv", Path(sys.executable).parent
    venv.EnvBuilder(symlinks=True).create(home)
    python = home / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    ours = [copy / "operator", copy, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (packages / "copy.pth").write_text("\n".join(map(str, ours)))
    for script in here.iterdir():
        target = python.with_name(script.name)
        if script.name == "reco":
            program = script.read_text().partition("\n")[2]
            target.write_text(f"#!{python}\n{program}")
            target.chmod(0o755)
        elif not target.exists():
            target.symlink_to(script)
    return python


def check_imports(python: Path, copy: Path, modules: Sequence[str]) -> None:
    """Make sure that the copy's modules are those that its tests import.

    Raises:
        StaleError: if another checkout would be tested.
    """
    code = (
        "import importlib.util, sys\n"
        "for name in sys.argv[1:]: print(importlib.util.find_spec(name).origin)"
    )
    found = subprocess.run(
        (python, "-c", code, *modules), cwd="/", env={}, check=False, capture_output=True, text=True
    )
    origins = [Path(line).resolve() for line in found.stdout.splitlines()]
    if len(origins) != len(modules) or not all(one.is_relative_to(copy) for one in origins):
        raise StaleError(f"not the copy is imported: {found.stdout}{_end(found.stderr)}")


def run_tests(
    copy: Path, tests: Sequence[str], seconds: float, *options: str
) -> tuple[int | None, str]:
    """Return pytest's exit code and output; None for the code where the time ran out."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("PYTEST_")
    }
    with subprocess.Popen(
        (copy / ".venv/bin/python", "-m", "pytest", *_OPTIONS, *options, *tests),
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        _RUNNING.add(process)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            return None, process.communicate()[0]
        finally:
            _RUNNING.discard(process)
    return process.returncode, output


_RUNNING: set[subprocess.Popen[str]] = set()


def end_all() -> None:
    """End all tests that run: whoever waits for them goes on, and clears up."""
    for process in list(_RUNNING):
        _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(output: str) -> str:
    return "\n".join(["", *output.rstrip().splitlines()[-_SHOWN:]])
