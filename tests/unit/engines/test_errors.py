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
    assert not errors.no_answer("CreateCampaign", "refused", sent=False).failure.outcome_unknown


@pytest.mark.parametrize(
    "message",
    [
        "The key AKIAIOSFODNN7EXAMPLE is not valid",
        "Credential=ASIAIOSFODNN7EXAMPLE/20260101/eu-west-1/personalize/aws4_request was refused",
        "got Signature=aSIAIOSFODNN7EXAMPLE, expected another",
        'X-Amz-Security-Token: "ASIAIOSFODNN7EXAMPLE"',
    ],
)
def test_what_looks_like_a_credential_never_reaches_a_message(message: str) -> None:
    shown = errors.service_error("ListCampaigns", "InvalidSignatureException", message)
    assert "IOSFODNN7EXAMPLE" not in shown.failure.message
    assert "[redacted]" in str(shown)


def test_a_message_of_any_length_fits_into_a_status() -> None:
    assert len(errors.redact("x" * 10_000)) < 4096
