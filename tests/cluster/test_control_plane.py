import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hack.control_plane import ControlPlane
from hack.kube_access import KubectlError
from hack.kube_assets import KUBERNETES_VERSION
from hack.processes import Process, ProcessError, http_ready
from hack.s3 import S3Server

ROOT = Path(__file__).parents[2]


def processes_mentioning(text: str) -> list[str]:
    command = ["ps", "-ww", "-eo", "pid=,args="]  # -ww: else cut at $COLUMNS
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if text in line]


def wait_until_none_mentions(text: str) -> None:
    deadline = time.monotonic() + 20
    while left := processes_mentioning(text):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_kubectl_and_server_are_the_version_we_name(control_plane: ControlPlane) -> None:
    versions = json.loads(control_plane.kubectl("version", "-o", "json"))

    assert versions["clientVersion"]["gitVersion"] == KUBERNETES_VERSION
    assert versions["serverVersion"]["gitVersion"] == KUBERNETES_VERSION


def test_the_cluster_is_told_from_others_by_the_uid_of_kube_system(
    control_plane: ControlPlane,
) -> None:
    shown = control_plane.kubectl("get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}")

    assert control_plane.cluster_id == shown


def test_what_kubectl_refuses_is_raised_with_its_words(
    control_plane: ControlPlane, namespace: str
) -> None:
    with pytest.raises(KubectlError, match='configmaps "absent" not found'):
        control_plane.kubectl("-n", namespace, "get", "configmap", "absent")


@pytest.mark.parametrize("kill", [False, True], ids=["terminated", "killed"])
def test_a_restart_of_the_api_server_keeps_address_and_data_and_breaks_watches(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, *, kill: bool
) -> None:
    control_plane.kubectl("-n", namespace, "create", "configmap", "kept")
    before = (control_plane.server, control_plane.cluster_id)
    watch = Process(
        "watch",
        [control_plane.program("kubectl"), "-n", namespace, "get", "configmaps", "--watch"],
        log=tmp_path / "watch.log",
        env={"KUBECONFIG": str(control_plane.kubeconfig)},
    )
    with watch:
        watch.wait_until(lambda: None if "kept" in watch.log_tail() else "nothing seen", timeout=30)

        control_plane.restart_apiserver(kill=kill)

        watch.wait(timeout=30)
    assert (control_plane.server, control_plane.cluster_id) == before
    assert "kept" in control_plane.kubectl("-n", namespace, "get", "configmaps")


def test_while_the_api_server_is_stopped_nothing_answers(control_plane: ControlPlane) -> None:
    control_plane.stop_apiserver()
    try:
        reason = http_ready(f"{control_plane.server}/readyz")()
    finally:
        control_plane.start_apiserver()

    assert reason is not None
    assert "refused" in reason


def test_a_namespace_goes_with_all_its_objects_when_controllers_run(
    controller_manager: ControlPlane, namespace: str
) -> None:
    controller_manager.kubectl("-n", namespace, "create", "configmap", "inside")

    controller_manager.kubectl("delete", "namespace", namespace)

    with pytest.raises(KubectlError, match="not found"):
        controller_manager.kubectl("get", "namespace", namespace)


def test_every_kind_defined_by_us_is_served(crds: ControlPlane) -> None:
    served = crds.kubectl("api-resources", "--api-group=reco.dev", "--output=name").split()

    assert len(served) == len(list((ROOT / "crds").glob("*.yaml")))


def test_users_may_do_what_rbac_gives_them_and_no_more(tmp_path: Path) -> None:
    with ControlPlane(tmp_path, users={"ann": ["readers"]}) as plane:
        plane.kubectl("create", "role", "read", "--verb=list", "--resource=configmaps")
        plane.kubectl("create", "rolebinding", "read", "--role=read", "--group=readers")

        plane.kubectl("get", "configmaps", user="ann")
        with pytest.raises(KubectlError, match='User "ann" cannot create resource "configmaps"'):
            plane.kubectl("create", "configmap", "made", user="ann")


def test_the_end_leaves_no_process_and_a_new_start_finds_the_data(tmp_path: Path) -> None:
    with ControlPlane(tmp_path) as first:
        first.kubectl("create", "configmap", "kept")
        identity = first.cluster_id
        assert len(processes_mentioning(str(tmp_path))) == 2
    assert processes_mentioning(str(tmp_path)) == []

    with ControlPlane(tmp_path) as second:
        assert second.cluster_id == identity
        assert "kept" in second.kubectl("get", "configmaps")


def test_a_server_that_cannot_start_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, apiserver_flags=["--no-such-flag"])

    with pytest.raises(ProcessError, match="unknown flag: --no-such-flag"):
        plane.start()

    assert processes_mentioning(str(tmp_path)) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_its_owner_ends_no_process_is_left(tmp_path: Path, ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "hack.control_plane", "--dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline().startswith("ready")
            assert len(processes_mentioning(str(tmp_path))) == 3

            os.kill(owner.pid, ending)
            owner.communicate(timeout=30)
        finally:
            owner.kill()

    wait_until_none_mentions(str(tmp_path))


def test_s3_keeps_what_is_uploaded(s3: S3Server, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("USER_ID\n1\n")
    s3.create_bucket("data")

    text = s3.upload("data", "in/text.csv", "ITEM_ID\n7\n")
    file = s3.upload("data", "in/events.csv", tmp_path / "events.csv")

    assert (text, file) == ("s3://data/in/text.csv", "s3://data/in/events.csv")
    stored = s3.client().get_object(Bucket="data", Key="in/events.csv")["Body"].read()
    assert stored == b"USER_ID\n1\n"
