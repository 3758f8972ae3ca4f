"""Errors of the Kubernetes API as errors of an engine, classed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from reco.cluster.errors import (
    StoreConflict,
    StoreError,
    StoreExists,
    StoreForbidden,
    StoreInvalid,
    StoreNotFound,
)
from reco.decide.model import ErrorClass, Failure
from reco.engines.port import EngineError

_CLASSES: Final = {
    StoreConflict: ErrorClass.CONFLICT,
    StoreExists: ErrorClass.EXISTS,
    StoreForbidden: ErrorClass.ACCESS_DENIED,
    StoreInvalid: ErrorClass.INVALID,
    StoreNotFound: ErrorClass.NOT_FOUND,
}
_QUOTA: Final = "exceeded quota"
_ENDS: Final = "being terminated"


@contextmanager
def classed(operation: str) -> Iterator[None]:
    """Raise what the API refuses as `EngineError`."""
    try:
        yield
    except StoreError as error:
        raise EngineError(failure(operation, error)) from error


def failure(operation: str, error: StoreError) -> Failure:
    """Return what an error of the API means for us."""
    text = str(error)
    known = _CLASSES.get(type(error))
    if known is ErrorClass.ACCESS_DENIED and _QUOTA in text:
        known = ErrorClass.QUOTA_WAIT
    elif known is ErrorClass.ACCESS_DENIED and _ENDS in text:
        known = ErrorClass.CONFLICT
    return Failure(known or ErrorClass.TRANSIENT, text, operation, outcome_unknown=known is None)
