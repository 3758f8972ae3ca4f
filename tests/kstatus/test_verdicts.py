import subprocess
from typing import Any

import pytest

from tests.kstatus.verdicts import judge


def campaign(
    *conditions: tuple[str, str], generation: int = 2, observed: int = 2
) -> dict[str, Any]:
    return {
        "apiVersion": "reco.dev/v1alpha1",
        "kind": "Campaign",
        "metadata": {"name": "movies", "namespace": "shop", "generation": generation},
        "status": {
            "observedGeneration": observed,
            "conditions": [{"type": type_, "status": status} for type_, status in conditions],
        },
    }


def test_the_verdicts_are_kstatus_own_and_in_the_order_asked() -> None:
    deleted = campaign(("Ready", "True"))
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    verdicts = judge(
        [
            campaign(("Ready", "True")),
            campaign(("Ready", "True"), observed=1),
            campaign(("Ready", "False"), ("Reconciling", "True")),
            campaign(("Ready", "False"), ("Stalled", "True")),
            campaign(observed=-1),
            deleted,
        ]
    )

    assert [verdict.status for verdict in verdicts] == [
        "Current",
        "InProgress",
        "InProgress",
        "Failed",
        "InProgress",
        "Terminating",
    ]


def test_what_is_no_kubernetes_object_is_refused_with_a_reason(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        judge([{"status": {}}])

    assert "not a Kubernetes object" in capfd.readouterr().err
