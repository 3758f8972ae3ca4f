"""CRDs that are older than the operator: told by name, and no call that could be paid twice."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.control_plane import ControlPlane
from reco.api.installed import lacking
from reco.cluster.api import KubernetesAPI, load_configuration
from reco.loop.installed import InstalledCRDs
from tests.cluster.conftest import CRDS
from tests.cluster.estate import Estate
from tests.cluster.operators import QUICK, OperatorProcess, flags

VERSIONS = CRDS / "solutionversions.yaml"


def install(plane: ControlPlane, *, intent: bool) -> None:
    """Install the CRD of versions, with or without a place for intents."""
    crd = yaml.safe_load(VERSIONS.read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    if not intent:
        del schema["properties"]["status"]["properties"]["intent"]
    force = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    plane.kubectl(*force, stdin=json.dumps(crd))


@pytest.fixture
def without_intent(crds: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with a CRD of versions that has no place for intents."""
    install(crds, intent=False)
    yield crds
    install(crds, intent=True)


def test_our_own_crds_lack_nothing_as_the_api_server_publishes_them(crds: ControlPlane) -> None:
    assert lacking(crds.get("/openapi/v3/apis/reco.dev/v1alpha1")) == {}


def test_a_cluster_without_our_crds_is_told_apart(crds: ControlPlane) -> None:
    async def look() -> str | None:
        api = KubernetesAPI(await load_configuration(crds.kubeconfig))
        try:
            looker = InstalledCRDs(_Elsewhere(api))
            await looker.check()
            return looker.problem
        finally:
            await api.close()

    assert asyncio.run(look()) == "the CRDs are not installed: install those of this operator"


class _Elsewhere:
    """Asks for a group that nobody has installed."""

    def __init__(self, api: KubernetesAPI) -> None:
        self._api = api

    async def request(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        return await self._api.request(method, path.replace("reco.dev", "nobody.dev"), **more)


def ready(operator: OperatorProcess) -> str:
    """Return what /readyz says of the CRDs."""
    try:
        with urllib.request.urlopen(f"{operator.url}/readyz") as answer:
            return str(json.load(answer)["checks"]["crds"])
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error)["checks"]["crds"])


def test_no_training_starts_under_crds_that_prune_its_intent(
    without_intent: ControlPlane, estate: Estate, tmp_path: Path
) -> None:
    options = (f"--namespaces={estate.namespace}", *flags(QUICK))
    with OperatorProcess(without_intent.kubeconfig, tmp_path / "log", *options) as operator:
        operator.wait_ready(f"{operator.url}/healthz", timeout=60)
        operator.until(lambda: "SolutionVersion: status.intent" in ready(operator), "not told")
        estate.apply(estate.whole())
        estate.watch.until(
            lambda watch: any(
                "CRDOutdated" in json.dumps(one.get("status", {}))
                for one in watch.all("SolutionVersion")
            ),
            "a version shows CRDOutdated",
            timeout=60,
        )
        assert "CreateSolutionVersion" not in estate.mutations(0)
    install(without_intent, intent=True)
    with OperatorProcess(without_intent.kubeconfig, tmp_path / "log2", *options) as operator:
        operator.ready()
        estate.watch.ready("Campaign", "for-you", timeout=60)
        assert estate.mutations(0).count("CreateSolutionVersion") == 1
