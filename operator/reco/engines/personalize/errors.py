"""What error codes mean for us: one table, and the words that tell two quotas apart."""

import re

from reco.decide.model import ErrorClass, Failure
from reco.engines.port import EngineError

_STALE_LIST = "InvalidNextTokenException"

_CLASSES: dict[str, ErrorClass] = {
    "AccessDenied": ErrorClass.ACCESS_DENIED,
    "AccessDeniedException": ErrorClass.ACCESS_DENIED,
    "AuthFailure": ErrorClass.ACCESS_DENIED,
    "ExpiredToken": ErrorClass.ACCESS_DENIED,
    "ExpiredTokenException": ErrorClass.ACCESS_DENIED,
    "IncompleteSignature": ErrorClass.ACCESS_DENIED,
    "IncompleteSignatureException": ErrorClass.ACCESS_DENIED,
    "InvalidAccessKeyId": ErrorClass.ACCESS_DENIED,
    "InvalidClientTokenId": ErrorClass.ACCESS_DENIED,
    "InvalidSignatureException": ErrorClass.ACCESS_DENIED,
    "MissingAuthenticationTokenException": ErrorClass.ACCESS_DENIED,
    "NotAuthorized": ErrorClass.ACCESS_DENIED,
    "OptInRequired": ErrorClass.ACCESS_DENIED,
    "SignatureDoesNotMatch": ErrorClass.ACCESS_DENIED,
    "UnrecognizedClientException": ErrorClass.ACCESS_DENIED,
    "IDPRejectedClaim": ErrorClass.ACCESS_DENIED,
    "InvalidIdentityToken": ErrorClass.ACCESS_DENIED,
    "RegionDisabledException": ErrorClass.ACCESS_DENIED,
    "RequestExpired": ErrorClass.ACCESS_DENIED,
    "RequestTimeTooSkewed": ErrorClass.ACCESS_DENIED,
    "403": ErrorClass.ACCESS_DENIED,
    "InvalidInputException": ErrorClass.INVALID,
    "SerializationException": ErrorClass.INVALID,
    "TooManyTagKeysException": ErrorClass.INVALID,
    "TooManyTagsException": ErrorClass.INVALID,
    "UnknownOperationException": ErrorClass.INVALID,
    "ValidationException": ErrorClass.INVALID,
    "ResourceAlreadyExistsException": ErrorClass.EXISTS,
    "ResourceInUseException": ErrorClass.CONFLICT,
    "NoSuchBucket": ErrorClass.NOT_FOUND,
    "NoSuchKey": ErrorClass.NOT_FOUND,
    "ResourceNotFoundException": ErrorClass.NOT_FOUND,
    "404": ErrorClass.NOT_FOUND,
    "BandwidthLimitExceeded": ErrorClass.THROTTLED,
    "RequestLimitExceeded": ErrorClass.THROTTLED,
    "RequestThrottled": ErrorClass.THROTTLED,
    "RequestThrottledException": ErrorClass.THROTTLED,
    "SlowDown": ErrorClass.THROTTLED,
    "Throttling": ErrorClass.THROTTLED,
    "ThrottlingException": ErrorClass.THROTTLED,
    "TooManyRequestsException": ErrorClass.THROTTLED,
    "429": ErrorClass.THROTTLED,
    "IDPCommunicationError": ErrorClass.TRANSIENT,
    "InternalFailure": ErrorClass.TRANSIENT,
    "InternalError": ErrorClass.TRANSIENT,
    "InternalServerError": ErrorClass.TRANSIENT,
    "InternalServerException": ErrorClass.TRANSIENT,
    _STALE_LIST: ErrorClass.TRANSIENT,
    "RequestTimeout": ErrorClass.TRANSIENT,
    "ServiceUnavailable": ErrorClass.TRANSIENT,
}
"""By error code."""

_LIMITS = {"LimitExceededException", "ServiceQuotaExceededException"}
_SERVER_ERROR = 500
_LONGEST_MESSAGE = 2048
_READS = ("Describe", "List", "Get", "AssumeRole")

_SECRETS = re.compile(
    r"(?P<key>\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b)"
    r"|(?P<field>(?:Credential|Signature|(?:security|session)[-_]?token|secret[-_]?access[-_]?key)"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s,;&'\"]+"
    r"|(?P<scheme>://)[^/@\s:]*:[^/@\s]+(?=@)",
    re.IGNORECASE,
)
_VOLATILE = re.compile(
    r"(?<![\w/-])\d{8}T\d{6}Z(?![\w/-])"  # times and hashes in refused signatures
    r"|\b[0-9a-f]{64}\b"
    r"|(?<=Request ID: )[\w+/=-]+"  # what services pass on of other services' errors
    r"|(?<=RequestId: )[\w+/=-]+"
    r"|(?<=botocore-session-)\d+"  # a session of a service account, made for each process
    r"|(?<= at 0x)[0-9a-f]+",
    re.IGNORECASE,
)


_INPUT_AT_FAULT = re.compile(
    r"\bfewer than\b|\btoo few\b|\bat least\b|\breserved keywords?\b|\bmissing\b.*\bcolumns?\b"
    r"|\bconform\b|\binvalid\b|\bnot valid\b|\bunsupported\b|\bnot supported\b"
    r"|\bmust\b|\b(can(no|')t) be\b|\bno (data|rows|interactions|events|users|items)\b"
    r"|\bdoes not exist\b|\bnot found\b|\bhyper ?parameters?\b",
    re.IGNORECASE,
)
"""Words of failure reasons that blame the spec or the data: `Dataset has fewer than 25 users with
at least 2 interactions each`, for one. There is no list of them; what none of these words is in may
be the service's own fault, and is tried again."""
_ACCESS = re.compile(
    r"\bprivileges?\b|\bpermissions?\b|\baccess ?denied\b|\bnot authorized\b", re.IGNORECASE
)
"""Words that blame permissions, which may come without a change of spec or data."""


_NO_DATA = re.compile(r"\bdata location\b", re.IGNORECASE)
"""Words that blame a place where nothing lies yet: `Invalid Data location.`"""


def blames_input(reason: str | None) -> bool:
    """Whether a failure reason says that the same spec and data would fail again."""
    return (
        reason is not None and bool(_INPUT_AT_FAULT.search(reason)) and not _ACCESS.search(reason)
    )


class StaleListError(EngineError):
    """A list has changed under its pages; the service takes the next page's token no more."""


def is_mutating(operation: str) -> bool:
    """Whether an operation changes anything, so that it must not be repeated blindly."""
    return not operation.startswith(_READS)


def service_error(operation: str, code: str, message: str, status: int = 400) -> EngineError:
    """Class an error that the service answered with.

    Args:
        operation: the API operation, such as `CreateCampaign`.
        code: the service's error code.
        message: the service's words.
        status: the HTTP status of the answer.
    """
    kind = StaleListError if code == _STALE_LIST else EngineError
    return kind(
        Failure(
            error_class=_class_of(code, message, status),
            message=redact(f"{code}: {message}" if message else code),
            operation=operation,
            # A server error may come from a front end while the work goes on behind it.
            outcome_unknown=is_mutating(operation) and status >= _SERVER_ERROR,
        )
    )


def no_answer(operation: str, message: str, *, sent: bool = True) -> EngineError:
    """Class a call that got no answer; `sent` says whether it may have reached the service."""
    return EngineError(
        Failure(
            error_class=ErrorClass.TRANSIENT,
            message=redact(message),
            operation=operation,
            outcome_unknown=sent and is_mutating(operation),
        )
    )


def refused_here(operation: str, message: str, error_class: ErrorClass) -> EngineError:
    """Class a call that was given up before it was sent."""
    return EngineError(Failure(error_class, redact(message), operation))


def redact(message: str) -> str:
    """Make an error's words fit for a status.

    Out goes what looks like a credential, and what is different every time, such as ids of
    requests: a status must not change as long as the trouble is the same. What is too long is cut.
    """
    found = _SECRETS.sub(
        lambda match: f"{match['field'] or match['scheme'] or ''}[redacted]", message
    )
    found = _VOLATILE.sub("...", found)
    return found if len(found) <= _LONGEST_MESSAGE else found[: _LONGEST_MESSAGE - 3] + "..."


def _class_of(code: str, message: str, status: int) -> ErrorClass:
    if code in _LIMITS:
        return _limit(message)
    known = _CLASSES.get(code)
    if known is ErrorClass.INVALID and _ACCESS.search(message):
        return ErrorClass.ACCESS_DENIED  # `Insufficient privileges for accessing data in S3.`
    if known is ErrorClass.INVALID and _NO_DATA.search(message):
        return ErrorClass.NOT_FOUND
    if known is not None:
        return known
    return ErrorClass.TRANSIENT if status >= _SERVER_ERROR else ErrorClass.UNKNOWN


def _limit(message: str) -> ErrorClass:
    """Tell a quota that empties by itself from one that a person has to raise or free.

    The service words both with one template: `More than N resources {with PENDING or IN_PROGRESS
    status | in ACTIVE state | with ACTIVE or PENDING or IN_PROGRESS status}.`
    """
    words = message.lower()
    if "delete some" in words or "in active state" in words:
        return ErrorClass.QUOTA_EXHAUSTED
    if "active or pending" in words:
        return ErrorClass.QUOTA_EXHAUSTED
    if "in_progress" in words or "try again later" in words or "request rate" in words:
        return ErrorClass.QUOTA_WAIT
    return ErrorClass.QUOTA_EXHAUSTED
