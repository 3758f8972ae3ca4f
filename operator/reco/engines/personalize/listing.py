"""What a list of one kind shows, and what was described of its objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reco.engines.personalize.client import PersonalizeClient, pages
from reco.engines.personalize.wire import Wire, created, updated


@dataclass(frozen=True, slots=True)
class Summary:
    """One entry of a list."""

    id: str
    name: str | None
    """None for solution versions, whose lists show no names."""
    status: str
    created: datetime
    updated: datetime
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def signature(self) -> tuple[str, datetime]:
        """What changes when the object changes."""
        return self.status, self.updated


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All objects of a kind, as listed."""

    serial: int
    """Its place in the order of lists and calls of this kind."""
    started: float
    """When the first page was asked for, in monotonic time."""
    at: datetime
    """The same by the clock."""
    entries: Mapping[str, Summary]
    pages: int
    """How many calls the list took."""
    by_name: Mapping[str, Summary]
    by_parent: Mapping[str, Sequence[Summary]]
    """By the id less its last part, newest first: the versions of a solution."""


@dataclass(slots=True)
class Description:
    """What was last described of an object."""

    answer: Mapping[str, Any]
    at: float
    """When it was asked for, in monotonic time."""
    listed: tuple[str, datetime] | None
    """The signature of the list's entry at that time."""

    @property
    def signature(self) -> tuple[str, datetime]:
        """The signature that a list of the same time would show."""
        return self.answer.get("status", ""), updated(self.answer)


async def take_snapshot(
    wire: Wire, client: PersonalizeClient, serial: int, started: float, at: datetime
) -> Snapshot:
    """List a kind in the whole account and region.

    Raises:
        EngineError: if any page can't be had.
    """
    entries: dict[str, Summary] = {}
    listed = await pages(client, f"List{wire.kind}s")
    for page in listed:
        for raw in page.get(wire.list_member, ()):
            entry = _summary(wire, raw)
            entries[entry.id] = entry
    children: dict[str, list[Summary]] = {}
    newest_first = sorted(
        entries.values(), key=lambda entry: (entry.created, entry.id), reverse=True
    )
    for entry in newest_first:
        children.setdefault(entry.id.rpartition("/")[0], []).append(entry)
    return Snapshot(
        serial=serial,
        started=started,
        at=at,
        entries=entries,
        pages=len(listed),
        by_name={entry.name: entry for entry in entries.values() if entry.name is not None},
        by_parent=children,
    )


def states_below(snapshot: Snapshot, parent: str | None) -> tuple[tuple[str, str], ...]:
    """Return ids and states of what lies below an id, newest first."""
    if parent is None:
        return ()
    return tuple((entry.id, entry.status) for entry in snapshot.by_parent.get(parent, ()))


def _summary(wire: Wire, raw: Mapping[str, Any]) -> Summary:
    return Summary(
        id=raw[wire.arn_member],
        name=raw.get(wire.name_member),
        status=raw.get("status", ""),
        created=created(raw),
        updated=updated(raw),
        raw=raw,
    )
