"""Finds the programs of a Kubernetes control plane, and builds those it cannot find.

Tests talk to a real kube-apiserver, never to an imitation. In this order each program comes from:

1. the folder named by ``RECO_KUBE_ASSETS``, or by envtest's ``KUBEBUILDER_ASSETS``;
2. our cache: ``RECO_CACHE``, else ``$XDG_CACHE_HOME/reco``, else ``~/.cache/reco``;
3. the official release, downloaded and checked against its published checksum;
4. a build from the published Go modules: the first time about 6 minutes on 2 cores for all of
   Kubernetes, 3 for CoreDNS and 2 for metrics-server, with some 10 GB of Go's own caches meanwhile
   (``go clean -cache -modcache`` frees them); seconds to relink afterwards.

``uv run python -m hack.kube_assets [PROGRAM ...]`` prints one ``name<TAB>path`` line a program;
what it does meanwhile goes to standard error. Programs: see ``PROGRAMS``.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hack.cache import (
    AssetError,
    Say,
    cache_root,
    host_platform,
    installing,
    lock,
    say_with_seconds,
)
from hack.go_builds import build, build_release, find_go
from hack.releases import Release, download

KUBERNETES_VERSION: Final = "v1.36.3"
ETCD_VERSION: Final = "v3.6.16"
COREDNS_VERSION: Final = "v1.15.0"
METRICS_SERVER_VERSION: Final = "v0.9.0"

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
COREDNS: Final = Release(
    module="github.com/coredns/coredns",
    version=COREDNS_VERSION,
    binary_url=(
        "https://github.com/coredns/coredns/releases/download/{version}/"
        "coredns_{number}_{os}_{arch}.tgz"
    ),
    checksum_url=(
        "https://github.com/coredns/coredns/releases/download/{version}/"
        "coredns_{number}_{os}_{arch}.tgz.sha256"
    ),
)
METRICS_SERVER: Final = Release(  # published as a container image alone
    module="sigs.k8s.io/metrics-server", version=METRICS_SERVER_VERSION
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
    "coredns": (COREDNS, "github.com/coredns/coredns"),
    "metrics-server": (METRICS_SERVER, "sigs.k8s.io/metrics-server/cmd/metrics-server"),
}
CONTROL_PLANE: Final = ("etcd", "kube-apiserver", "kubectl")
# In an order that lets a build profit from the one before.
NODE: Final = tuple(PROGRAMS)


def locate(*names: str, say: Say | None = None) -> dict[str, Path]:
    """Return the path of each program named, by default those of ``CONTROL_PLANE``.

    ``say`` receives progress lines; by default they go to standard error. A second caller waits
    while the first one builds. Interrupted at any point, nothing half made stays in the cache.

    Raises:
        AssetError: a name is unknown, or a program could be neither found nor built.
    """
    say = say or say_with_seconds()
    found: dict[str, Path] = {}
    for name in names or CONTROL_PLANE:
        if name not in PROGRAMS:
            raise AssetError(f"no program {name!r}: known are {', '.join(PROGRAMS)}")
        found[name] = _from_environment(name, say) or _cached(name)
    missing: dict[Path, list[str]] = {}
    for name, path in found.items():
        if not path.exists():
            missing.setdefault(path.parent, []).append(name)
    for folder, names_in_it in missing.items():
        with lock(folder, say):
            _obtain(folder, [name for name in names_in_it if not found[name].exists()], say)
    return found


def build_checked_in_module(name: str, source: Path, *, say: Say | None = None) -> Path:
    """Build the Go program in folder ``source`` (with go.mod and go.sum), or find it in the cache.

    The cache key is the content of the Go files and module files, so an edit builds anew.

    Raises:
        AssetError: no Go could be found, or the build failed.
    """
    say = say or say_with_seconds()
    digest = hashlib.sha256()
    for file in sorted((*source.glob("*.go"), *source.glob("go.*"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    program = cache_root() / name / digest.hexdigest()[:16] / name
    if not program.exists():
        with lock(program.parent, say):
            if not program.exists():
                with installing(program) as partial:
                    build(find_go(say), source, ".", partial, say, what=name)
    return program


def _from_environment(name: str, say: Say) -> Path | None:
    for variable in ("RECO_KUBE_ASSETS", "KUBEBUILDER_ASSETS"):
        if folder := os.environ.get(variable):
            if (path := Path(folder) / name).exists():
                return path
            say(f"{variable}={folder} holds no {name}; looking further")
    return None


def _obtain(folder: Path, names: Sequence[str], say: Say) -> None:
    """Put the programs into ``folder``, by download where the release can be reached."""
    unreachable: set[str] = set()  # asked once a release, not once a program
    to_build = [
        name for name in names if not download(PROGRAMS[name][0], folder / name, unreachable, say)
    ]
    if to_build:
        go = find_go(say)
        for name in to_build:
            release, package = PROGRAMS[name]
            with installing(folder / name) as partial:
                build_release(go, release, package, partial, say)


def _cached(name: str) -> Path:
    """Where a program stands in the cache: one folder a set of versions.

    That of the control plane serves as KUBEBUILDER_ASSETS for others as it is.
    """
    release, _ = PROGRAMS[name]
    key = f"kubernetes-{KUBERNETES_VERSION}-etcd-{ETCD_VERSION}"
    if release not in (KUBERNETES, ETCD):
        key = f"{name}-{release.version}"
    return cache_root() / "kube-assets" / "-".join((key, *host_platform())) / name


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
