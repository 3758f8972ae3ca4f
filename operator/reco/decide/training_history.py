"""Training history: what a Solution has trained, on what, and with which end.

Gathered once a look from the status, the versions and the engine; decisions and conditions are read
off it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reco.api.resource import Resource
from reco.api.runs import FailedRun, RunOutcome, RunTrigger, ScheduleProgress
from reco.api.solution import TrainingMode, TrainingOwner, TrainingStatus
from reco.api.vocabulary import ConditionType
from reco.decide import inputs, outcomes, runs, triggers
from reco.decide.inputs import Input
from reco.decide.model import Desired, ExternalVersion, Observed, Situation, State
from reco.decide.references import usable
from reco.decide.schedule import Schedule

MODES = (RunTrigger.FULL, RunTrigger.UPDATE)
"""A full training goes before an update of the same time."""
LIVE = frozenset({State.ACTIVE, State.CREATING, State.RUNNING})
"""States of an external version that is trained, or in training."""
FEWEST_INTERACTIONS = 1000
"""Interactions that a training needs at least, by the service's documentation."""


@dataclass(frozen=True, slots=True)
class History:
    """What has happened to a Solution, as the status, the versions and the engine tell."""

    versions: Sequence[Resource]
    """Newest first."""
    external: Sequence[ExternalVersion]
    failures: Sequence[FailedRun]
    """The last bad ends."""
    progress: Mapping[RunTrigger, ScheduleProgress]
    """Of the schedules in force."""
    plans: Mapping[RunTrigger, Schedule]
    number: int
    """Of the newest training."""
    token: str | None
    """The `reco.dev/run-now` that was handled last."""
    input: Input | None
    """What a training would start from now; None while nothing can be wanted."""
    trained_on: Input | None
    """What the newest good version started from, as far as it is known."""
    seen: bool
    """Whether a change of all of the data would be seen."""
    missing: str | None
    """What the first training waits for."""
    made: datetime
    """When the external solution was made."""
    same: bool
    """Whether what the status says is of this external solution."""
    ever: bool
    """Whether the status says that anything was ever trained."""
    retries: Mapping[RunTrigger, datetime]
    """When trainings that met a transient fault are tried again."""

    @property
    def good(self) -> Resource | None:
        """The newest good version."""
        return next((version for version in self.versions if runs.good(version)), None)

    @property
    def running(self) -> Resource | None:
        """A version that has not ended, as far as is known."""
        return next((v for v in self.versions if not runs.finished(v) and not runs.idle(v)), None)

    def base(self) -> Resource | None:
        """Return the version that an update would start from, as far as it is still there."""
        base = newest_full(self.versions)
        gone = any(
            version.status.needs is TrainingMode.FULL
            and base is not None
            and runs.made(version) > runs.made(base)
            for version in self.versions
        )
        return None if gone else base


def newest_full(versions: Sequence[Resource]) -> Resource | None:
    """Return the newest good version that was trained from scratch, the newest being first."""
    good = (version for version in versions if runs.good(version) and version.spec is not None)
    return next((v for v in good if v.spec.training_mode is TrainingMode.FULL), None)


def history_of(
    situation: Situation,
    observed: Observed,
    versions: Sequence[Resource],
    external: Sequence[ExternalVersion],
) -> History:
    """Return what has happened to a Solution.

    Args:
        situation: all that is known.
        observed: the external solution.
        versions: its SolutionVersions, the newest first.
        external: its versions as the engine lists them.
    """
    solution, now = situation.resource, situation.now
    told = solution.status.training
    before = told or TrainingStatus()
    desired = situation.desired
    plans = _plans(solution)
    streamed = observed.details.get("streamed")
    data = inputs.data_of(situation.related.get("Dataset", ()), streamed)
    spec = desired.input_with(None) if isinstance(desired, Desired) else None
    made = observed.created.replace(microsecond=0)
    same = before.object_time in {None, made}
    failures = outcomes.remembered(before.failures, versions, MODES)
    failures = [one for one in failures if same or one.outcome is RunOutcome.REFUSED]
    missing = _missing(situation, streamed)
    trained_on = _trained_on(before, versions)
    present = None if spec is None else Input(spec, data)
    if trained_on is None and missing is None and versions:
        trained_on = present  # unknown counts as the present one
    return History(
        versions=versions,
        external=external,
        failures=failures,
        progress=triggers.progress(
            before.schedules,
            plans,
            now=now,
            anew=solution.is_true(ConditionType.PAUSED),
        ),
        plans=plans,
        number=runs.last_number(before.run_number, versions),
        token=triggers.handled_token(
            solution,
            versions,
            recorded=before.last_run_now,
            recorded_number=before.run_number,
            taken_over=told is None and any(one.state in LIVE for one in external),
        ),
        input=present,
        trained_on=trained_on,
        seen=streamed is not None or not _has_events(situation),
        missing=missing,
        made=made,
        same=same,
        ever=before.last_input is not None,
        retries=_retries(situation, failures),
    )


def _trained_on(before: TrainingStatus, versions: Sequence[Resource]) -> Input | None:
    """Return what the newest good version started from: it says so itself, or the status does."""
    good = next((version for version in versions if runs.good(version)), None)
    said = None if good is None else Input.read(runs.input_of(good, None))
    return said or Input.read(before.last_input)


def _plans(solution: Resource) -> dict[RunTrigger, Schedule]:
    """Return the schedules in force."""
    spec = solution.spec.training
    if spec.owner is not TrainingOwner.OPERATOR:
        return {}
    return {
        trigger: Schedule(plan.schedule, plan.time_zone)
        for trigger, plan in ((RunTrigger.FULL, spec.full), (RunTrigger.UPDATE, spec.update))
        if plan is not None and not plan.suspend
    }


def _retries(situation: Situation, failures: Sequence[FailedRun]) -> dict[RunTrigger, datetime]:
    spec, now = situation.resource.spec.training, situation.now
    if spec.owner is not TrainingOwner.OPERATOR:
        return {}
    return {
        failed.trigger: time
        for failed in failures
        if (time := outcomes.retry_time(failed, spec.starting_deadline_seconds, now)) is not None
    }


def _has_events(situation: Situation) -> bool:
    trackers = situation.related.get("EventTracker", ())
    return any(usable(tracker) for tracker in trackers)


def _missing(situation: Situation, streamed: object) -> str | None:
    """Return what is still missing for a first training."""
    group = situation.resource.spec.dataset_group_ref.name
    datasets = [d for d in situation.related.get("Dataset", ()) if d.spec is not None]
    if not any(dataset.spec.type.value == "Interactions" for dataset in datasets):
        return f"no Dataset of type Interactions refers to DatasetGroup {group}"
    for dataset in datasets:
        last = dataset.status.import_
        if last is not None and last.last_successful_job is not None:
            continue
        if dataset.spec.import_ is not None:
            return f"{dataset.key} has no successful import yet"
        if dataset.spec.type.value == "Interactions":
            problem = _too_few_events(situation, streamed)
            if problem is not None:
                return f"{dataset.key} {problem}"
    return None


def _too_few_events(situation: Situation, streamed: object) -> str | None:
    """Return why events alone do not make data yet; None where they do, or nobody can say."""
    if not _has_events(situation):
        return "has no successful import yet, and no EventTracker that is ready brings events"
    rows = streamed.get("rows") if isinstance(streamed, Mapping) else None
    if rows is None or rows >= FEWEST_INTERACTIONS:
        return None
    return f"has {rows} streamed events, and a training needs {FEWEST_INTERACTIONS}"


def changed_since(failed: FailedRun, history: History) -> bool:
    """Whether the spec or the data is known to have changed since a training failed."""
    return inputs.changed(Input.read(failed.input) or history.trained_on, history.input)


def holds(history: History, failed: FailedRun | None, now: datetime) -> bool:
    """Whether a bad end holds trainings of its trigger back."""
    changed = failed is not None and changed_since(failed, history)
    return outcomes.holds(failed, changed=changed, seen=history.seen, now=now)
