"""Training: when a Solution makes a SolutionVersion, which ones it keeps, and what it shows.

Trainings cost money. One is started when data is there for the first time, on a person's word, and
by schedule; never twice for one trigger, never while another runs, and never again with the input
that failed, until the spec or the data has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from reco.api.resource import Key, Resource
from reco.api.solution import TrainingMode, TrainingOwner
from reco.api.vocabulary import (
    ANNOTATION_RUN_NOW,
    API_VERSION,
    AdoptionPolicy,
    ConditionType,
    ManagementPolicy,
    Reason,
)
from reco.decide import names, pictures, runs
from reco.decide.conditions import timestamp
from reco.decide.decision import Action, CreateResource, Decision, Verdict
from reco.decide.model import Desired, ExternalVersion, Observed, Situation, State
from reco.decide.schedule import Schedule

_LIVE = frozenset({State.ACTIVE, State.CREATING, State.RUNNING})


def orchestrate(situation: Situation, decision: Decision) -> Decision:
    """Add to a Solution's decision the versions to make and to prune, and the training status."""
    observed = situation.observation
    if not isinstance(observed, Observed) or observed.state is not State.ACTIVE:
        return decision
    if situation.resource.spec.management_policy is ManagementPolicy.OBSERVE:
        return decision
    versions = runs.newest_first(situation.related.get("SolutionVersion", ()))
    external = tuple(observed.details.get("versions", ()))
    adopted, known_through = _adopt(situation, versions, external)
    status = _status(situation, versions)
    status["knownThrough"] = timestamp(known_through) if known_through else None
    actions: list[Action] = list(adopted)
    waits_for = None
    if not adopted:
        started, more_status, waits_for = _start(situation, versions, external)
        actions += started
        status |= _noted(situation, versions)
        status |= more_status
    actions += runs.prune(
        versions,
        owner=situation.resource,
        good_limit=situation.resource.spec.successful_versions_history_limit,
        failed_limit=situation.resource.spec.failed_versions_history_limit,
        keep=_in_use(situation, versions),
    )
    before = situation.resource.raw_status.get("training") or {}
    merged = dict.fromkeys(before) | status
    return replace(
        decision,
        actions=(*decision.actions, *actions),
        status={**decision.status, "training": merged},
        conditions=_conditions(decision, versions, waits_for),
        look_again=_soonest(decision.look_again, _until_next(status, situation.now)),
    )


# What is there ---------------------------------------------------------------------------------


def _status(situation: Situation, versions: Sequence[Resource]) -> dict[str, Any]:
    before = situation.resource.status.training
    running = next((v for v in versions if not runs.finished(v)), None)
    best = next((v for v in versions if runs.good(v)), None)
    status: dict[str, Any] = {
        "running": running.key.name if running is not None else None,
        "latest": best.key.name if best is not None else None,
        "lastTrainedTime": timestamp(runs.ended(best)) if best is not None else None,
    }
    if before is not None:
        status |= {
            key: value
            for key, value in before.manifest().items()
            if key in {"lastScheduleTime", "lastSkipped", "lastRunNow", "lastInput"}
        }
    upcoming = [time for _, plan in _plans(situation) if (time := plan.next(situation.now))]
    if upcoming:
        status["nextScheduleTime"] = timestamp(min(upcoming))
    return status


def _plans(situation: Situation) -> list[tuple[TrainingMode, Schedule]]:
    """Return the schedules in force; a full training goes before an update of the same time."""
    spec = situation.resource.spec.training
    if spec.owner is not TrainingOwner.OPERATOR:
        return []
    return [
        (mode, Schedule(plan.schedule, plan.time_zone))
        for mode, plan in ((TrainingMode.FULL, spec.full), (TrainingMode.UPDATE, spec.update))
        if plan is not None and not plan.suspend
    ]


def _in_use(situation: Situation, versions: Sequence[Resource]) -> frozenset[str]:
    """Return the versions that serve, served, are pinned, or would serve next."""
    newest_good = next((version.key.name for version in versions if runs.good(version)), None)
    names_: set[str | None] = {newest_good}
    for campaign in situation.related.get("Campaign", ()):
        if campaign.spec is not None:
            names_.add(campaign.spec.version.name)
        if campaign.status.serving is not None:
            names_ |= {campaign.status.serving.current, campaign.status.serving.previous}
    return frozenset(name for name in names_ if name is not None)


def _adopt(
    situation: Situation, versions: Sequence[Resource], external: Sequence[ExternalVersion]
) -> tuple[list[CreateResource], datetime | None]:
    """Return resources for external versions that have none, and through when all are known.

    So an estate rebuilt from its manifests finds its trained versions again instead of paying for
    new ones, and versions that the service trained by itself can be followed and shown.
    """
    resource = situation.resource
    before = resource.status.training
    through: datetime | None = before.known_through if before is not None else None
    known_ids = {v.status.external.arn for v in versions if v.status.external is not None}
    known_names = {names.external_name(v) for v in versions}
    newest = [v for v in external if v.state in _LIVE]
    newest = newest[: resource.spec.successful_versions_history_limit]
    unknown = [
        (version, version.name)
        for version in newest
        if version.name is not None
        and version.id not in known_ids
        and version.name not in known_names
        and (through is None or version.created.replace(microsecond=0) > through)
    ]
    seen = [version.created for version in external]
    reached = max([*seen, *([through] if through else [])], default=None)
    adopted = [_adopting(resource, version, name) for version, name in unknown]
    return adopted, (through if unknown else reached)


def _adopting(resource: Resource, version: ExternalVersion, external_name: str) -> CreateResource:
    prefix = f"{resource.key.namespace}_"
    name = external_name.removeprefix(prefix)
    maps_back = names.mapped_name(Key("SolutionVersion", resource.key.namespace, name))
    if maps_back != external_name or not names.usable_name(name):
        name = names.child(resource.key.name, version.id.rpartition("/")[2])
    # What may be the service's own training is not ours to mark or to stop.
    ours = version.training_type == "Manual"
    policy = ManagementPolicy.MANAGE if ours else ManagementPolicy.OBSERVE
    return CreateResource(
        {
            "apiVersion": API_VERSION,
            "kind": "SolutionVersion",
            "metadata": {
                "namespace": resource.key.namespace,
                "name": name,
                "annotations": {runs.ANNOTATION_TRIGGER: "Adopted"},
                "ownerReferences": [runs.owner_reference(resource)],
            },
            "spec": {
                "solutionRef": {"name": resource.key.name},
                "trainingMode": version.training_mode,
                "externalName": external_name,
                "adoptionPolicy": AdoptionPolicy.ADOPT.value,
                "managementPolicy": policy.value,
            },
        }
    )


# What to start ---------------------------------------------------------------------------------


def _start(
    situation: Situation, versions: Sequence[Resource], external: Sequence[ExternalVersion]
) -> tuple[list[Action], dict[str, Any], str | None]:
    """Return the training to start, the status it leaves, and what training waits for."""
    resource = situation.resource
    if not isinstance(situation.desired, Desired):
        return [], {}, situation.desired.message
    before = resource.status.training
    data, missing = _data(situation)
    input_ = situation.desired.input_with(data)
    last_run_now = before.last_run_now if before is not None else None
    trigger: runs.Trigger | runs.Skip | None = runs.run_now(resource, last_run_now)
    handled = {"lastRunNow": resource.annotations.get(ANNOTATION_RUN_NOW)} if trigger else {}
    if any(not runs.finished(version) for version in versions):
        return [], {}, None
    if trigger is None and resource.spec.training.owner is TrainingOwner.OPERATOR:
        if missing is not None and not versions:
            return [], {}, missing
        trigger = _due(situation, versions, external, input_, data)
    if trigger is None:
        return [], {}, None
    if isinstance(trigger, runs.Skip):
        return [], _skipped(trigger), None
    if trigger.scheduled is not None:
        handled["lastScheduleTime"] = timestamp(trigger.scheduled)
    handled["lastInput"] = input_
    taken = {version.name for version in external}
    wanted = names.mapped_name(Key("SolutionVersion", resource.key.namespace, trigger.name))
    if wanted in taken:
        return [], handled, None
    spec = {
        "solutionRef": {"name": resource.key.name},
        "trainingMode": trigger.mode or TrainingMode.FULL.value,
    }
    version = runs.create(resource, "SolutionVersion", trigger, input_, spec, now=situation.now)
    return [version], handled, None


def _noted(situation: Situation, versions: Sequence[Resource]) -> dict[str, Any]:
    """Return the input to record where nobody knows what the versions there were trained on.

    Unknown input counts as the present one, so that an estate rebuilt from its manifests does not
    pay again for a training that failed.
    """
    before = situation.resource.status.training
    desired = situation.desired
    data, missing = _data(situation)
    known = before is not None and before.last_input is not None
    if known or missing is not None or not versions or not isinstance(desired, Desired):
        return {}
    return {"lastInput": desired.input_with(data)}


def _skipped(skip: runs.Skip) -> dict[str, Any]:
    return {
        "lastScheduleTime": timestamp(skip.scheduled),
        "lastSkipped": {"time": timestamp(skip.scheduled), "reason": skip.reason},
    }


def _due(
    situation: Situation,
    versions: Sequence[Resource],
    external: Sequence[ExternalVersion],
    input_: str,
    data: Mapping[str, str],
) -> runs.Trigger | runs.Skip | None:
    """Return what is due without anybody asking: the first training, a mended one, a schedule."""
    resource = situation.resource
    before = resource.status.training
    last_input = before.last_input if before is not None else None
    if not versions and last_input is None and not any(v.state in _LIVE for v in external):
        name = names.scheduled_child(resource.key.name, resource.created)
        return runs.Trigger("Initial", name, None, TrainingMode.FULL.value)
    last_failed = bool(versions) and runs.failed(versions[0])
    if last_failed and runs.input_of(versions[0], last_input) not in {None, input_}:
        name = names.triggered_child(resource.key.name, input_)
        return runs.Trigger("Changed", name, None, TrainingMode.FULL.value)
    last = before.last_schedule_time if before is not None else None
    spec = resource.spec.training
    for mode, plan in _plans(situation):
        trigger = runs.on_schedule(
            resource,
            plan,
            last=last,
            deadline=spec.starting_deadline_seconds,
            now=situation.now,
            mode=mode.value,
        )
        if not isinstance(trigger, runs.Trigger) or trigger.scheduled is None:
            if trigger is not None:
                return trigger
            continue
        if last_failed:
            return runs.Skip(
                trigger.scheduled, "the last training failed with the same spec and data"
            )
        if spec.only_if_new_data and last_input == input_:
            return runs.Skip(
                trigger.scheduled, f"no new data in {', '.join(data) or 'any dataset'}"
            )
        return trigger
    return None


def _data(situation: Situation) -> tuple[dict[str, str], str | None]:
    """Return what was last imported into each dataset, and what is still missing for training."""
    group = situation.resource.spec.dataset_group_ref.name
    datasets = [d for d in situation.related.get("Dataset", ()) if d.spec is not None]
    imported: dict[str, str] = {}
    missing: str | None = None
    for dataset in datasets:
        last = dataset.status.import_
        if last is not None and last.last_successful_job is not None:
            imported[dataset.key.name] = last.last_successful_job
        elif dataset.spec.import_ is not None or dataset.spec.type.value == "Interactions":
            missing = missing or f"{dataset.key} has no successful import yet"
    if not any(dataset.spec.type.value == "Interactions" for dataset in datasets):
        missing = f"no Dataset of type Interactions refers to DatasetGroup {group}"
    return imported, missing


# What to show ----------------------------------------------------------------------------------


def _conditions(
    decision: Decision, versions: Sequence[Resource], waits_for: str | None
) -> pictures.Conditions:
    conditions = dict(decision.conditions)
    ready = conditions.get(ConditionType.READY)
    in_sync = isinstance(ready, Verdict) and ready.status == "True"
    if waits_for is not None and in_sync:
        message = f"in sync; the first training waits: {waits_for}"
        conditions[ConditionType.READY] = Verdict("True", Reason.IN_SYNC, message)
        conditions[ConditionType.DEPENDENCIES_READY] = Verdict(
            "False", Reason.AWAITING_DATA, waits_for
        )
    ended = [version for version in versions if runs.finished(version)]
    if not ended:
        return conditions
    newest = ended[0]
    if runs.good(newest):
        conditions[ConditionType.LAST_TRAINING_SUCCEEDED] = Verdict(
            "True", Reason.TRAINED, newest.key.name
        )
        return conditions
    text = runs.failure_text(newest)
    conditions[ConditionType.LAST_TRAINING_SUCCEEDED] = Verdict(
        "False", Reason.EXTERNAL_FAILURE, text
    )
    none_good = not any(runs.good(version) for version in versions)
    if none_good and in_sync and len(ended) == len(versions):
        failed = Verdict("False", Reason.EXTERNAL_FAILURE, f"no version was ever trained; {text}")
        conditions[ConditionType.READY] = failed
        conditions[ConditionType.STALLED] = replace(failed, status="True")
    return conditions


def _until_next(status: Mapping[str, Any], now: datetime) -> float | None:
    text = status.get("nextScheduleTime")
    if text is None:
        return None
    wait = datetime.fromisoformat(text) - now
    return max(0.0, min(wait, timedelta(minutes=10)).total_seconds())


def _soonest(*waits: float | None) -> float | None:
    return min((wait for wait in waits if wait is not None), default=None)
