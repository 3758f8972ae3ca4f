"""A ranker by itself: what it answers, what it refuses, when it serves and when it doesn't."""

import json
import socket
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack.processes import LOOPBACK
from reco.serving.event_log import parquet
from reco.workload import tasks
from reco.workload.storage import RECORD_COLUMNS, CurrentData, Places, SnapshotManifest
from tests.serving.stack import ARN, GROUP, Stack, event, items, put, until

RANKING = "aws-personalized-ranking"


def refusal(function: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        function(**{"campaignArn": ARN, **parameters})
    response: Any = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def post(url: str, body: bytes) -> tuple[int, str | None, bytes]:
    request = urllib.request.Request(url, data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, None, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["x-amzn-errortype"], error.read()


def test_a_session_is_asked_for_by_its_id_and_is_no_user(stack: Stack) -> None:
    """As the service has it for anonymous visitors, and never in the place of a known user."""
    stack.start("ranker", stack.ranker())
    stack.start("collector", stack.collector())
    stack.start("consumer", stack.consumer())
    runtime = stack.client("personalize-runtime", "ranker")
    events = stack.client("personalize-events", "collector")
    trained, new, visitor = (items(runtime, userId=id_) for id_ in ("u1", "new", "visitor"))
    put(events, event(new[0]), userId="new")
    until(lambda: items(runtime, userId="new") != new)
    after = items(runtime, userId="new")
    for session in ("u1", "new", "visitor"):
        put(events, event(visitor[1]), event(trained[0]), session=session)
    until(lambda: items(runtime, userId="visitor") != visitor)
    assert visitor[1] not in items(runtime, userId="visitor")
    assert items(runtime, userId="u1") == trained
    assert items(runtime, userId="new") == after


def test_a_campaign_answers_as_the_service_does(stack: Stack) -> None:
    stack.start("ranker", stack.ranker())
    client = stack.client("personalize-runtime", "ranker")
    answer = client.get_recommendations(campaignArn=ARN, userId="u1")
    assert len(answer["itemList"]) == 25
    scores = [one["score"] for one in answer["itemList"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["recommendationId"].startswith("RID-")
    assert len(answer["recommendationId"]) == 40
    assert items(client, userId="u1", numResults=3) == [
        one["itemId"] for one in answer["itemList"][:3]
    ]
    assert items(client, userId="nobody", numResults=5), "who is not known gets popular items"
    get = client.get_recommendations
    assert refusal(get, userId="u1", numResults=501) == ("InvalidInputException", 400)
    assert refusal(get, userId="x" * 10_000) == ("ValidationException", 400)
    assert refusal(get) == ("InvalidInputException", 400)
    assert refusal(get, userId="u1", filterArn=ARN) == ("NotImplementedException", 501)
    other = ARN.replace(GROUP, "shop_others").replace("for-you", "not-this-one")
    assert refusal(get, userId="u1", campaignArn=other) == ("ResourceNotFoundException", 404)
    rank = client.get_personalized_ranking
    assert refusal(rank, userId="u1", inputList=["i1"]) == ("InvalidInputException", 400)
    assert stack.metric("ranker", "reco_requests_total") == 9


def test_a_ranking_has_every_item_and_the_unknown_ones_last(stack: Stack) -> None:
    stack.start("ranker", stack.ranker(RANKING))
    client = stack.client("personalize-runtime", "ranker")
    given_ = ["nobody-knows", "i1", "i2", "i3", "i4"]
    answer = client.get_personalized_ranking(campaignArn=ARN, userId="u1", inputList=given_)
    ranking = answer["personalizedRanking"]
    assert sorted(one["itemId"] for one in ranking) == sorted(given_)
    assert ranking[-1] == {"itemId": "nobody-knows"}
    assert abs(sum(one.get("score", 0) for one in ranking) - 1) < 1e-5
    rank = client.get_personalized_ranking
    for wrong in ([], ["i1"] * 501):
        assert refusal(rank, userId="u1", inputList=wrong) == ("InvalidInputException", 400)


def imported_items(stack: Stack) -> tuple[Path, Path]:
    """Put one import of items into storage; return what says that it counts, and its rows."""
    places, root = Places(GROUP), stack.folder / "storage"
    snapshot = root / places.snapshot("Items", "import-1")
    snapshot.mkdir(parents=True)
    rows = {"ITEM_ID": ["i1", "i2"], "TITLE": ["One", "Two"], "PRICE": [1.5, None]}
    pq.write_table(pa.table(rows), snapshot / "part-00000.parquet")
    manifest = SnapshotManifest(
        job="import-1", type="Items", mode="Full", source="s3://b/items.csv", rows=2,
        created=datetime.now(UTC), parts={"part-00000.parquet": "x"},
        columns={"ITEM_ID": "string", "TITLE": "string", "PRICE": "double"},
    )  # fmt: skip
    (snapshot / "manifest.json").write_text(manifest.model_dump_json())
    current = root / places.current("Items")
    current.write_text(CurrentData(snapshots=("import-1",)).model_dump_json())
    return current, snapshot / "part-00000.parquet"


def test_a_campaign_tells_columns_of_imported_items_and_of_items_put_since(stack: Stack) -> None:
    imported_items(stack)
    put_since = [("1", "i2", 5, '{"TITLE": ["New", "Newer"]}'), ("0", "i2", 4, '{"TITLE": "Old"}')]
    records = stack.folder / "storage" / Places(GROUP).records("Items") / "2027-01-15"
    records.mkdir(parents=True)
    (records / "1-0-2-0.parquet").write_bytes(parquet(RECORD_COLUMNS, put_since))
    stack.start("ranker", stack.ranker(RANKING, metadata=True))
    rank = stack.client("personalize-runtime", "ranker").get_personalized_ranking
    asked = {"campaignArn": ARN, "userId": "u1", "metadataColumns": {"ITEMS": ["title", "PRICE"]}}
    answer = rank(inputList=["i1", "i2", "i3"], **asked)["personalizedRanking"]
    told = {one["itemId"]: one["metadata"] for one in answer}
    assert told == {"i1": {"title": "One", "price": "1.5"}, "i2": {"title": "New|Newer"}, "i3": {}}
    assert (
        "metadata"
        not in rank(campaignArn=ARN, userId="u1", inputList=["i1"])["personalizedRanking"][0]
    )
    assert refusal(rank, userId="u1", inputList=["i1"], metadataColumns={"ITEMS": ["x"]}) == (
        "InvalidInputException",
        400,
    )


@pytest.mark.parametrize("damaged", ["current.json", "part-00000.parquet"])
def test_items_that_are_damaged_are_the_reason_why_a_campaign_does_not_start(
    stack: Stack, damaged: str
) -> None:
    [path] = [one for one in imported_items(stack) if one.name == damaged]
    path.write_bytes(path.read_bytes()[:-9])
    ranker = stack.launch("ranker", stack.ranker(metadata=True))
    assert ranker.wait(timeout=60) == 1
    log = ranker.log.read_text()
    assert "Traceback" not in log
    assert str(path) in log


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_a_model_that_is_not_the_one_never_serves(stack: Stack, damage: str) -> None:
    task = stack.ranker()
    path = stack.folder / "storage" / Places(GROUP).artifact(task.artifact)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        half = len(content) // 2
        path.write_bytes(content[:half] + (b"" if damage == "cut" else b"?" + content[half + 1 :]))
    ranker = stack.launch("ranker", task)
    assert ranker.wait(timeout=60) == 1
    log = ranker.log_tail()
    assert "Traceback" not in log
    assert "Ready" not in log
    assert ("cannot be read" if damage == "missing" else "is damaged: the SHA-256 of its") in log


def test_a_task_that_is_none_is_refused_with_a_text(stack: Stack) -> None:
    stack.environment[tasks.TASK_VARIABLE] = '{"campaign": "x"}'
    ranker = stack.launch("ranker", stack.ranker())
    assert ranker.wait(timeout=60) == 2
    assert "Traceback" not in ranker.log_tail()


def test_a_ranker_that_starts_asks_to_be_tried_again(stack: Stack) -> None:
    """For one that was killed starts again where clients still look for it."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        address = f"http://{LOOPBACK}:{silent.getsockname()[1]}"
        storage = tasks.Storage(s3=tasks.S3(bucket="data", endpoint_url=address))
        group = stack.group.model_copy(update={"storage": storage})
        stack.environment |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
        ranker = stack.launch("ranker", stack.ranker(group=group, artifact="0" * 64))
        until(lambda: stack.readiness("ranker") == "starting")
        client = stack.client("personalize-runtime", "ranker")
        code = refusal(client.get_recommendations, userId="u1")
        ranker.stop(grace=0)
    assert code == ("ServiceUnavailableException", 503)


@pytest.mark.parametrize("grace", [10, 0], ids=["ended", "killed"])
def test_a_ranker_that_goes_under_load_fails_no_request_of_an_sdk(
    stack: Stack, grace: float
) -> None:
    ranker = stack.start("ranker", stack.ranker())
    enough = threading.Event()

    def ask(number: int) -> int:
        client = stack.client("personalize-runtime", "ranker", attempts=12)
        asked = 0
        while not enough.is_set() or asked < 20:
            assert items(client, userId=f"u{number}")
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask, number) for number in range(4)]
        until(lambda: stack.metric("ranker", "reco_requests_total") > 100)
        ranker.stop(grace=grace)
        stack.start("ranker", stack.ranker())
        until(lambda: stack.metric("ranker", "reco_requests_total") > 20)
        enough.set()
        assert sum(one.result() for one in asking) > 120
    assert "Traceback" not in ranker.log.read_text()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(ARN),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["campaignArn", "userId", "inputList", "x"]), inner)
    ),
    max_leaves=8,
)


def test_whatever_arrives_is_answered_in_the_services_manner(stack: Stack) -> None:
    ranker = stack.start("ranker", stack.ranker())
    paths = ["/recommendations", "/personalize-ranking"]

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        path=st.sampled_from(paths),
        body=st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()),
    )
    def answers(path: str, body: bytes) -> None:
        status, code, _ = post(stack.url("ranker") + path, body)
        assert status == 200 or (400 <= status < 500 and code)

    answers()
    for body, status in (
        (b"[" * 500_000, 400),
        (b'{"a":' * 100_000, 400),
        (b" " * (5 << 20), 413),
        (json.dumps({"campaignArn": ARN, "userId": "x" * 10_000}).encode(), 400),
    ):
        for path in paths:
            assert post(stack.url("ranker") + path, body)[0] == status
    assert post(stack.url("ranker") + "/actions", b"{}")[:2] == (404, "UnknownOperationException")
    assert "Traceback" not in ranker.log.read_text()
    assert items(stack.client("personalize-runtime", "ranker"), userId="u1")
