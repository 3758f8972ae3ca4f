"""Whether this host can run a node, and what must be installed on it first."""

import os
import shutil
import subprocess
import sys
from typing import Final

from hack import debian
from hack.cache import Say
from hack.node.layout import CGROUPS, UNSHARE

CONTROLLERS: Final = ("cpu", "cpuset", "memory", "pids")
UTIL_LINUX: Final = ("unshare", "nsenter", "setpriv")
PACKAGES: Final = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "openssl": "openssl",
}


def why_not() -> str | None:
    """Return why pods can't run on this host, or None if they can; what is asked is harmless."""
    if sys.platform != "linux":
        return f"pods need Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "pods need root, to make namespaces and cgroups"
    if absent := [program for program in UTIL_LINUX if not shutil.which(program)]:
        return f"util-linux lacks {', '.join(absent)}"
    for controller in CONTROLLERS:
        folder = CGROUPS / controller
        if not (folder / "cgroup.procs").exists():
            return f"{folder} is no cgroup hierarchy of version 1, the one known to work here"
        if not os.access(folder, os.W_OK):
            return f"{folder} is mounted read-only"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"namespaces can't be made: {tried.stderr.strip()}"
    if debian.missing(PACKAGES) and not shutil.which("apt-get"):
        return f"these are missing, and there is no apt-get: {debian.missing(PACKAGES)}"
    return None


def install(say: Say) -> None:
    """Install the packages that a node needs.

    Raises:
        AssetError: that is not possible.
    """
    debian.install(PACKAGES, say)
