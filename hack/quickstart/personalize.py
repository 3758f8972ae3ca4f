"""Amazon Personalize, emulated: a control plane without pods, and the operator as a process."""

import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hack.control_plane import ControlPlane
from hack.processes import LOOPBACK, Process, ProcessError, free_port
from hack.quickstart.estate import (
    CREDENTIALS,
    ENGINE_CLASS,
    MANIFESTS,
    REGION,
    S3_PORT,
    Estate,
    define_kinds,
    prepare_data,
)
from hack.quickstart.screen import step
from hack.s3 import S3Server

ACCOUNT: Final = "000000000000"
EMULATOR_PORT: Final = 19010
EMULATOR_URL: Final = f"http://{LOOPBACK}:{EMULATOR_PORT}"
TIME_SCALE: Final = 300


def start(stack: ExitStack, folder: Path) -> Estate:
    """Start all processes; each is ended when the stack is."""
    for port in (EMULATOR_PORT, S3_PORT):
        refuse_taken(port)
    s3 = S3Server(folder / "s3.log", region=REGION, port=S3_PORT)
    stack.callback(s3.stop)
    data = prepare_data(s3)
    with step(f"Amazon Personalize (emulator, time runs {TIME_SCALE} times faster)"):
        start_emulator(stack, folder, s3)
    with step("Kubernetes API (etcd, kube-apiserver)"):
        control_plane = stack.enter_context(ControlPlane(folder / "control-plane"))
    define_kinds(control_plane)
    with step("operator"):
        start_operator(stack, folder, control_plane)
    return Estate(control_plane, data, [MANIFESTS], hints)


def refuse_taken(port: int) -> None:
    """Fail if somebody listens on a port that the manifests name.

    Raises:
        ProcessError: if the port is taken.
    """
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise ProcessError(
                f"port {port} of {LOOPBACK} is taken, and {MANIFESTS.name}/{ENGINE_CLASS}"
                " names it: is another quickstart running?"
            )


def start_emulator(stack: ExitStack, folder: Path, s3: S3Server) -> None:
    """Start the emulator and wait until it answers."""
    emulator = Process(
        "emulator",
        [
            sys.executable, "-m", "reco.cli.main", "emulate",
            "--listen", f"{LOOPBACK}:{EMULATOR_PORT}",
            "--state", str(folder / "emulator.sqlite"),
            "--time-scale", str(TIME_SCALE),
            "--s3-endpoint", s3.url,
            "--account", ACCOUNT,
        ],
        log=folder / "emulator.log",
        env=s3.environment,
    )  # fmt: skip
    stack.enter_context(emulator)
    emulator.wait_ready(f"{EMULATOR_URL}/_reco/health")


def start_operator(stack: ExitStack, folder: Path, control_plane: ControlPlane) -> None:
    """Start the operator with looks as frequent as the emulator's time is fast."""
    listen = f"{LOOPBACK}:{free_port()}"
    operator = Process(
        "operator",
        [
            sys.executable, "-m", "reco.cli.main", "operate",
            "--kubeconfig", str(control_plane.kubeconfig),
            "--poll-fast", "0.5",
            "--poll-slow", "5",
            "--listen", listen,
        ],
        log=folder / "operator.log",
        env=CREDENTIALS,
    )  # fmt: skip
    stack.enter_context(operator)
    operator.wait_ready(f"http://{listen}/readyz")


def hints(estate: Estate) -> str:
    """Return commands to look around with."""
    arn = estate.resource("campaign", "movies-for-you")["status"]["external"]["arn"]
    return f"""  aws --endpoint-url {EMULATOR_URL} personalize list-campaigns
  aws --endpoint-url {EMULATOR_URL} personalize-runtime get-recommendations \\
      --campaign-arn {arn} --user-id {estate.data.user}"""
