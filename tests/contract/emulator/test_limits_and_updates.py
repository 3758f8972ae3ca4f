"""Quotas, what holds what, and the rules of updates, row by row."""

from collections.abc import Callable
from typing import Any

import pytest

from reco.emulator.kinds import KINDS
from tests.contract.emulator.estate import (
    INTERACTIONS,
    ITEMS,
    RECIPES,
    ROLE,
    Service,
    avro,
    column,
    interactions_csv,
    refusal,
)

IN_USE = "ResourceInUseException"
INVALID = "InvalidInputException"


def test_the_quotas_are_those_of_the_service() -> None:
    quotas = {
        kind.name: (quota.limit, quota.scope, quota.in_progress)
        for kind in KINDS.values()
        for quota in kind.quotas
    }
    assert quotas == {
        "DatasetGroup": (5, "region", False),
        "Schema": (500, "region", False),
        "DatasetImportJob": (5, "region", True),
        "Solution": (10, "dataset_group", False),
        "SolutionVersion": (20, "region", True),
        "Campaign": (5, "dataset_group", False),
    }


def test_a_quota_of_a_group_leaves_other_groups_alone(service: Service) -> None:
    full, empty = service.group("full"), service.group("empty")
    for number in range(10):
        service.solution(full, f"solution-{number}")
    call = {"name": "one-more", "recipeArn": RECIPES + "aws-sims"}
    create = service.control.create_solution
    code, text, _ = refusal(create, datasetGroupArn=full, **call)
    assert (code, text) == (
        "LimitExceededException",
        "More than 10 resources in ACTIVE state. Please delete some and try again.",
    )
    assert create(datasetGroupArn=empty, **call)


def test_a_quota_of_a_region_leaves_other_regions_and_accounts_alone(service: Service) -> None:
    for number in range(5):
        service.group(f"group-{number}")
    create = service.control.create_dataset_group
    assert refusal(create, name="sixth")[0] == "LimitExceededException"
    for elsewhere in ({"region": "us-east-1"}, {"account": "999999999999"}):
        assert service.elsewhere(**elsewhere).control.create_dataset_group(name="sixth")


def test_a_taken_name_is_told_before_a_used_up_quota(service: Service) -> None:
    for number in range(5):
        service.group(f"group-{number}")
    code, _, _ = refusal(service.control.create_dataset_group, name="group-3")
    assert code == "ResourceAlreadyExistsException"


def test_what_failed_to_be_created_leaves_its_place_in_the_quota(service: Service) -> None:
    fault = {"kind": "failCreation", "reason": "No key", "count": 1}
    service.admin("POST", "/_reco/faults", fault)
    for number in range(6):
        service.group(f"group-{number}")
    assert refusal(service.control.create_dataset_group, name="g")[0] == "LimitExceededException"


def import_under_way(service: Service) -> tuple[Any, dict[str, str]]:
    dataset = service.dataset(service.group(), service.schema())
    service.objects.objects["s3://bucket/x.csv"] = interactions_csv()
    service.control.create_dataset_import_job(
        jobName="job",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://bucket/x.csv"},
        roleArn=ROLE,
    )
    return service.control.delete_dataset, {"datasetArn": dataset}


def training_under_way(service: Service) -> tuple[Any, dict[str, str]]:
    group = service.filled_group()
    service.control.create_solution_version(solutionArn=service.solution(group))
    dataset = group.replace("dataset-group", "dataset") + "/INTERACTIONS"
    return service.control.delete_dataset, {"datasetArn": dataset}


def training_of_the_solution(service: Service) -> tuple[Any, dict[str, str]]:
    solution = service.solution(service.filled_group())
    service.control.create_solution_version(solutionArn=solution)
    return service.control.delete_solution, {"solutionArn": solution}


def update_of_the_solution(service: Service) -> tuple[Any, dict[str, str]]:
    solution = service.solution(service.group())
    service.control.update_solution(solutionArn=solution, performAutoTraining=True)
    return service.control.delete_solution, {"solutionArn": solution}


def update_of_the_campaign(service: Service) -> tuple[Any, dict[str, str]]:
    _, campaign = service.serving()
    service.control.update_campaign(campaignArn=campaign, minProvisionedTPS=2)
    return service.control.delete_campaign, {"campaignArn": campaign}


def event_tracker_of_the_group(service: Service) -> tuple[Any, dict[str, str]]:
    group = service.group()
    service.tracker(group)
    return service.control.delete_dataset_group, {"datasetGroupArn": group}


def dataset_of_the_group(service: Service) -> tuple[Any, dict[str, str]]:
    group = service.group()
    service.dataset(group, service.schema())
    return service.control.delete_dataset_group, {"datasetGroupArn": group}


@pytest.mark.parametrize(
    ("arrange", "passes"),
    [
        (import_under_way, True),
        (training_under_way, True),
        (training_of_the_solution, True),
        (update_of_the_solution, True),
        (update_of_the_campaign, True),
        (event_tracker_of_the_group, False),
        (dataset_of_the_group, False),
    ],
)
def test_nothing_is_deleted_while_something_needs_it(
    service: Service,
    arrange: Callable[[Service], tuple[Any, dict[str, str]]],
    passes: bool,  # noqa: FBT001 - a column of the table
) -> None:
    delete, target = arrange(service)
    assert refusal(delete, **target)[0] == IN_USE
    service.pass_time(3000)
    if passes:
        delete(**target)
    else:
        assert refusal(delete, **target)[0] == IN_USE


def test_an_update_mends_a_campaign_that_failed_to_be_created(service: Service) -> None:
    version = service.version(service.solution(service.filled_group()))
    fault = {"kind": "failCreation", "operation": "CreateCampaign", "reason": "No capacity"}
    service.admin("POST", "/_reco/faults", fault)
    campaign = service.campaign(version)

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = service.control.describe_campaign(campaignArn=campaign)["campaign"]
        return found

    assert (shown()["status"], shown()["failureReason"]) == ("CREATE FAILED", "No capacity")
    answer = service.control.update_campaign(campaignArn=campaign, minProvisionedTPS=2)
    assert set(answer) - {"ResponseMetadata"} == {"campaignArn"}
    assert (shown()["status"], shown()["minProvisionedTPS"]) == ("CREATE FAILED", 1)
    service.pass_time(840)
    assert (shown()["status"], shown()["minProvisionedTPS"]) == ("ACTIVE", 2)
    assert "failureReason" not in shown()


def test_another_training_rate_starts_the_schedule_again(service: Service) -> None:
    solution = service.solution(service.filled_group(), performAutoTraining=True)
    service.pass_time(3600)
    service.pass_time(86_400)
    config = {"autoTrainingConfig": {"schedulingExpression": "rate(3 days)"}}
    service.control.update_solution(solutionArn=solution, solutionUpdateConfig=config)
    during = service.control.describe_solution(solutionArn=solution)["solution"]
    assert "autoTrainingConfig" not in during["solutionConfig"], "the top level keeps the old"
    service.pass_time(30)
    after = service.control.describe_solution(solutionArn=solution)["solution"]
    assert after["solutionConfig"]["autoTrainingConfig"] == config["autoTrainingConfig"]

    def trained() -> int:
        answer = service.control.list_solution_versions(solutionArn=solution)
        return len(answer["solutionVersions"])

    assert trained() == 1
    service.imported(
        service.control.list_datasets()["datasets"][0]["datasetArn"], "more", interactions_csv()
    )
    service.pass_time(3600)
    assert trained() == 2, "within the hour"


@pytest.mark.parametrize(
    ("kind", "old", "new", "text"),
    [
        ("Interactions", INTERACTIONS, INTERACTIONS, "INTERACTIONS dataset cannot be replaced"),
        (
            "Items",
            ITEMS,
            avro(column("ITEM_ID", "string"), column("GENRES", "string", "null"),
                 column("PRICE", "float"), name="Items"),
            r"must allow null: \[PRICE\]",
        ),
        (
            "Items",
            ITEMS,
            avro(column("ITEM_ID", "string"), column("GENRES", "int", "null"), name="Items"),
            r"drops or changes: \[GENRES\]",
        ),
    ],
)  # fmt: skip
def test_a_schema_that_does_not_widen_the_old_one_is_refused(
    service: Service, kind: str, old: str, new: str, text: str
) -> None:
    dataset = service.dataset(service.group(), service.schema("old", old), kind)
    with pytest.raises(service.control.exceptions.InvalidInputException, match=text):
        service.control.update_dataset(datasetArn=dataset, schemaArn=service.schema("new", new))


def test_a_version_shows_the_hyperparameters_that_its_training_found(service: Service) -> None:
    group = service.filled_group()
    config = {"hpoConfig": {"hpoResourceConfig": {"maxNumberOfTrainingJobs": "2"}}}
    solution = service.solution(group, performHPO=True, solutionConfig=config)
    version = service.version(solution)
    assert service.trainer.jobs[version].hpo == config["hpoConfig"]
    shown = service.control.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert shown["tunedHPOParams"] == {"algorithmHyperParameters": service.trainer.tuned}
    plain = service.version(service.solution(group, "plain", solutionConfig=config))
    assert service.trainer.jobs[plain].hpo is None, "performHPO says whether to look"
    plain = service.control.describe_solution_version(solutionVersionArn=plain)["solutionVersion"]
    assert "tunedHPOParams" not in plain


@pytest.mark.parametrize("jobs", ["0", "41", "many"])
def test_more_trainings_than_the_service_allows_are_refused(service: Service, jobs: str) -> None:
    config = {"hpoConfig": {"hpoResourceConfig": {"maxNumberOfTrainingJobs": jobs}}}
    text = f"maxNumberOfTrainingJobs must be a number from 1 to 40, not '{jobs}'"
    with pytest.raises(service.control.exceptions.InvalidInputException, match=text):
        service.solution(service.group(), performHPO=True, solutionConfig=config)


STAMPS = {"creationDateTime", "lastUpdatedDateTime"}


def test_summaries_show_exactly_the_members_of_the_service(service: Service) -> None:
    group, _ = service.serving()
    service.tracker(group)
    expected: dict[str, set[str]] = {
        "DatasetGroups": {"name", "datasetGroupArn", "status"},
        "Schemas": {"name", "schemaArn"},
        "Datasets": {"name", "datasetArn", "datasetType", "status"},
        "DatasetImportJobs": {"jobName", "datasetImportJobArn", "status", "importMode"},
        "Solutions": {"name", "solutionArn", "status", "recipeArn"},
        "SolutionVersions": {"solutionVersionArn", "status", "trainingMode", "trainingType"},
        "Campaigns": {"name", "campaignArn", "status"},
        "EventTrackers": {"name", "eventTrackerArn", "status"},
    }
    shown = {}
    for kind in expected:
        answer = service.raw_json(f"List{kind}")
        ((one,),) = answer.values()
        shown[kind] = set(one) - STAMPS
    assert shown == expected


def test_only_kinds_that_have_a_failure_reason_show_one(service: Service) -> None:
    group, schema = service.group(), service.schema()
    service.admin("POST", "/_reco/faults", {"kind": "failCreation", "reason": "Out of luck"})
    dataset = service.dataset(group, schema)
    tracker, _ = service.tracker(group)
    solution = service.solution(group)
    other = service.group("other")
    failed = {
        "dataset": service.control.describe_dataset(datasetArn=dataset)["dataset"],
        "tracker": service.control.describe_event_tracker(eventTrackerArn=tracker)["eventTracker"],
        "solution": service.control.describe_solution(solutionArn=solution)["solution"],
        "group": service.control.describe_dataset_group(datasetGroupArn=other)["datasetGroup"],
    }
    assert {one["status"] for one in failed.values()} == {"CREATE FAILED"}
    reasons = {name for name, one in failed.items() if "failureReason" in one}
    assert reasons == {"group"}


def test_a_domain_group_and_its_key_are_shown_where_they_were_given(service: Service) -> None:
    given = {
        "domain": "ECOMMERCE",
        "roleArn": ROLE,
        "kmsKeyArn": ROLE.replace(":iam:", ":kms:eu-west-1").replace("role/", "key/"),
    }
    group = service.group("shop", **given)
    shown = service.control.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
    assert {name: shown[name] for name in given} == given
    (listed,) = service.control.list_dataset_groups()["datasetGroups"]
    assert listed["domain"] == "ECOMMERCE"
    code, _, _ = refusal(service.control.create_dataset_group, name="x", roleArn=ROLE)
    assert code == INVALID, "a role comes with a key"
