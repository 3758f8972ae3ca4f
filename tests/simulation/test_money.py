"""What is paid for twice, and what is never paid for again: each as a staged situation."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from reco.api.resource import Key
from reco.api.vocabulary import ANNOTATION_RECONCILE, ANNOTATION_RUN_NOW
from tests.simulation.estate import GOOD_DATA, Manifest, manifest
from tests.simulation.memory_store import key_of
from tests.simulation.staged import NAMESPACE, Stage, estate, key

HOUR, DAY = 3600.0, 86_400.0
SOLUTION, DATASET = key("Solution", "for-you"), key("Dataset", "interactions")
NIGHTLY = {"owner": "Operator", "full": {"schedule": "0 3 * * *"}}
SOURCE = "s3://data/movies/1.csv"
REFUSED = "Dataset has fewer than 25 users with at least 2 interactions each"
TRANSIENT = "Internal service error."


def situation(
    *, training: dict[str, Any] | None = None, **solution: Any
) -> Callable[[Callable[["Played"], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Return a decorator that plays a scenario on an estate with one Solution and no Campaign."""

    def decorate(scenario: Callable[[Played], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        def test() -> None:
            async def play(stage: Stage) -> None:
                played = Played(stage)
                played.apply(training or {"owner": "Operator"}, solution)
                stage.world.start("a")
                await scenario(played)

            Stage().play(play)

        test.__name__ = scenario.__name__
        test.__doc__ = scenario.__doc__
        return test

    return decorate


class Played:
    """A stage with an estate on it, and what became of its runs."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.world = stage.world
        self.since = 0

    def apply(self, training: dict[str, Any], solution: dict[str, Any]) -> None:
        """Apply a group, a schema, a dataset and a solution."""
        kinds = {"EngineClass", "DatasetGroup", "Schema", "Dataset", "Solution"}
        wanted = [one for one in estate(self.stage) if one["kind"] in kinds]
        for one in wanted:
            if one["kind"] == "Solution":
                one["spec"] |= {"training": training, **solution}
        self.add(*wanted)

    def add(self, *manifests: Manifest) -> None:
        """Apply manifests."""
        self.stage.want(*manifests)
        for one in manifests:
            assert self.stage.user.apply(key_of(one))

    def annotate(self, of: Key, name: str, value: str) -> None:
        """Set an annotation, and no other."""
        self.stage.user.wanted[of]["metadata"]["annotations"] = {name: value}
        assert self.stage.user.apply(of)

    def fail(self, operation: str, reason: str, count: int = 1) -> None:
        """Let the next runs fail for a reason."""
        self.world.emulator.add_fault(
            {"kind": "failCreation", "operation": operation, "count": count, "reason": reason}
        )

    def somebody(self, operation: str, kind: str) -> None:
        """Let somebody else call the engine about the first object of a kind."""
        member = f"{kind[0].lower()}{kind[1:]}Arn"
        found = max(self.world.external(kind), key=lambda one: one.created)
        self.world.execute("somebody", operation, {member: found.arn})

    def mark(self) -> None:
        """Count from here on."""
        self.since = len(self.world.calls)

    def _carried_out(self, operation: str) -> int:
        calls = self.world.calls[self.since :]
        return sum(1 for call in calls if call.operation == operation and call.error is None)

    @property
    def trainings(self) -> int:
        """Trainings since the mark."""
        return self._carried_out("CreateSolutionVersion")

    @property
    def imports(self) -> int:
        """Imports since the mark."""
        return self._carried_out("CreateDatasetImportJob")

    def conditions(self, of: Key) -> dict[str, str]:
        """Return a resource's conditions as `Status/Reason`."""
        body = self.world.server.get(of)
        assert body is not None
        return {
            one["type"]: f"{one['status']}/{one['reason']}" for one in body["status"]["conditions"]
        }

    def status(self, of: Key) -> dict[str, Any]:
        """Return a resource's status."""
        body = self.world.server.get(of)
        assert body is not None
        return body["status"]  # type: ignore[no-any-return]


# --- runs that end badly -------------------------------------------------------------------------


@situation(training=NIGHTLY)
async def test_a_transient_failure_is_tried_again_within_minutes(at: Played) -> None:
    at.fail("CreateSolutionVersion", TRANSIENT)
    await asyncio.sleep(HOUR)
    assert at.trainings == 2
    assert at.conditions(SOLUTION)["LastTrainingSucceeded"] == "True/Trained"


@situation()
async def test_transient_failures_are_tried_again_a_bounded_number_of_times(at: Played) -> None:
    at.fail("CreateSolutionVersion", TRANSIENT, count=100)
    await asyncio.sleep(10 * DAY)
    assert at.trainings == 4
    message = next(
        one["message"]
        for one in at.status(SOLUTION)["conditions"]
        if one["type"] == "LastTrainingSucceeded"
    )
    assert "given up after 4 attempts" in message


@situation(training=NIGHTLY)
async def test_after_failures_were_given_up_the_next_scheduled_time_trains(at: Played) -> None:
    await asyncio.sleep(HOUR)
    at.mark()
    at.fail("CreateSolutionVersion", TRANSIENT, count=4)
    await asyncio.sleep(2 * DAY)
    assert at.trainings == 5
    assert at.conditions(SOLUTION)["LastTrainingSucceeded"] == "True/Trained"


@situation(training=NIGHTLY)
async def test_a_training_that_a_person_stopped_holds_no_schedule_back(at: Played) -> None:
    await asyncio.sleep(15 * HOUR + 60)
    at.somebody("StopSolutionVersionCreation", "SolutionVersion")
    at.mark()
    await asyncio.sleep(5 * HOUR)
    assert at.trainings == 0, "what a person stopped is not started again at once"
    await asyncio.sleep(3 * DAY)
    assert at.trainings == 3


@situation(training=NIGHTLY)
async def test_a_version_by_hand_that_failed_holds_no_schedule_back(at: Played) -> None:
    await asyncio.sleep(DAY)
    at.fail("CreateSolutionVersion", REFUSED)
    at.add(manifest("SolutionVersion", NAMESPACE, "try", {"solutionRef": {"name": "for-you"}}))
    await asyncio.sleep(HOUR)
    at.mark()
    await asyncio.sleep(3 * DAY)
    assert at.trainings == 3


@situation(training=NIGHTLY)
async def test_a_refused_training_holds_the_schedule_until_the_data_changes(at: Played) -> None:
    at.fail("CreateSolutionVersion", REFUSED)
    await asyncio.sleep(3 * DAY)
    assert at.trainings == 1
    assert at.conditions(SOLUTION)["RunsHeld"] == "True/LastRunRefused"
    at.world.bucket.objects[SOURCE] += b"u9,i9,9\n"
    await asyncio.sleep(HOUR)
    assert at.trainings == 2
    assert "RunsHeld" not in at.conditions(SOLUTION)


@pytest.mark.parametrize("limit", [0, 1])
def test_a_refused_training_is_remembered_when_its_version_is_pruned(limit: int) -> None:
    @situation(
        training={"owner": "Operator", "full": {"schedule": "0 * * * *"}},
        failedVersionsHistoryLimit=limit,
    )
    async def play(at: Played) -> None:
        at.fail("CreateSolutionVersion", REFUSED, count=100)
        await asyncio.sleep(10 * HOUR)
        assert at.trainings == 1
        assert at.conditions(SOLUTION)["Ready"] == "False/ExternalFailure"
        assert at.conditions(SOLUTION)["RunsHeld"] == "True/LastRunRefused"

    play()


@situation()
async def test_an_import_without_permission_is_tried_until_there_is_one(at: Played) -> None:
    at.fail("CreateDatasetImportJob", "Insufficient privileges for accessing data in S3.")
    await asyncio.sleep(HOUR)
    assert at.imports == 2
    assert at.conditions(DATASET)["LastImportSucceeded"] == "True/Imported"


@situation()
async def test_a_refused_import_is_tried_again_on_a_persons_word(at: Played) -> None:
    at.fail("CreateDatasetImportJob", "Input CSV is missing the following columns: [USER_ID]", 3)
    await asyncio.sleep(HOUR)
    assert at.imports == 1
    at.annotate(DATASET, ANNOTATION_RECONCILE, "please")
    await asyncio.sleep(HOUR)
    assert at.imports == 2
    job = Key("DatasetImportJob", NAMESPACE, at.status(DATASET)["import"]["lastJob"])
    at.world.server.update(job, {"metadata": {"annotations": {ANNOTATION_RECONCILE: "again"}}})
    await asyncio.sleep(HOUR)
    assert at.imports == 3, "asked on the job"
    await asyncio.sleep(DAY)
    assert at.imports == 3


@situation()
async def test_data_that_is_uploaded_after_the_manifest_is_imported(at: Played) -> None:
    data = at.world.bucket.objects.pop(SOURCE)
    await asyncio.sleep(3 * HOUR)
    at.world.bucket.objects[SOURCE] = data
    await asyncio.sleep(HOUR)
    assert at.conditions(DATASET)["LastImportSucceeded"] == "True/Imported"
    assert at.conditions(SOLUTION)["LastTrainingSucceeded"] == "True/Trained"


@situation()
async def test_an_import_that_a_person_asked_for_and_that_failed_counts_for_none(
    at: Played,
) -> None:
    """It came before the first one; that one is due all the same."""
    at.fail("CreateDatasetImportJob", "Input CSV is missing the following columns: [USER_ID]")
    at.annotate(DATASET, ANNOTATION_RUN_NOW, "before anything else")
    await asyncio.sleep(HOUR)
    assert at.imports == 2
    assert at.conditions(DATASET)["LastImportSucceeded"] == "True/Imported"


# --- objects that come and go --------------------------------------------------------------------


@situation(training=NIGHTLY)
async def test_a_solution_that_was_deleted_outside_is_trained_again(at: Played) -> None:
    await asyncio.sleep(4 * HOUR)
    at.somebody("DeleteSolution", "Solution")
    at.mark()
    await asyncio.sleep(6 * HOUR)
    assert at.trainings == 1
    assert at.conditions(SOLUTION)["LastTrainingSucceeded"] == "True/Trained"


@situation()
async def test_a_dataset_that_was_deleted_outside_is_imported_again(at: Played) -> None:
    await asyncio.sleep(4 * HOUR)
    # A dataset in use can't be deleted, not even by somebody else.
    at.stage.delete(SOLUTION)
    await at.stage.gone(SOLUTION)
    at.somebody("DeleteDataset", "Dataset")
    at.mark()
    await asyncio.sleep(6 * HOUR)
    assert at.imports == 1
    await asyncio.sleep(DAY)
    assert at.imports == 1


@situation()
async def test_a_dataset_deleted_and_applied_again_starts_no_training(at: Played) -> None:
    """Its absence is no change of the data, and neither is its return."""
    at.fail("CreateSolutionVersion", REFUSED, count=100)
    at.stage.edit(DATASET, deletionPolicy="Retain")
    await asyncio.sleep(4 * HOUR)
    wanted = at.stage.user.wanted[DATASET]
    at.mark()
    at.stage.delete(DATASET)
    await asyncio.sleep(4 * HOUR)
    assert at.trainings == 0
    at.add(wanted)
    await asyncio.sleep(4 * HOUR)
    assert at.trainings == 0


# --- what comes back -----------------------------------------------------------------------------


@situation()
async def test_data_that_returns_to_an_earlier_state_is_imported_again(at: Played) -> None:
    await asyncio.sleep(HOUR)
    first = at.world.bucket.objects[SOURCE]
    for number, content in enumerate((first + b"u9,i9,9\n", first, first + b"u9,i9,9\n", first)):
        at.world.bucket.objects[SOURCE] = content
        await asyncio.sleep(HOUR)
        assert at.imports == number + 2


@situation()
async def test_a_source_that_is_named_again_is_imported_again(at: Played) -> None:
    at.world.bucket.objects["s3://data/test/1.csv"] = GOOD_DATA["Interactions"] + b"t,t,3\n"
    await asyncio.sleep(HOUR)
    for number, source in enumerate(("s3://data/test/", "s3://data/movies/") * 2):
        at.stage.edit(DATASET, **{"import": {"source": {"s3": source}}})
        await asyncio.sleep(HOUR)
        assert at.imports == number + 2


@situation()
async def test_a_value_of_run_now_that_was_used_before_runs_again(at: Played) -> None:
    await asyncio.sleep(HOUR)
    for number, token in enumerate(("one", "two", "one", "two", "one")):
        at.annotate(SOLUTION, ANNOTATION_RUN_NOW, token)
        await asyncio.sleep(HOUR)
        assert at.trainings == number + 2
        assert at.status(SOLUTION)["training"]["lastRunNow"] == token


@situation()
async def test_an_endless_value_of_run_now_runs_once(at: Played) -> None:
    await asyncio.sleep(HOUR)
    at.annotate(SOLUTION, ANNOTATION_RUN_NOW, "now" * 1000)
    await asyncio.sleep(3 * HOUR)
    assert at.trainings == 2
    at.annotate(SOLUTION, ANNOTATION_RUN_NOW, "now" * 1001)
    await asyncio.sleep(3 * HOUR)
    assert at.trainings == 3


# --- schedules -----------------------------------------------------------------------------------


@situation(training=NIGHTLY)
async def test_an_edited_schedule_trains_at_its_next_time_and_no_earlier(at: Played) -> None:
    await asyncio.sleep(DAY)  # noon
    at.mark()
    for expression in ("0 11 * * *", "30 11 * * *", "45 11 * * *"):
        at.stage.edit(SOLUTION, training={"owner": "Operator", "full": {"schedule": expression}})
        await asyncio.sleep(600)
    assert at.trainings == 0
    await asyncio.sleep(DAY)
    assert at.trainings == 1


@situation(training={"owner": "Operator", "full": {"schedule": "0 3 * * *", "suspend": True}})
async def test_a_schedule_that_is_no_longer_suspended_waits_for_its_time(at: Played) -> None:
    await asyncio.sleep(5 * DAY)
    at.mark()
    at.stage.edit(SOLUTION, training=NIGHTLY)
    await asyncio.sleep(HOUR)
    assert at.trainings == 0
    await asyncio.sleep(DAY)
    assert at.trainings == 1


@situation(training=NIGHTLY)
async def test_a_pause_that_ends_does_not_catch_up_on_scheduled_times(at: Played) -> None:
    await asyncio.sleep(HOUR)
    at.stage.edit(SOLUTION, suspend=True)
    await asyncio.sleep(5 * DAY)
    at.mark()
    at.stage.edit(SOLUTION, suspend=False)
    await asyncio.sleep(HOUR)
    assert at.trainings == 0
    await asyncio.sleep(DAY)
    assert at.trainings == 1


@situation(training={"owner": "Operator", "full": {"schedule": "*/2 * * * *"}})
async def test_the_first_training_is_not_followed_by_a_time_before_its_start(at: Played) -> None:
    await asyncio.sleep(90)
    at.stage.edit(SOLUTION, training=NIGHTLY)
    await asyncio.sleep(HOUR)
    assert at.trainings == 1


@situation(training=NIGHTLY)
async def test_a_clock_that_was_ahead_stops_no_schedule(at: Played) -> None:
    await asyncio.sleep(HOUR)
    ahead = {
        "trigger": "Full",
        "schedule": "0 3 * * * Etc/UTC",
        "handledThrough": "2027-03-02T03:00:00Z",
    }
    change = {"training": {"schedules": [ahead], "lastScheduleTime": "2027-03-02T03:00:00Z"}}
    at.world.server.patch_status(SOLUTION, change, None, "test")
    at.mark()
    await asyncio.sleep(2 * DAY)
    assert at.trainings == 2


@situation(training=NIGHTLY)
async def test_a_week_without_an_operator_costs_one_training(at: Played) -> None:
    await asyncio.sleep(HOUR)
    at.world.processes.pop("a").kill("gone")
    await asyncio.sleep(7 * DAY)
    at.mark()
    at.world.start("b")
    await asyncio.sleep(2 * HOUR)
    assert at.trainings == 1
