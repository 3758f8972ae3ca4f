"""What is due has happened: data that is there is imported, and what can be trained is trained.

Safety alone is satisfied by an operator that does nothing. Here the world is asked, not the
statuses: which imports and trainings the engine carried out, into which object, of which data.
"""

from typing import TYPE_CHECKING, Any

from reco.api.resource import Key, Resource
from reco.api.runs import RunOutcome
from reco.api.vocabulary import ConditionType as C
from tests.simulation.rules import Rules
from tests.simulation.world import EngineCall, World

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_DATA = b"NONSENSE"
GIVEN_UP = 4
"""Attempts after which a transient failure is left to the next scheduled time."""


class Progress:
    """Knows what every import read, and asks whether anything is left undone."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.world = world
        self.rules = rules
        self._read: dict[str, Mapping[str, bytes]] = {}
        """What lay at the source when an import was made, by its ARN."""
        world.observers.append(self)

    # --- what the world tells ----------------------------------------------------------------

    def changed(self, change: Any) -> None:
        """Heed nothing: only the engine's calls count."""

    def calling(self, *_: Any) -> None:
        """Heed nothing."""

    def told(self, *_: Any) -> None:
        """Heed nothing."""

    def called(self, caller: Any, call: EngineCall) -> None:
        """Note what an import reads."""
        del caller
        if call.operation == "CreateDatasetImportJob" and call.answer is not None:
            location = call.parameters["dataSource"]["dataLocation"]
            arn = call.answer["datasetImportJobArn"]
            self._read[arn] = dict(self.world.bucket.listed(location))

    # --- what is left undone -----------------------------------------------------------------

    def missing(self, resource: Resource) -> str | None:
        """Return what should have happened to a resource and has not, or None."""
        if resource.spec is None or resource.key.kind not in {"Dataset", "Solution"}:
            return None
        if resource.spec.management_policy == "Observe" or resource.is_true(C.PAUSED):
            return None
        if resource.key.kind == "Dataset":
            return self._not_imported(resource)
        return self._not_trained(resource)

    def trainable(self) -> dict[Key, str]:
        """Return the Solutions that a schedule must train now, with their ARNs."""
        found = {}
        for body in self.world.server.list("Solution"):
            solution = self.world.server.parsed(body)
            if solution.deleted is not None or solution.spec is None:
                continue
            spec, external = solution.spec, solution.status.external
            waits = solution.condition(C.DEPENDENCIES_READY)
            if (
                spec.management_policy == "Manage"
                and spec.training.owner == "Operator"
                and external is not None
                and not solution.is_true(C.PAUSED)
                and not solution.is_true(C.RUNS_HELD)
                and solution.is_true(C.READY)
                and (waits is None or waits.status == "True")
            ):
                found[solution.key] = external.arn
        return found

    def may_try_again(self) -> bool:
        """Whether some run ended badly and may be tried again without anybody's doing."""
        statuses = [
            self.world.server.parsed(body).status for body in self.world.server.objects.values()
        ]
        parts = [
            getattr(one, "training", None) or getattr(one, "import_", None) for one in statuses
        ]
        return any(part.failures for part in parts if part is not None)

    def _not_imported(self, dataset: Resource) -> str | None:
        spec, external = dataset.spec.import_, dataset.status.external
        if spec is None or spec.suspend or external is None:
            return None
        there = dict(self.world.bucket.listed(spec.source.s3))
        if not there or any(BAD_DATA in content for content in there.values()):
            return None
        found = self.world.emulator._world.store.get(external.arn)
        if found is None or found.status != "ACTIVE":
            return None
        jobs = [
            job
            for job in self.world.external("DatasetImportJob")
            if job.attributes.get("datasetArn") == found.arn
            and job.status == "ACTIVE"
            and job.created >= found.created
        ]
        newest = max(jobs, key=lambda job: job.created, default=None)
        if newest is not None and self._read.get(newest.arn) == there:
            return None
        if _given_up(dataset.status.import_) or _refused(dataset.status.import_):
            return None
        return f"lacks an import of what lies at {spec.source.s3}; newest: {newest and newest.arn}"

    def _not_trained(self, solution: Resource) -> str | None:
        if solution.spec.training.owner != "Operator":
            return None
        training, external = solution.status.training, solution.status.external
        waits = solution.condition(C.DEPENDENCIES_READY)
        if external is None or (waits is not None and waits.status == "False"):
            return None
        versions = [
            one
            for one in self.world.external("SolutionVersion")
            if one.attributes.get("solutionArn") == external.arn
        ]
        if any(one.status == "ACTIVE" for one in versions):
            return None
        if self._excused(solution) or _given_up(training):
            return None
        return "was never trained"

    def _excused(self, solution: Resource) -> bool:
        """Whether the last automatic training was refused or stopped, or forgotten on purpose."""
        training = solution.status.training
        if training is None:
            return False
        outcomes = {failed.outcome for failed in training.failures or ()}
        if outcomes & {RunOutcome.REFUSED, RunOutcome.STOPPED}:
            return True
        return training.last_input is not None and training.latest is None


def _refused(status: Any) -> bool:
    failures = (status.failures or ()) if status is not None else ()
    return any(failed.outcome == RunOutcome.REFUSED for failed in failures)


def _given_up(status: Any) -> bool:
    failures = (status.failures or ()) if status is not None else ()
    return any(failed.attempts >= GIVEN_UP for failed in failures)
