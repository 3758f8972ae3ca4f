"""Rollout: which version a campaign serves, and what it shows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reco.api.campaign import DesiredState
from reco.api.resource import Key, Resource
from reco.api.vocabulary import ConditionType, ManagementPolicy, Reason
from reco.decide import pictures, runs
from reco.decide.decision import Decision, DeleteExternal, Verdict
from reco.decide.model import Absent, Observed, Situation, State, Waiting
from reco.decide.references import Lookup, References, usable


def choose_version(
    resource: Resource, references: References, lookup: Lookup
) -> References | Waiting:
    """Add the version to serve to a campaign's references: the pinned one, or the newest good one.

    Versions are compared by when the engine made them, so a version that was trained later but
    recorded earlier is still the newer one.
    """
    spec = resource.spec
    solution = references.direct.get("solutionRef")
    if solution is None:
        return references
    versions = runs.newest_first(_versions(solution, lookup))
    good = [v for v in versions if usable(v)]
    config = spec.campaign_config
    if config is not None and config.sync_with_latest_solution_version:
        if good or resource.status.external is not None:
            return references
        return Waiting(_why_none(solution, lookup))  # the service needs one to begin with
    if spec.version.name is not None:
        pinned = references.direct.get("version")
        if pinned is None:
            key = Key("SolutionVersion", resource.key.namespace, spec.version.name)
            return Waiting(f"{key} does not exist")
        if pinned.spec is not None and pinned.spec.solution_ref.name != solution.key.name:
            return Waiting(
                f"{pinned.key} belongs to Solution {pinned.spec.solution_ref.name}, not to"
                f" {solution.key.name}"
            )
        return references
    if not good:
        return Waiting(_why_none(solution, lookup))
    unknown = _not_looked_at(resource, versions)
    if unknown is not None:
        return Waiting(f"{unknown.key} may be newer, and was not looked at yet")
    return replace(references, direct={**references.direct, "version": good[0]})


def _not_looked_at(campaign: Resource, versions: Sequence[Resource]) -> Resource | None:
    """Return a version of which nobody knows yet whether it is good, where that matters; else None.

    After a restore statuses are gone, and versions are looked at one by one: the first that is
    looked at must not be served in place of the newest. A campaign that is in sync waits for none,
    unless it is for what it serves: a version that was only just made is not trained yet.
    """
    serving = campaign.status.serving
    in_sync = campaign.status.applied is not None and serving is not None
    return next(
        (
            version
            for version in versions
            if version.deleted is None
            and not runs.looked_at(version)
            and not (in_sync and version.key.name != serving.current)
        ),
        None,
    )


def _versions(solution: Resource, lookup: Lookup) -> Sequence[Resource]:
    return lookup.referring(solution.key, "SolutionVersion")


def _why_none(solution: Resource, lookup: Lookup) -> str:
    text = f"{solution.key} has no good version yet"
    for version in runs.newest_first(_versions(solution, lookup)):
        condition = version.condition(ConditionType.SUCCEEDED)
        if condition is not None:
            return f"{text}; {version.key.name}: {condition.reason}: {condition.message}"
        return f"{text}; {version.key.name} is about to start"
    waits = solution.condition(ConditionType.DEPENDENCIES_READY)
    if waits is not None and waits.status == "False":
        return f"{text}: {waits.message}"
    return text


def details(situation: Situation, observed: Observed) -> Mapping[str, Any]:
    """Return a campaign's own status fields: the endpoint, and which versions serve."""
    serving = situation.resource.status.serving
    current = serving.current if serving is not None else None
    previous = serving.previous if serving is not None else None
    arn = observed.details.get("serves")
    found = next(
        (
            version.key.name
            for version in situation.related.get("SolutionVersion", ())
            if version.status.external is not None and version.status.external.arn == arn
        ),
        None,
    )
    serves = observed.state is State.ACTIVE
    if serves and found is not None and found != current:
        current, previous = found, current
    return {
        "endpoint": observed.details.get("endpoint"),
        "serving": {"current": current, "previous": previous} if serves else None,
    }


def instead(situation: Situation) -> Decision | None:
    """Return a campaign's own decision in place of the generic one, or None."""
    return stopped(situation) or _unknown_version(situation)


def _unknown_version(situation: Situation) -> Decision | None:
    """Return what to show while nobody knows the version that a campaign serves, or None.

    After a restore, and when an estate is rebuilt, a version may not have its resource yet. Until
    the Solution has found all versions that the engine has, a campaign that was not in sync before
    keeps what it serves: the versions that are known may be older.
    """
    resource, observed, solution = situation.resource, situation.observation, situation.parent
    if resource.status.applied is not None or resource.spec.version.name is not None:
        return None
    if not isinstance(observed, Observed) or observed.state is not State.ACTIVE:
        return None
    serves = observed.details.get("serves")
    versions = situation.related.get("SolutionVersion", ())
    known = {v.status.external.arn for v in versions if v.status.external is not None}
    if serves is None or serves in known or solution is None or _all_found(solution):
        return None
    message = (
        f"{observed.name} serves {serves}, which has no SolutionVersion yet: waits until"
        f" {solution.key} has found its versions in the engine"
    )
    return Decision(
        pictures.waiting(situation, Reason.AWAITING_DEPENDENCY, message, exists=True),
        look_again=situation.timing.busy,
    )


def _all_found(solution: Resource) -> bool:
    """Whether a Solution has found all its versions in the engine, or looks for none."""
    if solution.spec is None or solution.spec.management_policy is ManagementPolicy.OBSERVE:
        return True
    training = solution.status.training
    return training is not None and training.known_through is not None


def stopped(situation: Situation) -> Decision | None:
    """Return what to do about a campaign that should not serve, or None for one that should.

    What is there has been taken charge of already.
    """
    resource = situation.resource
    if resource.spec.desired_state is not DesiredState.STOPPED:
        return None
    if resource.spec.management_policy is ManagementPolicy.OBSERVE:
        return None
    observed = situation.observation
    if isinstance(observed, Absent):
        message = "stopped by spec.desiredState"
        return Decision(
            pictures.show(
                situation,
                Reason.SUSPENDED,
                message,
                ready="True",
                available="False",
                synced="True",
                dependencies=None,
            ),
            status={"external": None, "applied": None, "refusal": None, "serving": None},
        )
    if not isinstance(observed, Observed):
        return None
    waits = {State.CREATING, State.RUNNING} if not situation.changes_any_time else set()
    busy = observed.state in {State.DELETING, *waits}
    actions = () if busy else (DeleteExternal(observed),)
    return Decision(
        pictures.show(
            situation,
            Reason.SUSPENDED,
            f"stopping: {observed.name} is {observed.state.value.lower()}",
            ready="Unknown",
            available="False" if observed.state is State.DELETING else None,
            synced="False",
            reconciling=True,
            extra={ConditionType.DEPENDENCIES_READY: Verdict("True", Reason.FOUND)},
        ),
        actions,
        look_again=situation.timing.busy,
    )


def served_by(situation: Situation) -> Sequence[Resource]:
    """Return the campaigns that can't do without a version, though their specs don't pin it.

    A campaign that follows holds what it serves, and while it serves nothing yet, the newest good
    version, which it is about to serve. One that has moved on lets go.
    """
    version = situation.resource
    siblings = situation.related.get("SolutionVersion", ())
    good = [one for one in runs.newest_first(siblings) if runs.good(one)]
    if not runs.good(version) or not good:
        return ()
    there = {one.key.name for one in siblings}
    return [
        campaign
        for campaign in situation.related.get("Campaign", ())
        if _holds(campaign, version.key.name, there, newest=good[0].key.name)
    ]


def _holds(campaign: Resource, version: str, there: set[str], *, newest: str) -> bool:
    serving = campaign.status.serving
    current = serving.current if serving is not None else None
    if current == version:
        return True
    if current in there or campaign.status.external is None or campaign.spec is None:
        return False
    return campaign.spec.version.name is None and version == newest
