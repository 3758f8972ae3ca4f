"""What a version takes in after its training: every two hours by itself, or by an UPDATE."""

from typing import Any

import pytest

from tests.contract.emulator.estate import Service, interactions_csv

HOURS = 3600
NEW = "brand-new"


def with_new_item(item: str = NEW) -> bytes:
    return (
        interactions_csv()
        + "".join(f"\n{user},{item},1700000000,watch" for user in range(60)).encode()
    )


def recommended(service: Service, campaign: str) -> list[str]:
    answer = service.runtime.get_recommendations(campaignArn=campaign, userId="1", numResults=5)
    return [one["itemId"] for one in answer["itemList"]]


def described(service: Service, version: str) -> dict[str, Any]:
    found: dict[str, Any] = service.control.describe_solution_version(solutionVersionArn=version)
    metrics = service.control.get_solution_metrics(solutionVersionArn=version)["metrics"]
    return {**found["solutionVersion"], "metrics": metrics}


def interactions_of(service: Service) -> str:
    (dataset,) = service.control.list_datasets()["datasets"]
    arn: str = dataset["datasetArn"]
    return arn


@pytest.mark.parametrize("recipe", ["aws-user-personalization", "aws-user-personalization-v2"])
def test_new_items_are_recommended_within_two_hours_by_the_same_version(
    service: Service, recipe: str
) -> None:
    solution = service.solution(service.filled_group(), recipe=recipe)
    version = service.version(solution)
    campaign = service.campaign(version)
    before = described(service, version)
    service.imported(interactions_of(service), "more", with_new_item())
    assert NEW not in recommended(service, campaign)
    service.pass_time(2 * HOURS)
    assert recommended(service, campaign)[0] == NEW
    assert described(service, version) == before


def test_what_came_after_the_last_two_hours_waits_for_the_next(service: Service) -> None:
    version = service.version(service.solution(service.filled_group()))
    campaign = service.campaign(version)
    service.imported(interactions_of(service), "first", with_new_item("first"))
    service.pass_time(2 * HOURS)
    service.imported(interactions_of(service), "second", with_new_item("second"))
    assert recommended(service, campaign)[0] == "first", "of data that is replaced by now"
    service.pass_time(2 * HOURS)
    assert recommended(service, campaign)[0] == "second"


def test_the_former_model_answers_until_the_refreshed_one_is_there(service: Service) -> None:
    campaign = service.campaign(service.version(service.solution(service.filled_group())))
    service.imported(interactions_of(service), "more", with_new_item())
    service.pass_time(2 * HOURS)
    service.trainer.hold_all = True
    assert NEW not in recommended(service, campaign)
    service.trainer.held.clear()
    assert recommended(service, campaign)[0] == NEW


def test_only_the_newest_full_training_of_a_solution_is_refreshed(service: Service) -> None:
    solution = service.solution(service.filled_group())
    older = service.campaign(service.version(solution), "older")
    newer = service.campaign(service.version(solution), "newer")
    updated = service.campaign(service.version(solution, trainingMode="UPDATE"), "updated")
    service.imported(interactions_of(service), "more", with_new_item())
    service.pass_time(2 * HOURS)
    refreshed = {
        name
        for name, campaign in {"older": older, "newer": newer, "updated": updated}.items()
        if NEW in recommended(service, campaign)
    }
    assert refreshed == {"newer"}


def test_related_items_wait_for_a_training(service: Service) -> None:
    _, campaign = service.serving("aws-sims")
    service.imported(interactions_of(service), "more", with_new_item())
    service.pass_time(4 * HOURS)
    answer = service.runtime.get_recommendations(campaignArn=campaign, itemId="1", numResults=5)
    assert NEW not in [one["itemId"] for one in answer["itemList"]]


def test_an_update_takes_the_newest_full_training_to_the_data_of_now(service: Service) -> None:
    solution = service.solution(service.filled_group())
    full = service.version(solution)
    service.version(solution, trainingMode="UPDATE")
    service.imported(interactions_of(service), "more", with_new_item())
    update = service.version(solution, trainingMode="UPDATE")
    job = service.trainer.jobs[update]
    assert job.base == full, "never an update of an update"
    assert NEW in job.interactions["ITEM_ID"]
    assert recommended(service, service.campaign(update))[0] == NEW


def test_refreshed_models_go_with_their_solution(service: Service) -> None:
    solution = service.solution(service.filled_group())
    campaign = service.campaign(service.version(solution))
    service.imported(interactions_of(service), "more", with_new_item())
    service.pass_time(2 * HOURS)
    service.trainer.hold_all = True
    recommended(service, campaign)
    assert service.trainer.held
    service.control.delete_campaign(campaignArn=campaign)
    service.pass_time()
    service.control.delete_solution(solutionArn=solution)
    service.pass_time()
    service.control.list_solutions()
    assert not service.trainer.held
