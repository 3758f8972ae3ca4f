"""What the emulated service answers when it refuses, and what it does when an answer is lost.

Refusals of the runtime and events APIs are those of the data plane, which answers in the cluster.
"""

from reco.serving.errors import ServiceError, invalid, not_found

__all__ = [
    "LostResponseError",
    "ServiceError",
    "access_denied",
    "already_exists",
    "in_use",
    "invalid",
    "limit_exceeded",
    "not_found",
    "not_implemented",
]


class LostResponseError(Exception):
    """The call was executed in full, but its answer never reaches the caller.

    Over HTTP the connection is dropped without an answer; in-process callers get this exception
    and must treat it as they treat a broken connection.
    """


def in_use(message: str) -> ServiceError:
    """Refuse a call that the state of a resource forbids for now."""
    return ServiceError("ResourceInUseException", message)


def already_exists(message: str) -> ServiceError:
    """Refuse a create call whose name or place is taken."""
    return ServiceError("ResourceAlreadyExistsException", message)


def limit_exceeded(message: str) -> ServiceError:
    """Refuse a create call over a quota (not over a request rate, whatever the model says)."""
    return ServiceError("LimitExceededException", message)


def access_denied(message: str) -> ServiceError:
    """Refuse a caller who may not touch what the call names."""
    return ServiceError("AccessDeniedException", message)


def not_implemented(operation: str) -> ServiceError:
    """Say that the operation exists in the service, but not (yet) here."""
    return ServiceError(
        "NotImplementedException",
        f"{operation} is an operation of Amazon Personalize that this emulator does not implement. "
        "GET /_reco/health lists what it implements.",
        501,
    )
