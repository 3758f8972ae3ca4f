"""The HTTP around the core: one ASGI application that answers for all three services.

The control plane speaks JSON 1.1 (the operation is in ``X-Amz-Target``), runtime and events speak
REST-JSON (the operation is the path). Signatures are not checked, but read: region and caller come
from the credential scope. Calls run one after another on one worker thread, so that the core needs
no locks and a slow import does not stop the admin API.
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from reco.emulator.core import Emulator, Outcome
from reco.emulator.encoding import encode
from reco.emulator.errors import ServiceError
from reco.emulator.model import CONTROL, EVENTS, RUNTIME, operation_model, service_model
from reco.serving import answers
from reco.serving.origins import Origins

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ADMIN = "/_reco/"
_MAX_BODY = 4 * 1024 * 1024
_TARGET_PREFIX = "AmazonPersonalize"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")
_ACCOUNT = re.compile(r"\d{12}")
_PATHS: dict[str, tuple[str, str]] = {
    model.http["requestUri"]: (service, name)
    for service in (RUNTIME, EVENTS)
    for name in service_model(service).operation_names
    if (model := service_model(service).operation_model(name))
}
_CONTROL_HEADERS = (
    (b"strict-transport-security", b"max-age=47304000; includeSubDomains"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read in full; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


AdminHandler = Callable[[Emulator, Request], tuple[int, Any]]
Drop = Callable[[tuple[str, int]], None]


class Application:
    """The ASGI application.

    ``admin`` answers the paths below ``/_reco/``; ``drop`` breaks the connection of a client (host
    and port), which ASGI has no word for. Web pages of ``origins`` may call from browsers, though
    not the paths below ``/_reco/``.
    """

    def __init__(
        self,
        emulator: Emulator,
        admin: AdminHandler,
        drop: Drop,
        origins: Collection[str] = (),
    ) -> None:
        self._emulator = emulator
        self._admin = admin
        self._drop = drop
        self._origins = Origins(origins)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="emulator")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        if request is None:
            await _send(send, _failure(CONTROL, _too_large()))
            return
        shared = self._origins and not request.path.startswith(_ADMIN)
        if shared and request.method == "OPTIONS":
            status, headers = self._origins.preflight(scope["headers"])
            length = (b"content-length", b"0")
            await _send(send, Response(status, b"", (length, *headers)))
            return
        loop = asyncio.get_running_loop()
        response, delay = await loop.run_in_executor(self._executor, self._answer, request)
        if delay:
            await asyncio.sleep(delay)
        if response is None:
            self._drop(scope["client"])
            # The server must notice before it finds that there is no answer.
            await receive()
            return
        if shared:
            more = self._origins.headers(scope["headers"])
            response = replace(response, headers=(*response.headers, *more))
        await _send(send, response)

    def _answer(self, request: Request) -> tuple[Response | None, float]:
        service = _PATHS.get(request.path, (CONTROL, ""))[0]
        try:
            if request.path.startswith(_ADMIN):
                status, answer = self._admin(self._emulator, request)
                return _json(status, answer), 0.0
            service, operation = _route(request)
            region, account = _caller(request)
            parameters = _parameters(request.body)
        except ServiceError as error:
            self._emulator.log_unreadable(f"{request.method} {request.path}"[:200], error)
            return _failure(service, error), 0.0
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return _json(500, {"error": "the emulator met a defect of its own; see its log"}), 0.0
        try:
            outcome = self._emulator.execute(
                service, operation, parameters, region=region, account=account
            )
        except RecursionError:
            deep = ServiceError("SerializationException", "The request body is too deep.")
            self._emulator.log_unreadable(operation, deep)
            return _failure(service, deep), 0.0
        except Exception:
            logger.exception("%s failed with %s", operation, parameters)
            return _failure(service, ServiceError("InternalFailure", "", 500)), 0.0
        return self._respond(service, outcome), outcome.delay

    @staticmethod
    def _respond(service: str, outcome: Outcome) -> Response | None:
        if outcome.lost:
            return None
        if outcome.error is not None:
            return _failure(service, outcome.error)
        body = encode(outcome.answer).encode() if outcome.answer else b""
        return _response(service, 200, body)


async def _read(scope: Mapping[str, Any], receive: Receive) -> Request | None:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        size += len(part)
        if size <= _MAX_BODY:
            parts.append(part)
        more = message.get("more_body", False)
    if size > _MAX_BODY:
        return None
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        },
        body=b"".join(parts),
    )


def _route(request: Request) -> tuple[str, str]:
    unknown = ServiceError("UnknownOperationException", "")
    if request.method != "POST":
        raise unknown
    if request.path in _PATHS:
        return _PATHS[request.path]
    prefix, _, operation = request.headers.get("x-amz-target", "").partition(".")
    known = prefix == _TARGET_PREFIX and operation_model(CONTROL, operation) is not None
    if request.path != "/" or not known:
        raise unknown
    return CONTROL, operation


def _caller(request: Request) -> tuple[str, str | None]:
    """Read region and account; an access key of twelve digits is the account it belongs to."""
    authorization = request.headers.get("authorization")
    if not authorization:
        raise ServiceError(
            "MissingAuthenticationTokenException", "Request is missing Authentication Token"
        )
    found = _CREDENTIAL.search(authorization)
    if found is None or not authorization.startswith("AWS4-HMAC-SHA256"):
        raise ServiceError(
            "IncompleteSignatureException",
            "Authorization header requires an AWS Signature Version 4 'Credential' parameter.",
        )
    key, _, region, _ = found.groups()
    return region, key if _ACCOUNT.fullmatch(key) else None


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}", parse_constant=_no_constant)
        if b"\\u" in body:
            json.dumps(parsed, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ServiceError("SerializationException", "The request body is not JSON.") from error
    if not isinstance(parsed, dict):
        raise ServiceError("SerializationException", "The request body must be a JSON object.")
    return parsed


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _too_large() -> ServiceError:
    return ServiceError(
        "RequestEntityTooLargeException", f"A request has at most {_MAX_BODY} bytes.", 413
    )


def _failure(service: str, error: ServiceError) -> Response:
    if service != CONTROL:
        status, body, headers = answers.failed(error)
        return _response(service, status, body, *headers)
    message = {"message": error.message} if error.message else {}
    body = encode({"__type": error.code, **message}).encode()
    return _response(service, error.http_status, body)


def _response(service: str, status: int, body: bytes, *extra: tuple[bytes, bytes]) -> Response:
    control = service == CONTROL
    content_type = b"application/x-amz-json-1.1" if control else b"application/json"
    headers = (
        (b"content-type", content_type),
        (b"date", formatdate(usegmt=True).encode()),
        (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
        (b"content-length", str(len(body)).encode()),
        *(_CONTROL_HEADERS if control else ()),
        *extra,
    )
    return Response(status, body, headers)


def _json(status: int, answer: Any) -> Response:  # noqa: ANN401 - JSON
    body = json.dumps(answer).encode()
    headers = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    )
    return Response(status, body, headers)


async def _send(send: Send, response: Response) -> None:
    start = {"type": "http.response.start", "status": response.status}
    await send({**start, "headers": list(response.headers)})
    await send({"type": "http.response.body", "body": response.body})
