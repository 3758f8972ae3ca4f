"""The client over boto3, against the emulator on the wire."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.credentials
import pytest
from moto.server import ThreadedMotoServer

from reco.api.engine_class import PersonalizeSettings
from reco.decide.model import Absent, Desired, ErrorClass, Failure, Observed, State
from reco.decide.references import References
from reco.engines.personalize.aws import AwsClient, AwsConnections
from reco.engines.personalize.engine import PersonalizeEngine
from reco.engines.personalize.polling import Timers
from reco.engines.port import Engine, EngineError
from tests.contract.personalize.conftest import Wire
from tests.contract.personalize.harness import ACCOUNT, REGION, ROLE, engine_class, manifest

MOTOS_ACCOUNT = "123456789012"


@asynccontextmanager
async def connected(
    url: str | None, seen: list[tuple[str, str]] | None = None, **settings: Any
) -> AsyncIterator[AwsClient]:
    with closing(AwsConnections()) as connections:
        yield connections.client(
            PersonalizeSettings.model_validate(
                {"region": REGION, "endpointURL": url, "requestsPerSecond": 100} | settings
            ),
            "personalize",
            lambda operation, _, outcome: (seen if seen is not None else []).append(
                (operation, outcome)
            ),
        )


async def refused(client: AwsClient, operation: str, **parameters: Any) -> Failure:
    """Tell how a call failed, which it must."""
    with pytest.raises(EngineError) as caught:
        await client.call(operation, **parameters)
    return caught.value.failure


@pytest.fixture
def no_credentials(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of what the emulator's fixture gives boto3 to sign with."""
    del wire
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")


def test_an_engine_works_over_the_wire(wire: Wire) -> None:
    async def scenario() -> None:
        async with connected(wire.url) as client:
            engine: Engine = PersonalizeEngine(
                engine_class(),
                client,
                Timers(lambda: datetime.now(UTC), time.monotonic, asyncio.sleep, random.Random(1)),
            )
            assert "aws-user-personalization-v2" in (await engine.capabilities()).recipes
            group = manifest("DatasetGroup", "movies", {})
            desired = engine.desired(group, References({}, engine_class=engine_class()))
            assert isinstance(desired, Desired)
            assert await engine.observe(group, desired) == Absent()
            await engine.create("DatasetGroup", desired, {"reco.dev/uid": group.uid})
            observed = await engine.observe(group, desired)
            assert isinstance(observed, Observed)
            assert observed.state is State.CREATING
            assert observed.tags == {"reco.dev/uid": group.uid}
            assert observed.created.tzinfo is not None

    asyncio.run(scenario())


def test_r4_a_lost_answer_to_a_change_is_told_as_such_and_not_repeated(wire: Wire) -> None:
    async def scenario() -> None:
        wire.emulator.add_fault({"kind": "lostResponse", "operation": "CreateSchema", "count": 1})
        seen: list[tuple[str, str]] = []
        async with connected(wire.url, seen) as client:
            failure = await refused(client, "CreateSchema", name="s", schema=SCHEMA)
            assert failure.error_class is ErrorClass.TRANSIENT
            assert failure.outcome_unknown
            assert seen == [("CreateSchema", "Transient")]
            assert len(wire.emulator.calls(operation="CreateSchema")) == 1
            failure = await refused(client, "CreateSchema", name="s", schema=SCHEMA)
            assert failure.error_class is ErrorClass.EXISTS

    asyncio.run(scenario())


SCHEMA = (
    '{"type":"record","name":"Interactions","namespace":"com.amazonaws.personalize.schema",'
    '"fields":[{"name":"USER_ID","type":"string"},{"name":"ITEM_ID","type":"string"},'
    '{"name":"TIMESTAMP","type":"long"}],"version":"1.0"}'
)


def test_a_read_gets_a_second_attempt_and_a_change_does_not(wire: Wire) -> None:
    async def scenario() -> None:
        async with connected(wire.url) as client:
            wire.emulator.add_fault({"kind": "throttle", "operation": "ListSchemas", "count": 1})
            assert await client.call("ListSchemas") == {"schemas": []}
            wire.emulator.add_fault({"kind": "throttle", "operation": "CreateSchema", "count": 1})
            failure = await refused(client, "CreateSchema", name="s", schema=SCHEMA)
            assert failure.error_class is ErrorClass.THROTTLED
            assert not failure.outcome_unknown

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "error_class", "unknown"),
    [
        ({"kind": "accessDenied"}, ErrorClass.ACCESS_DENIED, False),
        ({"kind": "expiredCredentials"}, ErrorClass.ACCESS_DENIED, False),
        ({"kind": "serverError"}, ErrorClass.TRANSIENT, True),
        (
            {
                "kind": "throttle",
                "code": "LimitExceededException",
                "message": "More than 5 resources with PENDING or IN_PROGRESS status.",
            },
            ErrorClass.QUOTA_WAIT,
            False,
        ),
        (
            {
                "kind": "throttle",
                "code": "LimitExceededException",
                "message": "More than 5 resources in ACTIVE state. Please delete some and try"
                " again.",
            },
            ErrorClass.QUOTA_EXHAUSTED,
            False,
        ),
    ],
)
def test_a_refused_change_is_sent_once_and_classed(
    wire: Wire, fault: Mapping[str, Any], error_class: ErrorClass, *, unknown: bool
) -> None:
    async def scenario() -> None:
        wire.emulator.add_fault(fault)
        async with connected(wire.url) as client:
            failure = await refused(client, "CreateDatasetGroup", name="movies")
        assert (failure.error_class, failure.outcome_unknown) == (error_class, unknown)
        assert failure.operation == "CreateDatasetGroup"
        assert len(wire.emulator.calls()) == 1

    asyncio.run(scenario())


def test_bad_parameters_are_refused_before_anything_is_sent(wire: Wire) -> None:
    async def scenario() -> None:
        async with connected(wire.url) as client:
            failure = await refused(client, "CreateCampaign", name="x", minProvisionedTPS="many")
        assert failure.error_class is ErrorClass.INVALID
        assert not failure.outcome_unknown
        assert wire.emulator.calls() == []

    asyncio.run(scenario())


@pytest.mark.usefixtures("credentials")
def test_where_nobody_listens_nothing_was_sent() -> None:
    async def scenario() -> None:
        async with connected("http://127.0.0.1:9") as client:
            failure = await refused(client, "CreateDatasetGroup", name="movies")
        assert failure.error_class is ErrorClass.TRANSIENT
        assert not failure.outcome_unknown

    asyncio.run(scenario())


@pytest.mark.usefixtures("no_credentials")
def test_without_credentials_access_is_denied_and_no_call_is_made(wire: Wire) -> None:
    async def scenario() -> None:
        async with connected(wire.url) as client:
            failure = await refused(client, "ListSchemas")
        assert failure.error_class is ErrorClass.ACCESS_DENIED

    asyncio.run(scenario())


@pytest.mark.usefixtures("no_credentials")
def test_credentials_that_turn_up_late_are_used(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def scenario() -> None:
        shared = tmp_path / "credentials"
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
        async with connected(wire.url) as client:
            with pytest.raises(EngineError):
                await client.call("ListSchemas")
            keys = f"aws_access_key_id = {ACCOUNT}\naws_secret_access_key = secret\n"
            shared.write_text(f"[default]\n{keys}")
            assert await client.call("ListSchemas") == {"schemas": []}

    asyncio.run(scenario())


@pytest.mark.usefixtures("no_credentials")
def test_a_service_account_whose_token_is_missing_is_denied_access(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        async with connected(wire.url) as client:
            failure = await refused(client, "CreateDatasetGroup", name="movies")
            assert "/nonexistent/token" in failure.message
        assert failure.error_class is ErrorClass.ACCESS_DENIED
        assert not failure.outcome_unknown

    asyncio.run(scenario())


@pytest.mark.usefixtures("no_credentials")
def test_without_credentials_no_role_can_be_assumed(wire: Wire) -> None:
    async def scenario() -> None:
        async with connected(wire.url, assumeRole={"roleARN": ROLE}) as client:
            failure = await refused(client, "ListSchemas")
        assert failure.error_class is ErrorClass.ACCESS_DENIED

    asyncio.run(scenario())


@pytest.mark.usefixtures("credentials")
def test_equal_settings_share_a_connection_and_one_account_shares_a_rate() -> None:
    settings = PersonalizeSettings.model_validate({"region": REGION, "requestsPerSecond": 100})
    tagged = settings.model_copy(update={"tags": {"a": "b"}})
    elsewhere = settings.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    with closing(AwsConnections()) as connections:
        first = connections.client(settings, "first")
        assert connections.client(tagged, "second") is first
        third = connections.client(elsewhere, "third")
        assert third is not first
        assert third._bucket is first._bucket


# Object storage and roles: moto's server stands for S3 and STS ------------------------------------


@pytest.fixture
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_a_source_is_a_file_or_a_folder_and_never_a_neighbour(wire: Wire, moto: str) -> None:
    async def scenario() -> None:
        s3 = boto3.Session().client("s3", endpoint_url=moto, region_name="us-east-1")
        s3.create_bucket(Bucket="data")
        for key in ("movies/1.csv", "movies/2.csv", "movies-old/1.csv", "one.csv", "one.csv.bak"):
            s3.put_object(Bucket="data", Key=key, Body=key.encode())
        async with connected(wire.url, s3EndpointURL=moto) as client:
            for location, keys in {
                "s3://data/movies/": {"movies/1.csv", "movies/2.csv"},
                "s3://data/movies": {"movies/1.csv", "movies/2.csv"},
                "s3://data/one.csv": {"one.csv"},
                "s3://data/none/": set(),
            }.items():
                listing = await client.list_source(location)
                assert {found.key for found in listing.objects} == keys
            with pytest.raises(EngineError) as caught:
                await client.list_source("s3://nothing-here/x")
            assert caught.value.error_class is ErrorClass.NOT_FOUND

    asyncio.run(scenario())


def test_a_role_is_assumed_before_the_first_call(
    wire: Wire, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)

    async def scenario() -> None:
        async with connected(
            wire.url, assumeRole={"roleARN": ROLE, "externalID": "shared-word"}
        ) as client:
            await client.call("ListSchemas")
            credentials = client._services().reads._request_signer._credentials
            assert credentials.method == "assume-role"
            assert credentials.access_key.startswith("ASIA")

    asyncio.run(scenario())


def test_while_no_role_can_be_assumed_nothing_is_sent_and_later_it_goes_on(
    wire: Wire, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with connected(wire.url, assumeRole={"roleARN": ROLE}) as client:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
            failure = await refused(client, "CreateDatasetGroup", name="movies")
            assert failure.error_class is ErrorClass.TRANSIENT
            assert not failure.outcome_unknown
            assert wire.emulator.calls() == []
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
            assert (await client.call("ListSchemas"))["schemas"] == []

    asyncio.run(scenario())


def test_a_role_is_assumed_again_when_its_session_ends(
    wire: Wire, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)

    async def scenario() -> None:
        async with connected(wire.url, assumeRole={"roleARN": ROLE}) as client:
            await client.call("ListSchemas")
            credentials = client._services().reads._request_signer._credentials
            before = credentials.access_key
            soon_over = datetime.now(UTC) + timedelta(minutes=50)
            monkeypatch.setattr(botocore.credentials, "_local_now", lambda: soon_over)
            monkeypatch.setattr(credentials, "_time_fetcher", lambda: soon_over)
            await client.call("ListSchemas")
            assert credentials.access_key != before

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "recorded", "gone"),
    [
        ({}, MOTOS_ACCOUNT, True),
        ({}, ACCOUNT, False),
        ({"endpointURL": "the emulator's"}, ACCOUNT, True),
    ],
    ids=["the recorded account", "another account", "an endpoint that is not AWS's"],
)
def test_r5_what_is_missing_is_believed_gone_only_by_the_account_it_was_in(
    wire: Wire,
    moto: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    recorded: str,
    *,
    gone: bool,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL_PERSONALIZE", wire.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", recorded)  # by which the emulator tells the account
    url = wire.url if settings else None

    async def scenario() -> None:
        async with connected(url) as client:
            engine: Engine = PersonalizeEngine(
                engine_class(),
                client,
                Timers(lambda: datetime.now(UTC), time.monotonic, asyncio.sleep, random.Random(1)),
            )
            arn = f"arn:aws:personalize:{REGION}:{recorded}:dataset-group/shop_movies"
            group = manifest("DatasetGroup", "movies", {}, status={"external": {"arn": arn}})
            desired = engine.desired(group, References({}, engine_class=engine_class()))
            if gone:
                assert await engine.observe(group, desired) == Absent()
            else:
                with pytest.raises(EngineError, match=f"works in {MOTOS_ACCOUNT}"):
                    await engine.observe(group, desired)

    asyncio.run(scenario())


def test_connections_that_were_closed_open_again_when_they_are_needed(wire: Wire) -> None:
    async def scenario() -> None:
        async with connected(wire.url) as client:
            await client.call("ListSchemas")
            client.close()
            assert await client.call("ListSchemas") == {"schemas": []}

    asyncio.run(scenario())
