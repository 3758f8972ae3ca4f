"""What the quickstart runs on, whichever engine answers."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.datasets import default_dataset
from hack.kube_access import Cluster
from hack.quickstart.data import Data, upload
from hack.quickstart.screen import console, step
from hack.s3 import S3Server

ROOT: Final = Path(__file__).resolve().parents[2]
MANIFESTS: Final = ROOT / "examples" / "quickstart"
ENGINE_CLASS: Final = "10-engine-class.yaml"
BUCKET: Final = "reco-quickstart"
REGION: Final = "eu-west-1"
S3_PORT: Final = 19011
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "quickstart",
    "AWS_SECRET_ACCESS_KEY": "quickstart",
    "AWS_DEFAULT_REGION": REGION,
}


@dataclass(frozen=True, slots=True)
class Estate:
    """A cluster with an operator in it, an S3 with data in it, and what to do there."""

    cluster: Cluster
    data: Data
    files: Sequence[Path]
    """The manifests to apply."""
    hints: Callable[["Estate"], str]
    """Commands to look around with."""

    def apply(self) -> None:
        """Apply the manifests as a user would."""
        names = " ".join(f"-f {_shown(file)}" for file in self.files)
        with step(f"kubectl apply {names}"):
            arguments = [word for file in self.files for word in ("-f", str(file))]
            self.cluster.kubectl("apply", *arguments)

    def resource(self, kind: str, name: str) -> dict[str, Any]:
        """Return one resource."""
        found: dict[str, Any] = json.loads(self.cluster.kubectl("get", kind, name, "-o", "json"))
        return found


def _shown(file: Path) -> Path:
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file


def prepare_data(s3: S3Server) -> Data:
    """Put the data set into S3 as Personalize wants it, and return what to show of it."""
    os.environ.update(CREDENTIALS)
    with step("data set"):
        dataset = default_dataset()
    console.print(
        f"  {dataset.name}: {len(dataset.interactions.item_ids):,} interactions,"
        f" {len(dataset.items.ids):,} items",
        highlight=False,
    )
    with step("S3 (moto)"):
        s3.start()
        upload(s3, BUCKET, dataset)
    return Data.of(dataset)


def define_kinds(cluster: Cluster) -> None:
    """Apply the CRDs and wait until the API serves them."""
    with step("CRDs"):
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        crds = ("wait", "--for=condition=Established", "-f", str(ROOT / "crds"), "--timeout=60s")
        cluster.kubectl(*crds)
