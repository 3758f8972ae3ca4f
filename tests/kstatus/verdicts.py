"""Verdicts of the real kstatus library (Go), so that no imitation of ours can flatter our status.

The first use builds the program, in about 40 s; later ones take milliseconds.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.kube_assets import build_checked_in_module


@dataclass(frozen=True, slots=True)
class Verdict:
    """What kstatus says of one object: InProgress, Failed, Current, Terminating or NotFound."""

    status: str
    message: str


def judge(objects: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """Return the verdict on each object, in the order given.

    Raises:
        subprocess.CalledProcessError: kstatus refused an object; its text is on standard error.
    """
    program = build_checked_in_module("kstatus", Path(__file__).parent)
    lines = "".join(f"{json.dumps(item)}\n" for item in objects)
    answer = subprocess.run([program], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [Verdict(**json.loads(line)) for line in answer.stdout.splitlines()]
