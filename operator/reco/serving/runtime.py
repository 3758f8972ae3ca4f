"""`reco serve runtime`: one address for all campaigns of a group, by the ARN in a request.

The request goes as it came to the campaign's rankers, and their answer back. A connection that was
refused or broke before an answer began is tried once more on another: these calls only read.
"""

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import aiohttp
import msgspec

from reco.serving.clients import guarding
from reco.serving.errors import ServiceError, invalid, no_such_resource, unavailable
from reco.serving.http import MOST_IN_FLIGHT, Application, Operation, RawHeaders, Request
from reco.serving.metrics import Metrics
from reco.serving.requests import (
    OPERATIONS,
    Arn,
)
from reco.serving.server import Pod, run
from reco.serving.signing import headers_of, parse
from reco.serving.validation import decode
from reco.workload.addresses import campaign_service, named_in
from reco.workload.tasks import RuntimeTask

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
_ATTEMPTS: Final = 2
_OURS: Final = frozenset({b"connection", b"content-length", b"expect", b"transfer-encoding"})
"""Headers of the connection to a ranker, whatever those of the client's were."""
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)})

Resolve = Callable[[str], str | None]
"""Returns where a campaign's rankers answer, by its external name; None if there are none."""


class _Addressed(msgspec.Struct):
    """All that is looked at of a request."""

    campaignArn: Arn  # noqa: N815 - the wire's


class Proxy:
    """Passes requests on to rankers, once `start` gives it connections.

    Requests go with their signatures, for rankers check them as well; they may have been told to
    before the runtime was.
    """

    def __init__(self, resolve: Resolve, metrics: Metrics) -> None:
        self._resolve = resolve
        self._session: aiohttp.ClientSession | None = None
        self._retries = metrics.counter("reco_retries", "Requests sent to a second connection.")

    def start(self, session: aiohttp.ClientSession) -> None:
        """Use these connections from now on."""
        self._session = session

    def operation(self, name: str) -> Operation:
        """Return what passes an operation on."""
        path, request = OPERATIONS[name]

        async def pass_on(given: Request) -> bytes:
            body, session = given.body, self._session
            if session is None:
                raise unavailable("The runtime is starting.")
            try:
                arn = _DECODER.decode(body).campaignArn
            except (msgspec.MsgspecError, ValueError, RecursionError):
                decode(request, body)
                raise invalid(
                    "campaignArn must be given; there are no recommenders here."
                ) from None
            address = self._resolve(named_in(arn))
            if address is None:
                raise no_such_resource(arn)
            return await self._send(session, arn, address + path, body, signed(given.headers))

        return pass_on

    async def _send(
        self,
        session: aiohttp.ClientSession,
        arn: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> bytes:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with session.post(url, data=body, headers=headers) as answer:
                    content = await answer.read()
            except TimeoutError as error:
                raise unavailable(f"{arn} did not answer within {ANSWER_SECONDS:g} s.") from error
            except aiohttp.ClientConnectorDNSError as error:
                if getattr(error.os_error, "errno", None) in _NO_SUCH_NAME:
                    raise no_such_resource(arn) from error
                raise unavailable(f"The address of {arn} can't be found just now.") from error
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
                if attempt == _ATTEMPTS:
                    raise unavailable(f"No replica of {arn} answers just now.") from error
                self._retries.inc()
            else:
                if answer.status == 200:  # noqa: PLR2004 - HTTP
                    return content
                raise _refusal(answer, content)
        raise AssertionError  # the last attempt returned or raised


def _refusal(answer: aiohttp.ClientResponse, content: bytes) -> ServiceError:
    try:
        message = str(msgspec.json.decode(content).get("message", ""))
    except (msgspec.MsgspecError, AttributeError):
        message = ""
    code = answer.headers.get("x-amzn-errortype", "InternalFailure")
    return ServiceError(code, message, answer.status)


def signed(raw: RawHeaders) -> Mapping[str, str]:
    """Return a request's signature and the headers that it covers: rankers check them, too."""
    headers = headers_of(raw)
    try:
        names = parse(headers).signed.split(b";")
    except ServiceError:
        return {}
    return {
        name.decode("latin-1"): headers[name].decode("latin-1")
        for name in (b"authorization", *names)
        if name in headers and name not in _OURS
    }


def campaigns_in(body: bytes) -> tuple[str, ...]:
    """Return the campaign that a request is for, by its external name; nothing if none is told."""
    try:
        return (named_in(_DECODER.decode(body).campaignArn),)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ()


def resolver(task: RuntimeTask) -> Resolve:
    """Return how a task says to find rankers: by its addresses, else by the cluster's DNS."""

    def by_name(campaign: str) -> str:
        service = campaign_service(campaign, task.namespace)
        return f"http://{service}.{task.namespace}.svc.{task.cluster_domain}"

    return task.addresses.get if task.addresses else by_name


def serve(task: RuntimeTask) -> int:
    """Run a runtime until it is told to end; return the exit code."""
    return run(partial(_built, task), task.port)


def _built(task: RuntimeTask) -> Pod:
    metrics = Metrics()
    proxy = Proxy(resolver(task), metrics)
    names = ("GetRecommendations", "GetPersonalizedRanking")
    guard = guarding(task.authentication, "campaign", campaigns_in)
    operations = {name: proxy.operation(name) for name in names}
    app = Application(operations, metrics, guard, task.allowed_origins)
    return app, _working(proxy)


@asynccontextmanager
async def _working(proxy: Proxy) -> AsyncIterator[None]:
    async with session() as opened:
        proxy.start(opened)
        yield


def session() -> aiohttp.ClientSession:
    """Return a pool of connections to rankers; needs a running event loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=MOST_IN_FLIGHT, limit_per_host=MOST_IN_FLIGHT // 4, ttl_dns_cache=5
        ),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS),
        headers={"Content-Type": "application/json"},
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


_DECODER: Final = msgspec.json.Decoder(_Addressed)
