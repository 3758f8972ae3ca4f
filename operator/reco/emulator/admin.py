"""The emulator's own API below ``/_reco/``: health, call log, clock, faults, reset."""

import json
from typing import Any
from urllib.parse import parse_qs

from reco.emulator.core import OPERATIONS, Emulator
from reco.emulator.model import SERVICES, service_model
from reco.emulator.wire import Request

_PAGE = 1000


class AdminError(Exception):
    """The admin request is wrong; the text says what is allowed."""


def answer(emulator: Emulator, request: Request) -> tuple[int, Any]:
    """Answer an admin request with an HTTP status and a JSON value."""
    handlers = {
        ("GET", "/_reco/health"): _health,
        ("GET", "/_reco/calls"): _calls,
        ("GET", "/_reco/clock"): _clock,
        ("POST", "/_reco/clock"): _advance,
        ("GET", "/_reco/faults"): _faults,
        ("POST", "/_reco/faults"): _add_fault,
        ("DELETE", "/_reco/faults"): _remove_faults,
        ("POST", "/_reco/reset"): _reset,
    }
    handler = handlers.get((request.method, request.path))
    if handler is None:
        allowed = ", ".join(f"{method} {path}" for method, path in handlers)
        return 404, {"error": f"no {request.method} {request.path}; there are {allowed}"}
    try:
        return 200, handler(emulator, request)
    except (AdminError, ValueError) as error:
        return 400, {"error": str(error)}


def _health(emulator: Emulator, _: Request) -> Any:  # noqa: ANN401 - JSON
    implemented = {service: sorted(OPERATIONS[service]) for service in SERVICES}
    missing = {
        service: sorted(set(service_model(service).operation_names) - set(implemented[service]))
        for service in SERVICES
    }
    return {
        "status": "ok",
        "now": emulator.now(),
        "resources": emulator.counts(),
        "implemented": implemented,
        "notImplemented": missing,
    }


def _calls(emulator: Emulator, request: Request) -> Any:  # noqa: ANN401 - JSON
    query = parse_qs(request.query)
    allowed = {"after", "limit", "operation", "mutating"}
    if set(query) - allowed:
        raise AdminError(f"allowed parameters are {', '.join(sorted(allowed))}")
    mutating = query.get("mutating", [None])[0]
    if mutating not in {None, "true", "false"}:
        raise AdminError("mutating must be true or false")
    limit = max(1, min(_number(query, "limit", _PAGE), _PAGE))
    calls = emulator.calls(
        after=_number(query, "after", 0),
        limit=limit,
        operation=query.get("operation", [None])[0],
        mutating=None if mutating is None else mutating == "true",
    )
    return {"calls": calls, "next": calls[-1]["id"] if len(calls) == limit else None}


def _number(query: dict[str, list[str]], name: str, default: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not text.isdecimal() or len(text) > len("999999999999"):
        raise AdminError(f"{name} must be a whole number of 0 or more")
    return int(text)


def _clock(emulator: Emulator, _: Request) -> Any:  # noqa: ANN401 - JSON
    return {"now": emulator.now(), "nextEvent": emulator.next_event()}


def _advance(emulator: Emulator, request: Request) -> Any:  # noqa: ANN401 - JSON
    seconds = _body(request).get("advanceSeconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise AdminError('the body must be {"advanceSeconds": number}')
    return {"now": emulator.advance(seconds)}


def _faults(emulator: Emulator, _: Request) -> Any:  # noqa: ANN401 - JSON
    return {"faults": [{"id": number, **fault} for number, fault in emulator.faults()]}


def _add_fault(emulator: Emulator, request: Request) -> Any:  # noqa: ANN401 - JSON
    return {"id": emulator.add_fault(_body(request))}


def _remove_faults(emulator: Emulator, request: Request) -> Any:  # noqa: ANN401 - JSON
    query = parse_qs(request.query)
    emulator.remove_faults(_number(query, "id", 0) if "id" in query else None)
    return _faults(emulator, request)


def _reset(emulator: Emulator, _: Request) -> Any:  # noqa: ANN401 - JSON
    emulator.reset()
    return {"now": emulator.now()}


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except RecursionError as error:
        raise AdminError("the body is too deep") from error
    if not isinstance(body, dict):
        raise AdminError("the body must be a JSON object")
    return body
