"""Runs programs of this machine to their end, for what they print."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hack.cache import AssetError

LOG_LINES: Final = 40


def run(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a command, with ``env`` added to our environment, and return what it prints.

    Raises:
        AssetError: it failed; the text holds the end of what it wrote.
    """
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=cwd, env=environment
        )
    except OSError as error:
        raise AssetError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        tail = "\n".join(f"{done.stdout}{done.stderr}".splitlines()[-LOG_LINES:])
        raise AssetError(f"{' '.join(command)} failed with exit code {done.returncode}:\n{tail}")
    return done.stdout
