"""Adoption and recovery: finding what is there before anything is made, whatever was lost."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from reco.api.base import Intent
from reco.api.resource import Owner, Resource
from reco.decide import runs
from reco.decide.model import Absent, Desired, ErrorClass, Observed
from reco.emulator.world import Settings
from reco.engines.port import EngineError
from tests.contract.personalize.harness import ACCOUNT, Estate, build


def test_r6_what_exists_under_the_name_is_found_with_its_tags() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.group()
        restarted = estate.resource("DatasetGroup", "movies", {})  # nothing recorded
        observed = await estate.observed(restarted)
        assert observed.name == "shop_movies"
        assert observed.tags == {"team": "media"}

    asyncio.run(scenario())


def test_an_external_name_is_found_as_it_stands() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.client.call("CreateDatasetGroup", name="Legacy_Group")
        group = estate.resource("DatasetGroup", "movies", {"externalName": "Legacy_Group"})
        observed = await estate.observed(group)
        assert (observed.name, observed.tags) == ("Legacy_Group", {})

    asyncio.run(scenario())


def test_a_dataset_is_found_by_group_and_type_whatever_its_name() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.group()
        await estate.dataset()
        other = estate.resource(
            "Dataset",
            "another-name",
            {
                "datasetGroupRef": {"name": "movies"},
                "type": "Interactions",
                "schemaRef": {"name": "interactions"},
            },
        )
        assert (await estate.observed(other)).name == "shop_movies-interactions"

    asyncio.run(scenario())


def test_r6_another_tracker_of_the_group_blocks_ours_and_is_named() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.group()
        first = await estate.make("EventTracker", "first", {"datasetGroupRef": {"name": "movies"}})
        second = estate.resource("EventTracker", "second", {"datasetGroupRef": {"name": "movies"}})
        found = await estate.look(second)
        assert isinstance(found, Absent)
        assert found.blocked_by is not None
        assert "shop_first" in found.blocked_by
        assert (await estate.observed(first)).details["tracking_id"]

    asyncio.run(scenario())


def test_a_name_beyond_the_first_page_is_found() -> None:
    async def scenario() -> None:
        estate = build()
        for number in range(230):
            await estate.client.call("CreateDatasetGroup", name=f"shop_g{number:03}")
        estate.client.take()
        for number in (0, 117, 229):
            group = estate.resource("DatasetGroup", f"g{number:03}", {})
            assert (await estate.observed(group)).name == f"shop_g{number:03}"
        assert estate.client.take().count("ListDatasetGroups") == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["DatasetGroup", "Schema", "Dataset", "Solution", "EventTracker"])
def test_r4_a_named_object_is_found_after_its_creation_was_answered_to_nobody(kind: str) -> None:
    async def scenario() -> None:
        estate = build()
        await estate.solution()
        await estate.make("EventTracker", "movies", {"datasetGroupRef": {"name": "movies"}})
        [made] = estate.lookup.all(kind)
        observed = await estate.observed(made)
        if kind in {"EventTracker", "Solution"}:
            await estate.engine.delete(kind, observed)
            await estate.pass_time(600)
        else:
            estate = build()
            if kind == "Dataset":
                await estate.group()
                await estate.dataset()
                [made] = estate.lookup.all(kind)
                await estate.engine.delete(kind, await estate.observed(made))
                await estate.pass_time(600)
        fresh = estate.resource(kind, made.key.name, made.spec.manifest())
        desired = estate.desired(fresh)
        assert isinstance(await estate.look(fresh), Absent)
        estate.emulator.add_fault(
            {"kind": "lostResponse", "operation": f"Create{kind}", "count": 1}
        )
        with pytest.raises(EngineError) as caught:
            await estate.engine.create(kind, desired, {})
        assert caught.value.failure.outcome_unknown
        assert caught.value.error_class is ErrorClass.TRANSIENT
        assert (await estate.observed(fresh)).name == desired.name

    asyncio.run(scenario())


def test_a_list_that_lags_does_not_hide_what_was_just_made() -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(list_lag=120))
        await estate.group("other")
        await estate.pass_time(300)
        await estate.look(estate.resource("DatasetGroup", "other", {}))  # the account is known
        group = estate.resource("DatasetGroup", "movies", {})
        estate.emulator.add_fault({"kind": "lostResponse", "operation": "Create*", "count": 1})
        with pytest.raises(EngineError):
            await estate.engine.create("DatasetGroup", estate.desired(group), {})
        assert (await estate.observed(group)).name == "shop_movies"

    asyncio.run(scenario())


def test_what_a_former_process_made_is_found_once_its_name_is_refused() -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(list_lag=120))
        await estate.group("other")
        await estate.pass_time(300)
        await estate.look(estate.resource("DatasetGroup", "other", {}))  # the account is known
        await estate.client.call("CreateDatasetGroup", name="shop_movies")
        group = estate.resource("DatasetGroup", "movies", {})
        assert isinstance(await estate.look(group), Absent)
        with pytest.raises(EngineError) as caught:
            await estate.engine.create("DatasetGroup", estate.desired(group), {})
        assert caught.value.error_class is ErrorClass.EXISTS
        assert (await estate.observed(group)).name == "shop_movies"

    asyncio.run(scenario())


def test_an_object_with_a_record_is_absent_only_when_described_as_such() -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(list_lag=600))
        group = await estate.group()
        for _ in range(5):
            await estate.pass_time(60)
            assert isinstance(await estate.look(group), Observed)

    asyncio.run(scenario())


def test_a_record_of_another_region_is_never_taken_for_deleted() -> None:
    async def scenario() -> None:
        estate = build()
        arn = "arn:aws:personalize:us-east-1:111122223333:dataset-group/shop_movies"
        group = estate.record(estate.resource("DatasetGroup", "movies", {}), arn)
        with pytest.raises(EngineError, match="lives in us-east-1"):
            await estate.look(group)

    asyncio.run(scenario())


def test_a_record_of_another_account_is_never_taken_for_deleted() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.look(await estate.group("other"))
        await estate.look(estate.resource("DatasetGroup", "new", {}))  # its list tells the account
        arn = "arn:aws:personalize:eu-west-1:999999999999:dataset-group/shop_movies"
        group = estate.record(estate.resource("DatasetGroup", "movies", {}), arn)
        with pytest.raises(EngineError, match="lives in account 999999999999"):
            await estate.look(group)

    asyncio.run(scenario())


def test_r5_an_empty_account_says_nothing_of_what_is_recorded_in_another() -> None:
    async def scenario() -> None:
        estate = build()
        arn = f"arn:aws:personalize:eu-west-1:{ACCOUNT}:dataset-group/shop_movies"
        group = estate.record(estate.resource("DatasetGroup", "movies", {}), arn)
        estate.client.credentials_of = "999999999999"
        for _ in range(2):
            with pytest.raises(EngineError, match=f"lives in account {ACCOUNT}") as caught:
                await estate.look(group)
            assert caught.value.error_class is ErrorClass.ACCESS_DENIED
        estate.client.credentials_of = ACCOUNT
        assert await estate.look(group) == Absent()

    asyncio.run(scenario())


def test_a_record_that_is_no_arn_is_told_and_not_described() -> None:
    async def scenario() -> None:
        estate = build()
        group = estate.record(estate.resource("DatasetGroup", "movies", {}), "shop_movies")
        with pytest.raises(EngineError, match="'shop_movies' is not an ARN"):
            await estate.look(group)
        assert "DescribeDatasetGroup" not in estate.client.take()

    asyncio.run(scenario())


def test_a_list_that_changes_under_its_pages_is_started_anew() -> None:
    async def scenario() -> None:
        estate = build()
        for number in range(230):
            await estate.client.call("CreateDatasetGroup", name=f"shop_g{number:03}")
        stale = {"kind": "throttle", "code": "InvalidNextTokenException", "message": "Stale."}
        lists = {"operation": "ListDatasetGroups", "skip": 1}
        estate.emulator.add_fault(stale | lists | {"count": 1})
        estate.client.take()
        group = estate.resource("DatasetGroup", "g117", {})
        assert (await estate.observed(group)).name == "shop_g117"
        assert estate.client.take().count("ListDatasetGroups") == 2 + 3

        estate.emulator.add_fault(stale | lists | {"skip": 0})
        await estate.pass_time(1)
        with pytest.raises(EngineError) as caught:
            await estate.look(group, fresh=True)
        assert caught.value.error_class is ErrorClass.TRANSIENT
        assert estate.client.take().count("ListDatasetGroups") == 3

    asyncio.run(scenario())


def test_a_status_word_that_nobody_knows_is_a_failure_of_the_look() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.solution()
        await estate.version()
        [solution] = estate.lookup.all("Solution")
        [version] = estate.lookup.all("SolutionVersion")

        def rebuilding(answer: dict[str, Any]) -> dict[str, Any]:
            found = [*answer.get("solutionVersions", ()), answer.get("solutionVersion", {})]
            for entry in found:
                entry["status"] = "REBUILDING"
            return answer

        estate.client.garble = rebuilding
        for resource in (version, solution):
            with pytest.raises(EngineError, match="unknown status 'REBUILDING'") as caught:
                await estate.look(resource, fresh=True)
            assert caught.value.error_class is ErrorClass.UNKNOWN

    asyncio.run(scenario())


# Solution versions -------------------------------------------------------------------------------


def with_intent(estate: Estate, resource: Resource) -> Resource:
    """Record an intent, as the loop does before the paid call."""
    intent = Intent(
        operation="CreateSolutionVersion",
        name=estate.desired(resource).name,
        time=estate.time.clock(),
    )
    status = resource.status.model_copy(update={"intent": intent})
    recorded = replace(resource, status=status)
    estate.lookup.resources[resource.key] = recorded
    return recorded


async def solution_and_version(estate: Estate) -> tuple[Resource, Desired]:
    await estate.solution()
    version = estate.resource("SolutionVersion", "movies-1", {"solutionRef": {"name": "movies"}})
    return version, estate.desired(version)


def started_by_its_solution(estate: Estate, resource: Resource) -> Resource:
    """Return a version as its Solution makes it now."""
    return replace(
        resource,
        owners=(Owner("Solution", "movies", "uid-Solution-movies"),),
        annotations={runs.ANNOTATION_STARTED: estate.time.clock().isoformat()},
    )


def test_what_a_solution_starts_is_told_from_older_versions_without_describing_them() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.solution()
        for number in range(3):
            await estate.version(f"movies-{number}")
        made = estate.resource("SolutionVersion", "movies-9", {"solutionRef": {"name": "movies"}})
        estate.restart()
        estate.client.take()
        assert await estate.look(started_by_its_solution(estate, made)) == Absent()
        assert estate.client.take() == ["ListSolutionVersions"]

    asyncio.run(scenario())


@pytest.mark.parametrize("refuse", [True, False])
def test_r7_a_version_restored_without_its_status_is_found_and_not_trained_again(
    *, refuse: bool
) -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(refuse_repeated_version_names=refuse))
        by_hand, desired = await solution_and_version(estate)
        version = started_by_its_solution(estate, by_hand)
        trained = await estate.create(version)
        await estate.pass_time(7200)
        estate.restart()
        found = await estate.engine.observe(version, desired)
        assert isinstance(found, Observed)
        assert found.id == trained.status.external.arn

    asyncio.run(scenario())


def test_a_version_made_by_hand_is_found_again_after_its_resource_was_lost() -> None:
    async def scenario() -> None:
        estate = build()
        version, desired = await solution_and_version(estate)
        trained = await estate.create(version)
        await estate.pass_time(1200)
        again = estate.resource("SolutionVersion", "movies-1", {"solutionRef": {"name": "movies"}})
        found = await estate.engine.observe(again, desired)
        assert isinstance(found, Observed)
        assert found.id == trained.status.external.arn

    asyncio.run(scenario())


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize("lag", [0.0, 120.0])
def test_r4_a_training_whose_answer_was_lost_is_found_and_not_repeated(
    *, refuse: bool, lag: float
) -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(refuse_repeated_version_names=refuse, list_lag=lag))
        version, desired = await solution_and_version(estate)
        version = with_intent(estate, version)
        estate.emulator.add_fault(
            {"kind": "lostResponse", "operation": "CreateSolutionVersion", "count": 1}
        )
        with pytest.raises(EngineError) as caught:
            await estate.engine.create("SolutionVersion", desired, {})
        assert caught.value.failure.outcome_unknown
        while isinstance(found := await estate.look(version), Absent):
            assert not found.settled
            await estate.pass_time(15)
        assert isinstance(found, Observed)
        assert found.name == "shop_movies-1"
        assert estate.emulator.counts()["SolutionVersion"] == 1

    asyncio.run(scenario())


def test_r4_after_a_restart_the_training_is_found_by_the_recorded_intent() -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(list_lag=100))
        await estate.solution()
        await estate.version("movies-0")
        version = with_intent(
            estate,
            estate.resource("SolutionVersion", "movies-1", {"solutionRef": {"name": "movies"}}),
        )
        solution_arn = estate.desired(version).fields["solutionArn"]
        # The call was made by a process that is no more.
        await estate.client.call(
            "CreateSolutionVersion", name="shop_movies-1", solutionArn=solution_arn
        )
        found = await estate.look(version)
        assert found == Absent(settled=False)
        await estate.pass_time(110)
        estate.client.take()
        assert (await estate.observed(version)).name == "shop_movies-1"
        # The older version was made long before the intent and is not asked for.
        assert estate.client.take().count("DescribeSolutionVersion") == 2

    asyncio.run(scenario())


def test_a_training_that_never_started_is_settled_after_a_while() -> None:
    async def scenario() -> None:
        estate = build()
        version, _ = await solution_and_version(estate)
        version = with_intent(estate, version)
        assert await estate.look(version) == Absent(settled=False)
        await estate.pass_time(179)
        assert await estate.look(version) == Absent(settled=False)
        await estate.pass_time(20)
        assert await estate.look(version) == Absent(settled=True)

    asyncio.run(scenario())


# Quotas ------------------------------------------------------------------------------------------


def test_the_two_meanings_of_a_used_up_quota_are_told_apart() -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(quotas={"Solution": 1, "SolutionVersion": 1}))
        await estate.solution()
        spec = {"datasetGroupRef": {"name": "movies"}, "recipe": "aws-sims"}
        second = estate.desired(estate.resource("Solution", "second", spec))
        with pytest.raises(EngineError) as caught:
            await estate.engine.create("Solution", second, {})
        assert caught.value.error_class is ErrorClass.QUOTA_EXHAUSTED

        version = estate.resource("SolutionVersion", "v", {"solutionRef": {"name": "movies"}})
        await estate.engine.create("SolutionVersion", estate.desired(version), {})
        version = estate.resource("SolutionVersion", "w", {"solutionRef": {"name": "movies"}})
        with pytest.raises(EngineError) as caught:
            await estate.engine.create("SolutionVersion", estate.desired(version), {})
        assert caught.value.error_class is ErrorClass.QUOTA_WAIT
        assert not caught.value.failure.outcome_unknown

    asyncio.run(scenario())
