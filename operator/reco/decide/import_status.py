"""What has been imported into a Dataset, and what it shows of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from reco.api.dataset import ImportStatus
from reco.api.resource import Resource
from reco.api.runs import FailedRun, RunTrigger, ScheduleProgress
from reco.api.vocabulary import ConditionType, Reason
from reco.decide import outcomes, pictures, runs, triggers
from reco.decide.conditions import timestamp
from reco.decide.decision import Decision, Verdict
from reco.decide.model import Observed, Situation, digest
from reco.decide.schedule import Schedule

SOURCE_CHECK = timedelta(minutes=5)
"""How often the source is listed for changes."""


@dataclass(frozen=True, slots=True)
class History:
    """What has happened to a Dataset, as the status, the jobs and the engine tell."""

    jobs: Sequence[Resource]
    """Newest first."""
    proofs: Sequence[Resource]
    """Those whose work was done to the external dataset that there is now."""
    failures: Sequence[FailedRun]
    """The last import, if it ended badly."""
    progress: Mapping[RunTrigger, ScheduleProgress]
    plan: Schedule | None
    """The schedule in force."""
    number: int
    """Of the newest import."""
    token: str | None
    """The `reco.dev/run-now` that was handled last."""
    source: str
    """What identifies the data to import: the spec, and what lies at the source."""
    last_source: str | None
    """The same of the newest import that counts; None where there was none."""
    last_source_run: int
    """The number of that import."""
    modified: datetime | None
    """When the newest file at the source was written, as far as it is known."""
    problem: str | None
    """Why the source can't be listed."""
    seen: bool
    """Whether a change of the source would be seen."""
    made: datetime
    """When the external dataset was made."""
    same: bool
    """Whether what the status says is of this external dataset."""
    lost: bool
    """Whether imports went into an external dataset that there is no more."""
    now: datetime
    retry: datetime | None
    """When an import that met a transient fault is tried again."""

    @property
    def first_listing(self) -> bool:
        """Whether the source could not be listed when it was last imported, and can be now."""
        last = self.last_source or ""
        return last.endswith(":") and self.source != last and self.source.startswith(last)

    @property
    def good(self) -> Resource | None:
        """The newest good import into this external dataset."""
        return next((job for job in self.proofs if runs.good(job)), None)


def history_of(situation: Situation, observed: Observed) -> History:
    """Return what has happened to a Dataset."""
    dataset = situation.resource
    told = dataset.status.import_
    before = told or ImportStatus()
    jobs = runs.newest_first(situation.related.get("DatasetImportJob", ()))
    made = observed.created.replace(microsecond=0)
    keeps = situation.engine is not None and situation.engine.keeps_data
    proofs = [job for job in jobs if keeps or not runs.good(job) or runs.made(job) >= made]
    same = keeps or before.object_time in {None, made}
    listed = observed.details.get("source")
    failures = outcomes.remembered(before.failures, jobs, (RunTrigger.IMPORT,))
    plan = _plan(dataset)
    failed = outcomes.of(failures, RunTrigger.IMPORT)
    last_source, last_source_run = _last_source(jobs, before)
    return History(
        jobs=jobs,
        proofs=proofs,
        failures=failures,
        progress=triggers.progress(
            before.schedules,
            {} if plan is None else {RunTrigger.IMPORT: plan},
            now=situation.now,
            anew=dataset.is_true(ConditionType.PAUSED),
        ),
        plan=plan,
        number=runs.last_number(before.run_number, jobs),
        token=triggers.handled_token(
            dataset,
            jobs,
            recorded=before.last_run_now,
            recorded_number=before.run_number,
            taken_over=told is None and any(runs.is_ours(job) for job in jobs),
        ),
        source=_source(dataset, observed.details.get("schema"), listed, last_source),
        last_source=last_source,
        last_source_run=last_source_run,
        modified=observed.details.get("source_modified"),
        problem=observed.details.get("source_problem"),
        seen=listed is not None,
        made=made,
        same=same,
        lost=bool(not same or (jobs and runs.good(jobs[0]) and jobs[0] not in proofs)),
        now=situation.now,
        retry=_retry(dataset, failed, situation.now),
    )


def _retry(dataset: Resource, failed: FailedRun | None, now: datetime) -> datetime | None:
    spec = dataset.spec.import_
    if spec is None or spec.suspend:
        return None
    return outcomes.retry_time(failed, spec.starting_deadline_seconds, now)


def _plan(dataset: Resource) -> Schedule | None:
    spec = dataset.spec.import_
    if spec is None or spec.schedule is None or spec.suspend:
        return None
    return Schedule(spec.schedule, spec.time_zone)


def _source(dataset: Resource, schema: object, listed: str | None, last: str | None) -> str:
    """Return what identifies the data to import: what is wanted, and what lies at the source.

    A source that can't be listed now counts as unchanged, so that a missing permission to list
    does not look like new data.
    """
    spec = dataset.spec.import_
    if spec is None:
        return ""
    wanted = digest([spec.source.manifest(), spec.mode.value, schema])
    if listed is None and last is not None and last.partition(":")[0] == wanted:
        return last
    return f"{wanted}:{listed or ''}"


def _last_source(jobs: Sequence[Resource], before: ImportStatus) -> tuple[str | None, int]:
    """Return what the newest import that counts read, and its number: it says so, or the status.

    One that a person asked for and that failed does not count: what is due is due all the same.
    """
    recorded, number = before.last_source, before.last_source_run or 0
    counting = [
        job
        for job in jobs
        if runs.trigger_of(job) is RunTrigger.IMPORT or (runs.is_ours(job) and runs.good(job))
    ]
    newest = runs.last_started(counting)
    if newest is None or (recorded is not None and runs.number(newest) <= number):
        return recorded, number
    return runs.input_of(newest, recorded), runs.number(newest)


def holds(history: History, failed: FailedRun | None, now: datetime) -> bool:
    """Whether a bad end holds imports back."""
    changed = failed is not None and failed.input not in {None, history.source}
    return outcomes.holds(failed, changed=changed, seen=history.seen, now=now)


def describe(situation: Situation, history: History) -> dict[str, Any]:
    """Return the status fields that say what is there, in manifest spelling."""
    before = situation.resource.status.import_
    status: dict[str, Any] = {}
    if before is not None:
        dropped = {"lastJob", "nextScheduleTime", "failures", "schedules"}
        if not history.same:
            dropped |= {"lastSuccessfulJob", "lastSuccessfulTime", "lastSuccessfulInput"}
        status = {key: value for key, value in before.manifest().items() if key not in dropped}
    status |= _memory(history)
    if history.jobs:
        status["lastJob"] = history.jobs[0].key.name
    if history.good is not None:
        status["lastSuccessfulJob"] = history.good.key.name
        status["lastSuccessfulTime"] = timestamp(runs.made(history.good))
        status["lastSuccessfulInput"] = _identity(history.good)
    upcoming = history.plan.next(situation.now) if history.plan is not None else None
    if upcoming is not None:
        status["nextScheduleTime"] = timestamp(upcoming)
    return status


def _memory(history: History) -> dict[str, Any]:
    """Return what later decisions go by."""
    memory: dict[str, Any] = {
        "objectTime": timestamp(history.made) if history.same else None,
        "failures": [one.manifest() for one in history.failures] or None,
        "schedules": triggers.progress_manifest(history.progress),
        "runNumber": history.number or None,
        "lastRunNow": history.token,
    }
    if history.last_source is not None:
        memory |= {"lastSource": history.last_source, "lastSourceRun": history.last_source_run}
    return {key: value for key, value in memory.items() if value is not None}


def _identity(job: Resource) -> str:
    """Return what identifies the data that a job imported: what it read, or the job itself."""
    source = runs.input_of(job, None)
    return job.key.name if source is None or source.endswith(":") else source


def conditions(situation: Situation, decision: Decision, history: History) -> pictures.Conditions:
    """Return a decision's conditions with what there is to say of imports."""
    shown = dict(decision.conditions)
    failed = outcomes.of(history.failures, RunTrigger.IMPORT)
    if failed is not None and holds(history, failed, situation.now):
        shown[ConditionType.RUNS_HELD] = outcomes.held(
            "imports",
            failed,
            ends=outcomes.hold_ends(failed, seen=history.seen),
            changes="A change of the spec or of what lies at the source",
        )
    newest = next((job for job in history.proofs if runs.finished(job)), None)
    if newest is not None and runs.good(newest):
        shown[ConditionType.LAST_IMPORT_SUCCEEDED] = Verdict(
            "True", Reason.IMPORTED, newest.key.name
        )
        return shown
    if newest is not None:
        then = ""
        if failed is not None and failed.name == newest.key.name:
            then = outcomes.next_step(failed, retry=history.retry)
        bad = Verdict("False", runs.failure_reason(newest), f"{runs.failure_text(newest)}{then}")
    elif failed is not None:
        bad = outcomes.verdict(failed, outcomes.next_step(failed, retry=history.retry))
    else:
        return shown
    if history.problem:
        why = f" (the source can't be watched for changes: {history.problem})"
        bad = replace(bad, message=f"{bad.message}{why}")
    shown[ConditionType.LAST_IMPORT_SUCCEEDED] = bad
    before = situation.resource.status.import_
    ever = history.same and before is not None and before.last_successful_job is not None
    ready = shown.get(ConditionType.READY)
    if not ever and isinstance(ready, Verdict) and ready.status == "True":
        shown[ConditionType.READY] = bad
        if all(runs.finished(job) for job in history.proofs):
            waits = history.retry is not None
            type_ = ConditionType.RECONCILING if waits else ConditionType.STALLED
            shown[type_] = replace(bad, status="True")
    return shown


def look_again(
    situation: Situation, decision: Decision, history: History, status: Mapping[str, Any]
) -> float | None:
    """Return after how many seconds the source, the next scheduled time or a retry is due."""
    waits = outcomes.soonest(
        situation.now,
        decision.look_again,
        history.failures,
        seen=history.seen,
        due=(triggers.next_time(status), history.retry),
    )
    if situation.resource.spec.import_ is None:
        return waits
    check = min(SOURCE_CHECK.total_seconds(), situation.timing.resync)
    return check if waits is None else min(waits, check)
