"""Imports: when a Dataset makes a DatasetImportJob.

Data is imported once at first, again when the source or the spec changes, when the external dataset
was made anew, by schedule, and on a person's word. A source that was refused is not read again
until it, or the spec, has changed; a transient fault is tried again. What the status shows of it is
in `import_status`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reco.api.resource import Key, Resource
from reco.api.runs import FailedRun, RunOutcome, RunTrigger
from reco.api.vocabulary import ManagementPolicy
from reco.decide import import_status, outcomes, runs, triggers
from reco.decide.conditions import timestamp
from reco.decide.decision import Action, Decision
from reco.decide.import_status import History, history_of, holds
from reco.decide.model import Observed, Situation, State
from reco.decide.references import Lookup, References
from reco.decide.requests import forced, token


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
    dataset, spec = situation.resource, situation.resource.spec.import_
    history = history_of(situation, observed)
    status = import_status.describe(situation, history)
    actions: list[Action] = []
    if dataset.spec.management_policy is ManagementPolicy.MANAGE:
        actions += runs.own(dataset, history.jobs)
        if spec is not None and not actions:
            started, more = _start(situation, history)
            actions += started
            status |= _baseline(history) | more
        if spec is not None:
            last_good = history.good
            actions += runs.prune(
                history.jobs,
                owner=dataset,
                good_limit=spec.successful_jobs_history_limit,
                failed_limit=spec.failed_jobs_history_limit,
                keep=frozenset({last_good.key.name} if last_good is not None else ()),
            )
    before = dataset.raw_status.get("import") or {}
    return replace(
        decision,
        actions=(*decision.actions, *actions),
        status={**decision.status, "import": dict.fromkeys(before) | status},
        conditions=import_status.conditions(situation, decision, history),
        look_again=import_status.look_again(situation, decision, history, status),
    )


def _baseline(history: History) -> dict[str, Any]:
    """Return the source to record once it can be listed, to see later changes of it."""
    failed = outcomes.of(history.failures, RunTrigger.IMPORT)
    known = history.first_listing and failed is None and not _changed(history, failed)
    return {"lastSource": history.source} if known else {}


def _start(situation: Situation, history: History) -> tuple[list[Action], dict[str, Any]]:
    """Return the import to start, and the status it leaves."""
    dataset = situation.resource
    spec = dataset.spec.import_
    if any(not runs.finished(job) and not runs.idle(job) for job in history.jobs):
        return [], {}
    trigger: triggers.Trigger | triggers.Skip | None = triggers.run_now(dataset, history.token)
    if trigger is None and not spec.suspend:
        trigger = next(_due(situation, history), None)
    if trigger is None:
        return [], {}
    if isinstance(trigger, triggers.Skip):
        return [], triggers.handled(history.progress, trigger.trigger, trigger.scheduled)
    status: dict[str, Any] = {
        "runNumber": history.number + 1,
        "objectTime": timestamp(history.made),
    }
    if trigger.cause is runs.Cause.RUN_NOW:
        status["lastRunNow"] = trigger.asked
    else:
        status |= {"lastSource": history.source, "lastSourceRun": history.number + 1}
    if trigger.scheduled is not None:
        status |= triggers.handled(history.progress, RunTrigger.IMPORT, trigger.scheduled)
    job = {
        "datasetRef": {"name": dataset.key.name},
        "source": spec.source.manifest(),
        "mode": spec.mode.value,
        "publishAttributionMetricsToS3": spec.publish_attribution_metrics_to_s3,
    }
    started = triggers.create(
        dataset,
        "DatasetImportJob",
        trigger,
        history.source,
        job,
        now=situation.now,
        number=history.number + 1,
    )
    return [started], status


def _due(situation: Situation, history: History) -> Iterator[triggers.Trigger | triggers.Skip]:
    """Yield what is due without anybody asking, the most urgent first."""
    failed = outcomes.of(history.failures, RunTrigger.IMPORT)
    if history.last_source is None:
        yield triggers.Trigger(runs.Cause.INITIAL, history.source)
    elif history.lost:
        asked = f"{timestamp(history.made)}:{history.source}"
        yield triggers.Trigger(runs.Cause.RECREATED, asked)
    elif _changed(history, failed):
        yield triggers.Trigger(runs.Cause.CHANGED, history.source)
    elif failed is not None and _tried_again(situation, history, failed):
        asked = f"{failed.name}:{history.source}"
        yield triggers.Trigger(runs.Cause.RETRY, asked, attempt=failed.attempts + 1)
    yield from _scheduled(situation, history, failed)


def _changed(history: History, failed: FailedRun | None) -> bool:
    """Whether the source or the spec has changed, so that no schedule is waited for.

    A source that can be listed for the first time is a new one if the last import failed, or if it
    was written since that import started.
    """
    source, last = history.source, history.last_source or ""
    if history.first_listing and failed is None:
        started = triggers.newest_start(history.jobs, history.now)
        if started is None or history.modified is None:
            return False
        return started < history.modified
    if source == last:
        return False
    edited = source.partition(":")[0] != last.partition(":")[0]
    return history.plan is None or failed is not None or edited


def _tried_again(situation: Situation, history: History, failed: FailedRun) -> bool:
    """Whether an import that ended badly is tried again now: it is time, or somebody asks."""
    if history.retry is not None and history.retry <= situation.now:
        return True
    if failed.outcome is RunOutcome.REFUSED and not holds(history, failed, situation.now):
        return True
    return forced(situation.resource) or _asked_on_job(history, failed)


def _asked_on_job(history: History, failed: FailedRun) -> bool:
    """Whether somebody asked on the job that failed: it runs once, so another takes its place."""
    job = next((one for one in history.jobs if one.key.name == failed.name), None)
    asked = None if job is None else token(job)
    return asked is not None and asked != failed.request


def _scheduled(
    situation: Situation, history: History, failed: FailedRun | None
) -> Iterator[triggers.Trigger | triggers.Skip]:
    spec = situation.resource.spec.import_
    if history.plan is None:
        return
    trigger = triggers.on_schedule(
        history.plan,
        history.progress[RunTrigger.IMPORT],
        triggers.newest_start(history.jobs, situation.now),
        deadline=spec.starting_deadline_seconds,
        now=situation.now,
        why_not=_why_not(situation, history, failed),
    )
    if trigger is not None:
        yield trigger


def _why_not(situation: Situation, history: History, failed: FailedRun | None) -> str | None:
    """Return why a scheduled time passes without an import, or None."""
    if holds(history, failed, situation.now):
        return "the last import was refused for the same source"
    same = failed is None and history.source == history.last_source
    if situation.resource.spec.import_.only_if_newer and same:
        return "the source has not changed"
    return None
