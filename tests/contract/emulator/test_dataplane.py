"""Recommendations, rankings and events as clients meet them."""

import json
import re
import time
import urllib.request
from typing import Any

import pytest

from tests.contract.emulator.estate import ITEMS, Service, avro, column, refusal


def items(service: Service, campaign: str, **parameters: Any) -> list[str]:
    answer = service.runtime.get_recommendations(campaignArn=campaign, **parameters)
    return [one["itemId"] for one in answer["itemList"]]


def watched(service: Service, tracking: str, item: str, **more: Any) -> None:
    event = {"eventType": "watch", "itemId": item, "sentAt": time.time()}
    service.events.put_events(
        trackingId=tracking, eventList=[event], **{"userId": "7", "sessionId": "s-7", **more}
    )


def test_an_event_changes_the_next_answer(service: Service) -> None:
    group, campaign = service.serving()
    _, tracking = service.tracker(group)
    before = items(service, campaign, userId="7", numResults=5)
    watched(service, tracking, before[0])
    after = items(service, campaign, userId="7", numResults=5)
    assert before[0] not in after
    assert items(service, campaign, userId="8", numResults=5) == before


def test_an_anonymous_session_is_a_user_and_becomes_the_one_it_turns_out_to_be(
    service: Service,
) -> None:
    group, campaign = service.serving()
    _, tracking = service.tracker(group)
    first, second = items(service, campaign, userId="s-1", numResults=2)
    event = {"eventType": "watch", "itemId": first, "sentAt": time.time()}
    service.events.put_events(trackingId=tracking, sessionId="s-1", eventList=[event])
    assert first not in items(service, campaign, userId="s-1", numResults=5)
    watched(service, tracking, second, userId="ann", sessionId="s-1")
    assert not {first, second} & set(items(service, campaign, userId="ann", numResults=5))


def test_a_session_named_as_a_user_leaves_the_user_alone(service: Service) -> None:
    group, campaign = service.serving()
    _, tracking = service.tracker(group)
    first, second, third = items(service, campaign, userId="42", numResults=3)
    watched(service, tracking, first, userId="42", sessionId="900")
    event = {"eventType": "watch", "itemId": second, "sentAt": time.time()}
    service.events.put_events(trackingId=tracking, sessionId="42", eventList=[event])
    assert items(service, campaign, userId="42", numResults=2) == [second, third]
    watched(service, tracking, third, userId="other", sessionId="42")
    assert items(service, campaign, userId="42", numResults=2) == [second, third]
    assert not {second, third} & set(items(service, campaign, userId="other", numResults=5))


def test_a_session_is_trained_on_once_it_has_a_user(service: Service) -> None:
    group = service.filled_group()
    _, tracking = service.tracker(group)
    for session, item in (("s-1", "new-1"), ("s-2", "new-2")):
        event = {"eventType": "watch", "itemId": item, "sentAt": time.time()}
        service.events.put_events(trackingId=tracking, sessionId=session, eventList=[event])
    watched(service, tracking, "new-3", userId="ann", sessionId="s-1")
    job = service.trainer.jobs[service.version(service.solution(group))]
    trained = zip(job.interactions["USER_ID"], job.interactions["ITEM_ID"], strict=True)
    assert [one for one in trained if "new" in one[1]] == [("ann", "new-1"), ("ann", "new-3")]


def test_a_session_named_null_is_accepted_and_dropped(service: Service) -> None:
    group, campaign = service.serving()
    _, tracking = service.tracker(group)
    before = items(service, campaign, userId="7")
    watched(service, tracking, before[0], sessionId="null")
    assert items(service, campaign, userId="7") == before


def test_events_reach_only_the_trackers_own_dataset_group(service: Service) -> None:
    _, campaign = service.serving()
    _, elsewhere = service.tracker(service.group("other"))
    before = items(service, campaign, userId="7")
    watched(service, elsewhere, before[0])
    assert items(service, campaign, userId="7") == before


def test_streamed_events_are_trained_on_and_survive_a_full_import(service: Service) -> None:
    group = service.filled_group()
    _, tracking = service.tracker(group)
    watched(service, tracking, "brand-new")
    service.imported(f"{group.replace('dataset-group', 'dataset')}/INTERACTIONS", "again")
    version = service.version(service.solution(group))
    job = service.trainer.jobs[version]
    assert job.interactions["ITEM_ID"].count("brand-new") == 1
    assert len(job.interactions["ITEM_ID"]) == 1201, "a full import replaces the one before"


def test_a_repeated_event_is_trained_on_once(service: Service) -> None:
    group = service.filled_group()
    _, tracking = service.tracker(group)
    for item, event_id in (("new-1", "a"), ("new-2", "a"), ("new-3", "b"), ("new-4", None)):
        event = {"eventType": "watch", "itemId": item, "sentAt": time.time()}
        event |= {"eventId": event_id} if event_id else {}
        service.events.put_events(trackingId=tracking, sessionId="s", userId="u", eventList=[event])
    job = service.trainer.jobs[service.version(service.solution(group))]
    streamed = [item for item in job.interactions["ITEM_ID"] if item.startswith("new-")]
    assert streamed == ["new-1", "new-3", "new-4"]


def test_recommendation_ids_are_forty_characters_that_end_alike_per_campaign(
    service: Service,
) -> None:
    _, campaign = service.serving()
    ids = [
        service.runtime.get_recommendations(campaignArn=campaign, userId="1")["recommendationId"]
        for _ in range(3)
    ]
    shape = r"RID-[0-9a-f]{2}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-CID-[0-9a-f]{6}"
    assert all(re.fullmatch(shape, one) and len(one) == 40 for one in ids)
    assert len(set(ids)) == 3
    assert len({one[-6:] for one in ids}) == 1


def test_items_of_runtime_answers_have_explicit_nulls(service: Service) -> None:
    _, campaign = service.serving()
    body = json.dumps({"campaignArn": campaign, "userId": "1", "numResults": 1}).encode()
    request = urllib.request.Request(
        f"{service.url}/recommendations",
        data=body,
        headers={"Authorization": service.authorization()},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        raw = answer.read()
        assert answer.headers["content-type"] == "application/json"
        assert "x-frame-options" not in answer.headers
    assert b',"promotionName":null,"metadata":null,"reason":null}' in raw


def test_an_empty_answer_to_events_still_says_json(service: Service) -> None:
    group, _ = service.serving()
    _, tracking = service.tracker(group)
    event = {"eventType": "watch", "itemId": "1", "sentAt": 1}
    status, headers, body = service.http(
        "POST",
        "/events",
        {"trackingId": tracking, "sessionId": "s", "eventList": [event]},
        {"Authorization": service.authorization()},
    )
    assert (status, headers["content-length"], body) == (200, "0", None)
    assert headers["content-type"] == "application/json"


def test_twenty_five_items_are_the_default_and_five_hundred_the_most(service: Service) -> None:
    _, campaign = service.serving()
    assert len(items(service, campaign, userId="1")) == 25
    get = service.runtime.get_recommendations
    code, _, _ = refusal(get, campaignArn=campaign, userId="1", numResults=501)
    assert code == "InvalidInputException"


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [
        ("aws-user-personalization", {"itemId": "1"}),
        ("aws-sims", {"userId": "1"}),
        ("aws-personalized-ranking", {"userId": "1"}),
    ],
)
def test_a_request_that_does_not_suit_the_recipe_is_refused(
    service: Service, recipe: str, parameters: dict[str, str]
) -> None:
    _, campaign = service.serving(recipe)
    code, _, status = refusal(
        service.runtime.get_recommendations, campaignArn=campaign, **parameters
    )
    assert (code, status) == ("InvalidInputException", 400)


def test_a_ranking_returns_every_item_with_the_unknown_ones_last(service: Service) -> None:
    _, campaign = service.serving("aws-personalized-ranking")
    ranking = service.runtime.get_personalized_ranking(
        campaignArn=campaign, userId="1", inputList=["nobody-knows", "1", "2"]
    )["personalizedRanking"]
    assert {one["itemId"] for one in ranking} == {"nobody-knows", "1", "2"}
    assert ranking[-1] == {"itemId": "nobody-knows"}


def test_only_an_active_campaign_answers(service: Service) -> None:
    version = service.version(service.solution(service.filled_group()))
    campaign = service.control.create_campaign(name="c", solutionVersionArn=version)["campaignArn"]
    get = service.runtime.get_recommendations
    code, message, status = refusal(get, campaignArn=campaign, userId="1")
    assert (code, status) == ("InvalidInputException", 400)
    assert campaign in message
    missing = campaign.replace("campaign/c", "campaign/none")
    code, _, status = refusal(get, campaignArn=missing, userId="1")
    assert (code, status) == ("ResourceNotFoundException", 404)
    abroad = service.elsewhere(region="us-east-1")
    code, _, status = refusal(abroad.runtime.get_recommendations, campaignArn=campaign, userId="1")
    assert (code, status) == ("InternalFailure", 500)


@pytest.mark.parametrize(
    "event",
    [
        {"eventType": "watch", "sentAt": 1, "properties": '{"timestamp": 139.47}'},
        {"eventType": "watch", "sentAt": 1, "properties": "[1]"},
        {"eventType": "watch", "sentAt": 1, "properties": "{"},
        {"eventType": "watch", "sentAt": 1e300, "itemId": "1"},
    ],
)
def test_an_event_that_cannot_be_understood_is_refused(
    service: Service, event: dict[str, Any]
) -> None:
    _, tracking = service.tracker(service.group())
    status, headers, _ = service.http(
        "POST",
        "/events",
        {"trackingId": tracking, "sessionId": "s", "eventList": [event]},
        {"Authorization": service.authorization()},
    )
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidInputException")


def test_a_call_takes_ten_events_at_most(service: Service) -> None:
    _, tracking = service.tracker(service.group())
    event = {"eventType": "watch", "sentAt": 1}
    call = {"trackingId": tracking, "sessionId": "s", "eventList": [event] * 11}
    assert refusal(service.events.put_events, **call)[0] == "ValidationException"


def test_items_put_one_by_one_join_the_imported_ones(service: Service) -> None:
    group = service.filled_group()
    dataset = service.dataset(group, service.schema("items", ITEMS), "Items")
    service.imported(dataset, "items", b"ITEM_ID,GENRES\n1,Drama\n2,Comedy\n")
    service.events.put_items(
        datasetArn=dataset,
        items=[
            {"itemId": "2", "properties": '{"genres": "Horror"}'},
            {"itemId": "3", "properties": '{"genres": "Western"}'},
        ],
    )
    job = service.trainer.jobs[service.version(service.solution(group))]
    genres = dict(zip(job.items["ITEM_ID"], job.items["GENRES"], strict=True))
    assert genres == {"1": "Drama", "2": "Horror", "3": "Western"}
    put = service.events.put_users
    code, _, _ = refusal(put, datasetArn=dataset, users=[{"userId": "1"}])
    assert code == "InvalidInputException"


def test_users_are_put_into_a_users_dataset(service: Service) -> None:
    text = avro(column("USER_ID", "string"), column("AGE", "int", "null"), name="Users")
    dataset = service.dataset(service.group(), service.schema("users", text), "Users")
    service.events.put_users(
        datasetArn=dataset, users=[{"userId": "1", "properties": '{"age": 30}'}]
    )


def test_a_campaign_that_was_told_to_tells_columns_of_items(service: Service) -> None:
    group = service.filled_group()
    dataset = service.dataset(group, service.schema("items", ITEMS), "Items")
    service.imported(dataset, "items", b"ITEM_ID,GENRES\n1,Drama\n2,\n")
    version = service.version(service.solution(group, recipe="aws-personalized-ranking"))
    told = service.campaign(
        version, "told", campaignConfig={"enableMetadataWithRecommendations": True}
    )
    asked = {"userId": "1", "inputList": ["1", "2"], "metadataColumns": {"ITEMS": ["Genres"]}}
    rank = service.runtime.get_personalized_ranking
    answer = rank(campaignArn=told, **asked)["personalizedRanking"]
    assert {one["itemId"]: one["metadata"] for one in answer} == {"1": {"genres": "Drama"}, "2": {}}
    silent = service.campaign(version, "silent")
    code, message, _ = refusal(rank, campaignArn=silent, **asked)
    assert code == "InvalidInputException"
    assert "enableMetadataWithRecommendations" in message
