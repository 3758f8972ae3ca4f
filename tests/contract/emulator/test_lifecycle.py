"""Resources over virtual time: durations, updates apart from the top level, deletion in order."""

from collections.abc import Callable
from typing import Any

import pytest

from reco.emulator.testing import in_thread, simulated
from reco.emulator.world import Settings
from tests.contract.emulator.estate import ITEMS, RECIPES, Service, avro, column, refusal


def timeline(service: Service, status: Callable[[], str], seconds: int, step: int) -> list[str]:
    """Collect the states seen, each once, while time passes."""
    seen = [status()]
    for _ in range(0, seconds, step):
        service.pass_time(step)
        if status() != seen[-1]:
            seen.append(status())
    return seen


def status_of(service: Service, kind: str, arn: str) -> str:
    """Describe until the service says it is gone."""
    describe = getattr(service.control, f"describe_{kind}")
    member = "".join(part.capitalize() for part in kind.split("_"))
    member = member[0].lower() + member[1:]
    try:
        answer: dict[str, Any] = describe(**{f"{member}Arn": arn})
    except service.control.exceptions.ResourceNotFoundException:
        return "gone"
    status: str = answer[member]["status"]
    return status


CREATION = ["CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE"]


def test_creations_pass_through_the_recorded_states_in_the_recorded_time(service: Service) -> None:
    def watch(kind: str, arn: str, seconds: int) -> list[str]:
        return timeline(service, lambda: status_of(service, kind, arn), seconds, 10)

    group = service.control.create_dataset_group(name="g")["datasetGroupArn"]
    assert watch("dataset_group", group, 30) == ["CREATE PENDING", "ACTIVE"]
    solution = service.solution(group)
    assert status_of(service, "solution", solution) == "ACTIVE"
    version = service.control.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    assert watch("solution_version", version, 1350) == CREATION
    campaign = service.control.create_campaign(name="c", solutionVersionArn=version)["campaignArn"]
    assert watch("campaign", campaign, 600) == CREATION
    service.control.delete_campaign(campaignArn=campaign)
    assert watch("campaign", campaign, 990) == ["DELETE PENDING", "DELETE IN_PROGRESS", "gone"]


def test_nothing_may_be_built_on_what_is_not_active(service: Service) -> None:
    group = service.control.create_dataset_group(name="g")["datasetGroupArn"]
    call = {"name": "s", "datasetGroupArn": group, "recipeArn": RECIPES + "aws-sims"}
    code, message, _ = refusal(service.control.create_solution, **call)
    assert (code, message) == (
        "ResourceInUseException",
        f"The given dataset group must be in the ACTIVE state: {group}",
    )
    service.pass_time(30)
    assert service.control.create_solution(**call)


def test_a_campaign_update_shows_apart_and_serves_the_old_version_until_it_succeeds(
    service: Service,
) -> None:
    solution = service.solution(service.filled_group())
    old, new = service.version(solution), service.version(solution)
    campaign = service.campaign(old)

    def describe() -> dict[str, Any]:
        shown: dict[str, Any] = service.control.describe_campaign(campaignArn=campaign)["campaign"]
        return shown

    assert "latestCampaignUpdate" not in describe()
    service.control.update_campaign(campaignArn=campaign, solutionVersionArn=new)
    service.pass_time(60)
    during = describe()
    assert (during["status"], during["solutionVersionArn"]) == ("ACTIVE", old)
    assert set(during["latestCampaignUpdate"]) == {
        "solutionVersionArn", "status", "creationDateTime", "lastUpdatedDateTime",
    }  # fmt: skip
    assert during["latestCampaignUpdate"]["status"] == "CREATE IN_PROGRESS"
    assert during["lastUpdatedDateTime"] > during["creationDateTime"]
    assert service.runtime.get_recommendations(campaignArn=campaign, userId="1")["itemList"]
    service.pass_time(840)
    after = describe()
    assert after["solutionVersionArn"] == new
    assert after["latestCampaignUpdate"]["status"] == "ACTIVE"


def test_a_failed_campaign_update_leaves_the_old_version_serving(service: Service) -> None:
    solution = service.solution(service.filled_group())
    old, new = service.version(solution), service.version(solution)
    campaign = service.campaign(old)
    service.admin(
        "POST",
        "/_reco/faults",
        {"kind": "failCreation", "operation": "UpdateCampaign", "reason": "No capacity"},
    )
    service.control.update_campaign(campaignArn=campaign, solutionVersionArn=new)
    service.pass_time(840)
    shown = service.control.describe_campaign(campaignArn=campaign)["campaign"]
    assert (shown["status"], shown["solutionVersionArn"]) == ("ACTIVE", old)
    assert shown["latestCampaignUpdate"]["status"] == "CREATE FAILED"
    assert shown["latestCampaignUpdate"]["failureReason"] == "No capacity"


def test_a_campaign_on_latest_follows_every_new_version(service: Service) -> None:
    solution = service.solution(service.filled_group())
    first = service.version(solution)
    follow = {"syncWithLatestSolutionVersion": True}
    campaign = service.campaign(f"{solution}/$LATEST", campaignConfig=follow)
    shown = service.control.describe_campaign(campaignArn=campaign)["campaign"]
    assert (shown["solutionVersionArn"], shown["campaignConfig"]) == (first, follow)
    second = service.version(solution)
    shown = service.control.describe_campaign(campaignArn=campaign)["campaign"]
    assert shown["solutionVersionArn"] == second
    code, _, _ = refusal(
        service.control.create_campaign, name="x", solutionVersionArn=f"{solution}/$LATEST"
    )
    assert code == "InvalidInputException"


def test_a_dataset_takes_a_new_schema_that_keeps_its_fields(service: Service) -> None:
    dataset = service.dataset(service.group(), service.schema("old", ITEMS), "Items")
    wider = avro(
        column("ITEM_ID", "string"),
        column("GENRES", "string", "null"),
        column("PRICE", "float", "null"),
        name="Items",
    )
    new = service.schema("new", wider)

    def update() -> str:
        shown = service.control.describe_dataset(datasetArn=dataset)["dataset"]
        assert shown["status"] == "ACTIVE"
        word: str = shown["latestDatasetUpdate"]["status"]
        return word

    service.control.update_dataset(datasetArn=dataset, schemaArn=new)
    assert timeline(service, update, 110, 5) == ["UPDATE PENDING", "UPDATE IN_PROGRESS", "ACTIVE"]
    assert service.control.describe_dataset(datasetArn=dataset)["dataset"]["schemaArn"] == new
    narrower = service.schema(
        "narrow", avro(column("ITEM_ID", "string"), column("X", "int", "null"))
    )
    code, message, _ = refusal(
        service.control.update_dataset, datasetArn=dataset, schemaArn=narrower
    )
    assert code == "InvalidInputException"
    assert "[GENRES, PRICE]" in message


def test_a_pending_training_stops_at_once_and_a_running_one_by_stages(service: Service) -> None:
    solution = service.solution(service.filled_group())

    def start() -> str:
        arn: str = service.control.create_solution_version(solutionArn=solution)[
            "solutionVersionArn"
        ]
        return arn

    pending = start()
    service.control.stop_solution_version_creation(solutionVersionArn=pending)
    assert status_of(service, "solution_version", pending) == "CREATE STOPPED"
    running = start()
    service.pass_time(120)
    service.control.stop_solution_version_creation(solutionVersionArn=running)
    assert status_of(service, "solution_version", running) == "CREATE STOPPING"
    service.pass_time(60)
    assert status_of(service, "solution_version", running) == "CREATE STOPPED"
    code, _, _ = refusal(service.control.delete_solution, solutionArn="arn:aws:personalize:::x")
    assert code in {"AccessDeniedException", "ResourceNotFoundException"}
    service.control.delete_solution(solutionArn=solution)
    service.pass_time(60)
    assert status_of(service, "solution_version", pending) == "gone"


def test_a_version_waits_for_its_real_training(service: Service) -> None:
    service.trainer.hold_all = True
    solution = service.solution(service.filled_group())
    version = service.version(solution)
    service.pass_time(10_000)
    assert status_of(service, "solution_version", version) == "CREATE IN_PROGRESS"
    service.trainer.held.clear()
    assert status_of(service, "solution_version", version) == "ACTIVE"


def test_a_training_without_enough_data_fails_with_the_reason(service: Service) -> None:
    reason = "Dataset has fewer than 25 users with at least 2 interactions each"
    service.trainer.fail_next.append(reason)
    solution = service.solution(service.filled_group())
    version = service.version(solution)
    shown = service.control.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert (shown["status"], shown["failureReason"]) == ("CREATE FAILED", reason)
    assert "trainingHours" not in shown
    listed = service.control.list_solution_versions(solutionArn=solution)["solutionVersions"]
    assert listed[0]["failureReason"] == reason
    code, _, _ = refusal(service.control.create_campaign, name="c", solutionVersionArn=version)
    assert code == "InvalidInputException"


DAY = 86_400


def versions(service: Service, solution: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.control.list_solution_versions(solutionArn=solution)[
        "solutionVersions"
    ]
    return found


def test_a_solution_is_trained_every_week_unless_told_not_to(service: Service) -> None:
    group = service.filled_group()
    call = {"datasetGroupArn": group, "recipeArn": RECIPES + "aws-sims"}
    ours = service.control.create_solution(name="ours", performAutoTraining=False, **call)
    theirs = service.control.create_solution(name="theirs", **call)["solutionArn"]
    service.pass_time(3600)
    assert [one["trainingType"] for one in versions(service, theirs)] == ["AUTOMATIC"]
    service.pass_time(7 * DAY)
    assert len(versions(service, theirs)) == 1, "no interactions arrived since"
    service.imported(f"{group.replace('dataset-group', 'dataset')}/INTERACTIONS", "again")
    service.pass_time(7 * DAY)
    assert len(versions(service, theirs)) == 2
    assert versions(service, ours["solutionArn"]) == []


def test_a_training_by_hand_in_the_first_hour_takes_the_place_of_the_automatic_one(
    service: Service,
) -> None:
    group = service.filled_group()
    solution = service.solution(group, performAutoTraining=True)
    service.version(solution)
    service.pass_time(6 * DAY)
    assert [one["trainingType"] for one in versions(service, solution)] == ["MANUAL"]


def test_updating_a_solution_turns_automatic_training_off(service: Service) -> None:
    solution = service.solution(service.filled_group(), performAutoTraining=True)
    service.control.update_solution(solutionArn=solution, performAutoTraining=False)
    service.pass_time(30)
    shown = service.control.describe_solution(solutionArn=solution)["solution"]
    assert shown["performAutoTraining"] is False
    assert shown["latestSolutionUpdate"]["status"] == "ACTIVE"
    service.pass_time(30 * DAY)
    assert versions(service, solution) == []


def test_an_estate_can_only_be_deleted_in_order(service: Service) -> None:
    control = service.control
    group, campaign = service.serving()
    tracker, _ = service.tracker(group)
    dataset = control.list_datasets(datasetGroupArn=group)["datasets"][0]["datasetArn"]
    schema = control.list_schemas()["schemas"][0]["schemaArn"]
    solution = control.list_solutions(datasetGroupArn=group)["solutions"][0]["solutionArn"]
    in_order: list[tuple[Any, dict[str, str]]] = [
        (control.delete_campaign, {"campaignArn": campaign}),
        (control.delete_solution, {"solutionArn": solution}),
        (control.delete_event_tracker, {"eventTrackerArn": tracker}),
        (control.delete_dataset, {"datasetArn": dataset}),
        (control.delete_dataset_group, {"datasetGroupArn": group}),
    ]
    assert (
        refusal(control.delete_dataset_group, datasetGroupArn=group)[0] == "ResourceInUseException"
    )
    assert refusal(control.delete_solution, solutionArn=solution)[0] == "ResourceInUseException"
    assert refusal(control.delete_dataset, datasetArn=dataset)[0] == "ResourceInUseException"
    assert refusal(control.delete_schema, schemaArn=schema)[0] == "ResourceInUseException"
    for delete, target in in_order:
        delete(**target)
        assert refusal(delete, **target)[0] == "ResourceInUseException"
        service.pass_time(1000)
        assert refusal(delete, **target)[0] == "ResourceNotFoundException"
    control.delete_schema(schemaArn=schema)
    assert service.admin("GET", "/_reco/health")["resources"] == {}


def test_a_repeated_version_name_is_accepted_by_switch_and_makes_a_second_version() -> None:
    settings = Settings(refuse_repeated_version_names=False, list_lag=60)
    world = simulated(settings=settings)
    with in_thread(world.emulator) as url:
        service = Service(url, world.emulator, world.trainer, world.objects)
        solution = service.solution(service.filled_group())
        first = service.control.create_solution_version(solutionArn=solution, name="monday")
        second = service.control.create_solution_version(solutionArn=solution, name="monday")
        assert first["solutionVersionArn"] != second["solutionVersionArn"]
        assert versions(service, solution) == [], "lists lag"
        service.pass_time(60)
        assert len(versions(service, solution)) == 2
        assert all("name" not in one for one in versions(service, solution))


def test_an_update_training_needs_an_active_version_and_a_recipe_that_can(service: Service) -> None:
    group = service.filled_group()
    solution = service.solution(group, "personal")
    call = {"solutionArn": solution, "trainingMode": "UPDATE"}
    assert refusal(service.control.create_solution_version, **call)[0] == "InvalidInputException"
    service.version(solution)
    assert service.control.create_solution_version(**call)
    sims = {"solutionArn": service.solution(group, "sims", "aws-sims"), "trainingMode": "UPDATE"}
    assert refusal(service.control.create_solution_version, **sims)[0] == "InvalidInputException"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"solutionConfig": {"algorithmHyperParameters": {"refused": "1"}}}, "does not know it"),
        ({"solutionConfig": {"autoTrainingConfig": {"schedulingExpression": "rate(31 days)"}}},
         "1 to 30 days"),
        ({"recipe": "aws-item-affinity"}, "not implemented"),
        ({"recipe": "aws-vod-top-picks"}, "recommenders"),
    ],
)  # fmt: skip
def test_a_solution_that_cannot_be_trained_is_refused(
    service: Service, more: dict[str, Any], text: str
) -> None:
    group = service.group()
    with pytest.raises(service.control.exceptions.InvalidInputException, match=text):
        service.solution(group, **more)


def test_foreign_regions_and_accounts_see_nothing_of_each_other(service: Service) -> None:
    group = service.group()
    abroad = service.elsewhere(region="us-east-1")
    assert abroad.control.list_dataset_groups()["datasetGroups"] == []
    code, _, _ = refusal(abroad.control.describe_dataset_group, datasetGroupArn=group)
    assert code == "ResourceNotFoundException"
    stranger = service.elsewhere(account="999999999999")
    assert stranger.control.list_dataset_groups()["datasetGroups"] == []
    code, _, _ = refusal(stranger.control.describe_dataset_group, datasetGroupArn=group)
    assert code == "AccessDeniedException"


def test_lists_are_in_arn_order_or_most_recently_updated_first(service: Service) -> None:
    group = service.group()
    for name in ("bravo", "Zulu", "alpha"):
        service.solution(group, name)
        service.pass_time(5)

    def names(**filters: str) -> list[str]:
        return [one["name"] for one in service.control.list_solutions(**filters)["solutions"]]

    assert names() == ["Zulu", "alpha", "bravo"]
    assert names(datasetGroupArn=group) == ["alpha", "Zulu", "bravo"]


def test_pages_carry_on_after_the_last_item_even_if_that_is_gone(service: Service) -> None:
    for name in ("a", "b", "c", "d"):
        service.schema(name)
    first = service.control.list_schemas(maxResults=2)
    assert [one["name"] for one in first["schemas"]] == ["a", "b"]
    service.control.delete_schema(schemaArn=first["schemas"][1]["schemaArn"])
    second = service.control.list_schemas(maxResults=2, nextToken=first["nextToken"])
    assert [one["name"] for one in second["schemas"]] == ["c", "d"]
    assert "nextToken" not in second
    code, _, _ = refusal(service.control.list_schemas, nextToken="garbage")
    assert code == "InvalidNextTokenException"
