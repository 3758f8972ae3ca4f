"""Faults on request, over HTTP; the call log is the witness of what was executed."""

import time
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.contract.emulator.estate import Service, refusal


def cause(service: Service, **fault: Any) -> int:
    number: int = service.admin("POST", "/_reco/faults", fault)["id"]
    return number


def creations(service: Service, operation: str) -> list[str]:
    calls = service.admin("GET", f"/_reco/calls?operation={operation}&mutating=true")["calls"]
    return [call["outcome"] for call in calls]


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("throttle", "ThrottlingException", 400),
        ("serverError", "InternalFailure", 500),
        ("accessDenied", "AccessDeniedException", 400),
        ("expiredCredentials", "ExpiredTokenException", 400),
    ],
)
def test_a_refusing_fault_hits_as_often_as_asked_and_nothing_is_executed(
    service: Service, kind: str, code: str, status: int
) -> None:
    cause(service, kind=kind, operation="Create*", count=2)
    for _ in range(2):
        found, _, answered = refusal(service.control.create_dataset_group, name="g")
        assert (found, answered) == (code, status)
    assert service.control.create_dataset_group(name="g")
    assert creations(service, "CreateDatasetGroup") == [code, code, "OK"]


def test_a_fault_may_skip_calls_and_choose_names(service: Service) -> None:
    cause(service, kind="throttle", operation="CreateDatasetGroup", name="b*", skip=1, count=1)
    service.control.create_dataset_group(name="b1")
    service.control.create_dataset_group(name="a")
    assert refusal(service.control.create_dataset_group, name="b2")[0] == "ThrottlingException"
    service.control.create_dataset_group(name="b3")


def test_a_fault_may_say_its_own_words(service: Service) -> None:
    cause(service, kind="serverError", code="ServiceUnavailable", message="Later.", status=503)
    assert refusal(service.control.list_schemas) == ("ServiceUnavailable", "Later.", 503)


def test_a_lost_response_is_executed_but_never_answered(service: Service) -> None:
    cause(service, kind="lostResponse", operation="CreateDatasetGroup", count=1)
    with pytest.raises(ConnectionClosedError):
        service.control.create_dataset_group(name="g")
    assert creations(service, "CreateDatasetGroup") == ["LOST"]
    code, _, _ = refusal(service.control.create_dataset_group, name="g")
    assert code == "ResourceAlreadyExistsException"


def test_an_sdk_that_retries_a_lost_creation_learns_that_it_exists(service: Service) -> None:
    cause(service, kind="lostResponse", operation="CreateDatasetGroup", count=1)
    client = boto3.client(
        "personalize",
        endpoint_url=service.url,
        region_name=service.region,
        aws_access_key_id=service.account,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 3}),
    )
    with pytest.raises(ClientError, match="already exists"):
        client.create_dataset_group(name="g")
    assert creations(service, "CreateDatasetGroup") == ["LOST", "ResourceAlreadyExistsException"]


def test_a_creation_fails_with_the_reason_asked_for(service: Service) -> None:
    cause(service, kind="failCreation", operation="CreateDatasetGroup", reason="No key", count=1)
    arn = service.group()
    shown = service.control.describe_dataset_group(datasetGroupArn=arn)["datasetGroup"]
    assert (shown["status"], shown["failureReason"]) == ("CREATE FAILED", "No key")
    listed = service.control.list_dataset_groups()["datasetGroups"][0]
    assert listed["failureReason"] == "No key"
    service.control.delete_dataset_group(datasetGroupArn=arn)


def test_a_failed_training_never_reaches_the_trainer(service: Service) -> None:
    cause(service, kind="failCreation", operation="CreateSolutionVersion", reason="Sparse")
    version = service.version(service.solution(service.filled_group()))
    shown = service.control.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert (shown["status"], shown["failureReason"]) == ("CREATE FAILED", "Sparse")
    assert service.trainer.jobs == {}


def test_a_quota_can_be_lowered_and_restored(service: Service) -> None:
    number = cause(service, kind="quota", resource="DatasetGroup", limit=0)
    code, message, _ = refusal(service.control.create_dataset_group, name="g")
    assert code == "LimitExceededException"
    assert message.startswith("More than 0 resources")
    service.admin("DELETE", f"/_reco/faults?id={number}")
    assert service.admin("GET", "/_reco/faults") == {"faults": []}
    assert service.group()


def test_a_slow_answer_takes_as_long_as_asked(service: Service) -> None:
    cause(service, kind="slow", operation="List*", delaySeconds=0.2, count=1)
    start = time.monotonic()
    service.control.list_schemas()
    assert time.monotonic() - start >= 0.2


def test_lists_can_be_made_to_lag_behind_describe(service: Service) -> None:
    cause(service, kind="laggingLists", lagSeconds=20)
    arn = service.control.create_dataset_group(name="g")["datasetGroupArn"]
    assert service.control.list_dataset_groups()["datasetGroups"] == []
    assert service.control.describe_dataset_group(datasetGroupArn=arn)
    service.pass_time(20)
    assert len(service.control.list_dataset_groups()["datasetGroups"]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "earthquake"},
        {"kind": "throttle", "colour": "red"},
        {"kind": "throttle", "count": "many"},
        {"kind": "failCreation"},
        {"kind": "quota", "resource": "Cheese", "limit": 1},
        {"kind": "throttle", "count": 0},
        {"kind": "throttle", "skip": -1},
        {"kind": "throttle", "status": 99_999},
        {"kind": "throttle", "code": "A\r\nX-Header: b"},
        {"kind": "slow", "delaySeconds": float("nan")},
        {"kind": "slow", "delaySeconds": float("inf")},
        {"kind": "slow", "delaySeconds": -1},
        {"kind": "quota", "resource": "Schema", "limit": 10**400},
        b'{"kind": "throttle", "message": "\\ud800"}',
        ["throttle"],
        None,
    ],
    ids=repr,
)
def test_a_fault_that_would_do_nothing_or_cannot_be_sent_is_refused(
    service: Service, fault: Any
) -> None:
    status, _, body = service.http("POST", "/_reco/faults", fault)
    assert status == 400
    assert body["error"]
