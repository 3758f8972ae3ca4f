"""Imports: when a Dataset makes a DatasetImportJob, and what it shows of them.

Data is imported once at first, again when the source or the spec changes, by schedule, and on a
person's word. A source that was refused is not read again until it, or the spec, has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from reco.api.dataset import ImportStatus
from reco.api.resource import Key, Resource
from reco.api.vocabulary import (
    ANNOTATION_RUN_NOW,
    ConditionType,
    ManagementPolicy,
    Reason,
)
from reco.decide import names, pictures, runs
from reco.decide.conditions import timestamp
from reco.decide.decision import Action, Decision, Verdict
from reco.decide.model import Observed, Situation, State, digest
from reco.decide.references import Lookup, References
from reco.decide.schedule import Schedule


def with_schema(_resource: Resource, references: References, lookup: Lookup) -> References:
    """Add its dataset's Schema to an import job's references: an engine may check rows by it."""
    dataset = references.direct.get("datasetRef")
    if dataset is None or dataset.spec is None:
        return references
    schema = lookup.get(Key("Schema", dataset.key.namespace, dataset.spec.schema_ref.name))
    return replace(references, siblings=(schema,)) if schema is not None else references


def with_datasets(_resource: Resource, references: References, lookup: Lookup) -> References:
    """Add the group's datasets and their Schemas to an event tracker's references."""
    group = references.direct.get("datasetGroupRef")
    if group is None:
        return references
    datasets = [one for one in lookup.referring(group.key, "Dataset") if one.spec is not None]
    keys = {Key("Schema", one.key.namespace, one.spec.schema_ref.name) for one in datasets}
    schemas = [found for key in sorted(keys) if (found := lookup.get(key)) is not None]
    return replace(references, siblings=(*datasets, *schemas))


def orchestrate(situation: Situation, decision: Decision) -> Decision:
    """Add to a Dataset's decision the imports to make and to prune, and the import status."""
    observed = situation.observation
    if not isinstance(observed, Observed) or observed.state is not State.ACTIVE:
        return decision
    resource = situation.resource
    jobs = runs.newest_first(situation.related.get("DatasetImportJob", ()))
    status = _status(situation, jobs)
    actions: list[Action] = []
    spec = resource.spec.import_
    if spec is not None and resource.spec.management_policy is ManagementPolicy.MANAGE:
        started, more = _start(situation, observed, jobs)
        actions += started
        status |= more
        last_good = next((job.key.name for job in jobs if runs.good(job)), None)
        actions += runs.prune(
            jobs,
            owner=resource,
            good_limit=spec.successful_jobs_history_limit,
            failed_limit=spec.failed_jobs_history_limit,
            keep=frozenset({last_good} if last_good else ()),
        )
    before = resource.raw_status.get("import") or {}
    return replace(
        decision,
        actions=(*decision.actions, *actions),
        status={**decision.status, "import": dict.fromkeys(before) | status},
        conditions=_conditions(situation, observed, decision, jobs),
        look_again=_look_again(decision, status, situation),
    )


def _status(situation: Situation, jobs: Sequence[Resource]) -> dict[str, Any]:
    resource = situation.resource
    before = resource.status.import_
    status: dict[str, Any] = {}
    if before is not None:
        status = {
            key: value
            for key, value in before.manifest().items()
            if key not in {"lastJob", "nextScheduleTime"}
        }
    if jobs:
        status["lastJob"] = jobs[0].key.name
    good = next((job for job in jobs if runs.good(job)), None)
    if good is not None:
        status["lastSuccessfulJob"] = good.key.name
        status["lastSuccessfulTime"] = timestamp(runs.ended(good))
    plan = _plan(resource)
    upcoming = plan.next(situation.now) if plan is not None else None
    if upcoming is not None:
        status["nextScheduleTime"] = timestamp(upcoming)
    return status


def _plan(resource: Resource) -> Schedule | None:
    spec = resource.spec.import_
    if spec is None or spec.schedule is None or spec.suspend:
        return None
    return Schedule(spec.schedule, spec.time_zone)


def _start(
    situation: Situation, observed: Observed, jobs: Sequence[Resource]
) -> tuple[list[Action], dict[str, Any]]:
    """Return the import to start, and the status it leaves."""
    resource = situation.resource
    spec = resource.spec.import_
    before = resource.status.import_
    wanted = digest([spec.source.manifest(), spec.mode.value, observed.details.get("schema")])
    source = _source(wanted, observed.details.get("source"), before)
    if any(not runs.finished(job) for job in jobs):
        return [], {}
    trigger: runs.Trigger | runs.Skip | None = runs.run_now(
        resource, before.last_run_now if before is not None else None
    )
    status: dict[str, Any] = {}
    if trigger is not None:
        status["lastRunNow"] = resource.annotations.get(ANNOTATION_RUN_NOW)
    elif not spec.suspend:
        trigger = _due(situation, source, jobs)
    if trigger is None:
        return [], {}
    if isinstance(trigger, runs.Skip):
        return [], {"lastScheduleTime": timestamp(trigger.scheduled)}
    if trigger.scheduled is not None:
        status["lastScheduleTime"] = timestamp(trigger.scheduled)
    status["lastSource"] = source
    job = {
        "datasetRef": {"name": resource.key.name},
        "source": spec.source.manifest(),
        "mode": spec.mode.value,
        "publishAttributionMetricsToS3": spec.publish_attribution_metrics_to_s3,
    }
    started = runs.create(resource, "DatasetImportJob", trigger, source, job, now=situation.now)
    return [started], status


def _source(wanted: str, listed: str | None, before: ImportStatus | None) -> str:
    """Return what identifies the data to import: the wish, and what lies at the source.

    A source that can't be listed now counts as unchanged, so that a missing permission to list
    does not look like new data.
    """
    last = before.last_source if before is not None else None
    if listed is None and last is not None and last.partition(":")[0] == wanted:
        return last
    return f"{wanted}:{listed or ''}"


def _due(
    situation: Situation, source: str, jobs: Sequence[Resource]
) -> runs.Trigger | runs.Skip | None:
    resource = situation.resource
    spec = resource.spec.import_
    before = resource.status.import_
    last_source = before.last_source if before is not None else None
    if jobs:  # a status write may have been lost; the job itself knows what it read
        last_source = runs.input_of(jobs[0], last_source)
    plan = _plan(resource)
    last_failed = bool(jobs) and runs.failed(jobs[0])
    if last_source is None:
        return runs.Trigger("Initial", names.triggered_child(resource.key.name, source))
    changed = source != last_source
    first_listing = last_source.endswith(":") and source.startswith(last_source)
    if (
        changed
        and not first_listing
        and (plan is None or last_failed or _edited(source, last_source))
    ):
        return runs.Trigger("Changed", names.triggered_child(resource.key.name, source))
    if plan is None:
        return None
    trigger = runs.on_schedule(
        resource,
        plan,
        last=before.last_schedule_time if before is not None else None,
        deadline=spec.starting_deadline_seconds,
        now=situation.now,
    )
    if isinstance(trigger, runs.Trigger) and trigger.scheduled is not None and not changed:
        if last_failed:
            return runs.Skip(trigger.scheduled, "the last import failed with the same source")
        if spec.only_if_newer:
            return runs.Skip(trigger.scheduled, "the source has not changed")
    return trigger


def _edited(source: str, last: str) -> bool:
    """Whether the spec, and not only the data, has changed."""
    return source.partition(":")[0] != last.partition(":")[0]


def _conditions(
    situation: Situation, observed: Observed, decision: Decision, jobs: Sequence[Resource]
) -> pictures.Conditions:
    conditions = dict(decision.conditions)
    ended = [job for job in jobs if runs.finished(job)]
    if not ended:
        return conditions
    if runs.good(ended[0]):
        conditions[ConditionType.LAST_IMPORT_SUCCEEDED] = Verdict(
            "True", Reason.IMPORTED, ended[0].key.name
        )
        return conditions
    text = runs.failure_text(ended[0])
    problem = observed.details.get("source_problem")
    if problem:
        text = f"{text} (the source can't be watched for changes: {problem})"
    failed = Verdict("False", Reason.EXTERNAL_FAILURE, text)
    conditions[ConditionType.LAST_IMPORT_SUCCEEDED] = failed
    before = situation.resource.status.import_
    ever = before is not None and before.last_successful_job is not None
    ready = conditions.get(ConditionType.READY)
    if not ever and isinstance(ready, Verdict) and ready.status == "True":
        conditions[ConditionType.READY] = failed
        if len(ended) == len(jobs):
            conditions[ConditionType.STALLED] = replace(failed, status="True")
    return conditions


SOURCE_CHECK = timedelta(minutes=5)
"""How often the source is listed for changes."""


def _look_again(
    decision: Decision, status: Mapping[str, Any], situation: Situation
) -> float | None:
    waits = [decision.look_again] if decision.look_again is not None else []
    if situation.resource.spec.import_ is not None:
        waits.append(min(SOURCE_CHECK.total_seconds(), situation.timing.resync))
    text = status.get("nextScheduleTime")
    if text is not None:
        waits.append(max(0.0, (datetime.fromisoformat(text) - situation.now).total_seconds()))
    return min(waits, default=None)
