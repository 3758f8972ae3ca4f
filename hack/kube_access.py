"""A running cluster as its users see it: identities, kubeconfigs, kubectl, and plain requests.

What runs the cluster differs (`hack.control_plane`, `hack.node`); how one talks to it does not.
"""

import json
import os
import secrets
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hack.processes import Server

ADMIN: Final = "admin"


class KubectlError(RuntimeError):
    """A kubectl command failed; the text holds the command and what kubectl said."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the files of one cluster stand."""

    directory: Path

    @property
    def certificates(self) -> Path:
        """Folder of keys and certificates."""
        return self.directory / "certificates"

    @property
    def authority(self) -> Path:
        """Certificate of the cluster's own authority, where it has one."""
        return self.certificates / "ca.crt"

    @property
    def configuration(self) -> Path:
        """Folder of what its programs are configured by beside their flags."""
        return self.directory / "configuration"

    @property
    def tokens(self) -> Path:
        """Tokens of all users, as kube-apiserver reads them."""
        return self.directory / "tokens.csv"

    @property
    def service_account_key(self) -> Path:
        """Key that signs the tokens of service accounts, and by which they are known."""
        return self.directory / "service-accounts.key"

    def kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig of ``admin`` or another user."""
        suffix = "" if user == ADMIN else f"-{user.replace(':', '-')}"
        return self.directory / f"kubeconfig{suffix}"


class Cluster(Server):
    """Access to the API at ``server``; who starts and stops it is said by subclasses.

    Attributes:
        directory: holds everything of the cluster.
        server: URL of the API.
        token: bearer token of ``admin``, a member of ``system:masters``.
        kubeconfig: of ``admin``; exists once the cluster has started.
    """

    def __init__(
        self, directory: Path, server: str, users: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Choose identities.

        Args:
            directory: made when the cluster starts.
            server: URL of the API.
            users: groups of each user beside ``admin``.
        """
        self.directory = directory
        self.server = server
        self._files = Files(directory)
        self._groups = {ADMIN: ("system:masters",), **(users or {})}
        self._tokens = {user: secrets.token_hex(16) for user in self._groups}
        self._programs: Mapping[str, Path] = {}
        self.token = self._tokens[ADMIN]
        self.kubeconfig = self.kubeconfig_of(ADMIN)

    @property
    def certificate_authority(self) -> Path:
        """Certificates (PEM) by which clients trust the server; exists once it has started."""
        return self._files.authority

    def kubeconfig_of(self, user: str) -> Path:
        """Path of the kubeconfig of ``admin`` or of one of the users."""
        if user not in self._tokens:
            raise KeyError(f"no user {user!r}: known are {', '.join(self._tokens)}")
        return self._files.kubeconfig(user)

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

    def reach(self, endpoint: str) -> str:
        """Return the URL at which this machine reaches what a status names.

        That of a Service is where it answers; any other is reached as it is.
        """
        name, *rest = (urlsplit(endpoint).hostname or "").split(".")
        if rest[1:2] != ["svc"]:
            return endpoint
        found = self.kubectl("get", "service", name, "-n", rest[0], "-o", "json")
        spec = json.loads(found)["spec"]
        return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"

    @property
    def cluster_id(self) -> str:
        """UID of namespace ``kube-system``, by which this cluster is told from others."""
        return str(self.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])

    # --- for those who start it ---------------------------------------------------------------

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def _write_identities(self) -> None:
        """Write the tokens of all users, and the key that signs service accounts' tokens."""
        self._files.tokens.touch(mode=0o600)
        self._files.tokens.write_text(
            "".join(
                f'{self._tokens[user]},{user},{user},"{",".join(groups)}"\n'
                for user, groups in self._groups.items()
            )
        )
        if not self._files.service_account_key.exists():
            # In this older format, unlike PKCS #8, the private key also serves as public key file.
            generate = ("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out")
            subprocess.run(
                [*generate, self._files.service_account_key],
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
