"""Every kind through the driver, against the emulator in virtual time."""

import asyncio
from typing import Any

import pytest

from reco.decide.model import Absent, Desired, Observed, State, Unsupported, Waiting
from tests.contract.personalize.harness import (
    ACCOUNT,
    INTERACTIONS,
    ITEMS,
    REGION,
    Estate,
    build,
)

ARN = f"arn:aws:personalize:{REGION}:{ACCOUNT}"


def differences(estate: Estate, observed: Observed, desired: Desired) -> dict[str, Any]:
    del estate
    return {
        name: (value, observed.fields.get(name))
        for name, value in desired.fields.items()
        if observed.fields.get(name) != value
    }


async def full_estate() -> Estate:
    estate = build()
    await estate.serving()
    await estate.make("EventTracker", "movies", {"datasetGroupRef": {"name": "movies"}})
    return estate


def test_every_kind_is_in_sync_after_its_creation() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        kinds = set()
        for resource in list(estate.lookup.resources.values()):
            if resource.key.kind == "EngineClass":
                continue
            observed = await estate.observed(resource)
            kinds.add(resource.key.kind)
            assert observed.state is State.ACTIVE
            assert differences(estate, observed, estate.desired(resource)) == {}
            assert (observed.account, observed.region) == (ACCOUNT, REGION)
        assert len(kinds) == 8

    asyncio.run(scenario())


def test_an_estate_is_torn_down_in_order_and_each_end_is_confirmed() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        order = ("Campaign", "Solution", "EventTracker", "Dataset", "DatasetGroup", "Schema")
        for kind in order:
            [resource] = estate.lookup.all(kind)
            observed = await estate.observed(resource)
            await estate.engine.delete(kind, observed)
            await estate.pass_time(1800)
            assert await estate.look(resource) == Absent()
        assert estate.emulator.counts() == {}

    asyncio.run(scenario())


def test_versions_and_imports_are_left_as_they_are_by_a_deletion() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        for kind in ("SolutionVersion", "DatasetImportJob"):
            [resource] = estate.lookup.all(kind)
            observed = await estate.observed(resource)
            estate.client.take()
            await estate.engine.delete(kind, observed)
            assert estate.client.take() == []

    asyncio.run(scenario())


def test_deleting_what_is_gone_already_is_no_error() -> None:
    async def scenario() -> None:
        estate = build()
        group = await estate.group()
        observed = await estate.observed(group)
        await estate.engine.delete("DatasetGroup", observed)
        await estate.pass_time(600)
        await estate.engine.delete("DatasetGroup", observed)

    asyncio.run(scenario())


def test_a_running_training_can_be_stopped() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.solution()
        version = await estate.create(
            estate.resource("SolutionVersion", "movies-1", {"solutionRef": {"name": "movies"}})
        )
        assert (await estate.observed(version)).state is State.CREATING
        await estate.pass_time(300)
        observed = await estate.observed(version)
        assert observed.state is State.RUNNING
        await estate.engine.stop("SolutionVersion", observed)
        assert (await estate.observed(version)).state is State.STOPPING
        await estate.pass_time(300)
        assert (await estate.observed(version)).state is State.STOPPED

    asyncio.run(scenario())


def test_tags_of_class_group_and_resource_are_layered_and_only_the_users() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.make("DatasetGroup", "movies", {"tags": {"app": "shop", "team": "films"}})
        tracker = estate.resource(
            "EventTracker",
            "movies",
            {"datasetGroupRef": {"name": "movies"}, "tags": {"app": "events"}},
        )
        assert estate.desired(tracker).tags == {"team": "films", "app": "events"}
        schema = estate.resource("Schema", "interactions", {"avro": INTERACTIONS})
        assert estate.desired(schema).tags is None

    asyncio.run(scenario())


def test_tags_are_set_removed_and_read_again() -> None:
    async def scenario() -> None:
        estate = build()
        group = await estate.group()
        observed = await estate.observed(group, fresh=True)
        assert observed.tags == {"team": "media"}
        await estate.engine.tag("DatasetGroup", observed, {"app": "shop"}, ["team"])
        assert (await estate.observed(group)).tags == {"app": "shop"}
        assert (await estate.observed(group)).tags is None

    asyncio.run(scenario())


# Changes -----------------------------------------------------------------------------------------


def test_a_campaign_in_transition_shows_old_fields_and_what_it_will_become() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        [campaign] = estate.lookup.all("Campaign")
        before = await estate.observed(campaign)
        assert before.update is None
        changed = estate.record(
            estate.resource(
                "Campaign", "movies", {"solutionRef": {"name": "movies"}, "minProvisionedTPS": 3}
            ),
            before.id,
        )
        desired = estate.desired(changed)
        await estate.engine.update("Campaign", before, {"minProvisionedTPS": 3}, desired)

        during = await estate.observed(changed)
        assert during.state is State.ACTIVE
        assert during.fields["minProvisionedTPS"] == 1
        assert during.update is not None
        assert during.update.state is State.CREATING
        assert during.update.fields == {"minProvisionedTPS": 3}

        await estate.pass_time(1800)
        after = await estate.observed(changed)
        assert differences(estate, after, desired) == {}
        assert after.update is not None
        assert after.update.state is State.ACTIVE

    asyncio.run(scenario())


def test_a_failed_update_says_why_and_leaves_the_fields() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        [campaign] = estate.lookup.all("Campaign")
        before = await estate.observed(campaign)
        estate.emulator.add_fault(
            {"kind": "failCreation", "operation": "UpdateCampaign", "reason": "no capacity"}
        )
        await estate.engine.update(
            "Campaign", before, {"minProvisionedTPS": 3}, estate.desired(campaign)
        )
        await estate.pass_time(1800)
        after = await estate.observed(campaign)
        assert after.state is State.ACTIVE
        assert after.fields["minProvisionedTPS"] == 1
        assert after.update is not None
        assert (after.update.state, after.update.failure) == (State.FAILED, "no capacity")

    asyncio.run(scenario())


def test_a_failed_creation_says_why() -> None:
    async def scenario() -> None:
        estate = build()
        estate.emulator.add_fault(
            {"kind": "failCreation", "operation": "CreateDatasetGroup", "reason": "bad key"}
        )
        group = await estate.group()
        observed = await estate.observed(group)
        assert (observed.state, observed.failure) == (State.FAILED, "bad key")

    asyncio.run(scenario())


def test_a_solution_is_changed_in_place_where_the_service_can() -> None:
    async def scenario() -> None:
        estate = build()
        solution = await estate.solution()
        before = await estate.observed(solution)
        changed = estate.record(
            estate.resource(
                "Solution",
                "movies",
                {
                    "datasetGroupRef": {"name": "movies"},
                    "recipe": "aws-user-personalization-v2",
                    "training": {"owner": "Service"},
                    "solutionConfig": {
                        "autoTrainingConfig": {"schedulingExpression": "rate(3 days)"},
                        "eventsConfig": {
                            "eventParametersList": [{"eventType": "watch", "weight": "0.5"}]
                        },
                    },
                },
            ),
            before.id,
        )
        desired = estate.desired(changed)
        differing = {
            name: value
            for name, value in desired.fields.items()
            if before.fields.get(name) != value
        }
        assert differing.keys() == {"performAutoTraining", "autoTrainingConfig", "eventsConfig"}
        assert differing.keys() <= desired.mutable
        await estate.engine.update("Solution", before, differing, desired)
        await estate.pass_time(600)
        assert differences(estate, await estate.observed(changed), desired) == {}

    asyncio.run(scenario())


def test_a_dataset_takes_a_wider_schema() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.group()
        await estate.make("Schema", "items", {"avro": ITEMS})
        spec = {"datasetGroupRef": {"name": "movies"}, "type": "Items"}
        dataset = await estate.make("Dataset", "items", {**spec, "schemaRef": {"name": "items"}})
        wider = ITEMS | {"fields": [*ITEMS["fields"], {"name": "YEAR", "type": ["null", "long"]}]}
        await estate.make("Schema", "items-2", {"avro": wider})
        before = await estate.observed(dataset)
        changed = estate.record(
            estate.resource("Dataset", "items", {**spec, "schemaRef": {"name": "items-2"}}),
            before.id,
        )
        desired = estate.desired(changed)
        assert desired.mutable == {"schemaArn"}
        fields = {"schemaArn": desired.fields["schemaArn"]}
        await estate.engine.update("Dataset", before, fields, desired)
        during = await estate.observed(changed)
        assert during.update is not None
        assert during.update.state is State.CREATING
        await estate.pass_time(600)
        assert differences(estate, await estate.observed(changed), desired) == {}

    asyncio.run(scenario())


def test_a_campaign_enters_and_leaves_the_services_own_rollout() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        [campaign] = estate.lookup.all("Campaign")
        before = await estate.observed(campaign)
        spec = {"solutionRef": {"name": "movies"}}
        following = estate.record(
            estate.resource(
                "Campaign",
                "movies",
                {**spec, "campaignConfig": {"syncWithLatestSolutionVersion": True}},
            ),
            before.id,
        )
        desired = estate.desired(following)
        config = {"campaignConfig": desired.fields["campaignConfig"]}
        await estate.engine.update("Campaign", before, config, desired)
        await estate.pass_time(1800)
        synced = await estate.observed(following)
        assert desired.fields["solutionVersionArn"].endswith("/$LATEST")
        assert differences(estate, synced, desired) == {}

        back = estate.record(estate.resource("Campaign", "movies", spec), before.id)
        desired = estate.desired(back)
        config = {"campaignConfig": desired.fields["campaignConfig"]}
        await estate.engine.update("Campaign", synced, config, desired)
        await estate.pass_time(1800)
        assert differences(estate, await estate.observed(back), desired) == {}

    asyncio.run(scenario())


def test_decimals_and_enums_reach_the_service_in_its_own_types() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        campaign = estate.resource(
            "Campaign",
            "movies",
            {
                "solutionRef": {"name": "movies"},
                "campaignConfig": {
                    "itemExplorationConfig": {"explorationWeight": "0.3"},
                    "enableMetadataWithRecommendations": True,
                    "rankingInfluence": {"popularity": "0.25"},
                },
            },
        )
        assert estate.desired(campaign).fields["campaignConfig"] == {
            "itemExplorationConfig": {"explorationWeight": "0.3"},
            "enableMetadataWithRecommendations": True,
            "syncWithLatestSolutionVersion": False,
            "rankingInfluence": {"POPULARITY": 0.25},
        }
        group = estate.resource("DatasetGroup", "films", {"domain": "VideoOnDemand"})
        assert estate.desired(group).fields == {"domain": "VIDEO_ON_DEMAND"}

    asyncio.run(scenario())


# What can't be wanted ----------------------------------------------------------------------------


def test_a_recipe_that_is_not_offered_is_refused_with_those_that_are() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.group()
        spec = {"datasetGroupRef": {"name": "movies"}, "recipe": "aws-user-personalisation"}
        solution = estate.resource("Solution", "movies", spec)
        references = estate.references(solution)
        assert isinstance(estate.engine.desired(solution, references), Desired)
        await estate.engine.capabilities()
        refused = estate.engine.desired(solution, references)
        assert isinstance(refused, Unsupported)
        assert "aws-user-personalization-v2" in refused.message

    asyncio.run(scenario())


def test_a_dependency_that_is_not_ready_is_waited_for_by_name() -> None:
    async def scenario() -> None:
        estate = build()
        tracker = estate.resource("EventTracker", "t", {"datasetGroupRef": {"name": "movies"}})
        waiting = estate.engine.desired(tracker, estate.references(tracker))
        assert isinstance(waiting, Waiting)
        assert "DatasetGroup shop/movies" in waiting.message

    asyncio.run(scenario())


def test_an_import_without_any_role_is_unsupported() -> None:
    async def scenario() -> None:
        estate = build(roleARN=None)
        await estate.group()
        await estate.dataset()
        job = estate.resource(
            "DatasetImportJob",
            "j",
            {"datasetRef": {"name": "movies-interactions"}, "source": {"s3": "s3://data/x.csv"}},
        )
        refused = estate.engine.desired(job, estate.references(job))
        assert isinstance(refused, Unsupported)
        assert "spec.roleARN" in refused.message

    asyncio.run(scenario())


# Details -----------------------------------------------------------------------------------------


def test_a_version_shows_metrics_as_decimals_and_asks_for_them_once() -> None:
    async def scenario() -> None:
        estate = await full_estate()
        [version] = estate.lookup.all("SolutionVersion")
        estate.client.take()
        details = (await estate.observed(version)).details
        again = (await estate.observed(version, fresh=True)).details
        assert details["metrics"] == {"coverage": "0.5", "precision_at_5": "0.0001"}
        assert again == details
        assert details["training_type"] == "Manual"
        assert float(details["training_hours"]) > 0
        assert estate.client.take().count("GetSolutionMetrics") == 1

    asyncio.run(scenario())


def test_a_solution_shows_its_versions_whoever_trained_them() -> None:
    async def scenario() -> None:
        estate = build()
        solution = await estate.solution(training={"owner": "Service"})
        await estate.pass_time(4 * 3600)
        versions = (await estate.observed(solution)).details["versions"]
        assert [v.training_type for v in versions] == ["Automatic"]
        [version] = versions
        assert version.name == version.id.partition(":solution/")[2]
        assert (version.state, version.training_mode) == (State.ACTIVE, "Full")

        adopted = estate.resource(
            "SolutionVersion",
            "adopted",
            {"solutionRef": {"name": "movies"}, "externalName": version.name},
        )
        observed = await estate.observed(adopted)
        assert observed.id == version.id
        assert differences(estate, observed, estate.desired(adopted)) == {}

    asyncio.run(scenario())


def test_a_version_trained_by_the_service_is_known_as_such_where_lists_do_not_say_so() -> None:
    def silent(answer: dict[str, Any]) -> dict[str, Any]:
        for entry in answer.get("solutionVersions", ()):
            entry.pop("trainingType", None)
        return answer

    async def scenario() -> None:
        estate = build()
        estate.client.garble = silent
        solution = await estate.solution(training={"owner": "Service"})
        await estate.pass_time(4 * 3600)
        versions = (await estate.observed(solution)).details["versions"]
        assert [v.training_type for v in versions] == ["Automatic"]

    asyncio.run(scenario())


def test_a_dataset_shows_a_digest_of_its_source_or_why_it_has_none() -> None:
    async def scenario() -> None:
        estate = build()
        await estate.group()
        source = {"import": {"source": {"s3": "s3://data/interactions/"}}}
        dataset = await estate.dataset(spec=source)
        nothing = (await estate.observed(dataset)).details
        assert nothing["source"] is None
        assert "s3://data/interactions/" in nothing["source_problem"]
        estate.bucket.objects["s3://data/interactions/1.csv"] = b"1"
        await estate.pass_time(120)
        first = (await estate.observed(dataset)).details["source"]
        assert first is not None
        estate.bucket.objects["s3://data/interactions/1.csv"] = b"2"
        assert (await estate.observed(dataset)).details["source"] == first
        await estate.pass_time(120)
        assert (await estate.observed(dataset)).details["source"] != first

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "runtime"),
    [
        ({}, "https://personalize-runtime.eu-west-1.amazonaws.com"),
        ({"endpointURL": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ({"region": "cn-north-1"}, "https://personalize-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_endpoints_follow_region_and_class(settings: dict[str, Any], runtime: str) -> None:
    estate = build(**settings)
    assert estate.engine._place.endpoint("personalize-runtime") == runtime
