"""Requests of the data plane against botocore's models, and the words of refusals."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from reco.emulator.model import EVENTS, RUNTIME, operation_model, service_model
from reco.serving import events, requests
from reco.serving.errors import STATUSES, ServiceError
from reco.serving.requests import (
    OPERATIONS,
    GetPersonalizedRankingRequest,
    GetRecommendationsRequest,
    PutEventsRequest,
)
from reco.serving.validation import decode, parse, whole

ARN = "arn:aws:personalize:eu-west-1:123456789012:campaign/movies"
EVENT = {"eventType": "watch", "sentAt": 1}


def described(kind: Any) -> Any:
    """Describe a struct's type in the words of botocore's models."""
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        times = [one for one in others if isinstance(one, inspect.DateTimeType)]
        return {"type": "timestamp"} if times else described(others[0])
    match kind:
        case inspect.StructType():
            members = {field.encode_name: described(field.type) for field in kind.fields}
            required = sorted(field.encode_name for field in kind.fields if field.required)
            return {"name": kind.cls.__name__, "members": members, "required": required}
        case inspect.VarTupleType():
            return {"list": described(kind.item_type), **lengths(kind.min_length, kind.max_length)}
        case inspect.DictType():
            inside = [described(kind.key_type), described(kind.value_type)]
            return {"map": inside, **lengths(kind.min_length, kind.max_length)}
        case inspect.StrType():
            pattern = {"pattern": kind.pattern} if kind.pattern else {}
            return {"type": "string", **lengths(kind.min_length, kind.max_length), **pattern}
        case inspect.IntType():
            return {"type": "integer", **lengths(kind.ge, kind.le)}
        case inspect.FloatType():
            return {"type": "float"}
        case _:
            raise TypeError(kind)


def modelled(shape: Shape) -> Any:
    """Describe a shape of botocore's in the same words."""
    limits = lengths(shape.metadata.get("min"), shape.metadata.get("max"))
    if isinstance(shape, StructureShape):
        members = {name: modelled(member) for name, member in shape.members.items()}
        return {"name": shape.name, "members": members, "required": sorted(shape.required_members)}
    if isinstance(shape, ListShape):
        return {"list": modelled(shape.member), **limits}
    if isinstance(shape, MapShape):
        return {"map": [modelled(shape.key), modelled(shape.value)], **limits}
    if isinstance(shape, StringShape):
        pattern = shape.metadata.get("pattern")
        return {"type": "string", **limits, **({"pattern": whole(pattern)} if pattern else {})}
    return {"type": shape.type_name, **limits}


def lengths(low: float | None, high: float | None) -> dict[str, float]:
    return {name: value for name, value in (("min", low), ("max", high)) if value is not None}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_requests_are_those_of_the_services_models(operation: str) -> None:
    model = operation_model(RUNTIME, operation) or operation_model(EVENTS, operation)
    assert model is not None
    assert model.input_shape is not None
    path, request = OPERATIONS[operation]
    assert path == model.http["requestUri"]
    assert described(inspect.type_info(request)) == modelled(model.input_shape)


def test_refusals_have_the_models_statuses() -> None:
    for service in (RUNTIME, EVENTS):
        for shape in service_model(service).error_shapes:
            status = shape.metadata["error"]["httpStatusCode"]
            assert STATUSES.get(shape.name, 400) == status


def refusal(function: Any, *arguments: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        function(*arguments)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    ("request_", "body", "code", "text"),
    [
        (GetRecommendationsRequest, b"{", "SerializationException", "not JSON"),
        (GetRecommendationsRequest, b"\xff\xfe", "SerializationException", "not JSON"),
        (GetRecommendationsRequest, b"[" * 100_000, "SerializationException", "not JSON"),
        (GetRecommendationsRequest, b"[]", "SerializationException", "must be a JSON object"),
        (GetRecommendationsRequest, b'{"numResults": NaN}', "SerializationException", "not JSON"),
        (
            GetRecommendationsRequest, b'{"userId": 7}',
            "SerializationException", "Value at 'userId' must be of type string, not int",
        ),
        (
            GetRecommendationsRequest, b'{"numResults": true}',
            "SerializationException", "Value at 'numResults' must be of type integer, not bool",
        ),
        (
            GetRecommendationsRequest, b'{"numResults": -1}',
            "ValidationException",
            "1 validation error detected: Value '-1' at 'numResults' failed to satisfy constraint: "
            "Member must have value greater than or equal to 0",
        ),
        (
            GetRecommendationsRequest, json.dumps({"userId": "x" * 10_000}).encode(),
            "ValidationException", "Member must have length less than or equal to 256",
        ),
        (
            GetRecommendationsRequest, b'{"campaignArn": "movies"}',
            "ValidationException",
            r"regular expression pattern: arn:([a-z\d-]+):personalize:.*:.*:.+",
        ),
        (
            GetRecommendationsRequest, b'{"who": 1}',
            "ValidationException", "Unknown member at 'who': GetRecommendationsRequest has no such",
        ),
        (
            GetPersonalizedRankingRequest, b'{"inputList": ["1", null]}',
            "SerializationException", "Value at 'inputList.2.member' must be of type string",
        ),
        (
            GetPersonalizedRankingRequest, b'{"userId": null}',
            "ValidationException", "3 validation errors detected: Value null at 'campaignArn'",
        ),
        (
            PutEventsRequest,
            json.dumps({"trackingId": "t", "sessionId": "s", "eventList": [EVENT] * 11}).encode(),
            "ValidationException", "at 'eventList' failed to satisfy constraint: Member must have "
            "length less than or equal to 10",
        ),
        (
            PutEventsRequest, b'{"trackingId": "t", "sessionId": "s", "eventList": []}',
            "ValidationException", "Member must have length greater than or equal to 1",
        ),
        (
            PutEventsRequest, b'{"trackingId": "t", "sessionId": "s", "eventList": [{}]}',
            "ValidationException", "Value null at 'eventList.1.member.eventType'",
        ),
    ],
    ids=range(16),
)  # fmt: skip
def test_a_bad_request_is_refused_in_the_services_words(
    request_: type[msgspec.Struct], body: bytes, code: str, text: str
) -> None:
    found, message = refusal(decode, request_, body)
    assert found == code
    assert text in message
    assert len(message) < 1000, "a refusal repeats no more than the start of a value"


def test_null_members_are_absent() -> None:
    body = json.dumps({"campaignArn": ARN, "itemId": None, "context": {"a": None}}).encode()
    assert decode(GetRecommendationsRequest, body).context == {}


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (1_700_000_000, 1_700_000_000.0),
        (1_700_000_000.5, 1_700_000_000.5),
        (1_700_000_000_500, 1_700_000_000.5),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20", 1_700_000_000.0),
    ],
)
def test_times_come_in_several_forms(sent: Any, seconds: float) -> None:
    body = {"trackingId": "t", "sessionId": "s", "eventList": [{**EVENT, "sentAt": sent}]}
    request = decode(PutEventsRequest, json.dumps(body).encode())
    assert events.kept_events(request, 2e9).events[0].sent_at == seconds


def test_a_time_may_be_one_of_pythons() -> None:
    sent = {**EVENT, "sentAt": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)}
    request = parse(PutEventsRequest, {"trackingId": "t", "sessionId": "s", "eventList": [sent]})
    assert events.kept_events(request, 2e9).events[0].sent_at == 1_700_000_000.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sentAt": -1}, "sentAt must be a time in seconds since 1970, not -1"),
        ({"sentAt": 1e300}, "sentAt must be a time"),
        ({"properties": "[1]"}, "Error parsing properties json"),
        ({"properties": '"{}"'}, "Error parsing properties json"),
        ({"properties": "{"}, "Error parsing properties json"),
        ({"properties": '{"timestamp": 139.47}'}, "The property timestamp is set by the service"),
    ],
)
def test_an_event_that_cannot_be_understood_is_refused(change: dict[str, Any], text: str) -> None:
    body = {"trackingId": "t", "sessionId": "s", "eventList": [{**EVENT, **change}]}
    request = decode(PutEventsRequest, json.dumps(body).encode())
    code, message = refusal(events.kept_events, request, 5.0)
    assert code == "InvalidInputException"
    assert text in message


def test_a_repeated_call_gives_the_same_event_ids_and_another_call_others() -> None:
    def ids(**change: Any) -> list[str]:
        body = {"trackingId": "t", "sessionId": "s", "eventList": [EVENT, EVENT], **change}
        request = decode(PutEventsRequest, json.dumps(body).encode())
        return [one.event_id for one in events.kept_events(request, 5.0).events]

    first = ids()
    assert first == ids()
    assert len({*first, *ids(userId="u"), *ids(sessionId="other")}) == 6


@pytest.mark.parametrize(
    ("kind", "parameters", "code"),
    [
        ("USER_PERSONALIZATION", {"itemId": "1"}, "InvalidInputException"),
        ("RELATED_ITEMS", {"userId": "1"}, "InvalidInputException"),
        ("PERSONALIZED_RANKING", {"userId": "1"}, "InvalidInputException"),
        ("USER_PERSONALIZATION", {"userId": "1", "numResults": 501}, "InvalidInputException"),
        ("USER_PERSONALIZATION", {"userId": "1", "filterArn": ARN}, "NotImplementedException"),
        ("USER_PERSONALIZATION", {"userId": "1", "promotions": [{}]}, "NotImplementedException"),
        (
            "USER_PERSONALIZATION",
            {"userId": "1", "metadataColumns": {"ITEMS": ["TITLE"]}},
            "InvalidInputException",
        ),
    ],
    ids=range(7),
)
def test_a_request_that_does_not_suit_is_refused(
    kind: str, parameters: dict[str, Any], code: str
) -> None:
    request = parse(GetRecommendationsRequest, {"campaignArn": ARN, **parameters})
    assert refusal(requests.results_of, request, kind)[0] == code


@pytest.mark.parametrize(
    ("columns", "count", "refused"),
    [
        ({"items": ["title", "GENRES"]}, 50, None),
        ({"ITEMS": []}, 50, None),
        ({"ITEMS": ["TITLE"]}, 51, "numResults must be at most 50, not 51"),
        ({"ITEMS": ["PRICE"]}, 1, "The Items dataset has no column PRICE"),
        ({"USERS": ["TITLE"]}, 1, "must name columns of ITEMS"),
        ({"ITEMS": ["TITLE"] * 11}, 1, "at most 10 columns"),
    ],
    ids=range(6),
)
def test_columns_of_items_are_told_within_limits(
    columns: dict[str, list[str]], count: int, refused: str | None
) -> None:
    asked = {"userId": "1", "numResults": count, "metadataColumns": columns}
    request = parse(GetRecommendationsRequest, {"campaignArn": ARN, **asked})

    def answer() -> int:
        return requests.results_of(request, "USER_PERSONALIZATION", ["TITLE", "GENRES"])

    if refused is None:
        assert answer() == count
    else:
        assert refused in refusal(answer)[1]


NAMES = st.sampled_from(
    ["campaignArn", "userId", "numResults", "inputList", "eventList", "sentAt", "trackingId", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(ARN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    operation=st.sampled_from(sorted(OPERATIONS)),
    body=st.binary(max_size=60)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(NAMES, VALUES, max_size=4).map(lambda value: json.dumps(value).encode()),
)
def test_any_body_is_a_request_or_refused(operation: str, body: bytes) -> None:
    request = OPERATIONS[operation][1]
    try:
        assert isinstance(decode(request, body), request)
    except ServiceError as error:
        assert error.code in {"SerializationException", "ValidationException"}  # noqa: PT017 - either is fine


NOW = 1_700_000_000.0


def put(properties: str | None = None, sent_at: Any = NOW, **more: Any) -> events.KeptEvents:
    event = {"eventType": "watch", "itemId": "i", "sentAt": sent_at}
    event |= {} if properties is None else {"properties": properties}
    body = {"trackingId": "t", "sessionId": "s", "eventList": [event], **more}
    return events.kept_events(decode(PutEventsRequest, json.dumps(body).encode()), NOW)


@pytest.mark.parametrize(
    ("sent_at", "kept"),
    [
        (NOW - 5, NOW - 5),
        (NOW + 5, NOW),
        (4_102_444_800, NOW),
        (4_102_444_800_000, NOW),
        ("2100-01-01T00:00:00Z", NOW),
        (0, 0.0),
    ],
)
def test_what_is_dated_later_than_it_came_counts_as_of_then(sent_at: Any, kept: float) -> None:
    assert put(sent_at=sent_at).events[0].sent_at == kept


def test_a_repeated_call_has_the_same_event_id_whenever_it_comes() -> None:
    body = {"eventType": "watch", "sentAt": NOW + 3600}
    request = decode(
        PutEventsRequest,
        json.dumps({"trackingId": "t", "sessionId": "s", "eventList": [body]}).encode(),
    )
    first, second = (events.kept_events(request, NOW + later) for later in (0, 5))
    assert first.events[0].event_id == second.events[0].event_id


@pytest.mark.parametrize("number", ["1" + "0" * 30, "1" + "0" * 400, "1e400", "9" * 900])
def test_numbers_that_nobody_can_write_again_are_refused(number: str) -> None:
    with pytest.raises(ServiceError, match="Error parsing properties json"):
        put(f'{{"eventValue": {number}}}')
    with pytest.raises(ServiceError, match="Error parsing properties json"):
        events.kept_rows("Items", [("i", f'{{"price": [{number}]}}')], {"price": "PRICE"}, NOW)


def test_no_property_says_whose_a_row_is() -> None:
    columns = events.columns_by_property(["ITEM_ID", "GENRES"])
    kept = events.kept_rows("Items", [("a", '{"itemId": "b", "genres": "x"}')], columns, NOW)
    assert kept.rows == (("a", '{"GENRES":"x"}'),)
