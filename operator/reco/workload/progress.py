"""What a Job says of its progress while it runs: a line of JSON in its log."""

import json
from typing import Final

_STEP: Final = 5
"""Per cent: what a reader shows changes no more often than by so much."""


def line(stage: str, share: float, **more: object) -> str:
    """Return the line for a stage and the share of the work done, 0 to 1."""
    done = round(min(max(share, 0.0), 1.0), 4)
    return json.dumps({"level": "info", "progress": done, "stage": stage, **more})


def described(logged: str) -> str | None:
    """Return what a line of a Job's log says for people; None if it says nothing of progress."""
    try:
        members = json.loads(logged)
        stage, done = members["stage"], float(members["progress"])
    except (ValueError, KeyError, TypeError):
        return None
    return f"{stage}, {int(done * 100 / _STEP) * _STEP} % done"
