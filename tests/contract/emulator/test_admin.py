"""The emulator's own API: the call log, the clock, reset; and that a restart loses nothing."""

from pathlib import Path
from typing import Any

import pytest

from reco.emulator.testing import in_thread, simulated
from tests.contract.emulator.estate import ACCOUNT, REGION, Service, refusal


def test_the_log_tells_every_request_with_its_outcome(service: Service) -> None:
    service.group("movies")
    refusal(service.control.create_dataset_group, name="movies")
    service.http("POST", "/", b"{}")
    calls = service.admin("GET", "/_reco/calls")["calls"]
    assert [(call["operation"], call["outcome"], call["mutating"]) for call in calls] == [
        ("CreateDatasetGroup", "OK", True),
        ("CreateDatasetGroup", "ResourceAlreadyExistsException", True),
        ("POST /", "UnknownOperationException", False),
    ]
    first = calls[0]
    assert first["parameters"] == {"name": "movies"}
    assert (first["region"], first["account"]) == (REGION, ACCOUNT)
    assert first["answer"]["datasetGroupArn"].endswith("/movies")
    assert first["time"] == 1_700_000_000.0


def test_the_log_is_read_in_pages_and_filtered(service: Service) -> None:
    for _ in range(3):
        service.control.list_schemas()
    service.schema()
    page = service.admin("GET", "/_reco/calls?limit=2")
    assert (len(page["calls"]), page["next"]) == (2, page["calls"][-1]["id"])
    rest = service.admin("GET", f"/_reco/calls?after={page['next']}")
    assert (len(rest["calls"]), rest["next"]) == (2, None)
    assert len(service.admin("GET", "/_reco/calls?limit=0")["calls"]) == 1, "at least one"
    mutating = service.admin("GET", "/_reco/calls?mutating=true")["calls"]
    assert [call["operation"] for call in mutating] == ["CreateSchema"]
    lists = service.admin("GET", "/_reco/calls?operation=ListSchemas")["calls"]
    assert len(lists) == 3


def test_the_clock_moves_by_hand_and_only_forward(service: Service) -> None:
    before = service.admin("GET", "/_reco/clock")["now"]
    assert service.admin("POST", "/_reco/clock", {"advanceSeconds": 90.5})["now"] == before + 90.5
    for wrong in ({"advanceSeconds": -1}, {"advanceSeconds": "1"}, {"advanceSeconds": 1e300}, {}):
        assert service.http("POST", "/_reco/clock", wrong or b"{}")[0] == 400
    service.control.create_dataset_group(name="g")
    assert service.admin("GET", "/_reco/clock")["nextEvent"] == before + 90.5 + 30


def test_a_reset_forgets_everything_but_the_time(service: Service) -> None:
    group, _ = service.serving()
    service.admin("POST", "/_reco/faults", {"kind": "throttle", "operation": "CreateCampaign"})
    now = service.admin("GET", "/_reco/clock")["now"]
    assert service.admin("POST", "/_reco/reset")["now"] == now
    assert service.admin("GET", "/_reco/health")["resources"] == {}
    assert service.admin("GET", "/_reco/faults")["faults"] == []
    assert service.admin("GET", "/_reco/calls")["calls"] == []
    code, _, _ = refusal(service.control.describe_dataset_group, datasetGroupArn=group)
    assert code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_reco/nothing", 404),
        ("PUT", "/_reco/clock", 404),
        ("GET", "/_reco/calls?after=x", 400),
        ("GET", "/_reco/calls?colour=red", 400),
        ("GET", "/_reco/calls?mutating=maybe", 400),
        ("DELETE", "/_reco/faults?id=-1", 400),
    ],
)
def test_a_wrong_admin_request_is_told_what_is_allowed(
    service: Service, method: str, path: str, status: int
) -> None:
    answered, _, body = service.http(method, path)
    assert answered == status
    assert body["error"]


def snapshot(service: Service, group: str) -> dict[str, Any]:
    control = service.control
    answers = {
        "group": control.describe_dataset_group(datasetGroupArn=group)["datasetGroup"],
        "versions": control.list_solution_versions()["solutionVersions"],
        "campaigns": control.list_campaigns()["campaigns"],
        "tags": control.list_tags_for_resource(resourceArn=group)["tags"],
        "trackers": control.list_event_trackers()["eventTrackers"],
    }
    return {**answers, "now": service.admin("GET", "/_reco/clock")["now"]}


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    state = str(tmp_path / "state.db")
    world = simulated(state=state)
    with in_thread(world.emulator) as url:
        service = Service(url, world.emulator, world.trainer, world.objects)
        group, _ = service.serving()
        service.control.tag_resource(resourceArn=group, tags=[{"tagKey": "a", "tagValue": "b"}])
        _, tracking = service.tracker(group)
        event = {"eventType": "watch", "itemId": "1", "sentAt": 1}
        service.events.put_events(trackingId=tracking, userId="7", sessionId="s", eventList=[event])
        solution = service.control.list_solutions()["solutions"][0]["solutionArn"]
        unfinished = service.control.create_solution_version(solutionArn=solution)
        service.admin("POST", "/_reco/faults", {"kind": "throttle", "operation": "CreateSchema"})
        before = snapshot(service, group)
        logged = len(service.admin("GET", "/_reco/calls")["calls"])
    world.emulator.close()

    world = simulated(state=state, seed=1)
    with in_thread(world.emulator) as url:
        service = Service(url, world.emulator, world.trainer, world.objects)
        assert len(service.admin("GET", "/_reco/calls")["calls"]) == logged
        assert snapshot(service, group) == before
        code, _, _ = refusal(service.control.create_schema, name="x", schema="{}")
        assert code == "ThrottlingException"
        arn = unfinished["solutionVersionArn"]
        job = world.trainer.jobs[arn]
        assert job.interactions["ITEM_ID"][-1] == "1", "trainings start again with their data"
        service.pass_time()
        shown = service.control.describe_solution_version(solutionVersionArn=arn)
        assert shown["solutionVersion"]["status"] == "ACTIVE"
    world.emulator.close()


def test_the_same_seed_and_calls_give_the_same_answers() -> None:
    def play() -> list[Any]:
        world = simulated(seed=5)
        emulator = world.emulator
        group = emulator.call("personalize", "CreateDatasetGroup", {"name": "g"}, region="r")
        emulator.advance(30)
        tracker = emulator.call(
            "personalize",
            "CreateEventTracker",
            {"name": "t", **group},
            region="r",
        )
        emulator.close()
        return [group, tracker]

    assert play() == play()
