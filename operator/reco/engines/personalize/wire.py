"""How the service words what it says of objects: members, status words, times and ARNs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reco.decide.model import State

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One kind as the service words it.

    Operations are named after the kind, and `member` names its part of answers: `campaign` stands
    for `DescribeCampaign` with `campaignArn`, answering `campaign`, listed under `campaigns`.
    """

    kind: str
    member: str
    noun: str | None = None
    """The kind's word in ARNs that end with the name; None where they end otherwise."""
    name_member: str = "name"
    runs: bool = False
    """Whether CREATE IN_PROGRESS means that a job is at work."""

    @property
    def arn_member(self) -> str:
        """The member that holds the ARN, in requests and answers."""
        return f"{self.member}Arn"

    @property
    def list_member(self) -> str:
        """The member of a list that holds the summaries."""
        return f"{self.member}s"

    @property
    def update_member(self) -> str:
        """The member of a description that holds the latest update."""
        return f"latest{self.kind}Update"

    def moves(self, answer: Answer) -> bool:
        """Whether what was described will change by itself, or is being updated."""
        latest = answer.get(self.update_member) or {}
        return bool({answer.get("status"), latest.get("status")} & TRANSITIONAL)

    def state(self, answer: Answer) -> State:
        """Translate the status of a description or summary.

        Raises:
            ValueError: for a status word that nobody has seen before.
        """
        status = answer.get("status", "ACTIVE")  # schemas have none
        state = _STATES.get(status)
        if state is None:
            raise ValueError(f"{answer.get(self.arn_member)} has the unknown status {status!r}")
        return State.RUNNING if self.runs and status == "CREATE IN_PROGRESS" else state


_STATES = {
    "CREATE PENDING": State.CREATING,
    "CREATE IN_PROGRESS": State.CREATING,
    "ACTIVE": State.ACTIVE,
    "CREATE FAILED": State.FAILED,
    "CREATE STOPPING": State.STOPPING,
    "CREATE STOPPED": State.STOPPED,
    "DELETE PENDING": State.DELETING,
    "DELETE IN_PROGRESS": State.DELETING,
    # An update shows in its own summary; a dataset's has also been seen at the top, while the
    # dataset goes on working.
    "UPDATE PENDING": State.ACTIVE,
    "UPDATE IN_PROGRESS": State.ACTIVE,
    "UPDATE FAILED": State.ACTIVE,
}
_UPDATE_STATES = {
    "ACTIVE": State.ACTIVE,
    "CREATE PENDING": State.CREATING,
    "CREATE IN_PROGRESS": State.CREATING,
    "CREATE FAILED": State.FAILED,
    "UPDATE PENDING": State.CREATING,
    "UPDATE IN_PROGRESS": State.CREATING,
    "UPDATE FAILED": State.FAILED,
}
TRANSITIONAL = frozenset(
    word for word in _STATES if word.endswith(("PENDING", "IN_PROGRESS", "STOPPING"))
)
"""Status words that change by themselves."""


def update_state(latest: Answer) -> State:
    """Translate the status of an update; the service uses CREATE words for some kinds.

    Raises:
        ValueError: for a status word that nobody has seen before.
    """
    state = _UPDATE_STATES.get(latest.get("status", "ACTIVE"))
    if state is None:
        raise ValueError(f"an update has the unknown status {latest['status']!r}")
    return state


def created(answer: Answer) -> datetime:
    """Return when something was made."""
    time: datetime = answer["creationDateTime"]
    return time


def updated(answer: Answer) -> datetime:
    """Return when something last changed."""
    time: datetime = answer.get("lastUpdatedDateTime", answer["creationDateTime"])
    return time


def place_of(arn: str) -> tuple[str, str]:
    """Return the region and the account that an ARN names.

    Raises:
        ValueError: if it is no ARN.
    """
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":  # noqa: PLR2004 - arn:partition:service:region:account:rest
        raise ValueError(f"{arn!r} is not an ARN")
    return parts[3], parts[4]
