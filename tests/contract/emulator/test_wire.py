"""What is on the wire byte for byte: encoding, headers, exact members, defaults echoed."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco.emulator.conformance import nonconformities
from reco.emulator.encoding import encode, java_double
from tests.contract.emulator.estate import INTERACTIONS, ITEMS, RECIPES, Service, refusal

STAMPS = {"creationDateTime", "lastUpdatedDateTime"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1637897903.645, "1.637897903645E9"),
        (1560124800.0, "1.5601248E9"),
        (0.0, "0.0"),
        (2.265e-4, "2.265E-4"),
        (7.17e-5, "7.17E-5"),
        (0.001, "0.001"),
        (0.8449224, "0.8449224"),
        (1.0, "1.0"),
        (9999999.0, "9999999.0"),
        (10000000.0, "1.0E7"),
        (-12.5, "-12.5"),
    ],
)
def test_numbers_are_printed_as_java_prints_doubles(value: float, text: str) -> None:
    assert java_double(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_printed_number_reads_back_as_itself(value: float) -> None:
    assert float(java_double(value)) == value


def test_answers_are_compact_json_with_timestamps_in_seconds() -> None:
    moment = datetime(2021, 11, 26, 3, 38, 23, 645000, tzinfo=UTC)
    assert encode({"a": [1, True, moment], "b": {"c": "é"}}) == (
        '{"a":[1,true,1.637897903645E9],"b":{"c":"é"}}'
    )


def test_an_empty_list_is_twenty_bytes_without_a_token(service: Service) -> None:
    headers, body = service.raw("ListDatasetGroups")
    assert body == b'{"datasetGroups":[]}'
    assert headers["content-length"] == "20"
    assert headers["content-type"] == "application/x-amz-json-1.1"


def test_control_plane_answers_carry_the_headers_of_today(service: Service) -> None:
    headers, _ = service.raw("ListDatasetGroups")
    assert headers["strict-transport-security"] == "max-age=47304000; includeSubDomains"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-requestid"])


def test_a_deletion_answers_with_an_empty_body(service: Service) -> None:
    headers, body = service.raw("DeleteSchema", schemaArn=service.schema())
    assert (body, headers["content-length"]) == (b"", "0")


def test_timestamps_on_the_wire_are_java_doubles(service: Service) -> None:
    group = service.group()
    _, body = service.raw("DescribeDatasetGroup", datasetGroupArn=group)
    assert b'"creationDateTime":1.7E9' in body
    assert b'"lastUpdatedDateTime":1.70000003E9' in body


def members(answer: dict[str, Any]) -> set[str]:
    return set(answer) - {"ResponseMetadata"}


def test_create_answers_have_exactly_one_key_but_for_the_recorded_exceptions(
    service: Service,
) -> None:
    plain = service.control.create_dataset_group(name="custom")
    domain = service.control.create_dataset_group(name="domain", domain="ECOMMERCE")
    service.pass_time(30)
    tracker = service.control.create_event_tracker(
        name="t", datasetGroupArn=plain["datasetGroupArn"]
    )
    assert members(plain) == {"datasetGroupArn"}
    assert members(domain) == {"datasetGroupArn", "domain"}
    assert members(tracker) == {"eventTrackerArn", "trackingId"}
    assert re.fullmatch(r".*:event-tracker/[0-9a-f]{8}", tracker["eventTrackerArn"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", tracker["trackingId"])


def test_describe_shows_exactly_the_recorded_members(service: Service) -> None:
    control = service.control
    schema = service.schema()
    group = service.group()
    dataset = service.dataset(group, schema)
    service.imported(dataset)
    solution = service.solution(group, recipe="aws-sims")
    untrained = control.describe_solution(solutionArn=solution)["solution"]
    version = service.version(solution)
    campaign = service.campaign(version)
    tracker, _ = service.tracker(group)

    assert set(control.describe_schema(schemaArn=schema)["schema"]) == {
        "name", "schemaArn", "schema", *STAMPS,
    }  # fmt: skip
    assert set(control.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]) == {
        "name", "datasetGroupArn", "status", *STAMPS,
    }  # fmt: skip
    assert set(control.describe_dataset(datasetArn=dataset)["dataset"]) == {
        "name", "datasetArn", "datasetGroupArn", "datasetType", "schemaArn", "status", *STAMPS,
    }  # fmt: skip
    assert set(untrained) == {
        "name", "solutionArn", "performHPO", "performAutoML", "performAutoTraining", "recipeArn",
        "datasetGroupArn", "status", *STAMPS,
    }  # fmt: skip
    trained = control.describe_solution(solutionArn=solution)["solution"]
    assert set(trained) - set(untrained) == {"latestSolutionVersion"}
    shown = control.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert set(shown) == {
        "name", "solutionVersionArn", "solutionArn", "performHPO", "performAutoML", "recipeArn",
        "datasetGroupArn", "trainingHours", "trainingMode", "trainingType", "status", *STAMPS,
    }  # fmt: skip
    assert set(control.describe_campaign(campaignArn=campaign)["campaign"]) == {
        "name", "campaignArn", "solutionVersionArn", "minProvisionedTPS", "campaignConfig",
        "status", *STAMPS,
    }  # fmt: skip
    assert set(control.describe_event_tracker(eventTrackerArn=tracker)["eventTracker"]) == {
        "name", "eventTrackerArn", "accountId", "trackingId", "datasetGroupArn", "status", *STAMPS,
    }  # fmt: skip


def test_defaults_are_echoed_as_recorded(service: Service) -> None:
    group = service.filled_group()
    solution = service.solution(group, "sims", "aws-sims")
    personal = service.solution(group, "personal", "aws-user-personalization")
    version = service.version(solution)
    campaign = service.campaign(version)
    shown = service.control.describe_solution(solutionArn=solution)["solution"]
    assert (shown["performHPO"], shown["performAutoML"]) == (False, False)
    assert "solutionConfig" not in shown
    answer = service.control.describe_solution(solutionArn=personal)["solution"]
    assert answer["solutionConfig"] == {}
    shown = service.control.describe_campaign(campaignArn=campaign)["campaign"]
    assert (shown["minProvisionedTPS"], shown["campaignConfig"]) == (1, {})
    shown = service.control.describe_solution_version(solutionVersionArn=version)
    name = shown["solutionVersion"]["name"]
    assert version.endswith(f":solution/{name}")
    assert re.fullmatch(r"sims/[0-9a-f]{8}", name)


def test_the_schema_is_echoed_verbatim(service: Service) -> None:
    spaced = INTERACTIONS.replace(",", " ,  ")
    arn = service.schema(text=spaced)
    assert service.control.describe_schema(schemaArn=arn)["schema"]["schema"] == spaced


def test_a_dataset_is_named_in_its_arn_by_group_and_type(service: Service) -> None:
    arn = service.dataset(service.group("shop"), service.schema(text=ITEMS), "items", "anything")
    assert arn.endswith(":dataset/shop/ITEMS")
    assert service.control.describe_dataset(datasetArn=arn)["dataset"]["name"] == "anything"


def test_metrics_are_eight_names_in_alphabetical_order_with_four_decimals(
    service: Service,
) -> None:
    version = service.version(service.solution(service.filled_group()))
    _, body = service.raw("GetSolutionMetrics", solutionVersionArn=version)
    metrics = json.loads(body)["metrics"]
    assert list(metrics) == sorted(metrics)
    assert len(metrics) == 8
    assert all(round(value, 4) == value for value in metrics.values())


def test_tags_are_apart_from_describe(service: Service) -> None:
    tags = [{"tagKey": "team", "tagValue": "media"}]
    group = service.group(tags=tags)
    assert (
        "tags" not in service.control.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
    )
    service.control.tag_resource(
        resourceArn=group,
        tags=[{"tagKey": "a", "tagValue": ""}, {"tagKey": "team", "tagValue": "x"}],
    )
    service.control.untag_resource(resourceArn=group, tagKeys=["a", "never-there"])
    answer = service.control.list_tags_for_resource(resourceArn=group)
    assert answer["tags"] == [{"tagKey": "team", "tagValue": "x"}]


def test_a_resource_has_at_most_fifty_tags(service: Service) -> None:
    tags = [{"tagKey": str(number), "tagValue": ""} for number in range(50)]
    group = service.group(tags=tags)
    one_more = [{"tagKey": "one", "tagValue": "more"}]
    code, _, _ = refusal(service.control.tag_resource, resourceArn=group, tags=one_more)
    assert code == "TooManyTagsException"


def control_call(
    service: Service, target: str | None, body: bytes = b"{}", **headers: str
) -> tuple[int, dict[str, str], Any]:
    sent = {"Authorization": service.authorization(), **headers}
    if target is not None:
        sent["X-Amz-Target"] = target
    return service.http("POST", "/", body, sent)


def test_a_wrong_target_prefix_is_an_unknown_operation_of_38_bytes(service: Service) -> None:
    status, headers, body = control_call(service, "AWSConciergeControlService.ListDatasetGroups")
    assert (status, headers["content-length"]) == (400, "38")
    assert body == {"__type": "UnknownOperationException"}


def test_a_request_without_a_signature_is_refused(service: Service) -> None:
    status, _, body = service.http(
        "POST", "/", b"{}", {"X-Amz-Target": "AmazonPersonalize.ListDatasetGroups"}
    )
    assert (status, body["__type"]) == (400, "MissingAuthenticationTokenException")
    status, headers, _ = service.http("POST", "/recommendations", b"{}")
    assert (status, headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    ("operation", "body", "code", "text"),
    [
        ("CreateSchema", {"name": "x"}, "ValidationException",
         "1 validation error detected: Value null at 'schema' failed to satisfy constraint: "
         "Member must not be null"),
        ("CreateDatasetGroup", {"name": "-"}, "ValidationException",
         "1 validation error detected: Value '-' at 'name' failed to satisfy constraint: Member "
         "must satisfy regular expression pattern: ^[a-zA-Z0-9][a-zA-Z0-9\\-_]*"),
        ("CreateDatasetGroup", {"name": "x" * 64}, "ValidationException",
         f"1 validation error detected: Value '{'x' * 64}' at 'name' failed to satisfy constraint: "
         "Member must have length less than or equal to 63"),
        ("CreateDatasetGroup", {"name": "x", "domain": "MUSIC"}, "ValidationException",
         "1 validation error detected: Value 'MUSIC' at 'domain' failed to satisfy constraint: "
         "Member must satisfy enum value set: [ECOMMERCE, VIDEO_ON_DEMAND]"),
        ("ListCampaigns", {"maxResults": 101}, "ValidationException",
         "1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: "
         "Member must have value less than or equal to 100"),
        ("CreateDatasetGroup", {"name": "x", "colour": "red"}, "ValidationException",
         "1 validation error detected: Unknown member at 'colour': CreateDatasetGroupRequest has "
         "no such member"),
        ("CreateDatasetGroup", {"name": 7}, "SerializationException",
         "Value at 'name' must be of type string, not int"),
    ],
)  # fmt: skip
def test_a_request_that_breaks_the_model_is_refused(
    service: Service, operation: str, body: dict[str, Any], code: str, text: str
) -> None:
    status, _, answer = control_call(
        service, f"AmazonPersonalize.{operation}", json.dumps(body).encode()
    )
    assert (status, answer) == (400, {"__type": code, "message": text})


def test_an_operation_of_a_later_kind_says_that_it_is_not_implemented(service: Service) -> None:
    code, message, status = refusal(
        service.control.create_filter,
        name="f",
        datasetGroupArn=service.group(),
        filterExpression="EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('x')",
    )
    assert (code, status) == ("NotImplementedException", 501)
    assert "CreateFilter" in message
    health = service.admin("GET", "/_reco/health")
    assert "CreateFilter" in health["notImplemented"]["personalize"]
    assert "CreateCampaign" in health["implemented"]["personalize"]


def test_the_checker_itself_finds_what_it_is_for() -> None:
    def found(body: bytes, operation: str = "DescribeSchema") -> list[str]:
        return nonconformities("personalize", operation, body)

    assert found(b'{"schema":{"name":"a","creationDateTime":1.0}}') == []
    assert found(b'{"schema":{"color":"a"}}') == ["DescribeSchema.schema.color is unknown"]
    assert found(b'{"schema":{"name":null}}')
    assert found(b'{"schema":{"creationDateTime":"today"}}')
    assert found(b"{}", "DeleteSchema")
    assert found(b"")


def test_recipes_come_in_short_pages(service: Service) -> None:
    first = service.control.list_recipes()
    assert len(first["recipes"]) == 12
    assert first["nextToken"].startswith("AYAD")
    pages = list(service.control.get_paginator("list_recipes").paginate(domain="VIDEO_ON_DEMAND"))
    assert [len(page["recipes"]) for page in pages] == [0, 5]
    ecommerce = service.control.list_recipes(domain="ECOMMERCE")
    assert len(ecommerce["recipes"]) == 5
    assert "nextToken" not in ecommerce
    arn = RECIPES + "aws-sims"
    assert service.control.describe_recipe(recipeArn=arn)["recipe"]["recipeType"] == "RELATED_ITEMS"
