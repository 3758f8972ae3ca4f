"""What the status shows beside the compared fields, and what it costs to know it.

Names and metrics of solution versions never change once they are known, so each is asked for once.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reco.api.resource import Resource
from reco.decide.model import ErrorClass, ExternalVersion, Observed, State
from reco.engines.personalize.client import PersonalizeClient
from reco.engines.personalize.listing import Summary, states_below
from reco.engines.personalize.polling import Interest, Poller, PollSettings, Timers
from reco.engines.personalize.render import Place
from reco.engines.personalize.wire import TRANSITIONAL, Answer
from reco.engines.port import EngineError

_TRAINING = ("trainingType", "trainingMode")
_TRAINING_TYPES = {"MANUAL": "Manual", "AUTOMATIC": "Automatic"}
_TRAINING_MODES = {"FULL": "Full", "UPDATE": "Update", "AUTOTRAIN": "Full"}


class Versions:
    """Names and metrics of solution versions, each asked for once."""

    def __init__(self, poller: Poller, client: PersonalizeClient) -> None:
        self._poller = poller
        self._client = client
        self._names: dict[str, str] = {}
        self._trainings: dict[str, Answer] = {}
        """What descriptions say of how versions were trained: lists may not."""
        self._metrics: dict[str, dict[str, str]] = {}

    def learn(self, id_: str, name: str) -> None:
        """Take note of a name."""
        self._names[id_] = name

    async def name(self, id_: str) -> str:
        """Return the name of a version; lists do not show it."""
        if id_ not in self._names:
            answer = await self._client.call("DescribeSolutionVersion", solutionVersionArn=id_)
            version = answer["solutionVersion"]
            self.learn(id_, version.get("name") or default_name(id_))
            self._trainings[id_] = {key: version[key] for key in _TRAINING if version.get(key)}
        return self._names[id_]

    async def below(self, resource: Resource, solution: str) -> tuple[ExternalVersion, ...]:
        """Return the versions of a Solution, newest first, and watch for new ones.

        Names are asked for only where they matter: of versions that are newer than what the
        status says is known.
        """
        snapshot = await self._poller.snapshot(self._poller.good_since)
        children = states_below(snapshot, solution)
        moving = any(status in TRANSITIONAL for _, status in children)
        self._poller.watch(
            resource.key,
            Interest(solution, resource.key.name, moving=moving, children=children),
        )
        training = resource.status.training
        known_through = training.known_through if training is not None else None
        found = []
        for entry in snapshot.by_parent.get(solution, ()):
            name = self._names.get(entry.id)
            if name is None and (
                known_through is None or entry.created.replace(microsecond=0) > known_through
            ):
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
        training = {**self._trainings.get(entry.id, {}), **entry.raw}
        return ExternalVersion(
            id=entry.id,
            name=name,
            state=self._poller.wire.state(entry.raw),
            created=entry.created,
            training_type=_TRAINING_TYPES.get(training.get("trainingType", "")),
            training_mode=_TRAINING_MODES.get(training.get("trainingMode", ""), "Full"),
        )

    async def metrics(self, resource: Resource, arn: str) -> dict[str, str] | None:
        """Return the metrics of a trained version, or None while there are none."""
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

    async def at(self, location: str, *, fresh: bool) -> dict[str, Any]:
        """Return `source`, the digest of what lies at a location, or `source_problem`.

        A listing is good for a while, unless somebody asked for a `fresh` one.
        """
        now = self._timers.time()
        looked, details = self._known.get(location, (float("-inf"), {}))
        if fresh or now - looked >= self._settings.source:
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
        return {"source": listing.digest, "source_modified": listing.modified}


@dataclass(frozen=True, slots=True)
class Known:
    """What details are made of, beside the object itself."""

    place: Place
    versions: Versions
    sources: Sources


@dataclass(frozen=True, slots=True)
class Seen:
    """An external object whose details are wanted."""

    resource: Resource
    observed: Observed
    answer: Answer
    """Its description; the list's entry where the status tells the rest."""
    fresh: bool = False
    """Whether to look closely, whatever was seen a moment ago."""


Details = Callable[[Known, Seen], Awaitable[Mapping[str, Any]]]
"""What the status shows of an object. Raises `EngineError`."""


async def nothing(_: Known, __: Seen) -> Mapping[str, Any]:
    """Show no details."""
    return {}


async def campaign(known: Known, seen: Seen) -> Mapping[str, Any]:
    """Show where a campaign answers, and what it serves."""
    return {
        "endpoint": known.place.endpoint("personalize-runtime"),
        "serves": seen.observed.fields.get("solutionVersionArn"),
    }


async def event_tracker(known: Known, seen: Seen) -> Mapping[str, Any]:
    """Show where and under which id events are taken; lists do not have the id."""
    return {
        "tracking_id": seen.answer.get("trackingId") or seen.resource.status.tracking_id,
        "endpoint": known.place.endpoint("personalize-events"),
    }


async def dataset(known: Known, seen: Seen) -> Mapping[str, Any]:
    """Show what there is to import."""
    spec = seen.resource.spec
    details = {"schema": seen.observed.fields.get("schemaArn")}
    if spec is None or spec.import_ is None or spec.import_.source.s3 is None:
        return details
    return details | await known.sources.at(spec.import_.source.s3, fresh=seen.fresh)


async def solution(known: Known, seen: Seen) -> Mapping[str, Any]:
    """Show a solution's versions, whoever had them trained."""
    return {"versions": await known.versions.below(seen.resource, seen.observed.id)}


async def solution_version(known: Known, seen: Seen) -> Mapping[str, Any]:
    """Show how a version was trained, how long, and how good it is; lists do not have the hours."""
    known.versions.learn(seen.observed.id, seen.observed.name)
    hours = seen.answer.get("trainingHours", seen.resource.status.training_hours)
    details: dict[str, Any] = {
        "training_hours": decimal(float(hours)) if hours is not None else None,
        "training_type": _TRAINING_TYPES.get(seen.answer.get("trainingType", "MANUAL")),
    }
    if seen.observed.state is State.ACTIVE:
        details["metrics"] = await known.versions.metrics(seen.resource, seen.observed.id)
    return details
