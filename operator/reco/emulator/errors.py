"""What the emulated service answers when it refuses, and what it does when an answer is lost."""


class ServiceError(Exception):
    """A refusal as the service words it: code, message and HTTP status.

    ``http_status`` is 400 for every modelled error of the control plane; the data plane's models
    name others, which ``Emulator.call`` fills in from botocore's service model.
    """

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status


class LostResponseError(Exception):
    """The call was executed in full, but its answer never reaches the caller.

    Over HTTP the connection is dropped without an answer; in-process callers get this exception
    and must treat it as they treat a broken connection.
    """


def invalid(message: str) -> ServiceError:
    """Refuse input that no repetition of the call will make right."""
    return ServiceError("InvalidInputException", message)


def not_found(message: str) -> ServiceError:
    """Refuse a call about something that does not exist."""
    return ServiceError("ResourceNotFoundException", message)


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
