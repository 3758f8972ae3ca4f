"""From what clients send to what is kept: events and rows, checked and in one form."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from reco.serving.errors import ServiceError, invalid
from reco.serving.requests import Event, PutEventsRequest
from reco.workload.storage import ANONYMOUS

DROPPED_SESSION: Final = "null"
"""A known slip of client code: accepted and dropped, as the service does."""

_IDS: Final = frozenset({"ITEM_ID", "USER_ID"})
_LATEST: Final = 1e11
"""In the year 5138: what is larger are not seconds."""


class KeptEvent(msgspec.Struct, frozen=True, array_like=True):
    """One event as it is kept; times in epoch seconds, None where the client said nothing."""

    event_id: str
    event_type: str
    sent_at: float
    item_id: str | None = None
    event_value: float | None = None
    impression: tuple[str, ...] | None = None
    recommendation_id: str | None = None
    properties: str | None = None


class KeptEvents(msgspec.Struct, frozen=True):
    """One PutEvents call as it is kept."""

    session: str
    received: float
    events: tuple[KeptEvent, ...]
    user: str | None = None

    @property
    def subject(self) -> str:
        """Whom the events are kept for: a user, or an anonymous session, which is never one."""
        return self.user or anonymous(self.session)


class KeptRows(msgspec.Struct, frozen=True):
    """One PutItems or PutUsers call as it is kept: ids and the other columns as JSON."""

    type: str
    received: float
    rows: tuple[tuple[str, str], ...]


def anonymous(session: str) -> str:
    """Return what stands in the place of a user's id for an anonymous session."""
    return f"{ANONYMOUS}{session}"


def kept_events(request: PutEventsRequest, now: float) -> KeptEvents:
    """Return the events of a call that arrived at `now`, in epoch seconds.

    An event dated later counts as of then: no client's clock decides what is new.

    An event without an id gets one made of its content and its place in the call, so that a call
    that an SDK repeats, because the answer was lost, counts once.

    Raises:
        ServiceError: an event cannot be understood (`InvalidInputException`).
    """
    if request.userId is not None and request.userId.startswith(ANONYMOUS):
        raise invalid("userId must not begin with the mark of anonymous sessions.")
    return KeptEvents(
        session=request.sessionId,
        user=request.userId,
        received=now,
        events=tuple(
            _kept(event, request, place, now) for place, event in enumerate(request.eventList)
        ),
    )


def kept_rows(
    type_: str,
    rows: Iterable[tuple[str, str | None]],
    columns: Mapping[str, str],
    now: float,
) -> KeptRows:
    """Return the rows of a call, given as ids and properties.

    `columns` is what `columns_by_property` says of the schema.

    Raises:
        ServiceError: properties are no JSON object (`InvalidInputException`).
    """
    return KeptRows(
        type=type_,
        received=now,
        rows=tuple(
            (id_, orjson.dumps(columns_of(properties(text), columns)).decode())
            for id_, text in rows
        ),
    )


def columns_by_property(names: Iterable[str]) -> dict[str, str]:
    """Return a schema's columns by what `columns_of` looks them up with.

    Ids are left out: whose a row is, the request says beside its properties.
    """
    return {_folded(name): name for name in names if name not in _IDS}


def columns_of(values: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Return values under their column names: `itemPrice` is `ITEM_PRICE`; others are dropped."""
    return {
        columns[_folded(name)]: value for name, value in values.items() if _folded(name) in columns
    }


def properties(text: str | None) -> dict[str, Any]:
    """Return the members of a `properties` text; none if there is no text.

    Raises:
        ServiceError: it is no JSON object, or a whole number in it has more than 64 bits
            (`InvalidInputException`).
    """
    if text is None:
        return {}
    try:
        parsed = msgspec.json.decode(text)
        # What nobody can write again must not get as far as the log, where a training would end.
        orjson.dumps(parsed)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise _unreadable() from error
    if not isinstance(parsed, dict):
        raise _unreadable()
    return parsed


def no_such_tracker(tracking_id: str) -> ServiceError:
    """Refuse events for a tracking id that nobody has."""
    return invalid(f"There is no event tracker with trackingId {tracking_id}.")


def wrong_dataset(arn: str, type_: str) -> ServiceError:
    """Refuse rows for a dataset of another type."""
    return invalid(f"Dataset {arn} is not of type {type_}.")


def epoch_seconds(sent: float | datetime) -> float:
    """Return the time an event was sent at; naive times are UTC, large numbers milliseconds.

    Raises:
        ServiceError: it is no time (`InvalidInputException`).
    """
    if isinstance(sent, datetime):
        aware = sent if sent.tzinfo else sent.replace(tzinfo=UTC)
        seconds = aware.timestamp()
    else:
        seconds = float(sent)
    if not 0 <= seconds < _LATEST * 1000:
        raise invalid(f"sentAt must be a time in seconds since 1970, not {sent}.")
    return seconds / 1000 if seconds >= _LATEST else seconds


def _kept(event: Event, request: PutEventsRequest, place: int, now: float) -> KeptEvent:
    members = properties(event.properties)
    if "timestamp" in members:
        raise invalid("The property timestamp is set by the service and cannot be sent.")
    item = event.itemId or _text(members.get("itemId"))
    value = event.eventValue
    if value is None and isinstance(members.get("eventValue"), int | float):
        value = float(members["eventValue"])  # a whole number of 64 bits is one
    return KeptEvent(
        event_id=event.eventId or _id_of(event, request, place),
        event_type=event.eventType,
        sent_at=min(epoch_seconds(event.sentAt), now),
        item_id=item,
        event_value=value,
        impression=event.impression,
        recommendation_id=event.recommendationId,
        properties=event.properties,
    )


def _id_of(event: Event, request: PutEventsRequest, place: int) -> str:
    content = msgspec.json.encode((request.userId, request.sessionId, place, event))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _text(value: Any) -> str | None:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) and value else None


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _unreadable() -> ServiceError:
    return invalid("Error parsing properties json")
