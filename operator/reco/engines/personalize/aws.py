"""The client over botocore: sessions, roles, threads, timeouts and the rate at which we call.

The only module of the engine that knows botocore, threads or the network. boto3 would add nothing
but memory to what its lower half does here.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit

import botocore.session
from botocore import exceptions, xform_name
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

from reco.api.engine_class import AssumeRole, PersonalizeSettings
from reco.decide.model import ErrorClass
from reco.engines.personalize import errors
from reco.engines.personalize.client import SourceListing, SourceObject
from reco.engines.personalize.threads import Threads
from reco.engines.personalize.throttle import TokenBucket
from reco.engines.port import EngineError

Answer = TypeVar("Answer")
OnCall = Callable[[str, float, str], None]
"""Told of each call: operation, seconds, and `OK` or the class of the error."""

THREADS = 8
CHANGE_THREADS = 64
"""More than there are workers: a change whose turn has come waits for nothing any more."""
SESSION_NAME = "reco-operator"

_TIMEOUTS: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 20}
# botocore's `standard` retries take LimitExceededException, a quota, for throttling, and would
# repeat a create call whose answer was lost. Reads get one more attempt, changes none: the
# queue backs off.
_READS = Config(
    **_TIMEOUTS,
    max_pool_connections=THREADS,
    retries={"mode": "standard", "total_max_attempts": 2},
)
_CHANGES = Config(
    **_TIMEOUTS,
    max_pool_connections=THREADS,
    retries={"mode": "standard", "total_max_attempts": 1},
)


@dataclass(frozen=True, slots=True)
class _Account:
    """Which calls share a rate: by credentials, and the region they are used in."""

    region: str
    role: str | None


class AwsConnections:
    """All connections of the operator: one for each account, region and set of endpoints.

    Args:
        session: botocore's session, whose ambient credentials (environment, IRSA, Pod Identity)
            are used; a new one where it is left out.
    """

    def __init__(self, session: botocore.session.Session | None = None) -> None:
        self._session = session or botocore.session.get_session()
        self._lock = Lock()
        self._threads = Threads(THREADS, "personalize")
        self._change_threads = Threads(CHANGE_THREADS, "personalize-changes")
        self._clients: dict[tuple[object, ...], AwsClient] = {}
        self._buckets: dict[_Account, TokenBucket] = {}

    def client(
        self, settings: PersonalizeSettings, whose: str, on_call: OnCall | None = None
    ) -> "AwsClient":
        """Return the connection for the settings of an EngineClass; equal settings share one.

        Args:
            settings: account, region and endpoints.
            whose: the name of the class. Where classes share an account, the lowest of their
                rates holds.
            on_call: told of each call, for metrics.
        """
        role = settings.assume_role
        account = _Account(settings.region, role.role_arn if role is not None else None)
        rate = settings.requests_per_second
        if account not in self._buckets:
            self._buckets[account] = TokenBucket(rate, time.monotonic, asyncio.sleep)
        bucket = self._buckets[account]
        bucket.limit(whose, rate)
        key = (account, role, settings.endpoint_url, settings.s3_endpoint_url)
        if key not in self._clients:
            self._clients[key] = AwsClient(
                partial(self._connect, settings),
                bucket,
                self._threads,
                self._change_threads,
                on_call,
            )
        return self._clients[key]

    def close(self) -> None:
        """Close all connections; calls under way are left to themselves."""
        for client in self._clients.values():
            client.close()

    def _connect(self, settings: PersonalizeSettings) -> "_Services":
        """Make the service clients. In a thread: looking for credentials may take seconds."""
        with self._lock:  # sessions are not safe for several threads, clients are
            session = self._session_for(settings.region, settings.assume_role)

            def client(service: str, endpoint: str | None, config: Config) -> Any:  # noqa: ANN401 - botocore's clients
                return session.create_client(
                    service, region_name=settings.region, endpoint_url=endpoint, config=config
                )

            return _Services(
                reads=client("personalize", settings.endpoint_url, _READS),
                changes=client("personalize", settings.endpoint_url, _CHANGES),
                s3=client("s3", settings.s3_endpoint_url, _s3_config(settings)),
                sts=client("sts", None, _READS) if _is_aws(settings.endpoint_url) else None,
            )

    def _session_for(self, region: str, role: AssumeRole | None) -> botocore.session.Session:
        source = self._session.get_credentials()
        if source is None:
            # A client would be without credentials for good; they may turn up later.
            raise exceptions.NoCredentialsError
        if role is None:
            return self._session
        extra = {"RoleSessionName": SESSION_NAME}
        if role.external_id is not None:
            extra["ExternalId"] = role.external_id

        def in_region(service: str, **options: Any) -> Any:  # noqa: ANN401 - botocore's clients
            return self._session.create_client(
                service, **{"region_name": region, "config": _READS, **options}
            )

        fetcher = AssumeRoleCredentialFetcher(
            client_creator=in_region,
            source_credentials=source,
            role_arn=role.role_arn,
            extra_args=extra,
        )
        assumed = botocore.session.Session()
        assumed.register_component(
            "credential_provider",
            _Fixed(
                DeferredRefreshableCredentials(
                    refresh_using=fetcher.fetch_credentials, method="assume-role"
                )
            ),
        )
        return assumed


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A session's source of credentials that has but one."""

    credentials: DeferredRefreshableCredentials

    def load_credentials(self) -> DeferredRefreshableCredentials:
        """Return the credentials, as botocore's resolver does."""
        return self.credentials


@dataclass(frozen=True, slots=True)
class _Services:
    """botocore's clients; they may be used by several threads."""

    reads: Any
    changes: Any
    s3: Any
    sts: Any
    """None where another endpoint than AWS's stands in for the service, and so for the account."""

    @property
    def all(self) -> tuple[Any, ...]:
        """All of them."""
        return tuple(one for one in (self.reads, self.changes, self.s3, self.sts) if one)


class AwsClient:
    """A connection to one account and region; implements `PersonalizeClient`.

    Args:
        connect: makes the service clients; called in a thread at the first call.
        bucket: the rate of the account.
        threads: where reads are made.
        change_threads: where changes are made.
        on_call: told of each call.
    """

    def __init__(
        self,
        connect: Callable[[], _Services],
        bucket: TokenBucket,
        threads: Threads,
        change_threads: Threads,
        on_call: OnCall | None,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._threads = threads
        self._change_threads = change_threads
        self._on_call = on_call
        self._lock = Lock()
        self._connected: _Services | None = None

    def close(self) -> None:
        """Close what is open; a later call opens it anew."""
        with self._lock:
            connected, self._connected = self._connected, None
        for service in connected.all if connected is not None else ():
            service.close()

    def _services(self) -> _Services:
        with self._lock:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    async def turn(self) -> None:
        """Wait until the rate of the account allows one more change."""
        await self._bucket.take()

    async def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Call an operation in a thread; reads wait for their turn, changes have waited."""
        if not errors.is_mutating(operation):
            await self._bucket.take()
        return await self._in_thread(operation, lambda: self._send(operation, parameters))

    def _send(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        services = self._services()
        client = services.changes if errors.is_mutating(operation) else services.reads
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
        answer.pop("ResponseMetadata", None)
        return answer

    async def account(self) -> str | None:
        """Ask AWS whose credentials are in use; nobody else could tell."""
        services = await self._threads.run(self._services)
        if services.sts is None:
            return None
        answer = await self._in_thread("GetCallerIdentity", services.sts.get_caller_identity)
        account: str = answer["Account"]
        return account

    async def list_source(self, location: str) -> SourceListing:
        """List a location in object storage."""
        return await self._in_thread("ListObjectsV2", lambda: self._list(location))

    def _list(self, location: str) -> SourceListing:
        parts = urlsplit(location)
        path = parts.path.removeprefix("/")
        folder = path if path.endswith("/") or not path else f"{path}/"
        pages = self._services().s3.get_paginator("list_objects_v2")
        return SourceListing(
            tuple(
                SourceObject(
                    entry["Key"], entry["Size"], entry["ETag"].strip('"'), entry["LastModified"]
                )
                for page in pages.paginate(Bucket=parts.netloc, Prefix=path)
                for entry in page.get("Contents", ())
                if entry["Key"] == path or entry["Key"].startswith(folder)
            )
        )

    async def _in_thread(self, operation: str, work: Callable[[], Answer]) -> Answer:
        started = time.monotonic()
        outcome = "OK"
        try:
            changes = errors.is_mutating(operation)
            return await (self._change_threads if changes else self._threads).run(work)
        except (exceptions.BotoCoreError, exceptions.ClientError, OSError) as error:
            classed = classify(operation, error)
            outcome = classed.error_class.value
            raise classed from error
        finally:
            if self._on_call is not None:
                self._on_call(operation, time.monotonic() - started, outcome)


def _is_aws(endpoint: str | None) -> bool:
    """Whether an endpoint is AWS's own: the public one, or one in a private network."""
    host = urlsplit(endpoint).hostname if endpoint is not None else None
    return endpoint is None or (host or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _s3_config(settings: PersonalizeSettings) -> Config:
    """Address buckets by path at other endpoints, which seldom have a host name for each."""
    if settings.s3_endpoint_url is None:
        return _READS
    return _READS.merge(Config(s3={"addressing_style": "path"}))


_REFUSED_HERE: dict[type[Exception], ErrorClass] = {
    exceptions.ParamValidationError: ErrorClass.INVALID,
    exceptions.NoCredentialsError: ErrorClass.ACCESS_DENIED,
    exceptions.PartialCredentialsError: ErrorClass.ACCESS_DENIED,
    exceptions.CredentialRetrievalError: ErrorClass.ACCESS_DENIED,
    exceptions.MetadataRetrievalError: ErrorClass.ACCESS_DENIED,
    exceptions.UnauthorizedSSOTokenError: ErrorClass.ACCESS_DENIED,
    exceptions.ProfileNotFound: ErrorClass.ACCESS_DENIED,
    exceptions.NoRegionError: ErrorClass.INVALID,
    exceptions.InvalidRegionError: ErrorClass.INVALID,
    # The file with the token of a service account is missing or not ours to read.
    FileNotFoundError: ErrorClass.ACCESS_DENIED,
    PermissionError: ErrorClass.ACCESS_DENIED,
}
"""Errors of calls that were never sent."""

_NOT_SENT = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ProxyConnectionError,
)


def classify(operation: str, error: Exception) -> EngineError:
    """Class an exception of botocore."""
    if isinstance(error, exceptions.ClientError):
        body = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        # Before a call can be sent, a role may have to be assumed, for us or by the environment.
        assuming = error.operation_name.startswith("AssumeRole")
        failed = error.operation_name if assuming else operation
        return errors.service_error(
            failed, str(body.get("Code", "")), str(body.get("Message", "")), status
        )
    for kind, error_class in _REFUSED_HERE.items():
        if isinstance(error, kind):
            return errors.refused_here(operation, str(error), error_class)
    return errors.no_answer(operation, str(error), sent=not isinstance(error, _NOT_SENT))
