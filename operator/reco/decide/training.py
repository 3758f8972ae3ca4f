"""Training: when a Solution makes a SolutionVersion, and which ones it keeps.

Trainings cost money. One is started when data is there for the first time, on a person's word, by
schedule, and again after a bad end where that may help; never twice for one event, and never while
another runs. What the status shows of it is in `training_status`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from reco.api.resource import Key, Resource
from reco.api.runs import FailedRun, RunOutcome, RunTrigger
from reco.api.solution import TrainingMode, TrainingOwner
from reco.api.vocabulary import API_VERSION, AdoptionPolicy, ManagementPolicy
from reco.decide import inputs, names, outcomes, runs, training_status, triggers
from reco.decide.conditions import timestamp
from reco.decide.decision import Action, CreateResource, Decision
from reco.decide.inputs import Input
from reco.decide.model import Desired, ExternalVersion, Observed, Situation, State
from reco.decide.training_history import (
    LIVE,
    MODES,
    History,
    changed_since,
    history_of,
    holds,
    newest_full,
)


def orchestrate(situation: Situation, decision: Decision) -> Decision:
    """Add to a Solution's decision the versions to make and to prune, and the training status."""
    observed = situation.observation
    if not isinstance(observed, Observed) or observed.state is not State.ACTIVE:
        return decision
    if situation.resource.spec.management_policy is ManagementPolicy.OBSERVE:
        return decision
    solution = situation.resource
    versions = runs.newest_first(situation.related.get("SolutionVersion", ()))
    owned = runs.own(solution, versions)
    external = tuple(observed.details.get("versions", ()))
    adopted, known_through = _adopt(situation, versions, external)
    history = history_of(situation, observed, versions, external)
    status = training_status.describe(situation, history)
    status["knownThrough"] = timestamp(known_through) if known_through else None
    actions: list[Action] = [*owned, *adopted]
    waits_for = None
    if not actions:
        started, more_status, waits_for = _start(situation, history)
        actions += started
        status |= more_status
    actions += runs.prune(
        versions,
        owner=solution,
        good_limit=solution.spec.successful_versions_history_limit,
        failed_limit=solution.spec.failed_versions_history_limit,
        keep=_in_use(situation, versions),
    )
    before = solution.raw_status.get("training") or {}
    return replace(
        decision,
        actions=(*decision.actions, *actions),
        status={**decision.status, "training": dict.fromkeys(before) | status},
        conditions=training_status.conditions(situation, decision, history, waits_for),
        look_again=training_status.look_again(situation, decision, history, status),
    )


# What is there, and what stays -----------------------------------------------------------------


def _in_use(situation: Situation, versions: Sequence[Resource]) -> frozenset[str]:
    """Return the versions that serve, served, are pinned, come next, or that updates need."""
    newest_good = next((version.key.name for version in versions if runs.good(version)), None)
    names_: set[str | None] = {newest_good}
    if _updates(situation.resource, versions):
        base = newest_full(versions)
        names_.add(base.key.name if base is not None else None)
    for campaign in situation.related.get("Campaign", ()):
        if campaign.spec is not None:
            names_.add(campaign.spec.version.name)
        if campaign.status.serving is not None:
            names_ |= {campaign.status.serving.current, campaign.status.serving.previous}
    return frozenset(name for name in names_ if name is not None)


def _updates(solution: Resource, versions: Sequence[Resource]) -> bool:
    """Whether updates are planned or were made, so that the version they start from is needed."""
    return solution.spec.training.update is not None or any(
        version.spec is not None and version.spec.training_mode is TrainingMode.UPDATE
        for version in versions
    )


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
    if any(runs.collected(version, resource) for version in versions):
        return [], through  # they are made again; one that is not, for a crash, is adopted then
    known_ids = {v.status.external.arn for v in versions if v.status.external is not None}
    known_names = {names.external_name(v) for v in versions}
    newest = [v for v in external if v.state in LIVE]
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
                "annotations": {runs.ANNOTATION_TRIGGER: runs.Cause.ADOPTED.value},
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
    situation: Situation, history: History
) -> tuple[list[Action], dict[str, Any], str | None]:
    """Return the training to start, the status it leaves, and what training waits for."""
    solution = situation.resource
    if not isinstance(situation.desired, Desired) or history.input is None:
        return [], {}, getattr(situation.desired, "message", None)
    if history.running is not None:
        return [], {}, None
    trigger: triggers.Trigger | triggers.Skip | None = triggers.run_now(solution, history.token)
    if trigger is None and solution.spec.training.owner is TrainingOwner.OPERATOR:
        if history.missing is not None and history.good is None:
            return [], {}, history.missing
        trigger = next(_due(situation, history), None)
    if trigger is None:
        return [], {}, None
    if isinstance(trigger, triggers.Skip):
        skipped = {"time": timestamp(trigger.scheduled), "reason": trigger.reason}
        handled = triggers.handled(history.progress, trigger.trigger, trigger.scheduled)
        return [], handled | {"lastSkipped": skipped}, None
    started = _training(situation, history, history.input, trigger)
    return [*started], _recorded(history, trigger), None


def _training(
    situation: Situation, history: History, present: Input, trigger: triggers.Trigger
) -> Iterator[CreateResource]:
    """Yield the version that a trigger starts, unless the engine has one of its name already."""
    solution = situation.resource
    name = triggers.child_name(solution, trigger, history.number + 1)
    taken = {version.name for version in history.external}
    if names.mapped_name(Key("SolutionVersion", solution.key.namespace, name)) in taken:
        return  # it was started before the resources were lost
    mode = trigger.mode or TrainingMode.FULL.value
    if mode == TrainingMode.UPDATE and history.base() is None:
        mode = TrainingMode.FULL.value  # there is nothing to update
    yield triggers.create(
        solution,
        "SolutionVersion",
        trigger,
        present.known_from(history.trained_on).text,
        {"solutionRef": {"name": solution.key.name}, "trainingMode": mode},
        now=situation.now,
        number=history.number + 1,
    )


def _recorded(history: History, trigger: triggers.Trigger) -> dict[str, Any]:
    """Return what the status says once a training was started."""
    status: dict[str, Any] = {
        "runNumber": history.number + 1,
        "objectTime": timestamp(history.made),
    }
    if trigger.cause is runs.Cause.RUN_NOW:
        status["lastRunNow"] = trigger.asked
    if trigger.scheduled is not None and trigger.mode is not None:
        status |= triggers.handled(history.progress, RunTrigger(trigger.mode), trigger.scheduled)
    return status


def _due(situation: Situation, history: History) -> Iterator[triggers.Trigger | triggers.Skip]:
    """Yield what is due without anybody asking, the most urgent first."""
    solution = situation.resource
    if _first_is_due(history):
        minute = solution.created if history.number == 0 else None
        cause = runs.Cause.INITIAL if history.same else runs.Cause.RECREATED
        yield triggers.Trigger(
            cause, timestamp(history.made), mode=RunTrigger.FULL.value, minute=minute
        )
    for trigger in MODES:
        failed = outcomes.of(history.failures, trigger)
        if failed is not None:
            yield from _again(situation, history, failed)
    yield from _scheduled(situation, history)


def _first_is_due(history: History) -> bool:
    """Whether nothing was ever trained for this external solution, and nobody tried.

    A version that somebody forgot on purpose stays forgotten: the status says that there was one.
    """
    if history.good is not None or any(one.state in LIVE for one in history.external):
        return False
    if outcomes.of(history.failures, RunTrigger.FULL) is not None:
        return False
    if any(outcomes.untried(version) for version in history.versions):
        return False  # another under another name is no better
    return not history.same or not history.ever or bool(history.versions)


def _again(situation: Situation, history: History, failed: FailedRun) -> Iterator[triggers.Trigger]:
    """Yield the training that follows a bad end, once it is time."""
    mode = failed.trigger.value
    asked = f"{failed.trigger}:{failed.name}"
    retry = history.retries.get(failed.trigger)
    if retry is not None and retry <= situation.now:
        yield triggers.Trigger(runs.Cause.RETRY, asked, mode=mode, attempt=failed.attempts + 1)
    if failed.outcome is RunOutcome.REFUSED and failed.trigger is RunTrigger.FULL:
        if changed_since(failed, history):
            now = history.input.text if history.input is not None else ""
            yield triggers.Trigger(runs.Cause.CHANGED, f"{asked}:{now}", mode=mode)
        elif not holds(history, failed, situation.now):
            yield triggers.Trigger(runs.Cause.RETRY, asked, mode=mode, attempt=failed.attempts + 1)


def _scheduled(
    situation: Situation, history: History
) -> Iterator[triggers.Trigger | triggers.Skip]:
    """Yield what the schedules ask for. A time before the newest training's start asks for none."""
    for mode, plan in history.plans.items():
        trigger = triggers.on_schedule(
            plan,
            history.progress[mode],
            triggers.newest_start(history.versions, situation.now),
            deadline=situation.resource.spec.training.starting_deadline_seconds,
            now=situation.now,
            why_not=_why_not(situation, history, mode),
        )
        if trigger is not None:
            yield trigger


def _why_not(situation: Situation, history: History, mode: RunTrigger) -> str | None:
    """Return why a scheduled time passes without a training, or None."""
    if holds(history, outcomes.of(history.failures, mode), situation.now):
        return "the last training was refused for the same spec and data"
    if situation.resource.spec.training.only_if_new_data and not _new_data(history):
        return "there is no new data"
    return None


def _new_data(history: History) -> bool:
    """Whether there is, or may be, data that the newest good version was not trained on."""
    if history.good is None or not history.seen:
        return True
    return inputs.changed(history.trained_on, history.input)
