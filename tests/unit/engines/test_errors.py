import pytest

from reco.decide.model import ErrorClass
from reco.engines.personalize import errors


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "More than 5 resources with PENDING or IN_PROGRESS status. Please try again later.",
            ErrorClass.QUOTA_WAIT,
        ),
        ("More than 5 resources with PENDING or IN_PROGRESS status.", ErrorClass.QUOTA_WAIT),
        (
            "More than 10 resources in ACTIVE state. Please delete some and try again.",
            ErrorClass.QUOTA_EXHAUSTED,
        ),
        (
            "Cannot create a campaign. More than 5 resources in ACTIVE state. Please delete some"
            " and try again.",
            ErrorClass.QUOTA_EXHAUSTED,
        ),
        # What is active counts, and waiting frees nothing, whatever the service says.
        (
            "More than 10 resources with ACTIVE or PENDING or IN_PROGRESS status. Please try again"
            " later.",
            ErrorClass.QUOTA_EXHAUSTED,
        ),
    ],
)
def test_a_used_up_quota_is_classed_by_its_words(message: str, expected: ErrorClass) -> None:
    failed = errors.service_error("CreateFilter", "LimitExceededException", message)
    assert failed.error_class is expected
    assert failed.failure.message == f"LimitExceededException: {message}"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ResourceInUseException", 400, ErrorClass.CONFLICT),
        ("ResourceAlreadyExistsException", 400, ErrorClass.EXISTS),
        ("ResourceNotFoundException", 400, ErrorClass.NOT_FOUND),
        ("InvalidInputException", 400, ErrorClass.INVALID),
        ("ThrottlingException", 400, ErrorClass.THROTTLED),
        ("SomethingNew", 400, ErrorClass.UNKNOWN),
        ("SomethingNew", 503, ErrorClass.TRANSIENT),
    ],
)
def test_codes_are_classed(code: str, status: int, expected: ErrorClass) -> None:
    assert errors.service_error("DescribeCampaign", code, "", status).error_class is expected


def test_only_a_change_can_have_been_carried_out_unseen() -> None:
    assert errors.no_answer("CreateSolutionVersion", "timed out").failure.outcome_unknown
    assert not errors.no_answer("ListCampaigns", "timed out").failure.outcome_unknown
    assert not errors.service_error(
        "AssumeRole", "InternalFailure", "", 500
    ).failure.outcome_unknown
    assert not errors.no_answer("CreateCampaign", "refused", sent=False).failure.outcome_unknown


@pytest.mark.parametrize(
    "message",
    [
        "The key AKIAIOSFODNN7EXAMPLE is not valid",
        "Credential=ASIAIOSFODNN7EXAMPLE/20260101/eu-west-1/personalize/aws4_request was refused",
        "got Signature=aSIAIOSFODNN7EXAMPLE, expected another",
        'X-Amz-Security-Token: "IQoJ/IOSFODNN7EXAMPLE="',
        "should have been 'POST x-amz-security-token:IQoJIOSFODNN7EXAMPLE x-amz-target:y'",
        '{"AccessKeyId": "x", "SecretAccessKey": "wJalr/IOSFODNN7EXAMPLE", "Version": 1}',
        "aws_secret_access_key = wJalr/IOSFODNN7EXAMPLE",
        "aws_session_token=IQoJIOSFODNN7EXAMPLE",
        'Could not connect to the endpoint URL: "https://reco:IOSFODNN7EXAMPLE@proxy.example/"',
    ],
)
def test_r13_what_looks_like_a_credential_never_reaches_a_message(message: str) -> None:
    shown = errors.service_error("ListCampaigns", "InvalidSignatureException", message)
    assert "IOSFODNN7EXAMPLE" not in shown.failure.message
    assert "[redacted]" in str(shown)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied;"
            " Request ID: 7G9Q2K; S3 Extended Request ID: aB/c+1=; Proxy: null)",
            "Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied;"
            " Request ID: 8H0R3L; S3 Extended Request ID: dE/f+2=; Proxy: null)",
        ),
        (
            "Signature expired: 20260101T000000Z is now earlier than 20260101T000100Z"
            " (20260101T000600Z - 5 min.)",
            "Signature expired: 20260101T010000Z is now earlier than 20260101T010100Z"
            " (20260101T010600Z - 5 min.)",
        ),
        (
            "User: arn:aws:sts::111122223333:assumed-role/reco/botocore-session-1767225600 is not"
            " authorized",
            "User: arn:aws:sts::111122223333:assumed-role/reco/botocore-session-1767229200 is not"
            " authorized",
        ),
        ("<urllib3.HTTPSConnection object at 0x7f1c2d>", "<urllib3.HTTPSConnection object at 0x9>"),
        (
            f"the String-to-Sign should have been '{'0f' * 32}'",
            f"the String-to-Sign should have been '{'1e' * 32}'",
        ),
    ],
)
def test_r9_the_same_trouble_reads_the_same_every_time(first: str, second: str) -> None:
    assert errors.redact(first) == errors.redact(second)


@pytest.mark.parametrize(
    "message",
    [
        "arn:aws:personalize:eu-west-1:111122223333:campaign/movies is in use",
        "s3://data/20260101T000000Z/interactions.csv can't be read",
        "nextToken: it is stale",
    ],
)
def test_what_a_person_needs_to_know_stays(message: str) -> None:
    assert errors.redact(message) == message


def test_a_message_of_any_length_fits_into_a_status() -> None:
    assert len(errors.redact("x" * 10_000)) < 4096
