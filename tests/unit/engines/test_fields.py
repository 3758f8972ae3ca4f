"""What the service adds on its own is no difference; what a spec wants is never overlooked."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reco.engines.personalize import read
from reco.engines.personalize.kinds import ROWS
from reco.engines.personalize.wire import update_state

GROUP = "arn:aws:personalize:eu-west-1:111122223333:dataset-group/movies"
SOLUTION = "arn:aws:personalize:eu-west-1:111122223333:solution/movies"
TIME = datetime(2026, 1, 1, tzinfo=UTC)


def campaign(**answer: Any) -> dict[str, Any]:
    return {"solutionVersionArn": f"{SOLUTION}/0a1b2c3d", "minProvisionedTPS": 1, **answer}


def wanted_campaign(**config: Any) -> dict[str, Any]:
    return {
        "solutionVersionArn": f"{SOLUTION}/0a1b2c3d",
        "minProvisionedTPS": 1,
        "campaignConfig": {
            "enableMetadataWithRecommendations": False,
            "syncWithLatestSolutionVersion": False,
            "rankingInfluence": {},
            **config,
        },
    }


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"enableMetadataWithRecommendations": False},
        {"rankingInfluence": {}},
        {"itemExplorationConfig": {"explorationWeight": "0.3"}},
    ],
)
def test_a_campaign_without_wishes_equals_one_with_the_services_defaults(
    config: dict[str, Any],
) -> None:
    wanted = wanted_campaign()
    assert read.campaign(campaign(campaignConfig=config), wanted) == wanted


def test_only_the_wanted_exploration_settings_count() -> None:
    wanted = wanted_campaign(itemExplorationConfig={"explorationWeight": "0.3"})
    defaults = {"explorationWeight": "0.3", "explorationItemAgeCutOff": "30.0"}
    same = campaign(campaignConfig={"itemExplorationConfig": defaults})
    other = campaign(
        campaignConfig={"itemExplorationConfig": defaults | {"explorationWeight": "1"}}
    )
    assert read.campaign(same, wanted) == wanted
    assert read.campaign(other, wanted) != wanted
    assert read.campaign(campaign(), wanted) != wanted


def test_a_campaign_that_follows_latest_may_show_any_version_of_the_solution() -> None:
    wanted = wanted_campaign(syncWithLatestSolutionVersion=True) | {
        "solutionVersionArn": f"{SOLUTION}/$LATEST"
    }
    config = {"syncWithLatestSolutionVersion": True}
    other = campaign(solutionVersionArn=f"{SOLUTION}-2/0a1b2c3d", campaignConfig=config)
    assert read.campaign(campaign(campaignConfig=config), wanted) == wanted
    assert read.campaign(other, wanted) != wanted


def test_an_update_shows_only_what_was_passed() -> None:
    latest = {"solutionVersionArn": f"{SOLUTION}/ffffffff", "status": "CREATE IN_PROGRESS"}
    assert read.campaign_update(latest, wanted_campaign()) == {
        "solutionVersionArn": f"{SOLUTION}/ffffffff"
    }


def wanted_solution(**fields: Any) -> dict[str, Any]:
    return {
        "datasetGroupArn": GROUP,
        "recipeArn": "arn:aws:personalize:::recipe/aws-sims",
        "performHPO": False,
        "performAutoML": False,
        "performAutoTraining": False,
        "performIncrementalUpdate": False,
        "eventType": None,
        "solutionConfig": {},
        "eventsConfig": {"eventParametersList": []},
        **fields,
    }


def test_what_the_service_fills_into_a_solution_is_no_difference() -> None:
    wanted = wanted_solution(
        solutionConfig={"hpoConfig": {"hpoResourceConfig": {"maxNumberOfTrainingJobs": "5"}}},
        eventsConfig={"eventParametersList": [{"eventType": "watch"}]},
    )
    answer = {
        "datasetGroupArn": GROUP,
        "recipeArn": "arn:aws:personalize:::recipe/aws-sims",
        "solutionConfig": {
            "algorithmHyperParameters": {"popularity_discount_factor": "0.5"},
            "hpoConfig": {
                "hpoResourceConfig": {
                    "maxNumberOfTrainingJobs": "5",
                    "maxParallelTrainingJobs": "5",
                }
            },
            "eventsConfig": {"eventParametersList": [{"eventType": "watch", "weight": 1.0}]},
            "autoTrainingConfig": {"schedulingExpression": "rate(7 days)"},
        },
    }
    assert read.solution(answer, wanted) == wanted


def test_an_old_solution_that_the_service_trains_differs_from_one_it_should_not() -> None:
    answer = {"datasetGroupArn": GROUP, "performAutoTraining": True}
    assert read.solution(answer, wanted_solution())["performAutoTraining"] is True


def test_a_schema_is_the_same_in_any_spelling() -> None:
    wanted = ROWS["Schema"].read(
        {"schema": '{"type":"record","name":"I","fields":[],"version":"1.0"}'}, {}
    )
    spaced = '{ "name": "I", "type": "record",\n "fields": [ ] }'
    other = '{"type":"record","name":"J","fields":[]}'
    assert ROWS["Schema"].read({"schema": spaced}, {}) == wanted
    assert ROWS["Schema"].read({"schema": other}, {}) != wanted


def test_a_status_word_nobody_knows_is_told_and_not_guessed() -> None:
    with pytest.raises(ValueError, match="REBUILDING"):
        ROWS["Campaign"].state({"status": "REBUILDING", "creationDateTime": TIME})
    with pytest.raises(ValueError, match="REBUILDING"):
        update_state({"status": "REBUILDING"})


def test_changes_of_version_and_configuration_go_together_where_either_side_follows_latest() -> (
    None
):
    send = ROWS["Campaign"].send_update
    assert send is not None
    wanted = wanted_campaign()
    following = wanted_campaign(syncWithLatestSolutionVersion=True)
    changed = {"campaignConfig": wanted["campaignConfig"]}
    assert send(changed, wanted, following).keys() == {"campaignConfig", "solutionVersionArn"}
    assert send(changed, wanted, wanted).keys() == {"campaignConfig"}
    assert send({"minProvisionedTPS": 2}, wanted, following) == {"minProvisionedTPS": 2}
