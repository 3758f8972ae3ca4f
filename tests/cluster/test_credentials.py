"""A kubeconfig whose plugin hands out tokens that end, on the real API server."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from ssl import create_default_context

import pytest

from hack.control_plane import ControlPlane
from tests.cluster.operators import OperatorProcess
from tests.cluster.test_operator_process import apply, wait_for_status

API_VERSION = "client.authentication.k8s.io/v1"
PLUGIN = """echo run >> "$0.runs"; test -e "$0.fails" && { cat "$0.fails" >&2; exit 4; }; cat "$0"
"""


class Plugin:
    """A credential plugin, and the service account whose tokens it hands out."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self._plane = plane
        self._namespace = namespace
        self._answer = folder / "credential"
        self._secret = ""
        plane.kubectl("create", "serviceaccount", "operator", "-n", namespace)
        who = f"--serviceaccount={namespace}:operator"
        plane.kubectl("create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", who)
        self.kubeconfig = folder / "kubeconfig"
        content = json.loads(plane.kubeconfig.read_text())
        plugin = {"apiVersion": API_VERSION, "command": "sh", "interactiveMode": "Never"}
        content["users"][0]["user"] = {"exec": plugin | {"args": ["-c", PLUGIN, self._answer]}}
        self.kubeconfig.write_text(json.dumps(content, default=str))
        self.renew()

    def renew(self) -> str:
        """Hand out another token from now on, and return the one before's end."""
        before, self._secret = self._secret, f"token-{secrets.token_hex(4)}"
        self._plane.kubectl("create", "secret", "generic", self._secret, "-n", self._namespace)
        bound = ("--bound-object-kind=Secret", f"--bound-object-name={self._secret}")
        self.token = self._plane.kubectl(
            "create", "token", "operator", "-n", self._namespace, *bound
        ).strip()
        answer = {
            "apiVersion": API_VERSION,
            "kind": "ExecCredential",
            "status": {"token": self.token},
        }
        self._answer.write_text(json.dumps(answer))
        return before

    def revoke(self, secret: str) -> None:
        """End the token that is bound to a Secret; the API server has it cached for seconds."""
        self._plane.kubectl("delete", "secret", secret, "-n", self._namespace)
        self._plane.restart_apiserver(kill=True)

    def fail(self, words: str) -> None:
        """Fail from now on."""
        Path(f"{self._answer}.fails").write_text(words)

    @property
    def runs(self) -> int:
        """How often it was asked."""
        return len(Path(f"{self._answer}.runs").read_text().splitlines())

    def knows(self, token: str) -> bool:
        """Whether the API server takes a token."""
        request = urllib.request.Request(
            f"{self._plane.server}/apis/reco.dev/v1alpha1/datasetgroups",
            headers={"Authorization": f"Bearer {token}"},
        )
        trust = create_default_context(cafile=str(self._plane.certificate_authority))
        try:
            with urllib.request.urlopen(request, context=trust):
                return True
        except urllib.error.HTTPError as error:
            with error:
                return error.code != HTTPStatus.UNAUTHORIZED


@pytest.fixture
def plugin(crds: ControlPlane, namespace: str, tmp_path: Path) -> Plugin:
    return Plugin(crds, namespace, tmp_path)


@pytest.fixture
def operator(plugin: Plugin, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    options = (f"--namespaces={namespace}", f"--lease-namespace={namespace}")
    with OperatorProcess(plugin.kubeconfig, tmp_path / "operator.log", *options) as running:
        yield running


def test_an_operator_goes_on_with_another_token_once_its_own_has_ended(
    crds: ControlPlane, namespace: str, plugin: Plugin, operator: OperatorProcess
) -> None:
    operator.ready()
    apply(crds, namespace, "before")
    wait_for_status(crds, namespace, "before")
    for number in range(2):
        old = plugin.token
        plugin.revoke(plugin.renew())
        operator.until(lambda token=old: not plugin.knows(token), "the old token still counts")  # type: ignore[misc]
        apply(crds, namespace, f"after-{number}")
        wait_for_status(crds, namespace, f"after-{number}", timeout=60)
    assert operator.returncode is None
    assert plugin.runs < 12


def test_a_plugin_that_fails_stops_the_operator_with_its_words(
    plugin: Plugin, operator: OperatorProcess
) -> None:
    operator.ready()
    plugin.fail("your session has expired: run sso login")
    plugin.revoke(plugin.renew())
    assert operator.wait(timeout=90) == 1
    errors = [line["message"] for line in operator.lines() if line["level"] == "error"]
    assert any("run sso login" in message for message in errors), errors


def test_an_operator_does_not_start_with_a_plugin_that_fails(
    plugin: Plugin, tmp_path: Path
) -> None:
    plugin.fail("no credentials in this environment")
    log = tmp_path / "operator.log"
    with OperatorProcess(plugin.kubeconfig, log) as operator:
        assert operator.wait(timeout=30) == 1
        (message,) = [one["message"] for one in operator.lines() if one["level"] == "error"]
    assert "can't start" in message
    assert "no credentials in this environment" in message
