"""What estates on pods stand in: namespaces, classes, an emulator that pods reach."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.installing import offer_s3
from hack.node import NodeCluster
from hack.processes import Process, free_port
from hack.s3 import S3Server
from tests.cluster.emulated import ACCOUNT, DURATIONS, TIME_SCALE
from tests.cluster.watching import Watcher
from tests.e2e.estate import Estate, Manifest


class EmulatorForPods(Process):
    """A running emulator at an address of the host that pods reach."""

    def __init__(self, folder: Path, s3: S3Server, address: str) -> None:
        port = free_port()
        self.url = f"http://{address}:{port}"
        super().__init__(
            "emulator",
            [
                Path(sys.executable).with_name("reco"),
                "emulate",
                f"--listen={address}:{port}",
                f"--state={folder / 'emulator.sqlite'}",
                f"--time-scale={TIME_SCALE}",
                f"--s3-endpoint={s3.url}",
                f"--account={ACCOUNT}",
                *(f"--duration={label}={seconds}" for label, seconds in DURATIONS.items()),
            ],
            log=folder / "emulator.log",
            env=s3.environment,
        )
        self.wait_ready(f"{self.url}/_reco/health")


@contextmanager
def estate_in(node: NodeCluster, engine_class: Manifest, s3: S3Server) -> Iterator[Estate]:
    """Give an EngineClass and a namespace of its name, with credentials for S3 in it."""
    name = engine_class["metadata"]["name"]
    node.kubectl("create", "namespace", name)
    node.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    offer_s3(node, name, s3, s3.environment)
    node.kubectl("apply", "-f", "-", stdin=json.dumps(engine_class))
    with Watcher(node, name) as watch:
        estate = Estate(node, name, engine_class, s3, watch)
        try:
            yield estate
        finally:
            estate.close()
            node.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
