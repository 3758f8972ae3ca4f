"""What the status shows beside the compared fields, and what it costs to know it.

Names and metrics of solution versions never change once they are known, so each is asked for once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from reco.api.resource import Resource
from reco.decide.model import ErrorClass, State
from reco.engines.personalize.client import PersonalizeClient
from reco.engines.personalize.kinds import Row
from reco.engines.personalize.listing import Snapshot, Summary
from reco.engines.personalize.polling import PollSettings, Timers
from reco.engines.personalize.render import Place
from reco.engines.port import EngineError

_TRAINING_TYPES = {"MANUAL": "Manual", "AUTOMATIC": "Automatic"}
_TRAINING_MODES = {"FULL": "Full", "UPDATE": "Update", "AUTOTRAIN": "Full"}


@dataclass(frozen=True, slots=True)
class ExternalVersion:
    """One version of a solution as the service lists it, whoever had it trained."""

    id: str
    name: str | None
    """None for versions that the solution's status says are known already."""
    state: State
    created: datetime
    training_type: str
    """`Manual`, or `Automatic` where the service started the training."""
    training_mode: str
    """`Full` or `Update`."""
    failure: str | None


def campaign(place: Place) -> dict[str, Any]:
    """Return where a campaign answers."""
    return {"endpoint": place.endpoint("personalize-runtime")}


def event_tracker(answer: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return where and under which id events are taken."""
    return {
        "tracking_id": answer.get("trackingId"),
        "endpoint": place.endpoint("personalize-events"),
    }


class Versions:
    """Names and metrics of solution versions, each asked for once."""

    def __init__(self, row: Row, client: PersonalizeClient) -> None:
        self._row = row
        self._client = client
        self._names: dict[str, str] = {}
        self._metrics: dict[str, dict[str, str]] = {}

    def learn(self, answer: Mapping[str, Any]) -> None:
        """Take note of the name in a description."""
        arn = answer["solutionVersionArn"]
        self._names[arn] = answer.get("name") or default_name(arn)

    async def name(self, id_: str) -> str:
        """Return the name of a version; lists do not show it."""
        if id_ not in self._names:
            answer = await self._client.call("DescribeSolutionVersion", solutionVersionArn=id_)
            self.learn(answer["solutionVersion"])
        return self._names[id_]

    async def below(
        self, solution: str, snapshot: Snapshot, known_through: datetime | None
    ) -> tuple[ExternalVersion, ...]:
        """Return the versions of a solution, newest first.

        Names are asked for only where they matter: of versions that are newer than what the
        status says is known.
        """
        found = []
        for entry in snapshot.by_parent.get(solution, ()):
            name = self._names.get(entry.id)
            if name is None and (known_through is None or entry.created > known_through):
                name = await self.name_if_there(entry.id)
                if name is None:
                    continue
            found.append(self._external(entry, name))
        return tuple(found)

    async def name_if_there(self, id_: str) -> str | None:
        """Return the name of a version, or None if it has gone since it was listed."""
        try:
            return await self.name(id_)
        except EngineError as error:
            if error.error_class is ErrorClass.NOT_FOUND:
                return None  # it went with its solution while we looked
            raise

    def _external(self, entry: Summary, name: str | None) -> ExternalVersion:
        return ExternalVersion(
            id=entry.id,
            name=name,
            state=self._row.state(entry.raw),
            created=entry.created,
            training_type=_TRAINING_TYPES.get(entry.raw.get("trainingType", ""), "Manual"),
            training_mode=_TRAINING_MODES.get(entry.raw.get("trainingMode", ""), "Full"),
            failure=entry.raw.get("failureReason"),
        )

    async def details(self, resource: Resource, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the status shows of a version."""
        hours = answer.get("trainingHours")
        details = {
            "training_hours": decimal(hours) if hours is not None else None,
            "training_type": _TRAINING_TYPES.get(answer.get("trainingType", "MANUAL")),
            "training_mode": answer.get("trainingMode"),
        }
        if answer.get("status") == "ACTIVE":
            details["metrics"] = await self._metrics_of(resource, answer["solutionVersionArn"])
        return details

    async def _metrics_of(self, resource: Resource, arn: str) -> dict[str, str] | None:
        if resource.status.metrics is not None:
            return dict(resource.status.metrics)
        if arn not in self._metrics:
            try:
                answer = await self._client.call("GetSolutionMetrics", solutionVersionArn=arn)
            except EngineError as error:
                # Metrics may come a moment after the version; the next look asks again.
                if error.error_class in {ErrorClass.CONFLICT, ErrorClass.NOT_FOUND}:
                    return None
                raise
            self._metrics[arn] = {
                name: decimal(value) for name, value in sorted(answer.get("metrics", {}).items())
            }
        return self._metrics[arn]


def default_name(arn: str) -> str:
    """Return the service's own name for a version made without one, such as `movies/0a1b2c3d`."""
    return arn.partition(":solution/")[2]


def decimal(value: float) -> str:
    """Spell a number without an exponent."""
    return f"{Decimal(repr(value)):f}"


class Sources:
    """Digests of bulk data, so that an import can tell whether there is anything new."""

    def __init__(self, client: PersonalizeClient, timers: Timers, settings: PollSettings) -> None:
        self._client = client
        self._timers = timers
        self._settings = settings
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    async def details(self, resource: Resource, *, fresh: bool = False) -> dict[str, Any]:
        """Return `source`, the digest of what a Dataset imports, or `source_problem`.

        A listing is good for a while, unless somebody asked for a `fresh` one.
        """
        if resource.spec is None or resource.spec.import_ is None:
            return {}
        location = resource.spec.import_.source.s3
        now = self._timers.time()
        at, details = self._known.get(location, (float("-inf"), {}))
        if fresh or now - at >= self._settings.source:
            details = await self._look(location)
            self._known[location] = (now, details)
        return details

    async def _look(self, location: str) -> dict[str, Any]:
        try:
            listing = await self._client.list_source(location)
        except EngineError as error:
            problem = f"{location} can't be listed: {error.failure.message}"
            return {"source": None, "source_problem": problem}
        if not listing.objects:
            return {"source": None, "source_problem": f"there is nothing at {location}"}
        return {"source": listing.digest}
