"""Brings up the programs of a node in the namespaces that its keeper holds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from typing_extensions import override

from hack import docker_archive, kube_assets
from hack.cache import Say, installing, lock, say_with_seconds
from hack.kube_access import Cluster
from hack.node import host
from hack.node.certificates import write_certificates
from hack.node.configuration import (
    API_PORT,
    CONTAINERD_SOCKET,
    METRICS_PORT,
    PAUSE_IMAGE,
    USERS,
    commands,
    configuration_files,
)
from hack.node.layout import NAMESPACES, Layout
from hack.node.objects import objects
from hack.processes import Process, ProcessError, http_ready

ROOT: Final = Path(__file__).resolve().parents[2]
READY_SECONDS: Final = 90.0
STEP_SECONDS: Final = 10.0
VOLUMES: Final = 20
# Debian's administrators' folders are not on every PATH, and the node's programs call into them.
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NodeError(ProcessError):
    """The node can't be made on this host; the text says why."""


class NodeCluster(Cluster):
    """A cluster of one node in ``directory``, running between ``start`` and ``stop``.

    Use it as a context manager. The folder belongs to the caller; it holds data, images, volumes
    and ``logs/``, and must not be below ``/run``. Several clusters at once are fine.
    """

    def __init__(
        self,
        directory: Path,
        images: Sequence[Path] = (),
        *,
        metrics: bool = True,
        say: Say | None = None,
    ) -> None:
        """Choose; nothing runs yet.

        Args:
            directory: made if missing; data of a former cluster must not be in it.
            images: archives (``docker save``, ``buildah push docker-archive:``) to load.
            metrics: run metrics-server, which autoscalers need.
            say: receives progress of a build or installation of the programs.
        """
        super().__init__(directory.resolve(), server="", users=USERS)
        self._images = images
        self._metrics = metrics
        self._say = say or say_with_seconds()
        self._layout: Layout | None = None
        self._keeper: subprocess.Popen[str] | None = None
        self._init_pid = 0
        self._processes: dict[str, Process] = {}

    # --- life -------------------------------------------------------------------------------

    @override
    def start(self) -> None:
        """Start and return when the node is ready, the images are there, and pods may be made.

        Raises:
            AssetError: programs can be neither found nor built nor installed.
            NodeError: this host can't run pods.
            ProcessError: a program did not become ready; the text holds the end of its log.
        """
        if reason := host.why_not():
            raise NodeError(reason)
        prepare(self._say)
        self._programs = kube_assets.locate(*kube_assets.NODE, say=self._say)
        self.directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            undo.callback(self.stop)
            layout = self._layout = self._start_keeper()
            self.server = f"https://{layout.node_address}:{API_PORT}"
            self._write_files(layout)
            with ThreadPoolExecutor(1, thread_name_prefix="image-import") as pool:
                self._start_programs(layout, pool)
            undo.pop_all()

    @override
    def stop(self) -> None:
        """End the node with everything in it, and put the host back as it was."""
        if self._keeper:
            self._keeper.communicate()  # the end of its input is what it waits for
            self._keeper = None
        for process in self._processes.values():
            process.stop(grace=0)
        self._processes.clear()

    # --- use --------------------------------------------------------------------------------

    @property
    def host_address(self) -> str:
        """Address at which pods reach servers of the host."""
        return self._place.host_address

    @property
    def node_address(self) -> str:
        """Address of the node, where NodePorts answer."""
        return self._place.node_address

    def load_image(self, archive: Path) -> None:
        """Give the node an image from an archive, under the names that the archive says.

        Raises:
            ProcessError: the archive is not readable, or no image.
        """
        command = ("ctr", "--namespace", "k8s.io", "images", "import", "--snapshotter", "overlayfs")
        done = subprocess.run(
            [*self._enter, *command, str(archive.resolve())],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProcessError(f"{archive} can't be imported: {done.stderr.strip()}")

    @contextmanager
    def frozen(self, program: str) -> Iterator[None]:
        """Let one of the node's programs, such as ``kubelet``, hold still meanwhile."""
        # Our child is nsenter. It stops once its own child has, and lets that go on before it does;
        # were both told, it might stop after all, and then nobody would collect what it ran.
        outer = self._processes[program]
        inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
        os.kill(inner, signal.SIGSTOP)
        outer.wait_until(
            lambda: None if is_stopped(outer.pid) else f"{program} goes on", timeout=STEP_SECONDS
        )
        try:
            yield
        finally:
            os.kill(outer.pid, signal.SIGCONT)
            outer.wait_until(
                lambda: f"{program} is stopped" if is_stopped(inner) else None, timeout=STEP_SECONDS
            )

    # --- parts ------------------------------------------------------------------------------

    @property
    def _place(self) -> Layout:
        if self._layout is None:
            raise NodeError("the node has no addresses before it has started")
        return self._layout

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self._init_pid), *NAMESPACES]

    def _start_keeper(self) -> Layout:
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "hack.node.keeper", "--dir", str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        if self._keeper.stdout is None:
            raise NodeError("the keeper has no standard output")
        said = json.loads(self._keeper.stdout.readline() or '{"error": "the keeper ended early"}')
        if error := said.get("error"):
            raise NodeError(error)
        self._init_pid = said["pid"]
        return Layout(said["number"])

    def _write_files(self, layout: Layout) -> None:
        write_certificates(self._files.certificates, layout)
        self._write_identities()
        self._write_kubeconfigs()
        for name, content in configuration_files(layout, self._files).items():
            path = self._files.configuration / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def _start_programs(self, layout: Layout, pool: ThreadPoolExecutor) -> None:
        arguments = commands(layout, self._files)
        for name in ("containerd", "etcd", "kube-apiserver"):
            self._run(name, arguments)
        loaded = pool.submit(self._load_images)
        apiserver = self._processes["kube-apiserver"]
        apiserver.wait_ready(f"{self.server}/readyz", timeout=READY_SECONDS)
        # Not before: kube-controller-manager ends when it is refused a ConfigMap.
        for name in ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
            self._run(name, arguments)
        self._apply_objects(layout)
        for name in ("coredns", *(["metrics-server"] if self._metrics else ())):
            self._run(name, arguments)
        self._wait(loaded, apiserver)

    def _run(self, name: str, arguments: Mapping[str, Sequence[str]]) -> None:
        self._processes[name] = Process(
            name,
            [*self._enter, self._programs.get(name, name), *arguments[name]],
            log=self._log(name),
            env={"PATH": PATH},
            cwd=Path("/"),
        )

    def _load_images(self) -> None:
        socket = Path(f"/proc/{self._init_pid}/root{CONTAINERD_SOCKET}")
        containerd = self._processes["containerd"]
        containerd.wait_until(
            lambda: None if socket.exists() else f"{CONTAINERD_SOCKET} is not there",
            timeout=READY_SECONDS,
        )
        for image in (pause_image(self._say), *self._images):
            self.load_image(image)

    def _apply_objects(self, layout: Layout) -> None:
        volumes = self.directory / "volumes"
        items = objects(layout, volumes, VOLUMES)
        for item in items:
            if item["kind"] == "PersistentVolume":
                folder = volumes / item["metadata"]["name"]
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o777)  # for pods of any user
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("create", "--validate=ignore", "-f", "-", stdin=manifest)

    def _wait(self, loaded: Future[None], apiserver: Process) -> None:
        for process, check in (
            (self._processes["kubelet"], self._node_not_ready),
            (apiserver, self._missing_system_namespaces),
            (self._processes["kube-controller-manager"], self._missing_service_account),
        ):
            process.wait_until(check, timeout=READY_SECONDS)
        if self._metrics:
            self._processes["metrics-server"].wait_until(
                http_ready(f"https://{self.node_address}:{METRICS_PORT}/livez"),
                timeout=READY_SECONDS,
            )
        loaded.result(timeout=READY_SECONDS)

    def _node_not_ready(self) -> str | None:
        for node in self.get("/api/v1/nodes")["items"]:
            for condition in node["status"].get("conditions", ()):
                if condition["type"] == "Ready":
                    return None if condition["status"] == "True" else str(condition["message"])
        return "kubelet has not registered its node"

    def _missing_service_account(self) -> str | None:
        accounts = self.get("/api/v1/namespaces/default/serviceaccounts")["items"]
        return None if accounts else "namespace default has no service account"


def is_stopped(pid: int) -> bool:
    """Say whether a process was stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def prepare(say: Say) -> None:
    """Install and build all that a node needs, so that a start takes seconds.

    Raises:
        AssetError: that is not possible.
    """
    host.install(say)
    kube_assets.locate(*kube_assets.NODE, say=say)
    pause_image(say)


def pause_image(say: Say) -> Path:
    """Return the archive of the image that holds each pod's namespaces open."""
    program = kube_assets.build_checked_in_module("pause", ROOT / "hack" / "pause", say=say)
    archive = program.with_suffix(".tar")
    if not archive.exists():
        files = {"pause": program}
        with lock(archive.parent, say):
            if not archive.exists():
                with installing(archive) as partial:
                    docker_archive.write(partial, PAUSE_IMAGE, files, entrypoint=["/pause"])
    return archive
