"""The recorded refusals of the real service, row by row: code, text and HTTP status."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.emulator.estate import (
    ACCOUNT,
    INTERACTIONS,
    RECIPES,
    REGION,
    ROLE,
    Service,
    avro,
    column,
    interactions_csv,
    refusal,
)

Arrange = Callable[[Service], tuple[Any, dict[str, Any], str]]

EXISTS = "ResourceAlreadyExistsException"
MISSING = "ResourceNotFoundException"
IN_USE = "ResourceInUseException"
LIMIT = "LimitExceededException"
INVALID = "InvalidInputException"
DENIED = "AccessDeniedException"

S3_PRIVILEGES = (
    "Insufficient privileges for accessing data in S3. Please look at "
    "https://docs.aws.amazon.com/personalize/latest/dg/granting-personalize-s3-access.html and "
    "ensure your role is configured correctly."
)
BAD_ROWS = (
    "Input csv has rows that do not conform to the dataset schema. Please ensure all required data "
    "fields are present and that they are of the type specified in the schema."
)


def arn(suffix: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:personalize:{REGION}:{account}:{suffix}"


def exists(suffix: str) -> str:
    return f"Another resource with Arn {arn(suffix)} already exists."


def group_again(s: Service) -> Any:
    s.group("one")
    return s.control.create_dataset_group, {"name": "one"}, exists("dataset-group/one")


def schema_again(s: Service) -> Any:
    s.schema("one")
    return s.control.create_schema, {"name": "one", "schema": INTERACTIONS}, exists("schema/one")


def solution_again(s: Service) -> Any:
    group = s.group()
    s.solution(group, "one")
    call = {"name": "one", "datasetGroupArn": group, "recipeArn": RECIPES + "aws-sims"}
    return s.control.create_solution, call, exists("solution/one")


def campaign_again(s: Service) -> Any:
    version = s.version(s.solution(s.filled_group()))
    s.campaign(version, "one")
    call = {"name": "one", "solutionVersionArn": version}
    return s.control.create_campaign, call, exists("campaign/one")


def import_again(s: Service) -> Any:
    dataset = s.dataset(s.group(), s.schema())
    s.imported(dataset, "one")
    call = {
        "jobName": "one",
        "datasetArn": dataset,
        "dataSource": {"dataLocation": "s3://bucket/one.csv"},
        "roleArn": ROLE,
    }
    return s.control.create_dataset_import_job, call, exists("dataset-import-job/one")


def version_again(s: Service) -> Any:
    solution = s.solution(s.filled_group())
    version = s.version(solution, name="monday")
    call = {"solutionArn": solution, "name": "monday"}
    text = f"Another resource with Arn {version} already exists."
    return s.control.create_solution_version, call, text


def dataset_type_again(s: Service) -> Any:
    group, schema = s.group(), s.schema()
    s.dataset(group, schema, name="first")
    call = {
        "name": "second",
        "schemaArn": schema,
        "datasetGroupArn": group,
        "datasetType": "interactions",
    }
    text = "Another dataset of type: INTERACTIONS already exists in the provided dataset group"
    return s.control.create_dataset, call, text


def tracker_again(s: Service) -> Any:
    group = s.group()
    tracker, _ = s.tracker(group)
    text = f"EventTracker {tracker} already exists for DatasetGroup {group}"
    return s.control.create_event_tracker, {"name": "two", "datasetGroupArn": group}, text


def no_group(s: Service) -> Any:
    one = arn("dataset-group/none")
    text = f"The given dataset group does not exist: {one}"
    return s.control.delete_dataset_group, {"datasetGroupArn": one}, text


def no_solution(s: Service) -> Any:
    one = arn("solution/none")
    text = f"The given solution does not exist: {one}"
    return s.control.describe_solution, {"solutionArn": one}, text


def no_solution_to_delete(s: Service) -> Any:
    one = arn("solution/none")
    text = f"The given solution does not exist: {one}"
    return s.control.delete_solution, {"solutionArn": one}, text


def no_dataset(s: Service) -> Any:
    one = arn("dataset/none/ITEMS")
    return s.control.delete_dataset, {"datasetArn": one}, f"Resource Arn {one} does not exist."


def no_tracker(s: Service) -> Any:
    one = arn("event-tracker/5ec93b79")
    text = f"Resource Arn {one} does not exist."
    return s.control.delete_event_tracker, {"eventTrackerArn": one}, text


def campaign_of_a_solution(s: Service) -> Any:
    solution = s.solution(s.group())
    text = f"The given solution does not exist: {solution}"
    return s.control.create_campaign, {"name": "c", "solutionVersionArn": solution}, text


def group_with_solution(s: Service) -> Any:
    group = s.group()
    s.solution(group)
    text = "The provided dataset-group is being referenced by one or more solutions"
    return s.control.delete_dataset_group, {"datasetGroupArn": group}, text


def schema_with_dataset(s: Service) -> Any:
    schema = s.schema()
    s.dataset(s.group(), schema)
    text = "The provided schema is being referenced by one or more datasets"
    return s.control.delete_schema, {"schemaArn": schema}, text


def solution_with_campaign(s: Service) -> Any:
    solution = s.solution(s.filled_group())
    s.campaign(s.version(solution))
    text = f"Solution ARN {solution} is being referenced in one or more campaigns"
    return s.control.delete_solution, {"solutionArn": solution}, text


def campaign_updating(s: Service) -> Any:
    version = s.version(s.solution(s.filled_group()))
    campaign = s.campaign(version)
    s.control.update_campaign(campaignArn=campaign, minProvisionedTPS=2)
    call = {"campaignArn": campaign, "minProvisionedTPS": 3}
    return s.control.update_campaign, call, "Campaign is already being updated"


def metrics_too_early(s: Service) -> Any:
    solution = s.solution(s.filled_group())
    version = s.control.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    text = "Cannot get metrics for solution since it is not in ACTIVE state."
    return s.control.get_solution_metrics, {"solutionVersionArn": version}, text


def sixth_import(s: Service) -> Any:
    dataset = s.dataset(s.group(), s.schema())
    s.objects.objects["s3://bucket/x.csv"] = interactions_csv()
    call = {
        "datasetArn": dataset,
        "dataSource": {"dataLocation": "s3://bucket/x.csv"},
        "roleArn": ROLE,
    }
    for number in range(5):
        s.control.create_dataset_import_job(jobName=f"job-{number}", **call)
    text = "More than 5 resources with PENDING or IN_PROGRESS status."
    return s.control.create_dataset_import_job, {"jobName": "job-5", **call}, text


def sixth_group(s: Service) -> Any:
    for number in range(5):
        s.group(f"group-{number}")
    text = "More than 5 resources in ACTIVE state. Please delete some and try again."
    return s.control.create_dataset_group, {"name": "group-5"}, text


def sixth_campaign_among_building_ones(s: Service) -> Any:
    version = s.version(s.solution(s.filled_group()))
    for number in range(4):
        s.campaign(version, f"campaign-{number}")
    s.control.create_campaign(name="building", solutionVersionArn=version)
    text = (
        "More than 5 resources with ACTIVE or PENDING or IN_PROGRESS status. "
        "Please try again later."
    )
    return s.control.create_campaign, {"name": "last", "solutionVersionArn": version}, text


def twenty_first_version(s: Service) -> Any:
    group = s.filled_group()
    solution = s.solution(group)
    for _ in range(20):
        s.control.create_solution_version(solutionArn=solution)
    text = "More than 20 resources with PENDING or IN_PROGRESS status. Please try again later."
    return s.control.create_solution_version, {"solutionArn": solution}, text


def _import(s: Service, content: bytes | None, location: str = "s3://bucket/x.csv") -> Any:
    dataset = s.dataset(s.group(), s.schema())
    if content is not None:
        s.objects.objects[location] = content
    source = {"dataLocation": location}
    call = {"jobName": "job", "datasetArn": dataset, "dataSource": source, "roleArn": ROLE}
    return s.control.create_dataset_import_job, call


def import_without_privileges(s: Service) -> Any:
    s.objects.denied.add("s3://bucket/x.csv")
    return *_import(s, None), S3_PRIVILEGES


def import_without_columns(s: Service) -> Any:
    text = "Input csv is missing the following columns: [USER_ID]"
    return *_import(s, b"ITEM_ID,TIMESTAMP,EVENT_TYPE\n1,2,x\n"), text


def import_of_bad_rows(s: Service) -> Any:
    content = b"USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n1,2,yesterday,x\n"
    return *_import(s, content), BAD_ROWS


def import_of_rows_without_values(s: Service) -> Any:
    return *_import(s, b"USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n,2,3,x\n"), BAD_ROWS


def import_from_nowhere(s: Service) -> Any:
    return *_import(s, None, "s3://bucket/nothing-here"), "Invalid Data location."


def group_with_foreign_role(s: Service) -> Any:
    call = {
        "name": "g",
        "roleArn": "arn:aws:iam::999999999999:role/x",
        "kmsKeyArn": f"arn:aws:kms:{REGION}:999999999999:key/x",
    }
    return s.control.create_dataset_group, call, "Cross-account pass role is not allowed."


NOT_AUTHORIZED = (
    f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reco/session is not authorized to access this "
    "resource"
)


def foreign_campaign(s: Service) -> Any:
    one = arn("campaign/x", account="999999999999")
    return s.control.delete_campaign, {"campaignArn": one}, NOT_AUTHORIZED


def foreign_campaign_at_runtime(s: Service) -> Any:
    one = arn("campaign/x", account="999999999999")
    return s.runtime.get_recommendations, {"campaignArn": one, "userId": "1"}, NOT_AUTHORIZED


def properties_twice_encoded(s: Service) -> Any:
    _, tracking = s.tracker(s.group())
    event = {"eventType": "watch", "sentAt": 1, "properties": '"{\\"itemId\\": \\"1\\"}"'}
    call = {"trackingId": tracking, "sessionId": "s", "eventList": [event]}
    return s.events.put_events, call, "Error parsing properties json"


ROWS: list[tuple[Arrange, str, int]] = [
    (group_again, EXISTS, 400),
    (schema_again, EXISTS, 400),
    (solution_again, EXISTS, 400),
    (campaign_again, EXISTS, 400),
    (import_again, EXISTS, 400),
    (version_again, EXISTS, 400),
    (dataset_type_again, EXISTS, 400),
    (tracker_again, EXISTS, 400),
    (no_group, MISSING, 400),
    (no_solution, MISSING, 400),
    (no_solution_to_delete, MISSING, 400),
    (no_dataset, MISSING, 400),
    (no_tracker, MISSING, 400),
    (campaign_of_a_solution, MISSING, 400),
    (group_with_solution, IN_USE, 400),
    (schema_with_dataset, IN_USE, 400),
    (solution_with_campaign, IN_USE, 400),
    (campaign_updating, IN_USE, 400),
    (metrics_too_early, IN_USE, 400),
    (sixth_import, LIMIT, 400),
    (sixth_group, LIMIT, 400),
    (sixth_campaign_among_building_ones, LIMIT, 400),
    (twenty_first_version, LIMIT, 400),
    (import_without_privileges, INVALID, 400),
    (import_without_columns, INVALID, 400),
    (import_of_bad_rows, INVALID, 400),
    (import_of_rows_without_values, INVALID, 400),
    (import_from_nowhere, INVALID, 400),
    (group_with_foreign_role, DENIED, 400),
    (foreign_campaign, DENIED, 400),
    (foreign_campaign_at_runtime, DENIED, 403),
    (properties_twice_encoded, INVALID, 400),
]


@pytest.mark.parametrize(
    ("arrange", "code", "status"), ROWS, ids=lambda row: getattr(row, "__name__", None)
)
def test_a_recorded_refusal_is_worded_as_the_service_words_it(
    service: Service, arrange: Arrange, code: str, status: int
) -> None:
    function, parameters, text = arrange(service)
    assert refusal(function, **parameters) == (code, text, status)


def test_a_refused_import_leaves_no_job_behind(service: Service) -> None:
    function, parameters, _ = import_without_columns(service)
    refusal(function, **parameters)
    assert service.control.list_dataset_import_jobs()["datasetImportJobs"] == []
    assert service.imported(parameters["datasetArn"], "job")


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("not json", "Input Avro schema is not in correct format"),
        ("[]", "Input Avro schema is not in correct format"),
        ('{"type": "string"}', "Input Avro schema is not in correct format"),
        (avro(column("USER_ID", "long")), "USER_ID must be of type string, not long"),
        (avro(column("TAGS", "bytes")), "TAGS must be of one of the types"),
    ],
)
def test_a_schema_that_personalize_cannot_use_is_refused(
    service: Service, schema: str, text: str
) -> None:
    code, message, _ = refusal(service.control.create_schema, name="bad", schema=schema)
    assert code == INVALID
    assert text in message


def test_a_dataset_refuses_a_schema_without_its_required_fields(service: Service) -> None:
    schema = service.schema(text=avro(column("USER_ID", "string"), column("AGE", "int")))
    code, message, _ = refusal(
        service.control.create_dataset,
        name="d",
        schemaArn=schema,
        datasetGroupArn=service.group(),
        datasetType="Interactions",
    )
    assert code == INVALID
    assert "[ITEM_ID, TIMESTAMP]" in message
