"""What each kind's objects are doing, as their drivers judge it.

Everything around a judgement (finding the objects, comparing them with what is wanted, whose they
are) is the engine's and stands once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import ConditionType, Reason
from reco.decide import names
from reco.decide.model import Absent, Desired, ExternalVersion, State, Update
from reco.decide.references import References
from reco.engines.incluster import pods, serving, states
from reco.engines.incluster.known import Known, catalog_key
from reco.engines.incluster.objects import Manifest, ObjectKey
from reco.engines.incluster.place import group_of
from reco.engines.incluster.rendering import COMPLETE, MADE, ROLLED_OUT, SECRETS
from reco.workload import progress
from reco.workload.addresses import arn, named_in
from reco.workload.results import NEEDS_FULL
from reco.workload.storage import VersionManifest


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource and its objects."""

    resource: Resource
    desired: Desired | None
    main: Manifest | None
    """The object that stands for the whole; None if there is none."""
    objects: Sequence[Manifest]
    """All of its objects, pods among them."""
    fresh: bool = False

    def of(self, *kinds: str) -> list[Manifest]:
        """Return the objects of some kinds."""
        return [one for one in self.objects if one["kind"] in kinds]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a resource's objects are doing."""

    state: State = State.ACTIVE
    doing: str | None = None
    failure: str | None = None
    refused: bool = False
    """Whether it would fail again with the same settings and data."""
    update: Update | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields beside the objects themselves, under the keys of `Desired.fields`."""
    details: Mapping[str, Any] = field(default_factory=dict)
    created: datetime | None = None
    """When the object was made, where that is not the main object's time."""


Judge = Callable[[Known, Seen], Awaitable[Judged | Absent]]


async def record(_: Known, __: Seen) -> Judged:
    """Judge a ConfigMap: it is what it is."""
    return Judged()


# Groups and data -------------------------------------------------------------------------------


async def group(known: Known, seen: Seen) -> Judged:
    """Judge a group: what of it runs, and what its catalog says of storage and online store."""
    judged = await _explained(known, seen, _rolling(seen), "catalog", *_guarded(known, "runtime"))
    return replace(judged, extra={**judged.extra, SECRETS: _secrets(known, seen)})


def _secrets(known: Known, seen: Seen) -> str:
    """Return `MADE`, or which Secret of the group some pod can't start without."""
    made = seen.desired.once["secrets"] if seen.desired is not None else ()
    # Campaigns and trackers of the group are told the same password.
    waiting = [
        states.waits(pod) for pod in known.cluster.of_kind("Pod", seen.resource.key.namespace)
    ]
    for secret in made:
        if any(f'secret "{secret.name}" not found' in text for text in waiting):
            return f"{secret.name} is gone"
    return MADE


def _guarded(known: Known, role: str) -> tuple[str, ...]:
    """Return the role of pods that have to say whether any client can sign in; none if all may."""
    return (role,) if known.place.settings.authentication is not None else ()


async def _explained(known: Known, seen: Seen, judged: Judged, *roles: str) -> Judged:
    """Add why something is not rolled out, in the words of a pod that runs and is not ready."""
    if judged.state is not State.CREATING and judged.update is None:
        return judged
    waiting = [
        (role, pod["metadata"]["name"])
        for role in roles
        for pod in seen.of("Pod")
        if pods.plays(pod, role)
        and (pod.get("status") or {}).get("phase") == "Running"
        and not states.ready_pods([pod])
        and not states.is_cut_off(pod)
        and states.pod_problem([pod]) is None
    ]
    for role, pod in waiting:
        problem = await known.cluster.problem(seen.resource.key.namespace, pod)
        if problem is not None:
            text = f"the {role} is not ready: {problem}"
            extra = judged.extra if judged.update is None else {ROLLED_OUT: text}
            return replace(judged, doing=text, extra=extra)
    return judged


async def dataset(known: Known, seen: Seen) -> Judged:
    """Judge a dataset: what it is, and the digest of what there is to import."""
    spec = seen.resource.spec
    details: dict[str, Any] = {"schema": _data(seen, "fields")}
    source = spec.import_.source if spec is not None and spec.import_ is not None else None
    group = _data(seen, "group")
    if source is not None and source.s3 is not None and group is not None:
        details |= await known.catalogs.source(
            seen.resource.key.namespace, group, source.s3, fresh=seen.fresh
        )
    return Judged(details=details)


def _data(seen: Seen, key: str) -> str | None:
    value = ((seen.main or {}).get("data") or {}).get(key)
    return str(value) if value is not None else None


# Jobs ------------------------------------------------------------------------------------------


async def import_job(known: Known, seen: Seen) -> Judged:
    """Judge an import by its Job."""
    settings = known.place.view.class_name
    ran = states.ran(_main(seen), seen.of("Pod"), advice=_advice("jobs", settings))
    doing = await _progress(known, seen, ran)
    return _judged_job(seen, ran, doing)


def _judged_job(seen: Seen, ran: states.Ran, doing: str | None) -> Judged:
    """Judge a Job; once its pod is gone, with its node for one, its end is as it was told."""
    told = seen.resource.condition(ConditionType.SUCCEEDED)
    lost = ran.state is State.FAILED and not seen.of("Pod")
    if lost and told is not None and told.status == "False" and told.reason in _FAILED:
        refused = told.reason == Reason.EXTERNAL_FAILURE
        return Judged(ran.state, doing, failure=str(told.message), refused=refused)
    # A base is made by another run, so nothing holds that one back.
    needs = {"needs": NEEDS_FULL} if ran.lacks_base else {}
    refused = ran.refused and not ran.lacks_base
    return Judged(ran.state, doing, failure=ran.failure, refused=refused, details=needs)


_FAILED = frozenset({Reason.EXTERNAL_FAILURE, Reason.TRANSIENT_FAILURE})


def _advice(part: str, class_name: str) -> dict[str, str]:
    then = f"of EngineClass {class_name}, then set reco.dev/run-now"
    return {
        "memory": f"raise spec.inCluster.{part}.resources.memory {then}",
        "deadline": f"raise spec.inCluster.{part}.deadlineSeconds {then}",
    }


async def _progress(known: Known, seen: Seen, ran: states.Ran) -> str | None:
    if ran.pod is None:
        return ran.doing
    logged = await known.cluster.last_line(seen.resource.key.namespace, ran.pod)
    return progress.described(logged or "") or ran.doing


async def version(known: Known, seen: Seen) -> Judged | Absent:
    """Judge a training: what lies in storage tells of its end, the Job of everything before."""
    jobs = seen.of("Job")
    if jobs:
        advice = _advice("training", known.place.view.class_name)
        ran = states.ran(jobs[0], seen.of("Pod"), advice=advice)
        if ran.state is not State.ACTIVE:
            doing = await _progress(known, seen, ran)
            return _judged_job(seen, ran, doing)
    found = await trained(known, seen, not_before=_ended(jobs))
    if isinstance(found, str) and not _is_done_with(seen.resource):
        again = "restore the file, or delete it and make a new SolutionVersion"
        return Judged(State.FAILED, failure=f"{found}; {again}", refused=True)
    if found is None or isinstance(found, str):
        return Absent()
    return Judged(
        created=found.created,
        details={
            "metrics": {name: _decimal(value) for name, value in sorted(found.metrics.items())},
            "training_hours": _decimal(round(found.training_seconds / 3600, 4)),
            "training_type": "Manual",
            "artifact": found.artifact,
            "trained_through": found.trained_through,
        },
    )


def _is_done_with(version: Resource) -> bool:
    """Whether nothing of a version's manifest is needed: all of it is told, or it is to go."""
    return version.deleted is not None or version.is_true(ConditionType.SUCCEEDED)


def _ended(jobs: Sequence[Manifest]) -> datetime | None:
    text = (jobs[0].get("status") or {}).get("completionTime") if jobs else None
    return datetime.fromisoformat(text) if text is not None else None


async def trained(
    known: Known, seen: Seen, *, not_before: datetime | None
) -> VersionManifest | str | None:
    """Return a version's manifest in storage, what is wrong with it, or None if there is none."""
    place = place_of(seen)
    if place is None:
        return None
    group, solution, version = place
    namespace = seen.resource.key.namespace

    told = await known.catalogs.versions(namespace, group)
    recorded = seen.resource.status.external
    if told.of(solution, version) is None and (
        not_before is not None or recorded is not None or seen.fresh
    ):
        told = await known.catalogs.versions(namespace, group, not_before=known.now())
    return told.of(solution, version) or told.damage(group, solution, version)


def place_of(seen: Seen) -> tuple[str, str, str] | None:
    """Return group, solution and name of a version, from what is wanted or what was recorded."""
    external = seen.resource.status.external
    id_ = external.arn if external is not None else None
    if id_ is None and seen.desired is not None:
        id_ = seen.desired.once.get("id")
    if id_ is None:
        return None
    return version_place(str(id_))


def catalog_of(seen: Seen) -> ObjectKey | None:
    """Return the catalog that tells of a version whose Job is gone."""
    place = place_of(seen)
    return catalog_key(seen.resource.key.namespace, place[0]) if place is not None else None


# Solutions -------------------------------------------------------------------------------------


async def solution(known: Known, seen: Seen) -> Judged:
    """Judge a solution: the versions of it that lie in storage."""
    namespace, group = seen.resource.key.namespace, _data(seen, "group")
    if group is None:
        return Judged()
    solution = names.external_name(seen.resource)
    # A solution is made anew to have another recipe: what lies there may have the old one.
    mine = (solution, _data(seen, "recipe"))
    found = [
        one
        for one in (await known.catalogs.versions(namespace, group)).found
        if (one.solution, one.recipe) == mine
    ]
    data = await known.catalogs.data(namespace, group, fresh=seen.fresh)
    return Judged(
        details={
            "versions": tuple(_external(group, one) for one in found),
            "imported": data.imported,
        }
        | ({"streamed": data.streamed} if data.streamed is not None else {})
    )


def _external(group: str, version: VersionManifest) -> ExternalVersion:
    return ExternalVersion(
        id=version_id(group, version.solution, version.version),
        name=version.version,
        state=State.ACTIVE,
        created=version.created,
        training_mode=version.mode,
        training_type="Manual",
    )


def identify_version(resource: Resource, references: References) -> str:
    """Return the id of a version by the names of its parents."""
    return version_id(
        names.external_name(group_of(references.lineage)),
        names.external_name(references.direct["solutionRef"]),
        names.external_name(resource),
    )


def version_id(group: str, solution: str, version: str) -> str:
    """Return the id of a trained version: it says where the version lies."""
    return arn("solution-version", f"{group}/{solution}/{version}")


def version_place(id_: str) -> tuple[str, str, str]:
    """Return group, solution and name in the id of a version; see `version_id`."""
    group, solution, version = named_in(id_).split("/")
    return group, solution, version


# Serving ---------------------------------------------------------------------------------------


async def campaign(known: Known, seen: Seen) -> Judged:
    """Judge a campaign: how far it is rolled out, where it answers, and with which version."""
    told = [one["data"]["endpoint"] for one in seen.of("ConfigMap") if one.get("data")]
    details = {"endpoint": told[0] if told else None, "serves": _served(seen)}
    judged = await _explained(known, seen, _rolling(seen), *_guarded(known, "ranker"))
    return replace(judged, details=details)


def _served(seen: Seen) -> str | None:
    """Return the id of the version that answers: the old one until no pod of it is left."""
    wanted = _version_of(_main(seen)["spec"]["template"])
    ready = {_version_of(pod) for pod in states.ready_pods(seen.of("Pod"))} - {None}
    others = sorted(str(one) for one in ready - {wanted})
    served = others[0] if others else wanted
    return served if ready else None


def _version_of(pod: Manifest) -> str | None:
    value = (pod["metadata"].get("annotations") or {}).get(serving.ANNOTATION_VERSION)
    return str(value) if value is not None else None


async def tracker(known: Known, seen: Seen) -> Judged:
    """Judge an event tracker: how far it is rolled out, where it takes events, or why it can't.

    Collectors are ready to refuse what the online store does not take; the consumer says so.
    """
    details = {
        "tracking_id": serving.tracking_id(seen.resource),
        "endpoint": serving.events_endpoint(seen.resource),
    }
    judged = await _explained(known, seen, _rolling(seen), "consumer", "collector")
    return replace(judged, details=details)


def _rolling(seen: Seen) -> Judged:
    """Judge Deployments and StatefulSets: what was applied, and whether that is what runs."""
    rollout = states.rollout(seen.of("Deployment", "StatefulSet"), seen.of("Pod"))
    if not rollout.available:
        if rollout.failure is not None:
            return Judged(State.FAILED, failure=rollout.failure)
        # The state says that it is not complete: as a difference it would be one more to mend.
        return Judged(State.CREATING, doing=rollout.doing, extra={ROLLED_OUT: COMPLETE})
    if rollout.complete:
        return Judged(extra={ROLLED_OUT: COMPLETE})
    state = State.FAILED if rollout.failure is not None else State.CREATING
    return Judged(
        update=Update(state, {ROLLED_OUT: COMPLETE}, rollout.failure),
        doing=rollout.doing,
        extra={ROLLED_OUT: rollout.doing},
    )


def _main(seen: Seen) -> Manifest:
    if seen.main is None:
        raise ValueError(f"{seen.resource.key}: nothing stands for it")
    return seen.main


def _decimal(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")
