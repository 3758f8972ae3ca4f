"""Requests to the Kubernetes API.

Of the `kubernetes` package it uses the transport of the async half alone (connections, credentials,
TLS); objects stay dictionaries, and paths are spelled out by whoever asks.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from reco.api.vocabulary import FIELD_MANAGER
from reco.cluster.credentials import Credentials, load_access
from reco.cluster.errors import (
    StoreConflict,
    StoreError,
    StoreExists,
    StoreForbidden,
    StoreInvalid,
    StoreNotFound,
    StoreUnavailable,
)

_ERRORS: Final = 400
_UNAUTHORIZED: Final = 401
_PROXY: Final = "/proxy/"
_LONGEST_EVENT: Final = 64 * 2**20
"""Bytes: far beyond what the API keeps of one object."""
_BY_REASON: Final[Mapping[str, type[StoreError]]] = {
    "AlreadyExists": StoreExists,
    "Conflict": StoreConflict,
}
_BY_CODE: Final[Mapping[int, type[StoreError]]] = {
    400: StoreInvalid,
    401: StoreForbidden,
    403: StoreForbidden,
    404: StoreNotFound,
    405: StoreInvalid,
    409: StoreConflict,
    410: StoreConflict,
    413: StoreInvalid,
    415: StoreInvalid,
    422: StoreInvalid,
}


class RequestObserver(Protocol):
    """What wants to know of requests to the API: the metrics."""

    def requested(self, method: str, host: str, code: str, seconds: float) -> None:
        """A request ended with an HTTP status, or with `<error>` for none at all."""
        ...


async def load_configuration(kubeconfig: Path | None) -> Configuration:
    """Return how to reach the API; see `load_access`."""
    return (await load_access(kubeconfig)).configuration


class KubernetesAPI:
    """Requests for JSON, with deadlines, and answers or `StoreError`."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        timeout: float = 30.0,
        observer: RequestObserver | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """Make a client; nothing is sent yet.

        Args:
            configuration: from `load_configuration`.
            timeout: seconds for one request, from connecting to the last byte.
            observer: told of every request.
            credentials: where others are to be had once those of the configuration end.
        """
        self._credentials = credentials
        self._configuration = configuration
        self._client = self._connect()
        self._retired: list[ApiClient] = []
        self._host = str(configuration.host)
        self._timeout = timeout
        self._observer = observer

    async def close(self) -> None:
        """Close the connections."""
        for client in (self._client, *self._retired):
            await client.close()  # type: ignore[no-untyped-call]  # has no types

    def _connect(self) -> ApiClient:
        client = ApiClient(self._configuration)
        client.user_agent = FIELD_MANAGER
        return client

    def _use(self, configuration: Configuration) -> None:
        """Send what comes next with other credentials; what is under way goes on with its own."""
        if configuration is self._configuration:
            return
        before, self._configuration = self._configuration, configuration
        if _endpoint(before) == _endpoint(configuration):
            self._client.configuration = configuration  # another token over the same connections
        else:
            self._retired.append(self._client)
            self._client = self._connect()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send one request and return the object that the API answers with.

        Raises:
            StoreError: of the subclass that says what the refusal means.
        """
        answer = await self._answer(
            method,
            path,
            query,
            body,
            {"Accept": "application/json", "Content-Type": content_type, **(headers or {})},
        )
        return _decode(answer)

    async def text(self, path: str, *, query: Mapping[str, str | int] | None = None) -> str:
        """Read what is no JSON, such as a log; errors as `request`."""
        answer = await self._answer("GET", path, query, None, {"Accept": "*/*"})
        return answer.decode(errors="replace")

    async def watch(
        self, path: str, *, query: Mapping[str, str | int], seconds: int
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a watch, until the API ends it after about `seconds`.

        Raises:
            StoreError: if it is refused or breaks off.
        """
        query = {**query, "watch": "true", "timeoutSeconds": seconds}
        accept = {"Accept": "application/json"}
        timeout = seconds + self._timeout
        response = None
        try:
            response = await self._send("GET", path, query, None, accept, timeout)
            if response.status >= _ERRORS:
                raise _error(f"WATCH {path}", response.status, _decode(await response.read()))
            async with asyncio.timeout(timeout):
                content = response.response.content
                while line := await content.readline(max_line_length=_LONGEST_EVENT):
                    if line.strip():
                        yield json.loads(line)  # a broken connection cuts the last one off
        except (
            TimeoutError,
            aiohttp.ClientError,
            aiohttp.http.HttpProcessingError,
            OSError,
            ValueError,
        ) as error:
            raise StoreUnavailable(f"WATCH {path}: {error or 'no end in time'}") from error
        finally:
            if response is not None:
                response.response.close()

    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> bytes:
        began = time.monotonic()
        code = "<error>"
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._send(method, path, query, body, headers, self._timeout)
                answer: bytes = await response.read()
            code = str(response.status)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else error
            raise StoreUnavailable(f"{method} {path}: {what}") from error
        finally:
            if self._observer is not None:
                self._observer.requested(method, self._host, code, time.monotonic() - began)
        if response.status >= _ERRORS:
            raise _error(f"{method} {path}", response.status, _decode(answer))
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - the package's own, which ends the connection
    ) -> Any:  # noqa: ANN401 - the package's response has no types
        if self._credentials is None:
            return await self._send_once(method, path, query, body, headers, timeout)
        try:
            self._use(await self._credentials.current())
            used = self._configuration
            response = await self._send_once(method, path, query, body, headers, timeout)
            # What a pod behind the API server refuses is its own affair, not our credentials'.
            if response.status != _UNAUTHORIZED or _PROXY in path:
                return response
            self._use(await self._credentials.refused(used))
        except ValueError as error:
            raise StoreForbidden(f"{method} {path}: {error}") from error
        response.response.close()
        return await self._send_once(method, path, query, body, headers, timeout)

    async def _send_once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - as above
    ) -> Any:  # noqa: ANN401 - as above
        _, url, sent, data, _ = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=dict(headers),
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._client.call_api(method, url, sent, data, _request_timeout=timeout)


def _endpoint(configuration: Configuration) -> tuple[object, ...]:
    """Return what a connection is made with; tokens are sent with each request."""
    names = ("host", "ssl_ca_cert", "cert_file", "key_file", "verify_ssl", "proxy")
    return tuple(getattr(configuration, name) for name in names)


def _decode(answer: bytes) -> dict[str, Any]:
    try:
        content = json.loads(answer)
    except ValueError:  # a proxy's error page, for instance
        return {"message": answer[:500].decode(errors="replace")}
    return content if isinstance(content, dict) else {"message": str(content)[:500]}


def _error(request: str, status: int, content: Mapping[str, Any]) -> StoreError:
    reason = str(content.get("reason") or "")
    class_ = _BY_REASON.get(reason) or _BY_CODE.get(status) or StoreUnavailable
    return class_(f"{request}: HTTP {status} {reason}: {content.get('message', '')}")
