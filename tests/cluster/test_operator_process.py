"""The operator as a process against a real API server: start, loss, takeover and end."""

import json
import signal
import sys
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import pytest

from hack.control_plane import ControlPlane
from hack.processes import Process
from tests.cluster.operators import QUICK_LEASE, OperatorProcess
from tests.support.proxy import Proxy

Start = Callable[..., OperatorProcess]


@pytest.fixture
def start(crds: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Start]:
    """Start replicas that watch the test's namespace."""
    with ExitStack() as running:

        def start_(
            *options: str, kubeconfig: Path | None = None, name: str = "1"
        ) -> OperatorProcess:
            return running.enter_context(
                OperatorProcess(
                    kubeconfig or crds.kubeconfig,
                    tmp_path / f"operator-{name}.log",
                    f"--namespaces={namespace}",
                    f"--lease-namespace={namespace}",
                    *options,
                )
            )

        yield start_


def apply(plane: ControlPlane, namespace: str, name: str) -> None:
    """Make a group that waits for a class that does not exist."""
    manifest = {
        "apiVersion": "reco.dev/v1alpha1",
        "kind": "DatasetGroup",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"engineClassName": "not-there"},
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def wait_for_status(plane: ControlPlane, namespace: str, name: str, timeout: int = 30) -> None:
    plane.kubectl(
        "wait",
        "--for=condition=Ready=false",
        f"--timeout={timeout}s",
        "-n",
        namespace,
        f"dsg/{name}",
        timeout=timeout + 10,
    )


def test_it_serves_until_it_is_told_to_stop_and_leaves_the_lease_free(
    crds: ControlPlane, namespace: str, start: Start
) -> None:
    operator = start(*QUICK_LEASE).ready()
    apply(crds, namespace, "group")
    wait_for_status(crds, namespace, "group")
    holder = ("get", "lease", "reco-operator", "-n", namespace, "-o", "jsonpath={.spec}")
    assert json.loads(crds.kubectl(*holder))["holderIdentity"]
    assert operator.stop(grace=30) == 0
    assert not json.loads(crds.kubectl(*holder)).get("holderIdentity")
    ours = [line for line in operator.lines() if line["logger"].startswith("reco")]
    assert ours
    assert not [line for line in ours if line["level"] in {"warning", "error"}]


def test_what_exists_already_is_looked_at_after_a_restart(
    crds: ControlPlane, namespace: str, start: Start
) -> None:
    for number in range(5):
        apply(crds, namespace, f"group-{number}")
    start().ready()
    for number in range(5):
        wait_for_status(crds, namespace, f"group-{number}")


def test_a_standby_takes_over_from_a_killed_leader(
    crds: ControlPlane, namespace: str, start: Start
) -> None:
    leader = start(*QUICK_LEASE, name="leader").ready()
    leader.until(lambda: leader.role() == "leader", "not leading")
    standby = start(*QUICK_LEASE, name="standby").ready()
    assert standby.role() == "standby"
    assert standby.metric('leader_election_master_status{name="reco"}') == 0
    leader.stop(grace=0)
    standby.until(lambda: standby.role() == "leader", "no takeover", timeout=10)
    apply(crds, namespace, "after")
    wait_for_status(crds, namespace, "after")


def test_a_leader_that_was_frozen_ends_with_an_error_when_it_wakes(
    crds: ControlPlane, namespace: str, start: Start
) -> None:
    leader = start(*QUICK_LEASE, name="leader").ready()
    leader.until(lambda: leader.role() == "leader", "not leading")
    standby = start(*QUICK_LEASE, name="standby").ready()
    leader._signal(signal.SIGSTOP)
    standby.until(lambda: standby.role() == "leader", "no takeover", timeout=10)
    leader._signal(signal.SIGCONT)
    assert leader.wait(timeout=20) == 1
    assert any("lease" in line["message"] for line in leader.lines() if line["level"] == "error")
    apply(crds, namespace, "after")
    wait_for_status(crds, namespace, "after")


def resumed(plane: ControlPlane, path: str, version: str) -> tuple[str, int] | None:
    """Return what a watch from an old version is told first; None while the server can't say."""
    try:
        event = plane.get(f"{path}?watch=true&resourceVersion={version}&timeoutSeconds=5")
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.TOO_MANY_REQUESTS:  # its caches are filling
                return None
            raise
    return event["type"], event["object"].get("code")


def test_what_happened_while_the_watch_was_away_is_learnt_though_its_history_is_compacted_away(
    crds: ControlPlane, namespace: str, start: Start
) -> None:
    operator = start().ready()
    for name in ("stays", "goes"):
        apply(crds, namespace, name)
        wait_for_status(crds, namespace, name)
    groups = f"/apis/reco.dev/v1alpha1/namespaces/{namespace}/datasetgroups"
    seen = crds.get(groups)["metadata"]["resourceVersion"]
    operator._signal(signal.SIGSTOP)
    crds.kubectl("delete", "dsg/goes", "-n", namespace)
    apply(crds, namespace, "comes")
    crds.compact()
    crds.restart_apiserver(kill=True)
    operator.until(lambda: resumed(crds, groups, seen) == ("ERROR", 410), "history is still there")
    operator._signal(signal.SIGCONT)
    wait_for_status(crds, namespace, "comes")
    operator.until(
        lambda: operator.metric('reco_resources{kind="DatasetGroup"}') == 2, "it still counts three"
    )
    assert operator.returncode is None


@pytest.fixture
def proxy(crds: ControlPlane) -> Iterator[Proxy]:
    proxy = Proxy(("127.0.0.1", int(crds.server.rpartition(":")[2])))
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(crds: ControlPlane, proxy: Proxy, tmp_path: Path) -> Path:
    """A kubeconfig that goes through the proxy."""
    path = tmp_path / "proxied"
    path.write_text(
        crds.kubeconfig.read_text().replace(crds.server, f"https://127.0.0.1:{proxy.port}")
    )
    return path


def test_what_was_deleted_while_it_was_cut_off_leaves_the_cache(
    crds: ControlPlane, namespace: str, start: Start, proxy: Proxy, proxied: Path
) -> None:
    operator = start(kubeconfig=proxied).ready()
    groups = 'reco_resources{kind="DatasetGroup"}'
    for name in ("kept", "vanishing"):
        apply(crds, namespace, name)
        wait_for_status(crds, namespace, name)
    operator.until(lambda: operator.metric(groups) == 2, "not in the cache")
    proxy.cut()
    crds.kubectl("delete", "dsg", "vanishing", "-n", namespace)
    apply(crds, namespace, "new")
    proxy.mend()
    wait_for_status(crds, namespace, "new", timeout=60)
    operator.until(lambda: operator.metric(groups) == 2, "still in the cache", timeout=60)
    assert operator.returncode is None


def test_it_rides_out_a_restart_of_the_api_server(
    crds: ControlPlane, namespace: str, start: Start
) -> None:
    operator = start().ready()
    apply(crds, namespace, "before")
    wait_for_status(crds, namespace, "before")
    crds.restart_apiserver(kill=True)
    apply(crds, namespace, "after")
    wait_for_status(crds, namespace, "after", timeout=60)
    assert operator.returncode is None


def test_it_says_how_to_reach_a_cluster_when_nobody_told_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reco = Path(sys.executable).with_name("reco")
    command = (str(reco), "operate", "--listen=127.0.0.1:0")
    with Process("operator", command, log=log) as operator:
        assert operator.wait(timeout=30) == 1
    assert "RECO_KUBECONFIG" in json.loads(log.read_text().splitlines()[-1])["message"]
