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
import os
import secrets
import ssl
import subprocess
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
from hack.processes import LOOPBACK, Process, ProcessError, Server, free_port, heed_signals

ADMIN: Final = "admin"
READY_SECONDS: Final = 60.0
# What makes deletion real, the service account of every new namespace, the aggregated roles.
CONTROLLERS: Final = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "clusterrole-aggregation-controller",
)


class KubectlError(RuntimeError):
    """A kubectl command failed; the text holds the command and what kubectl said."""


class ControlPlane(Server):
    """etcd and kube-apiserver in ``directory``, running between ``start`` and ``stop``.

    Use it as a context manager. The folder belongs to the caller and stays: data in ``etcd/``,
    logs in ``logs/``, ``kubeconfig`` and one ``kubeconfig-USER`` for each of ``users``.

    Attributes:
        server: URL of the API, unchanged by restarts.
        token: bearer token of ``admin``, a member of ``system:masters``.
        kubeconfig: of ``admin``; written by ``start``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        users: Mapping[str, Sequence[str]] | None = None,
        apiserver_flags: Sequence[str] = (),
        say: kube_assets.Say | None = None,
    ) -> None:
        """Choose ports and identities; nothing runs yet.

        Args:
            directory: made if missing. Data found in it is taken up.
            users: groups of each further user; what they may do is said by RBAC objects.
            apiserver_flags: appended to the flags of kube-apiserver, so they win.
            say: receives progress of a build of the programs.
        """
        self.directory = directory.resolve()
        self._port = free_port()
        self._etcd_url = f"http://{LOOPBACK}:{free_port()}"
        self._groups = {ADMIN: ("system:masters",), **(users or {})}
        self._tokens = {user: secrets.token_hex(16) for user in self._groups}
        self._apiserver_flags = apiserver_flags
        self._say = say
        self._programs: Mapping[str, Path] = {}
        self._etcd: Process | None = None
        self._apiserver: Process | None = None
        self._controller_manager: Process | None = None
        self.server = f"https://{LOOPBACK}:{self._port}"
        self.token = self._tokens[ADMIN]
        self.kubeconfig = self.kubeconfig_of(ADMIN)

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
                f"--service-account-private-key-file={self._service_account_key}",
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
    def certificate_authority(self) -> Path:
        """Certificates (PEM) by which clients trust the server; exists once it has started."""
        return self.directory / "certificates" / "apiserver.crt"

    def kubeconfig_of(self, user: str) -> Path:
        """Path of the kubeconfig of ``admin`` or of one of ``users``."""
        if user not in self._tokens:
            raise KeyError(f"no user {user!r}: known are {', '.join(self._tokens)}")
        return self.directory / ("kubeconfig" if user == ADMIN else f"kubeconfig-{user}")

    def program(self, name: str) -> Path:
        """Path of one of the programs in use, ``kubectl`` for instance."""
        return self._programs[name]

    def kubectl(
        self, *args: str, stdin: str | None = None, user: str = ADMIN, timeout: float = 60
    ) -> str:
        """Run the kubectl of the server's version and return what it prints.

        Raises:
            KubectlError: it failed, or took longer than ``timeout`` seconds.
        """
        try:
            done = subprocess.run(
                [self._programs["kubectl"], *args],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                env={
                    **os.environ,
                    "KUBECONFIG": str(self.kubeconfig_of(user)),
                    # Neither a person's preferences nor their discovery cache take part.
                    "KUBECTL_KUBERC": "false",
                    "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
                },
            )
        except subprocess.TimeoutExpired:
            raise KubectlError(f"kubectl {' '.join(args)}: no end after {timeout:g} s") from None
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, path: str) -> Any:  # noqa: ANN401  (JSON of the server's choosing)
        """Return the JSON at an API path such as ``/api/v1/namespaces``, as ``admin``.

        Raises:
            urllib.error.HTTPError: the server refused.
        """
        request = urllib.request.Request(  # noqa: S310  (our own https address)
            f"{self.server}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        trust = ssl.create_default_context(cafile=str(self.certificate_authority))
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        with direct.open(request, timeout=10) as answer:
            return json.load(answer)

    @property
    def cluster_id(self) -> str:
        """UID of namespace ``kube-system``, by which this cluster is told from others."""
        return str(self.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])

    # --- parts ------------------------------------------------------------------------------

    @property
    def _service_account_key(self) -> Path:
        return self.directory / "service-accounts.key"

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

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
                f"--cert-dir={self.certificate_authority.parent}",
                "--authorization-mode=RBAC",
                f"--token-auth-file={self.directory / 'tokens.csv'}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={self._service_account_key}",
                f"--service-account-signing-key-file={self._service_account_key}",
                "--service-cluster-ip-range=10.215.0.0/24",
                "--profiling=false",
                # Without it SIGTERM waits a whole minute for clients that watch.
                "--shutdown-watch-termination-grace-period=1s",
                *self._apiserver_flags,
            ],
            log=self._log("kube-apiserver"),
        )

    def _write_identities(self) -> None:
        tokens = self.directory / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(
            "".join(
                f'{self._tokens[user]},{user},{user},"{",".join(groups)}"\n'
                for user, groups in self._groups.items()
            )
        )
        if not self._service_account_key.exists():
            # In this older format, unlike PKCS #8, the private key also serves as public key file.
            generate = ("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out")
            subprocess.run(
                [*generate, self._service_account_key],
                check=True,
                capture_output=True,
            )

    def _write_kubeconfigs(self) -> None:
        """Write one file a user; JSON is YAML."""
        cluster = {
            "server": self.server,
            "certificate-authority": str(self.certificate_authority),
        }
        for user, token in self._tokens.items():
            path = self.kubeconfig_of(user)
            path.touch(mode=0o600)
            content = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "reco", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": token}}],
                "contexts": [{"name": "reco", "context": {"cluster": "reco", "user": user}}],
                "current-context": "reco",
            }
            path.write_text(json.dumps(content, indent=2) + "\n")

    def _missing_system_namespaces(self) -> str | None:
        found = {item["metadata"]["name"] for item in self.get("/api/v1/namespaces")["items"]}
        missing = {"default", "kube-system"} - found
        return f"the API server has not made {sorted(missing)} yet" if missing else None


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
        except (kube_assets.AssetError, ProcessError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
