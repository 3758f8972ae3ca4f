"""What must be true in the end: all that is wanted is there, or says why it can't be."""

from collections.abc import Mapping, Sequence
from typing import Any

from reco.api.kinds import EXTERNAL_KINDS
from reco.api.resource import Key, Resource
from reco.api.vocabulary import ConditionType as C
from reco.api.vocabulary import ManagementPolicy
from reco.decide import names
from reco.decide.references import targets
from reco.decide.runs import newest_first
from tests.simulation.estate import User
from tests.simulation.memory_store import key_of
from tests.simulation.progress import Progress
from tests.simulation.rules import Rules
from tests.simulation.world import World


class Ending:
    """Compares what is wanted, what is shown and what is there."""

    def __init__(self, world: World, rules: Rules, user: User) -> None:
        self.world = world
        self.rules = rules
        self.user = user
        self.progress = Progress(world, rules)
        self._staying: set[str] = set()
        self._going: set[str] = set()

    # --- what is not finished ----------------------------------------------------------------

    def unfinished(self) -> list[str]:
        """Return what still has to happen, by resource."""
        self.user_catches_up()
        left = []
        for key, body in sorted(self.world.server.objects.items()):
            why = self._unfinished(self.world.server.parsed(body))
            if why is not None:
                left.append(f"{key}: {why}")
        left += [
            f"{key} is missing"
            for key in self.user.wanted
            if key not in self.world.server.objects
            and key.namespace not in self.world.server.terminating
        ]
        return left

    def user_catches_up(self) -> None:
        """Apply again what could not be applied while something else was being deleted."""
        for key in list(self.user.wanted):
            if key not in self.world.server.objects:
                self.user.apply(key)

    def _unfinished(self, resource: Resource) -> str | None:
        if resource.deleted is not None:
            if self._blocked(resource):
                return None
            return "is still being deleted"
        if resource.status.observed_generation != resource.generation:
            return "was not looked at"
        ready = resource.condition(C.READY)
        if ready is None:
            return "has no Ready"
        if resource.is_true(C.PAUSED):
            return None
        if resource.is_true(C.RECONCILING) and ready.reason != "AwaitingDependency":
            return f"is still reconciling: {ready.reason}: {ready.message}"
        if ready.status == "True":
            return self._not_there(resource) or self.progress.missing(resource)
        if not self._explained(resource, ready.reason):
            return f"is {ready.status}/{ready.reason} without need: {ready.message}"
        return None

    def _blocked(self, resource: Resource) -> bool:
        """Whether something else has to go first, which nobody asked to go."""
        condition = resource.condition(C.DELETION_BLOCKED)
        if condition is None:
            return False
        if any(_names(other, resource.key) for other in self._all() if other.key != resource.key):
            return True
        found = self.rules.external_of(resource)
        return found is not None and (self._used(found.arn) or self._served(found.arn))

    def _served(self, arn: str) -> bool:
        """Whether a campaign that somebody wants serves a version."""
        return any(
            one.attributes["solutionVersionArn"] == arn
            and any(
                other.key.kind == "Campaign" and other.deleted is None and _stands_for(other, one)
                for other in self._all()
            )
            for one in self.world.external("Campaign")
        )

    def _used(self, arn: str) -> bool:
        """Whether another external builds on one."""
        for kind in ("Dataset", "Solution", "EventTracker", "Campaign"):
            for one in self.world.external(kind):
                if arn in {one.parent, one.dataset_group, one.attributes.get("schemaArn")}:
                    return True
        if ":dataset/" in arn:
            group = next(
                (d.dataset_group for d in self.world.external("Dataset") if d.arn == arn), None
            )
            return any(c.dataset_group == group for c in self.world.external("Campaign"))
        return False

    def _all(self) -> list[Resource]:
        return [self.world.server.parsed(body) for body in self.world.server.objects.values()]

    def _not_there(self, resource: Resource) -> str | None:
        """Return why a Ready resource should not be Ready."""
        if resource.key.kind == "EngineClass":
            return None
        observes = resource.spec.management_policy == "Observe"
        stopped = resource.key.kind == "Campaign" and resource.spec.desired_state == "Stopped"
        if stopped and not observes:
            found = self.rules.external_of(resource)
            named = [
                c
                for c in self.world.external("Campaign")
                if c.name == names.external_name(resource)
            ]
            return "is stopped and there is a campaign" if found or named else None
        external = resource.status.external
        if external is None or external.arn is None:
            return "is Ready without an external object"
        found = self.world.emulator._world.store.get(external.arn)
        if found is None:
            if resource.key.kind == "DatasetImportJob":
                return None
            return f"is Ready and there is no {external.arn}"
        if found.status not in {None, "ACTIVE"}:
            return f"is Ready and {found.arn} is {found.status}"
        return self._differs(resource, found)

    def _differs(self, resource: Resource, found: Any) -> str | None:
        spec = resource.spec
        if resource.is_true(C.DRIFTED) or spec.drift_policy != "Correct":
            return None
        waits = resource.condition(C.DEPENDENCIES_READY)
        if spec.management_policy == "Observe" or (waits is not None and waits.status == "False"):
            return None  # what is wanted can't be said, or is not carried out
        if resource.key.kind == "Campaign":
            shown = found.attributes["minProvisionedTPS"]
            failed = (
                found.attributes.get("latestCampaignUpdate", {}).get("status") == "CREATE FAILED"
            )
            if failed:
                return None
            if shown != spec.min_provisioned_tps:
                return f"has {shown} TPS, wanted {spec.min_provisioned_tps}"
            return self._serves_wrong(resource, found)
        if resource.kind.runs_to_completion or resource.key.kind == "Schema":
            return None
        tags = self.world.tags(found.arn)
        wrong = {key: value for key, value in (spec.tags or {}).items() if tags.get(key) != value}
        return f"lacks the tags {wrong}" if wrong else None

    def _serves_wrong(self, resource: Resource, found: Any) -> str | None:
        spec = resource.spec
        if (
            spec.campaign_config is not None
            and spec.campaign_config.sync_with_latest_solution_version
        ):
            return None
        serves = found.attributes["solutionVersionArn"]
        versions = [
            other
            for other in self._all()
            if other.key.kind == "SolutionVersion"
            and other.key.namespace == resource.key.namespace
            and other.spec.solution_ref.name == spec.solution_ref.name
            and other.is_true(C.SUCCEEDED)
            and other.deleted is None
        ]
        if spec.version.name is not None:
            versions = [other for other in versions if other.key.name == spec.version.name]
        if not versions:
            return None
        newest = newest_first(versions)[0]
        if serves != newest.status.external.arn:
            return f"serves {serves}, wanted {newest.key.name} ({newest.status.external.arn})"
        return None

    # --- what may be amiss -------------------------------------------------------------------

    def _explained(self, resource: Resource, reason: str) -> bool:
        """Whether there is a reason for a resource not to be Ready that calm does not mend."""
        name = names.external_name(resource) if resource.spec is not None else ""
        kind = resource.key.kind
        match reason:
            case "AwaitingDependency":
                return self._waits_for_something(resource)
            case "ExternalFailure" | "TransientFailure":
                return self.progress.missing(resource) is None
            case "ExternalDeleted" | "Stopped":
                return True
            case "NameConflict" | "OwnedElsewhere" | "NotPermitted":
                return self._anothers(resource, reason)
            case "InvalidSpec" | "UnsupportedFeature":
                return self._invalid(resource)
            case "ExternalMissing":
                spec = resource.spec
                observes = spec.management_policy is ManagementPolicy.OBSERVE
                return bool(spec.adoption_policy == "Adopt") or observes
            case "AwaitingQuota":
                return kind in {"DatasetGroup", "Campaign"}
            case "OutOfSync":
                return (kind, name) in self.rules.disturbed
            case _:
                return False

    def _anothers(self, resource: Resource, reason: str) -> bool:
        """Whether what stands under a resource's name may well not be its own."""
        kind, found = resource.key.kind, self.rules.external_of(resource)
        foreign = found is not None and found.arn in self.rules.foreign
        if reason == "NotPermitted":
            return foreign and resource.spec.management_policy is ManagementPolicy.OBSERVE
        if found is None:
            return kind in {"EventTracker", "Dataset"}
        return (
            foreign
            or (kind, names.external_name(resource)) in self.rules.disturbed
            or resource.spec.adoption_policy == "Never"
            or kind in {"EventTracker", "Dataset", "Schema"}
        )

    def _invalid(self, resource: Resource) -> bool:
        kind = resource.key.kind
        if kind == "Solution":
            config = resource.spec.solution_config
            return resource.spec.recipe == "aws-no-such-recipe" or config is not None
        return kind == "DatasetImportJob"

    def _waits_for_something(self, resource: Resource) -> bool:
        by_key = {other.key: other for other in self._all()}
        for reference in resource.kind.references:
            name = reference.name(resource.spec)
            if name is None:
                continue
            namespace = resource.key.namespace if reference.target != "EngineClass" else ""
            other = by_key.get(Key(reference.target, namespace, name))
            if other is None or other.deleted is not None:
                return True
            ready = other.condition(C.READY)
            if ready is None or ready.status != "True":
                return True
            if (
                reference.target == "SolutionVersion"
                and other.spec.solution_ref.name != resource.spec.solution_ref.name
            ):
                return True
        if resource.key.kind == "Campaign":
            return not any(
                other.key.kind == "SolutionVersion"
                and other.key.namespace == resource.key.namespace
                and other.spec.solution_ref.name == resource.spec.solution_ref.name
                and other.is_true(C.SUCCEEDED)
                and other.deleted is None
                for other in by_key.values()
            )
        return False

    def check(self) -> None:
        """Check what must hold once everything is as wanted."""
        for resource in self._all():
            ready = resource.condition(C.READY)
            if ready is not None and ready.status != "True" and not ready.message:
                self.world.problem("R10", f"{resource.key} does not say why it is not Ready")
            if resource.spec is not None and resource.key.kind == "Solution":
                bad = resource.spec.recipe == "aws-no-such-recipe"
                accepted = resource.condition(C.ACCEPTED)
                paused = resource.is_true(C.PAUSED)
                waits = ready is not None and ready.reason == "AwaitingDependency"
                if (
                    bad
                    and not paused
                    and not waits
                    and (accepted is None or accepted.status != "False")
                ):
                    self.world.problem("R11", f"{resource.key} has no such recipe, and is accepted")

    def not_in_engine(self, more: Sequence[Mapping[str, Any]] = ()) -> set[str]:
        """Return the external names of all that is wanted, or in `more`, and not in the engine."""
        there = {one.name for kind in EXTERNAL_KINDS for one in self.world.external(kind)}
        wanted = [*self.user.wanted, *map(key_of, more)]
        return {names.mapped_name(key) for key in wanted} - there

    def externals(self) -> set[str]:
        """Return the ARNs of all that is in the engine."""
        return {one.arn for kind in EXTERNAL_KINDS for one in self.world.external(kind)}

    # --- the farewell ------------------------------------------------------------------------

    def remember_what_stays(self) -> None:
        """Note what the policies, as they are now, leave behind."""
        self._staying = {
            found.arn
            for resource in self._all()
            if resource.spec is not None
            and resource.key.kind != "EngineClass"
            and (found := self.rules.external_of(resource)) is not None
            and not self.rules.deletes(resource)
        }
        self._going = {
            found.arn
            for resource in self._all()
            if resource.spec is not None
            and resource.deleted is None
            and resource.key.kind not in {"EngineClass", "SolutionVersion", "DatasetImportJob"}
            and (found := self.rules.external_of(resource)) is not None
            and self.rules.deletes(resource)
            and self.rules.owned_by(found, resource)
        }

    def still_there(self) -> list[str]:
        """Return what is still there and not held up by what is retained."""
        left = []
        for key, body in sorted(self.world.server.objects.items()):
            resource = self.world.server.parsed(body)
            if resource.deleted is None:
                left.append(f"{key} was not deleted")
            elif not self._held(resource):
                ready = resource.condition(C.READY)
                left.append(f"{key} is stuck: {ready.message if ready else 'no Ready'}")
        return left

    def _held(self, resource: Resource) -> bool:
        if resource.key.kind == "EngineClass":
            return any(other.key.kind != "EngineClass" for other in self._all())
        if any(_names(other, resource.key) for other in self._all()):
            return True
        found = self.rules.external_of(resource)
        return found is not None and self._used(found.arn) and self._blocked(resource)

    def check_farewell(self) -> None:
        """Check that what was retained is there, and nothing else of ours."""
        there = self.externals()
        gone = {
            arn for arn in self._staying - there if ":solution/" not in arn and "import" not in arn
        }
        if gone:
            self.world.problem("R5", f"retained, and gone: {sorted(gone)}")
        held = {found.arn for one in self._all() if (found := self.rules.external_of(one))}
        left = (self._going & there) - held
        if left:
            self.world.problem("R5", f"to be deleted, and left behind: {sorted(left)}")


def _stands_for(resource: Resource, found: Any) -> bool:
    """Whether an external object is a resource's."""
    external = resource.status.external
    return external is not None and external.arn == found.arn


def _names(resource: Resource, key: Key) -> bool:
    """Whether a resource's spec names a key."""
    return key in targets(resource)
