"""A real Kubernetes control plane on loopback: etcd and kube-apiserver, ready in about 2 s.

It is enough for everything that needs no pod: CRDs, validation, watches, RBAC, leases, events.
No kube-controller-manager runs unless ``start_controller_manager`` is called. Without it nobody
collects children of deleted owners, a deleted namespace stays ``Terminating`` for ever,
``--cascade=foreground`` deletions never finish, no ``default`` service account appears (so pods
are refused), the aggregated roles ``view``, ``edit`` and ``admin`` stay empty, and Jobs and
Deployments make no pods.

``uv run python -m hack.control_plane --dir DIR`` runs one until Ctrl-C; started again with the
same folder, it goes on with the data in it.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any, Final

from typing_extensions import override

from hack import kube_assets
from hack.cache import AssetError, Say
from hack.kube_access import Cluster
from hack.processes import LOOPBACK, Process, ProcessError, free_port, heed_signals

READY_SECONDS: Final = 60.0
# What makes deletion real, the service account of every new namespace, the aggregated roles.
CONTROLLERS: Final = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "clusterrole-aggregation-controller",
)


class ControlPlane(Cluster):
    """etcd and kube-apiserver in ``directory``, running between ``start`` and ``stop``.

    Use it as a context manager. The folder belongs to the caller and stays: data in ``etcd/``,
    logs in ``logs/``, ``kubeconfig`` and one ``kubeconfig-USER`` for each of ``users``.

    Its address, ``server``, is unchanged by restarts.
    """

    def __init__(
        self,
        directory: Path,
        *,
        users: Mapping[str, Sequence[str]] | None = None,
        apiserver_flags: Sequence[str] = (),
        say: Say | None = None,
    ) -> None:
        """Choose ports and identities; nothing runs yet.

        Args:
            directory: made if missing. Data found in it is taken up.
            users: groups of each further user; what they may do is said by RBAC objects.
            apiserver_flags: appended to the flags of kube-apiserver, so they win.
            say: receives progress of a build of the programs.
        """
        self._port = free_port()
        super().__init__(directory.resolve(), f"https://{LOOPBACK}:{self._port}", users)
        self._etcd_url = f"http://{LOOPBACK}:{free_port()}"
        self._apiserver_flags = apiserver_flags
        self._say = say
        self._etcd: Process | None = None
        self._apiserver: Process | None = None
        self._controller_manager: Process | None = None

    # --- life -------------------------------------------------------------------------------

    @override
    def start(self) -> None:
        """Start both and return when the API is ready and namespace ``kube-system`` exists.

        Raises:
            AssetError: the programs can be neither found nor built.
            ProcessError: one of them did not become ready; the text holds the end of its log.
        """
        self._programs = kube_assets.locate(say=self._say)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_identities()
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._start_etcd()
            self.start_apiserver()
            undo.pop_all()

    @override
    def stop(self) -> None:
        """End everything that runs, the API before its store."""
        with ExitStack() as steps:  # last in, first out, and each whatever becomes of the others
            if self._etcd:
                steps.callback(self._etcd.stop)
            steps.callback(self.stop_apiserver)
            steps.callback(self.stop_controller_manager)
        self._etcd = None

    def start_apiserver(self) -> None:
        """Start kube-apiserver over the running etcd and wait until it is ready."""
        if self._apiserver:
            raise ProcessError(f"kube-apiserver (pid {self._apiserver.pid}) runs already")
        self._apiserver = self._start_apiserver()
        self._apiserver.wait_ready(f"{self.server}/readyz", timeout=READY_SECONDS)
        self._write_kubeconfigs()
        # Made by the API server itself a moment after it is ready; its UID is the cluster's id.
        self._apiserver.wait_until(self._missing_system_namespaces, timeout=READY_SECONDS)

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """End kube-apiserver alone, by SIGTERM or, with ``kill``, by SIGKILL; its data stays."""
        if self._apiserver:
            self._apiserver.stop(grace=0 if kill else 10)
        self._apiserver = None

    def restart_apiserver(self, *, kill: bool = False) -> None:
        """Stop and start kube-apiserver: watches break, resource versions and data stay."""
        self.stop_apiserver(kill=kill)
        self.start_apiserver()

    def compact(self) -> None:
        """Have etcd forget all history but the present: older resource versions are gone (410)."""
        now = self._etcd_call("kv/range", {"key": "AA=="})["header"]["revision"]
        self._etcd_call("kv/compaction", {"revision": now, "physical": True})

    def _etcd_call(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401  (JSON)
        request = urllib.request.Request(  # noqa: S310  (our own http address)
            f"{self._etcd_url}/v3/{path}", json.dumps(body).encode()
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=10) as answer:
            return json.load(answer)

    def start_controller_manager(self, controllers: Sequence[str] = CONTROLLERS) -> None:
        """Run kube-controller-manager with ``controllers`` alone; see the module's docstring."""
        if self._controller_manager:
            raise ProcessError(
                f"kube-controller-manager (pid {self._controller_manager.pid}) runs already"
            )
        name = "kube-controller-manager"
        port = free_port()
        self._controller_manager = Process(
            name,
            [
                kube_assets.locate(name, say=self._say)[name],
                f"--kubeconfig={self.kubeconfig}",
                f"--controllers={','.join(controllers)}",
                f"--bind-address={LOOPBACK}",
                f"--secure-port={port}",
                f"--service-account-private-key-file={self._files.service_account_key}",
                "--authentication-skip-lookup=true",
                "--leader-elect=false",
            ],
            log=self._log(name),
        )
        self._controller_manager.wait_ready(
            f"https://{LOOPBACK}:{port}/healthz", timeout=READY_SECONDS
        )

    def stop_controller_manager(self) -> None:
        """End kube-controller-manager if it runs."""
        if self._controller_manager:
            self._controller_manager.stop()
        self._controller_manager = None

    # --- use --------------------------------------------------------------------------------

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of what runs now, by program."""
        running = (self._etcd, self._apiserver, self._controller_manager)
        return {process.name: process.pid for process in running if process}

    @property
    @override
    def certificate_authority(self) -> Path:
        return self._files.certificates / "apiserver.crt"

    # --- parts ------------------------------------------------------------------------------

    def _start_etcd(self) -> None:
        peer_url = f"http://{LOOPBACK}:{free_port()}"  # never used, but it must listen
        self._etcd = Process(
            "etcd",
            [
                self._programs["etcd"],
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={self._etcd_url}",
                f"--advertise-client-urls={self._etcd_url}",
                f"--listen-peer-urls={peer_url}",
                f"--initial-advertise-peer-urls={peer_url}",
                f"--initial-cluster=default={peer_url}",
                "--unsafe-no-fsync",  # lives no longer than a test, and starts 1 s sooner
                "--log-level=warn",
            ],
            log=self._log("etcd"),
        )
        self._etcd.wait_ready(f"{self._etcd_url}/readyz", timeout=READY_SECONDS)

    def _start_apiserver(self) -> Process:
        return Process(
            "kube-apiserver",
            [
                self._programs["kube-apiserver"],
                f"--etcd-servers={self._etcd_url}",
                f"--bind-address={LOOPBACK}",
                f"--advertise-address={LOOPBACK}",
                f"--secure-port={self._port}",
                # Publishing a loopback address as the service's endpoint is refused.
                "--endpoint-reconciler-type=none",
                f"--cert-dir={self._files.certificates}",
                "--authorization-mode=RBAC",
                f"--token-auth-file={self._files.tokens}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self._files.service_account_key}",
                f"--service-account-signing-key-file={self._files.service_account_key}",
                "--service-cluster-ip-range=10.215.0.0/24",
                "--profiling=false",
                # Without it SIGTERM waits a whole minute for clients that watch.
                "--shutdown-watch-termination-grace-period=1s",
                *self._apiserver_flags,
            ],
            log=self._log("kube-apiserver"),
        )


def main() -> int:
    """Run a control plane until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Run a Kubernetes control plane until Ctrl-C.")
    parser.add_argument("--dir", type=Path, help="data, logs, kubeconfig (default: temporary)")
    parser.add_argument(
        "--controllers",
        action="store_true",
        help="also delete namespaces and orphans for real (kube-controller-manager)",
    )
    options = parser.parse_args()
    heed_signals()
    started = time.monotonic()
    with ExitStack() as stack:
        directory = options.dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="reco-control-plane-"))
        )
        try:
            with ControlPlane(directory) as plane:
                if options.controllers:
                    plane.start_controller_manager()
                print(f"ready after {time.monotonic() - started:.1f} s at {plane.server}")
                print(f"  export KUBECONFIG={plane.kubeconfig}")
                print(f"  alias kubectl={plane.program('kubectl')}")
                print("  kubectl get namespaces")
                print(f"logs: {plane.directory / 'logs'}; Ctrl-C ends it", flush=True)
                Event().wait()
        except KeyboardInterrupt:
            print("stopped")
        except (AssetError, ProcessError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
