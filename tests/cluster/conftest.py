"""A real control plane for every test here: one a session, a namespace a test."""

import secrets
import shutil
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.control_plane import ControlPlane
from hack.kube_assets import CONTROL_PLANE, locate
from hack.s3 import S3Server
from tests.cluster.emulated import BUCKET, EmulatorProcess, interactions
from tests.cluster.estate import Estate
from tests.cluster.operators import OperatorThread
from tests.cluster.watching import Watcher

CRDS = Path(__file__).parents[2] / "crds"


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    # The first build of the programs takes minutes. Here no test's timeout counts them, and a
    # person who waits can read what for.
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if "control_plane" not in needed or session.config.option.collectonly:
        return
    extra = ("kube-controller-manager",) if "controller_manager" in needed else ()
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        locate(*CONTROL_PLANE, *extra)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane of this session; with xdist, each worker has its own."""
    directory = tmp_path_factory.mktemp("control-plane")
    with ControlPlane(directory) as plane:
        yield plane
    shutil.rmtree(directory / "etcd")  # logs stay, as pytest keeps them for a look afterwards


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with every kind of ours defined."""
    if not any(CRDS.glob("*.yaml")):
        pytest.fail(f"{CRDS} holds no CRDs: run scripts/generate")
    control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    return control_plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """The name of a namespace made for this test; it goes with the control plane."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def controller_manager(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane, deleting namespaces and orphans for real while this test runs."""
    control_plane.start_controller_manager()
    yield control_plane
    control_plane.stop_controller_manager()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 endpoint of this session, empty at first."""
    with S3Server(tmp_path_factory.mktemp("s3") / "moto.log") as server:
        yield server


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[EmulatorProcess]:
    """A Personalize of this session, with data to import; each test has a region of its own."""
    s3.create_bucket(BUCKET)
    s3.upload(BUCKET, "good.csv", interactions())
    with EmulatorProcess(tmp_path_factory.mktemp("emulator"), s3) as process:
        yield process


@pytest.fixture
def estate(
    crds: ControlPlane,
    namespace: str,
    emulator: EmulatorProcess,
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Estate]:
    """A namespace, an EngineClass's name and a region for this test alone; nothing in them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(10))
    _remove_engine_classes(crds)
    with Watcher(crds, namespace) as watch:
        estate = Estate(crds, namespace, f"eu-{letters}-1", emulator, s3.url, watch)
        yield estate
        estate.close()


def _remove_engine_classes(plane: ControlPlane) -> None:
    """Remove what earlier tests left: classes are cluster-scoped, and one may be the default."""
    for name in plane.kubectl("get", "engineclasses", "-o", "name").split():
        nothing = '{"metadata": {"finalizers": null}}'
        plane.kubectl("patch", name, "--type=merge", "-p", nothing)
        plane.kubectl("delete", name, "--ignore-not-found")


@pytest.fixture
def operator(estate: Estate) -> Iterator[OperatorThread]:
    """The operator at work in the estate."""
    kubeconfig = estate.plane.kubeconfig
    with OperatorThread(kubeconfig, namespaces=(estate.namespace,)) as running:
        yield running
