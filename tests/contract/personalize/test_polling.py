"""API calls grow with pages, not with objects; and what changes is noticed."""

import asyncio
from collections import Counter

import pytest

from reco.api.resource import Resource
from reco.decide.model import Absent, ErrorClass, Observed, State
from reco.emulator.world import Settings
from reco.engines.personalize.polling import PollSettings
from reco.engines.port import EngineError
from tests.contract.personalize.harness import Estate, build, running, settle

POLL = PollSettings(fast=10, slow=300, jitter=0.0)


async def groups(estate: Estate, count: int) -> list[Resource]:
    return [
        await estate.create(estate.resource("DatasetGroup", f"g{number:04}", {}))
        for number in range(count)
    ]


def test_r8_objects_in_flight_cost_pages_not_describes() -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(durations={"DatasetGroup": 600}), poll=POLL)
        made = await groups(estate, 300)
        for resource in made:
            await estate.look(resource)
        async with running(estate) as notified:
            estate.client.take()
            for _ in range(6):
                await estate.pass_time(10)
                for key in notified:
                    await estate.look(estate.lookup.resources[key])
                notified.clear()
            calls = Counter(estate.client.take())
        # Six lists of three pages in a minute; one Describe per object and poll would be 1,800.
        assert calls == {"ListDatasetGroups": 18}

    asyncio.run(scenario())


def test_r8_where_lists_are_long_and_little_moves_it_is_described_instead() -> None:
    async def scenario() -> None:
        estate = build(settings=Settings(durations={"DatasetGroup": 120}), poll=POLL)
        for number in range(250):
            await estate.client.call("CreateDatasetGroup", name=f"other-{number}")
        group = estate.resource("DatasetGroup", "movies", {})
        assert await estate.look(group) == Absent()
        group = await estate.create(group)
        async with running(estate) as notified:
            await estate.look(group)
            await estate.pass_time(70)  # what was just called for is listed for a while
            notified.clear()
            estate.client.take()
            for _ in range(12):
                await estate.pass_time(10)
                while notified:
                    assert notified.pop() == group.key
                    await estate.look(group)
            assert (await estate.observed(group)).state is State.ACTIVE
            calls = Counter(estate.client.take())
        assert calls["ListDatasetGroups"] == 0
        assert 4 <= calls["DescribeDatasetGroup"] <= 7

    asyncio.run(scenario())


def test_r8_everything_ends_up_observed_with_one_describe_more_for_each() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        made = await groups(estate, 150)
        async with running(estate) as notified:
            for resource in made:
                await estate.look(resource)
            estate.client.take()
            await estate.pass_time(60)
            assert set(notified) == {resource.key for resource in made}
            for resource in made:
                assert (await estate.observed(resource)).state is State.ACTIVE
        assert Counter(estate.client.take())["DescribeDatasetGroup"] == len(made)

    asyncio.run(scenario())


def test_r9_what_does_not_move_is_looked_at_slowly_and_reported_never() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        await estate.group()
        [group] = estate.lookup.all("DatasetGroup")
        await estate.look(group)
        async with running(estate) as notified:
            await estate.pass_time(600)
            notified.clear()
            estate.client.take()
            await estate.pass_time(36_00)
            assert notified == []
            assert estate.client.take() == ["ListDatasetGroups"] * 12

    asyncio.run(scenario())


def test_r8_looking_again_at_what_has_not_changed_costs_nothing() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        group = await estate.group()
        await estate.pass_time(60)
        first = await estate.observed(group)
        await estate.look(group)
        estate.client.take()
        assert await estate.look(group) == first
        assert estate.client.take() == []

    asyncio.run(scenario())


def test_r8_kinds_that_nobody_uses_are_not_listed() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        async with running(estate):
            await estate.pass_time(3600)
        assert estate.client.take() == []

    asyncio.run(scenario())


def test_r8_many_who_need_a_list_at_once_share_one() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        resources = [estate.resource("DatasetGroup", f"g{n}", {}) for n in range(50)]
        found = await asyncio.gather(*(estate.look(resource) for resource in resources))
        assert set(found) == {Absent()}
        assert estate.client.take() == ["ListDatasetGroups"]

    asyncio.run(scenario())


def test_one_who_gives_up_waiting_does_not_take_the_list_from_the_others() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        first = asyncio.create_task(estate.look(estate.resource("DatasetGroup", "a", {})))
        second = asyncio.create_task(estate.look(estate.resource("DatasetGroup", "b", {})))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == Absent()
        assert estate.client.take() == ["ListDatasetGroups"]

    asyncio.run(scenario())


def test_a_deletion_by_somebody_else_is_noticed() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        group = await estate.group()
        observed = await estate.observed(group)
        async with running(estate) as notified:
            await estate.pass_time(400)
            await estate.look(group)
            notified.clear()
            await estate.client.call("DeleteDatasetGroup", datasetGroupArn=observed.id)
            await estate.pass_time(400)
            assert notified == [group.key]
            assert await estate.look(group) == Absent()

    asyncio.run(scenario())


def test_what_appears_under_a_wanted_name_is_noticed() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        group = estate.resource("DatasetGroup", "movies", {})
        async with running(estate) as notified:
            assert await estate.look(group) == Absent()
            await estate.client.call("CreateDatasetGroup", name="shop_movies")
            await estate.pass_time(310)
            assert notified[:1] == [group.key]

    asyncio.run(scenario())


def test_a_training_by_the_service_is_reported_to_its_solution() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        solution = await estate.solution(training={"owner": "Service"})
        async with running(estate) as notified:
            assert (await estate.observed(solution)).details["versions"] == ()
            await estate.pass_time(310)
            notified.clear()
            await estate.pass_time(4 * 3600)
            assert solution.key in notified
            assert len((await estate.observed(solution)).details["versions"]) == 1

    asyncio.run(scenario())


def test_an_update_in_flight_is_followed_to_its_end() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        campaign = await estate.serving()
        observed = await estate.observed(campaign)
        async with running(estate) as notified:
            await estate.engine.update(
                "Campaign", observed, {"minProvisionedTPS": 2}, estate.desired(campaign)
            )
            updating = await estate.observed(campaign)
            assert updating.update is not None
            notified.clear()
            for _ in range(120):
                await estate.pass_time(10)
                if notified:
                    notified.clear()
                    updating = await estate.observed(campaign)
                    assert updating.update is not None
                    if updating.update.state is State.ACTIVE:
                        break
            assert updating.fields["minProvisionedTPS"] == 2

    asyncio.run(scenario())


def test_a_refusal_is_reported_once_to_all_it_concerns_and_so_is_its_end() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        made = await groups(estate, 3)
        for resource in made:
            await estate.look(resource)
        async with running(estate) as notified:
            await estate.pass_time(60)
            for resource in made:
                await estate.look(resource)
            notified.clear()
            estate.emulator.add_fault({"kind": "accessDenied"})
            await estate.pass_time(700)
            assert sorted(notified) == [resource.key for resource in made]
            with pytest.raises(EngineError) as caught:
                await estate.look(made[0])
            assert caught.value.error_class is ErrorClass.ACCESS_DENIED
            notified.clear()
            estate.emulator.remove_faults()
            await estate.pass_time(310)
            assert sorted(notified) == [resource.key for resource in made]
            assert isinstance(await estate.look(made[0]), Observed)

    asyncio.run(scenario())


def test_after_a_refusal_no_older_list_says_that_all_is_well() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        [group] = await groups(estate, 1)
        await estate.look(group)
        await estate.pass_time(60)
        await estate.look(group)  # by a list, which the next looks may go by
        await estate.pass_time(1)
        estate.emulator.add_fault({"kind": "accessDenied"})
        for fresh in (True, False):
            with pytest.raises(EngineError) as caught:
                await estate.look(group, fresh=fresh)
            assert caught.value.error_class is ErrorClass.ACCESS_DENIED
        estate.emulator.remove_faults()
        await estate.pass_time(400)
        assert isinstance(await estate.look(group), Observed)

    asyncio.run(scenario())


def test_r8_whoever_is_not_let_in_asks_ever_less_often() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        await estate.solution()
        version = await estate.make(
            "SolutionVersion", "movies-1", {"solutionRef": {"name": "movies"}}, seconds=0
        )
        async with running(estate) as notified:
            await estate.look(version)
            await estate.pass_time(60)
            estate.emulator.add_fault({"kind": "accessDenied"})
            estate.client.take()
            notified.clear()
            await estate.pass_time(1000)
            assert 3 <= Counter(estate.client.take())["ListSolutionVersions"] <= 8
            assert notified == [version.key]
            with pytest.raises(EngineError):
                await estate.look(version)
            assert estate.client.take() == []
            estate.emulator.remove_faults()
            await estate.pass_time(310)
            assert isinstance(await estate.look(version), Observed)

    asyncio.run(scenario())


def test_what_is_refused_again_and_again_is_neither_listed_for_nor_reported() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        await estate.group()
        await estate.dataset()
        [group] = estate.lookup.all("DatasetGroup")
        async with running(estate) as notified:
            await estate.pass_time(600)
            await estate.look(group)
            notified.clear()
            estate.client.take()
            for _ in range(10):
                observed = await estate.observed(group)
                with pytest.raises(EngineError) as caught:
                    await estate.engine.delete("DatasetGroup", observed)
                assert caught.value.error_class is ErrorClass.CONFLICT
                await estate.pass_time(30)
            assert notified == []
        assert Counter(estate.client.take())["ListDatasetGroups"] <= 2

    asyncio.run(scenario())


def test_a_hiccup_of_a_list_disturbs_nobody() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        made = await groups(estate, 3)
        async with running(estate) as notified:
            await estate.pass_time(60)
            for resource in made:
                await estate.look(resource)
            notified.clear()
            for kind in ("throttle", "serverError"):
                estate.emulator.add_fault({"kind": kind, "operation": "List*", "count": 1})
                await estate.pass_time(700)
            assert notified == []
            assert isinstance(await estate.look(made[0]), Observed)

    asyncio.run(scenario())


def test_r8_details_and_tags_are_read_again_on_a_slow_sweep() -> None:
    async def scenario() -> None:
        estate = build(poll=PollSettings(fast=10, slow=300, sweep=3600, jitter=0.0))
        group = await estate.group()
        await estate.observed(group)
        reads = Counter[str]()
        for _ in range(48):
            await estate.pass_time(900)
            await estate.observed(group)
            reads.update(estate.client.take())
        assert reads["ListTagsForResource"] == 12
        assert reads["DescribeDatasetGroup"] <= 13

    asyncio.run(scenario())


def test_r8_tags_that_are_asked_for_cost_one_call_and_no_description() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        group = await estate.create(estate.resource("DatasetGroup", "movies", {}))
        desired = estate.desired(group)
        creating = await estate.engine.observe(group, desired, tags=True)
        assert isinstance(creating, Observed)
        assert creating.tags is None  # nobody needs them before it is active
        await estate.pass_time(60)
        await estate.look(group)
        estate.client.take()
        active = await estate.engine.observe(group, desired, tags=True)
        assert isinstance(active, Observed)
        assert active.tags == {"team": "media"}
        assert estate.client.take() == ["ListTagsForResource"]

    asyncio.run(scenario())


def test_an_engine_that_is_closed_in_the_middle_of_a_list_leaves_nothing_running() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        await estate.group()
        await estate.look(estate.resource("DatasetGroup", "movies", {}))
        asked = asyncio.Event()

        async def hang(operation: str) -> None:
            asked.set()
            await asyncio.get_running_loop().create_future()
            raise AssertionError(operation)

        estate.client.hold = hang
        async with running(estate):
            advancing = asyncio.create_task(estate.pass_time(310))
            await asked.wait()
            await advancing
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_a_resource_that_is_gone_is_no_longer_watched() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        group = await estate.group()
        await estate.look(group)
        estate.engine.forget(group.key)
        estate.client.take()
        async with running(estate) as notified:
            await estate.pass_time(3600)
            await settle()
            assert notified == []
        assert estate.client.take() == []

    asyncio.run(scenario())


async def restarted(estate: Estate) -> None:
    """Record everything as in sync, and let a new process look at it."""
    await estate.pass_time(1)
    for resource in estate.lookup.resources.values():
        if resource.key.kind != "EngineClass":
            estate.in_sync(resource, await estate.observed(resource))
    estate.restart()
    estate.client.take()


def test_r8_after_a_restart_what_has_not_changed_costs_lists_alone() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        await estate.serving()
        await estate.make("EventTracker", "movies", {"datasetGroupRef": {"name": "movies"}})
        resources = [r for r in estate.lookup.resources.values() if r.key.kind != "EngineClass"]
        before = {r.key: await estate.observed(r) for r in resources}
        await restarted(estate)
        for key, seen in before.items():
            if key.kind != "Solution":  # names of versions are asked for again
                assert await estate.observed(estate.lookup.resources[key]) == seen
        assert {call for call in estate.client.take() if not call.startswith("List")} == set()

    asyncio.run(scenario())


def test_r8_a_restart_describes_nothing_that_got_ready_in_the_second_in_which_it_was_seen() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        await estate.pass_time(0.5)
        group = await estate.make("DatasetGroup", "movies", {}, seconds=0)
        while (await estate.observed(group, fresh=True)).state is not State.ACTIVE:
            await estate.pass_time(0.1)
        estate.in_sync(group, await estate.observed(group))
        estate.restart()
        estate.client.take()
        await estate.look(estate.lookup.resources[group.key])
        assert estate.client.take() == ["ListDatasetGroups"]

    asyncio.run(scenario())


def test_after_a_restart_what_somebody_changed_meanwhile_is_seen() -> None:
    async def scenario() -> None:
        estate = build(poll=POLL)
        campaign = await estate.serving()
        observed = await estate.observed(campaign)
        await restarted(estate)
        await estate.client.call("UpdateCampaign", campaignArn=observed.id, minProvisionedTPS=9)
        await estate.pass_time(1800)
        [campaign] = estate.lookup.all("Campaign")
        assert (await estate.observed(campaign)).fields["minProvisionedTPS"] == 9

    asyncio.run(scenario())
