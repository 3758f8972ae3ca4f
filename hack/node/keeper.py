"""Holds the namespaces of one node, and leaves the host as it was whatever happens.

A process of its own, so that it outlives a parent that is killed: it works until its standard
input ends. Then it kills the node's first process, with which the kernel ends everything in the
node, removes cgroups and links, and puts back what kubelet changed for the whole host.

On standard output it writes one line of JSON: ``{"number": ..., "pid": ...}`` with the place it
took and the node's first process, or ``{"error": ...}``.
"""

import argparse
import fcntl
import ipaddress
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from hack.cache import installing
from hack.node.layout import CGROUPS, PLACES, UNSHARE, Layout

STATE: Final = Path("/run/reco-nodes")
# Kubelet sets these for the whole host.
SYSCTLS: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# Bound over these in the node; the programs' paths are fixed or must be short (sockets).
PRIVATE: Final = ("/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/var/log/pods")
EMPTY: Final = ("/run", "/var/log/containers")
STEP_SECONDS: Final = 10.0


class KeeperError(RuntimeError):
    """The host does not let a node be made here; the text says why."""


def main() -> None:
    """Make the node, say so, and unmake it when the parent goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--init", action="store_true", help="be the node's first process")
    options = parser.parse_args()
    if options.init:
        run_as_init(options.dir)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the stack below is unwound, once:
    with ExitStack() as stack:
        try:
            layout = stack.enter_context(take_place())
            stack.callback(remove_cgroups, layout)
            make_cgroups(layout)
            pid = stack.enter_context(namespaces(options.dir))
            stack.callback(remove_link, layout)
            make_link(layout, pid)
            stack.callback(signal.signal, signal.SIGTERM, signal.SIG_IGN)
        except (KeeperError, OSError, subprocess.CalledProcessError) as error:
            text = getattr(error, "stderr", None) or error
            print(json.dumps({"error": f"{error}: {text}" if text is not error else str(error)}))
            sys.exit(1)
        print(json.dumps({"number": layout.number, "pid": pid}), flush=True)
        sys.stdin.read()


# Places ----------------------------------------------------------------------------------------


@contextmanager
def take_place() -> Iterator[Layout]:
    """Take the first free place; the kernel frees it if we are killed.

    The first node on the host records what kubelet will change, the last one puts it back.

    Raises:
        KeeperError: all places are taken.
    """
    with host_lock():
        if not any(is_taken(number) for number in range(PLACES)):
            record_host()
        place = next(filter(None, map(try_to_take, usable_places())), None)
    if place is None:
        raise KeeperError(
            f"no place for another node: each of {PLACES} is taken by a node that runs, or "
            "its networks (10.213.N.0/30, 10.214.N.0/24, 10.215.N.0/24) are in use here"
        )
    layout, file = place
    clean_leftovers(layout)
    try:
        yield layout
    finally:
        with host_lock():
            Path(file.name).unlink()
            file.close()
            if not any(is_taken(number) for number in range(PLACES)):
                restore_host()


@contextmanager
def host_lock() -> Iterator[None]:
    """Hold what all keepers of this host change; the last of them removes even the lock."""
    path = STATE / "lock"
    while True:
        STATE.mkdir(exist_ok=True)
        try:
            file = path.open("w")
        except FileNotFoundError:  # removed in between
            continue
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                is_current = path.stat().st_ino == os.fstat(file.fileno()).st_ino
            except FileNotFoundError:
                is_current = False
            if is_current:
                yield
                return


def usable_places() -> Iterator[int]:
    """Yield the numbers whose networks nothing else on this host is in."""
    said = run("ip -json route show table all", check=True)
    routes = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in json.loads(said)
        if route["dst"] != "default" and ":" not in route["dst"] and "." in route["dst"]
        if not route.get("dev", "").startswith("reco-node")
    ]
    for number in range(PLACES):
        wanted = map(ipaddress.ip_network, Layout(number).networks)
        if not any(ours.overlaps(route) for ours in wanted for route in routes):
            yield number


def try_to_take(number: int) -> tuple[Layout, IO[str]] | None:
    """Return the place and the open file that holds it, or None if another node has it."""
    file = (STATE / f"{number}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return Layout(number), file


def is_taken(number: int) -> bool:
    """Return whether a node that runs has this place."""
    if not (STATE / f"{number}.lock").exists():
        return False
    if place := try_to_take(number):
        place[1].close()
    return place is None


def record_host() -> None:
    """Write down what the host is like without nodes, unless a killed keeper left it written."""
    record = STATE / "host.json"
    if record.exists():
        return
    before = {
        "sysctls": {name: Path("/proc/sys", name).read_text().strip() for name in SYSCTLS},
        "made": [path for path in (*PRIVATE, *EMPTY) if not Path(path).exists()],
    }
    with installing(record) as partial:
        partial.write_text(json.dumps(before))


def restore_host() -> None:
    """Put back what was written down, and remove our own records."""
    record = STATE / "host.json"
    before = json.loads(record.read_text())
    for name, value in before["sysctls"].items():
        if Path("/proc/sys", name).read_text().strip() != value:
            Path("/proc/sys", name).write_text(value)
    for path in before["made"]:
        with suppress(OSError):  # somebody else has put something into it
            Path(path).rmdir()
    for file in STATE.iterdir():
        file.unlink()
    STATE.rmdir()


def clean_leftovers(layout: Layout) -> None:
    """Remove what a keeper that was itself killed could not; its node died with it."""
    remove_link(layout)
    remove_cgroups(layout)


# Cgroups and the link --------------------------------------------------------------------------


def hierarchies() -> list[Path]:
    """Return the mounted cgroup hierarchies, of version 1."""
    return [path for path in CGROUPS.iterdir() if (path / "cgroup.procs").exists()]


def make_cgroups(layout: Layout) -> None:
    """Make the folder that kubelet puts its pods into."""
    for hierarchy in hierarchies():
        folder = hierarchy / layout.cgroup
        folder.mkdir(exist_ok=True)
        if (hierarchy / "cpuset.cpus").exists():  # empty in a new folder, and then unusable
            for name in ("cpuset.cpus", "cpuset.mems"):
                (folder / name).write_text((hierarchy / name).read_text())


def remove_cgroups(layout: Layout) -> None:
    """Remove the folder with all below it; processes that were killed leave it within moments."""
    deadline = time.monotonic() + STEP_SECONDS
    for hierarchy in hierarchies():
        root = hierarchy / layout.cgroup
        while root.exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(root, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
            if root.exists():
                time.sleep(0.05)


def make_link(layout: Layout, pid: int) -> None:
    """Connect host and node by a pair of addresses, and route pods and services through it."""
    link, node = layout.link, layout.node_address
    for command in (
        f"ip link add {link} type veth peer name eth0 netns {pid}",
        f"ip address add {layout.host_address}/30 dev {link}",
        f"ip link set {link} up",
        f"ip route add {layout.pod_network} via {node}",
        f"ip route add {layout.service_network} via {node}",
    ):
        run(command, check=True)
    inside = f"nsenter --target {pid} --net --mount"
    for command in (
        "ip link set lo up",
        f"ip address add {node}/30 dev eth0",
        "ip link set eth0 up",
        # Without any, connections from the node to services fail, wherever it leads.
        f"ip route add default via {layout.host_address}",
        # The second one exists once a bridge does; without it pods do not reach services.
        "sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'",
        "sh -c 'echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables'",
    ):
        run(f"{inside} {command}", check=True)


def remove_link(layout: Layout) -> None:
    """Remove the link, and with it its routes; that it is gone already is fine."""
    if Path("/sys/class/net", layout.link).exists():
        run(f"ip link delete {layout.link}")


def run(command: str, *, check: bool = False) -> str:
    """Run a command without a shell and return what it prints.

    Raises:
        CalledProcessError: it failed and ``check`` is set.
    """
    words = shlex.split(command)
    return subprocess.run(words, check=check, capture_output=True, text=True).stdout


# The node's namespaces -------------------------------------------------------------------------


@contextmanager
def namespaces(directory: Path) -> Iterator[int]:
    """Run the node's first process in namespaces of its own; gives its pid as the host sees it."""
    for path in (*PRIVATE, *EMPTY):
        Path(path).mkdir(parents=True, exist_ok=True)
    ready, told = os.pipe()
    unshare = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL"),  # if we are killed, so is the node
            *(*UNSHARE, "--kill-child"),
            *(sys.executable, "-m", "hack.node.keeper", "--init", "--dir", str(directory)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=told,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(told)
    with os.fdopen(ready) as file:
        said = file.readline()
    if said != "ready\n":
        unshare.kill()
        _, errors = unshare.communicate()
        raise KeeperError(f"namespaces cannot be made here: {errors.strip()}")
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text()
    pid = int(children.split()[0])
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)  # the kernel kills all the rest with it
        unshare.communicate()  # returns when they are gone


def run_as_init(directory: Path) -> None:
    """Mount what the node has for itself, then do what a first process must: collect the dead."""
    # Not /sys: that would hide the cgroups.
    run("mount --make-rshared /", check=True)
    for path in PRIVATE:
        own = directory / "node" / Path(path).name
        own.mkdir(parents=True, exist_ok=True)
        run(f"mount --bind {shlex.quote(str(own))} {path}", check=True)
    for path in EMPTY:
        run(f"mount -t tmpfs -o mode=0755 tmpfs {path}", check=True)
    run("hostname node", check=True)
    signals = {signal.SIGCHLD, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    print("ready", flush=True)
    while signal.sigwait(signals) == signal.SIGCHLD:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    sys.exit(0)


if __name__ == "__main__":
    main()
