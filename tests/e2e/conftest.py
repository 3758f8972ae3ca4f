"""A real node for every test here: one a session, a namespace a test, the project's own images."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hack.cache import AssetError, say_with_seconds
from hack.images import Images, built_images
from hack.installing import install_operator
from hack.node import NodeCluster, why_not
from hack.node.cluster import prepare
from hack.s3 import S3Server
from tests.cluster.emulated import interactions
from tests.e2e.estate import upload
from tests.support.proxy import Proxy

HERE = Path(__file__).parent
CRDS = HERE.parents[1] / "crds"


def hindrance() -> str | None:
    """Return why these tests can't run here, or None."""
    if os.environ.get("RECO_SKIP_PODS") == "1":
        return "pods are not tested: RECO_SKIP_PODS=1"
    if reason := why_not():
        return f"pods can't be tested here: {reason}"
    return None


def must_run() -> bool:
    """Return whether this is CI that was not told to do without pods."""
    return os.environ.get("CI") == "true" and os.environ.get("RECO_SKIP_PODS") != "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ends_estate: runs after all others of its estate")


@pytest.hookimpl(trylast=True)  # what orders by fixtures or by chance has done so
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = {path: at for at, path in enumerate(dict.fromkeys(item.path for item in items))}

    def place(item: pytest.Item) -> tuple[int, str, bool]:
        chosen = getattr(item, "callspec", None)
        engine = str(chosen.params.get("estate", "")) if chosen is not None else ""
        return files[item.path], engine, item.get_closest_marker("ends_estate") is not None

    items.sort(key=place)
    # By mark rather than in the fixture: pytest then says so once a file, not once a test.
    if (reason := hindrance()) and not must_run():
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    # As in tests/cluster: what takes minutes the first time is done before any test's timeout
    # runs, and says what it does.
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if "node" not in needed or session.config.option.collectonly or hindrance():
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            prepare(say_with_seconds())
            built_images()
        except AssetError as error:
            pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def images() -> Images:
    """The images that the node has, by short names."""
    return built_images()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """The node of this session, with all images."""
    if reason := hindrance():  # others were skipped
        pytest.fail(f"{reason}. RECO_SKIP_PODS=1 lets CI pass without these tests.")
    archives = [image.archive for image in built_images().values()]
    with NodeCluster(tmp_path_factory.mktemp("node"), archives) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def crds(node: NodeCluster) -> NodeCluster:
    """The node with every kind of ours defined."""
    node.kubectl("apply", "--server-side", "-f", str(CRDS))
    node.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    return node


@pytest.fixture(scope="session")
def s3(node: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 on the host that pods reach, empty at first."""
    log = tmp_path_factory.mktemp("s3") / "moto.log"
    with S3Server(log, address=node.host_address) as server:
        yield server


@pytest.fixture(scope="module")
def storage(s3: S3Server) -> Iterator[Proxy]:
    """What stands between a module's pods and their S3."""
    address = urlsplit(s3.url)
    assert address.hostname
    assert address.port
    proxy = Proxy((address.hostname, address.port), address.hostname)
    yield proxy
    proxy.close()


@pytest.fixture
def namespace(node: NodeCluster) -> Iterator[str]:
    """A namespace for this test, where only pods of the strictest security standard may be."""
    name = f"test-{secrets.token_hex(4)}"
    node.kubectl("create", "namespace", name)
    node.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    node.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name)
    yield name
    node.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def operator(crds: NodeCluster, images: Images) -> NodeCluster:
    """The node with the operator at work, as a Deployment."""
    emulator = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
    quick = ("--poll-fast=0.5", "--poll-slow=5")
    install_operator(crds, images["operator"], *quick, environment=emulator)
    return crds


@pytest.fixture(scope="session")
def data(s3: S3Server) -> S3Server:
    """The S3 with a small data set where the quickstart's manifests look for it."""
    upload(s3, interactions())
    return s3
