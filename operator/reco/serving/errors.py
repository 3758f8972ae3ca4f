"""How the runtime and events services refuse: a code, a message, an HTTP status."""

from typing import Final

STATUSES: Final = {
    "ResourceNotFoundException": 404,
    "ResourceInUseException": 409,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "MissingAuthenticationTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "UnrecognizedClientException": 403,
}
"""HTTP statuses of errors that don't say their own; what is not listed answers 400."""


class ServiceError(Exception):
    """A refusal as the service words it: code, message and HTTP status.

    A status of 400 stands for whatever the service's model declares for the code.
    """

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status


def invalid(message: str) -> ServiceError:
    """Refuse input that no repetition of the call will make right."""
    return ServiceError("InvalidInputException", message)


def not_found(message: str) -> ServiceError:
    """Refuse a call about something that does not exist."""
    return ServiceError("ResourceNotFoundException", message)


def no_such_resource(arn: str) -> ServiceError:
    """Refuse a call about an ARN that names nothing here."""
    return not_found(f"Resource Arn {arn} does not exist.")


def unsupported(what: str) -> ServiceError:
    """Refuse what the service can do and we cannot; no SDK tries this again."""
    return ServiceError(
        "NotImplementedException", f"{what} is not supported here; call without it.", 501
    )


def unavailable(message: str) -> ServiceError:
    """Ask the caller to try again: every AWS SDK does so by itself."""
    return ServiceError("ServiceUnavailableException", message, 503)


def throttled(message: str) -> ServiceError:
    """Ask the caller to try again later: every AWS SDK does so by itself."""
    return ServiceError("ThrottlingException", message, 429)
