"""Faults on request: what goes wrong, for which calls, and how many times.

Nothing is left to chance: a fault hits the calls that match it, in their order, after ``skip`` of
them, ``count`` times.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from reco.emulator.errors import ServiceError
from reco.emulator.kinds import KINDS
from reco.emulator.store import Store

_REFUSALS: dict[str, tuple[str, str, int]] = {
    "throttle": ("ThrottlingException", "Rate exceeded", 400),
    "serverError": ("InternalFailure", "The service failed to answer the request.", 500),
    "accessDenied": (
        "AccessDeniedException",
        "User: arn:aws:sts::{account}:assumed-role/reco/session is not authorized to perform: "
        "personalize:{operation}",
        400,
    ),
    "expiredCredentials": (
        "ExpiredTokenException",
        "The security token included in the request is expired",
        400,
    ),
}
_OTHERS = ("lostResponse", "failCreation", "quota", "slow", "laggingLists")
KINDS_OF_FAULTS = (*_REFUSALS, *_OTHERS)
_MEMBERS: dict[str, tuple[type[Any], ...]] = {
    "kind": (str,),
    "service": (str,),
    "operation": (str,),
    "name": (str,),
    "count": (int,),
    "skip": (int,),
    "code": (str,),
    "message": (str,),
    "status": (int,),
    "reason": (str,),
    "resource": (str,),
    "limit": (int,),
    "delaySeconds": (int, float),
    "lagSeconds": (int, float),
}
_BOUNDS: dict[str, tuple[int, int]] = {
    "count": (1, 1_000_000_000),
    "skip": (0, 1_000_000_000),
    "status": (400, 599),
    "limit": (0, 1_000_000_000),
    "delaySeconds": (0, 3600),
    "lagSeconds": (0, 1_000_000_000),
}
_CODE = re.compile(r"[A-Za-z0-9.#:_-]{1,128}")


@dataclass(slots=True)
class Effects:
    """What the faults that hit one call do to it."""

    refusal: ServiceError | None = None
    lost: bool = False
    failure: str | None = None
    quotas: dict[str, int] = field(default_factory=dict)
    list_lag: float | None = None
    delay: float = 0.0


def check(fault: Mapping[str, Any]) -> None:
    """Refuse a fault that would do nothing or break the wire; ``ValueError`` says what is right."""
    for name, value in fault.items():
        _check_member(name, value)
    kind = fault.get("kind")
    if kind not in KINDS_OF_FAULTS:
        raise ValueError(f"kind must be one of {', '.join(KINDS_OF_FAULTS)}, not {kind!r}")
    needed = {"quota": ("resource", "limit"), "laggingLists": ("lagSeconds",)}
    needed |= {"slow": ("delaySeconds",), "failCreation": ("reason",)}
    for name in needed.get(kind, ()):
        if name not in fault:
            raise ValueError(f"a fault of kind {kind} needs {name}")
    if kind == "quota" and fault["resource"] not in KINDS:
        raise ValueError(f"resource must be one of {', '.join(KINDS)}, not {fault['resource']!r}")


def _check_member(name: str, value: Any) -> None:  # noqa: ANN401 - JSON
    if name not in _MEMBERS:
        raise ValueError(f"unknown member {name!r}; allowed are {', '.join(_MEMBERS)}")
    if isinstance(value, bool) or not isinstance(value, _MEMBERS[name]):
        raise ValueError(  # noqa: TRY004 - one kind of error for all that a caller gets wrong
            f"{name} must be of type {_MEMBERS[name][0].__name__}"
        )
    if name in _BOUNDS:
        low, high = _BOUNDS[name]
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}, not {value}")
    else:
        value.encode()  # half a surrogate pair is no text, which is a ValueError too
    if name == "code" and not _CODE.fullmatch(value):
        raise ValueError(f"code must be an error's name, not {value!r}")


def strike(
    store: Store, service: str, operation: str, parameters: Mapping[str, Any], account: str
) -> Effects:
    """Find the faults that hit a call and count them down."""
    effects = Effects()
    for number, fault in store.faults():
        if not _matches(fault, service, operation, parameters):
            continue
        if fault.get("skip", 0) > 0:
            store.set_fault(number, {**fault, "skip": fault["skip"] - 1})
            continue
        _add(effects, fault, operation, account)
        left = fault.get("count")
        if left is not None:
            if left > 1:
                store.set_fault(number, {**fault, "count": left - 1})
            else:
                store.remove_faults(number)
    return effects


def _matches(
    fault: Mapping[str, Any], service: str, operation: str, parameters: Mapping[str, Any]
) -> bool:
    if fault.get("service", service) != service:
        return False
    default = {
        "failCreation": "[CU][rp][ed]ate*",
        "quota": f"Create{fault.get('resource')}",
        "laggingLists": "List*",
    }.get(fault["kind"], "*")
    if not fnmatchcase(operation, fault.get("operation", default)):
        return False
    name = fault.get("name")
    texts = [value for value in parameters.values() if isinstance(value, str)]
    return name is None or any(fnmatchcase(text, name) for text in texts)


def _add(effects: Effects, fault: Mapping[str, Any], operation: str, account: str) -> None:
    kind = fault["kind"]
    if kind in _REFUSALS and effects.refusal is None:
        code, message, status = _REFUSALS[kind]
        effects.refusal = ServiceError(
            fault.get("code", code),
            fault.get("message", message.format(account=account, operation=operation)),
            fault.get("status", status),
        )
    elif kind == "lostResponse":
        effects.lost = True
    elif kind == "failCreation":
        effects.failure = fault["reason"]
    elif kind == "quota":
        effects.quotas[fault["resource"]] = fault["limit"]
    elif kind == "laggingLists":
        effects.list_lag = fault["lagSeconds"]
    elif kind == "slow":
        effects.delay += fault["delaySeconds"]
