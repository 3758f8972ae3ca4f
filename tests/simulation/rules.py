"""The rules of the architecture, watched over in every step of a simulation.

`changed` sees each write to the store, `calling` and `called` each call that reaches the engine.
What must hold in the end is in `ending`.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from reco.api.resource import Key, Resource
from reco.api.vocabulary import (
    ABNORMAL_TRUE,
    ANNOTATION_RELEASE_TO,
    FIELD_MANAGER,
    FINALIZER,
    ConditionType,
    DeletionPolicy,
    ManagementPolicy,
    Reason,
)
from reco.decide import names
from reco.decide.references import target_of
from tests.simulation.memory_store import Body, Change, key_of
from tests.simulation.processes import Process
from tests.simulation.world import EngineCall, World

_TYPES = {type_.value for type_ in ConditionType}
_REASONS = {reason.value for reason in Reason}
_PASSING = {"Throttled", "AwaitingQuota", "OutOfSync", "ExternalFailure", "Creating"}
"""Reasons of troubles that pass, while which Ready keeps its value."""
_HEARD_WITHIN = 900.0
"""Seconds in which an edit is sure to have reached every process that may still act."""
_KIND_OF_NOUN = {
    "dataset-group": "DatasetGroup",
    "schema": "Schema",
    "dataset": "Dataset",
    "dataset-import-job": "DatasetImportJob",
    "solution": "Solution",
    "campaign": "Campaign",
    "event-tracker": "EventTracker",
}
_OF_RUNS = {"CreateSolutionVersion": "solutionArn", "CreateDatasetImportJob": "datasetArn"}


class Rules:
    """Watches a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.observers.append(self)
        self.incarnations: Counter[tuple[str, str]] = Counter()
        """Resources that were ever made, by kind and external name."""
        self.created: Counter[tuple[str, str, float | None]] = Counter()
        """Creations that the engine carried out for an operator, likewise, and of a run also by
        when the object was made that it is of."""
        self.vanished: Counter[tuple[str, str]] = Counter()
        """Externals that were deleted, by whomever, or failed."""
        self.disturbed: dict[tuple[str, str], float] = {}
        """When somebody who is not the operator last changed an external, by kind and name."""
        self.foreign: set[str] = set()
        """ARNs of externals that somebody else made and nobody may touch."""
        self.writes = 0
        self.mutations = 0
        self.refused = 0
        """Calls among `mutations` that changed nothing."""

    # --- every write to the store ------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """Check one write."""
        key = key_of(change.body)
        if change.type == "ADDED":
            resource = self.world.server.parsed(change.body)
            if resource.spec is not None and key.kind != "EngineClass":
                self.incarnations[key.kind, names.external_name(resource)] += 1
        if change.manager != FIELD_MANAGER:
            return
        self.writes += 1
        if change.what == "status":
            self._status(change)
        if change.what == "finalizers":
            self._finalizer(change, key)
        if change.what != "create" and change.before is not None:
            if change.body["spec"] != change.before["spec"]:
                self.world.problem("R1", f"the operator changed the spec of {key}")
            of_ours = change.what == "owners" and "reco.dev/trigger" in change.body["metadata"].get(
                "annotations", {}
            )
            if not of_ours and _user_metadata(change.body) != _user_metadata(change.before):
                self.world.problem("R1", f"the operator changed metadata of {key}")

    def _status(self, change: Change) -> None:
        key, status = key_of(change.body), change.body["status"]
        generation = change.body["metadata"]["generation"]
        conditions = {one["type"]: one for one in status.get("conditions", ())}
        if not conditions:
            return  # an intent is recorded before anything is known
        observed = status.get("observedGeneration", -1)
        if not -1 <= observed <= generation:
            self.world.problem("R2", f"{key} observed generation {observed} of {generation}")
        if "Ready" not in conditions:
            self.world.problem("R2", f"{key} has no Ready")
        for one in conditions.values():
            self._words(key, one, generation)
        ready = conditions.get("Ready", {}).get("status")
        throttled = conditions.get("Reconciling", {}).get("reason") in _PASSING
        denied = conditions.get("Stalled", {}).get("reason") == "AccessDenied"
        if ready == "True" and (
            ("Stalled" in conditions and not denied)
            or ("Reconciling" in conditions and not throttled)
        ):
            self.world.problem("R2", f"{key} is Ready and {sorted(conditions)}")
        if ready != "True" and not conditions["Ready"].get("message"):
            self.world.problem("R10", f"{key} does not say why it is not Ready")
        ended = conditions.get("Succeeded", {}).get("status", "Unknown")
        living = not change.body["metadata"].get("deletionTimestamp")
        if ended not in {"Unknown", ready} and living:
            self.world.problem("R2", f"{key} shows Ready={ready} and Succeeded={ended}")
        if key.kind == "Campaign":
            self._serving(change, key, conditions)

    def _words(self, key: Key, one: Mapping[str, Any], generation: int) -> None:
        type_ = one["type"]
        if type_ not in _TYPES or one["reason"] not in _REASONS:
            self.world.problem("R2", f"{key}: {type_}/{one['reason']} is no word of ours")
        if type_ in ABNORMAL_TRUE and one["status"] != "True":
            self.world.problem("R2", f"{key} shows {type_}={one['status']}")
        if one.get("observedGeneration", -1) > generation:
            self.world.problem("R2", f"{key}: {type_} observed a later generation")

    def _serving(self, change: Change, key: Key, conditions: Mapping[str, Any]) -> None:
        """R3: scheduled work never clears Ready or Available of what serves."""
        assert change.before is not None
        before = {one["type"]: one for one in change.before["status"].get("conditions", ())}
        same_spec = (
            change.before["status"].get("observedGeneration")
            == (change.body["metadata"]["generation"])
        )
        if not same_spec or change.body["metadata"].get("deletionTimestamp"):
            return
        resource = self.world.server.parsed(change.body)
        for type_ in ("Ready", "Available"):
            if before.get(type_, {}).get("status") == "True" and (
                conditions.get(type_, {}).get("status") != "True"
            ):
                why = self._excused(resource, change)
                if why is None:
                    self.world.problem(
                        "R3", f"{key}: {type_} was cleared: {conditions[type_]['message']}"
                    )

    def _excused(self, resource: Resource, change: Change) -> str | None:
        name = names.external_name(resource)
        if ("Campaign", name) in self.disturbed:
            return "somebody touched the external"
        reason: str = next(
            one["reason"] for one in change.body["status"]["conditions"] if one["type"] == "Ready"
        )
        if reason in {"Paused", "AccessDenied", "NotPermitted"}:
            return reason
        if resource.spec.desired_state == "Stopped":
            return "it is to stop"
        if self.spec_parents_edited(resource):
            return "a parent was edited"
        return None

    def spec_parents_edited(self, resource: Resource) -> bool:
        """Whether a user touched what tags are inherited from, or what is referred to."""
        user = self.world.user
        return any(
            key.kind in {"EngineClass", "DatasetGroup", "Solution", "SolutionVersion"}
            and key.namespace in {"", resource.key.namespace}
            and user.edited[key] > 0.0
            for key in user.edited
        )

    def _finalizer(self, change: Change, key: Key) -> None:
        """R5: the finalizer goes only after the external object, or when it is to stay."""
        assert change.before is not None
        had = FINALIZER in change.before["metadata"].get("finalizers", ())
        has = FINALIZER in change.body["metadata"].get("finalizers", ())
        if not had or has:
            return
        if not change.before["metadata"].get("deletionTimestamp"):
            self.world.problem("R5", f"{key} lost its finalizer while it lives")
        resource = self.world.server.parsed(change.before)
        if resource.spec is None or key.kind == "EngineClass" or not self.deletes(resource):
            return
        found = self.external_of(resource)
        if found is None or found.arn in self.foreign or not self.owned_by(found, resource):
            return
        if key.kind in {"SolutionVersion", "DatasetImportJob"}:
            if found.status in {"CREATE PENDING", "CREATE IN_PROGRESS"} and (
                key.kind == "SolutionVersion"
            ):
                self.world.problem("R5", f"{key} was let go while {found.arn} is in training")
            return
        self.world.problem("R5", f"{key} was let go while {found.arn} is {found.status}")

    def deletes(self, resource: Resource) -> bool:
        """Whether deleting a resource deletes its external object."""
        if resource.spec.management_policy is ManagementPolicy.OBSERVE:
            return False
        if self._released(resource):
            return False
        chosen = resource.spec.deletion_policy
        if chosen is None:
            name = resource.status.engine_class_name or "personalize"
            class_ = self.world.server.get(Key("EngineClass", "", name))
            default = (class_ or {}).get("spec", {}).get("deletionPolicy")
            chosen = DeletionPolicy(default) if default else None
        if chosen is None:
            return not resource.kind.retained_by_default
        return bool(chosen is DeletionPolicy.DELETE)

    def _released(self, resource: Resource) -> bool:
        """Whether a resource, or the one that its object is part of, has released its object."""
        parents = [
            target
            for reference in resource.kind.references
            if reference.parent and resource.kind.lives_in_parent
            if (target := target_of(resource, reference)) is not None
        ]
        bodies = [self.world.server.get(parent) for parent in parents]
        said = [resource.annotations]
        said += [body["metadata"].get("annotations") or {} for body in bodies if body is not None]
        return any(ANNOTATION_RELEASE_TO in annotations for annotations in said)

    def external_of(self, resource: Resource) -> Any | None:
        """Return the engine's object that stands under a resource's name."""
        if resource.key.kind == "EngineClass" or resource.spec is None:
            return None
        name = names.external_name(resource)
        store = self.world.emulator._world.store
        recorded = resource.status.external
        if recorded is not None and recorded.arn is not None:
            return store.get(recorded.arn)
        return next((one for one in store.find(resource.key.kind) if one.name == name), None)

    def owned_by(self, found: Any, resource: Resource) -> bool:
        """Whether an object carries a resource's mark, or takes none."""
        tags = self.world.tags(found.arn)
        if resource.key.kind == "Schema":
            return resource.status.external is not None
        return tags.get(names.TAG_UID) == resource.uid

    # --- every call to the engine ------------------------------------------------------------

    def calling(self, caller: Process | str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Check a call before it is carried out."""
        if isinstance(caller, str) or operation.startswith(("Describe", "List", "Get")):
            return
        self.mutations += 1
        holder = self.world.server.lease.holder if self.world.server.lease else ""
        if holder != caller.domain.name:
            self.world.problem(
                "R12", f"{caller.domain.name} calls {operation} while {holder or 'nobody'} leads"
            )
        arn = next(
            (str(value) for name, value in parameters.items() if name.lower().endswith("arn")), ""
        )
        if not operation.startswith("Create") and arn in self.foreign:
            self.world.problem("R6", f"{operation} of {arn}, which is somebody else's")
        if operation.startswith(("Delete", "Stop")):
            self._deletion(operation, arn)
        elif not operation.startswith("Create"):
            self._only_observed(operation, arn)

    def _only_observed(self, operation: str, arn: str) -> None:
        """R6: what has been only observed for a while is never changed."""
        found = self.world.emulator._world.store.get(arn)
        for resource in self.resources(found.kind) if found is not None else ():
            recorded = resource.status.external
            if recorded is None or recorded.arn != arn or resource.spec is None:
                continue
            if resource.spec.management_policy is not ManagementPolicy.OBSERVE:
                return
            edited = self.world.user.edited.get(resource.key, 0.0)
            if self.world.loop.time() - edited > _HEARD_WITHIN:
                self.world.problem("R6", f"{operation} of {arn}, which is only observed")

    def _deletion(self, operation: str, arn: str) -> None:
        """R5: only what a deleted resource, a stopped campaign or a failed creation asks for."""
        found = self.world.emulator._world.store.get(arn)
        if found is None:
            return
        if found.status == "CREATE FAILED":
            return
        for resource in self.resources(found.kind):
            recorded = resource.status.external
            named = resource.spec is not None and names.external_name(resource) == found.name
            if not named and not (recorded is not None and recorded.arn == arn):
                continue
            if resource.deleted is not None:
                return
            if found.kind == "Campaign" and resource.spec.desired_state == "Stopped":
                return
        self.world.problem("R5", f"{operation} of {arn}, which no deleted resource stands for")

    def resources(self, kind: str) -> list[Resource]:
        """Return all resources of a kind as they are in the store."""
        return [self.world.server.parsed(body) for body in self.world.server.list(kind)]

    def called(self, caller: Process | str, call: EngineCall) -> None:
        """Count what was carried out."""
        if not call.mutating:
            return
        if call.error is not None:
            self.refused += not isinstance(caller, str)
            return
        kind, name = self._subject(call)
        if isinstance(caller, str):
            self.disturbed[kind, name] = call.time
        if call.operation.startswith("Delete"):
            self.vanished[kind, name] += 1
            return
        if not call.operation.startswith("Create") or isinstance(caller, str):
            return
        self.created[kind, name, self._born(call)] += 1
        times = self.created[kind, name, self._born(call)]
        allowed = self.incarnations[kind, name] + self.vanished[kind, name]
        if times > allowed:
            self.world.problem(
                "R4",
                f"{kind} {name} was made {times} times for"
                f" {self.incarnations[kind, name]} resources",
            )
        if kind == "SolutionVersion" and times > self.incarnations[kind, name]:
            self.world.problem("R4", f"{name} was trained {times} times")

    def _born(self, call: EngineCall) -> float | None:
        """Return when the object was made that a run is of: what was done to one before is lost."""
        of = call.parameters.get(_OF_RUNS.get(call.operation, ""))
        found = self.world.emulator._world.store.get(of) if of is not None else None
        return None if found is None else found.created

    def _subject(self, call: EngineCall) -> tuple[str, str]:
        if call.operation.startswith("Create"):
            name = call.parameters.get("name") or call.parameters.get("jobName")
            return call.operation.removeprefix("Create"), str(name)
        arn = next(
            (
                str(value)
                for name, value in sorted(call.parameters.items())
                if name in {"resourceArn", f"{_member(call.operation)}Arn"}
            ),
            "",
        )
        found = self.world.emulator._world.store.get(arn)
        if found is not None:
            return found.kind, found.name
        noun, _, rest = arn.rpartition(":")[2].partition("/")
        return _KIND_OF_NOUN.get(noun, noun), rest

    def told(self, resource: Resource, type_: str, reason: str, message: str) -> None:
        """Check an Event."""
        if reason not in _REASONS or type_ not in {"Normal", "Warning"} or not message:
            self.world.problem("R10", f"Event {type_} {reason} of {resource.key}: {message!r}")


def _member(operation: str) -> str:
    for prefix in ("Delete", "Update", "Describe"):
        if operation.startswith(prefix):
            rest = operation.removeprefix(prefix)
            return rest[0].lower() + rest[1:]
    return "solutionVersion" if operation == "StopSolutionVersionCreation" else ""


def _user_metadata(body: Body) -> tuple[Any, ...]:
    metadata = body["metadata"]
    return tuple(metadata.get(name) for name in ("annotations", "labels", "ownerReferences"))
