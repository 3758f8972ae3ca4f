"""The runtime and the events API: recommendations from trained models, and what users do.

Requests, rules and answers are the data plane's own, in `reco.serving`: what is here is where the
emulator keeps campaigns, models and events.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from reco.emulator import holdings, lifecycle, refreshing, schemas
from reco.emulator.catalogue import RECIPES
from reco.emulator.errors import ServiceError, invalid
from reco.emulator.kinds import KINDS
from reco.emulator.model import EVENTS, RUNTIME
from reco.emulator.ports import Event, ServingModel
from reco.emulator.store import Resource
from reco.emulator.world import Call
from reco.serving import answers, events, requests
from reco.serving.errors import no_such_resource
from reco.serving.metadata import ItemColumns, texts
from reco.serving.requests import (
    GetPersonalizedRankingRequest,
    GetRecommendationsRequest,
    PutEventsRequest,
    PutItemsRequest,
    PutUsersRequest,
)
from reco.serving.validation import parse


def _get_recommendations(call: Call) -> dict[str, Any]:
    """Answer from the model of the campaign's version, with what the user did since."""
    request = parse(GetRecommendationsRequest, call.parameters)
    campaign, version = _serving(call, requests.campaign_of(request))
    columns = _columns(call, campaign, request)
    names = None if columns is None else columns.names
    count = requests.results_of(request, RECIPES[version.attributes["recipeArn"]].type, names)
    told = requests.told(request, names)
    model = refreshing.serving(call.world, version, call.now)
    scored = model.recommend(
        user=request.userId,
        item=request.itemId,
        count=count,
        events=_events_of(call, version, model, request.userId),
        exploration=campaign.attributes["campaignConfig"].get("itemExplorationConfig", {}),
    )
    return answers.recommendations(
        scored, _recommendation_id(call, campaign), _metadata(columns, told)
    )


def _get_ranking(call: Call) -> dict[str, Any]:
    """Order the given items for a user; those the model doesn't know come last."""
    request = parse(GetPersonalizedRankingRequest, call.parameters)
    campaign, version = _serving(call, request.campaignArn)
    columns = _columns(call, campaign, request)
    names = None if columns is None else columns.names
    requests.check_ranking(request, RECIPES[version.attributes["recipeArn"]].type, names)
    told = requests.told(request, names)
    model = refreshing.serving(call.world, version, call.now)
    scored = model.rank(
        user=request.userId,
        items=request.inputList,
        events=_events_of(call, version, model, request.userId),
    )
    return answers.ranking(scored, _recommendation_id(call, campaign), _metadata(columns, told))


def _columns(
    call: Call,
    campaign: Resource,
    request: GetRecommendationsRequest | GetPersonalizedRankingRequest,
) -> ItemColumns | None:
    """Read what the Items dataset says now, if the campaign tells it and somebody asks."""
    if not campaign.attributes["campaignConfig"].get("enableMetadataWithRecommendations"):
        return None
    if not request.metadataColumns:
        return ItemColumns((), {})
    columns = holdings.rows(call.world, campaign.dataset_group or "", "ITEMS", call.now)
    ids = columns.pop("ITEM_ID", [])
    rows = zip(*columns.values(), strict=True)
    return ItemColumns(
        tuple(columns),
        {
            item: texts(dict(zip(columns, row, strict=True)))
            for item, row in zip(ids, rows, strict=True)
        },
    )


def _metadata(columns: ItemColumns | None, told: Sequence[str]) -> answers.Metadata | None:
    return partial(columns.of, columns=told) if told and columns is not None else None


def _serving(call: Call, arn: str) -> tuple[Resource, Resource]:
    if arn.split(":")[3] != call.region:
        # A call that reaches another region than the campaign's is the service's own failure.
        raise ServiceError("InternalFailure", "", 500)
    campaign = lifecycle.existing(KINDS["Campaign"], call, arn)
    if campaign.status != "ACTIVE":
        raise _not_active("campaign", arn)
    version = call.world.store.get(campaign.attributes["solutionVersionArn"], "SolutionVersion")
    if version is None:
        raise no_such_resource(campaign.attributes["solutionVersionArn"])
    return campaign, version


def _events_of(call: Call, version: Resource, model: ServingModel, user: str | None) -> list[Event]:
    """Read what a user did since the training; of an id that is no user's, what the session did."""
    if not user:
        return []
    store, group = call.world.store, version.dataset_group or ""
    if not model.knows(user) and not store.records(group, user):
        user = events.anonymous(user)
    records = store.records(group, user, after=version.created)
    return [
        Event(
            item=record["itemId"],
            event_type=record["eventType"],
            value=record.get("eventValue"),
            timestamp=record["sentAt"],
        )
        for record in records
        if record.get("itemId")
    ]


def _recommendation_id(call: Call, campaign: Resource) -> str:
    return answers.recommendation_id(call.world.random.getrandbits(128), campaign.arn)


def _put_events(call: Call) -> dict[str, Any]:
    """Keep what a user or an anonymous session did in the tracker's dataset group."""
    request = parse(PutEventsRequest, call.parameters)
    tracker = _tracker(call, request.trackingId)
    kept = events.kept_events(request, call.now)
    if kept.session == events.DROPPED_SESSION:
        return {}
    group = tracker.attributes["datasetGroupArn"]
    if kept.user:
        call.world.store.adopt_session(group, events.anonymous(kept.session), kept.user)
    for event in kept.events:
        body = {
            "eventId": event.event_id,
            "eventType": event.event_type,
            "sentAt": event.sent_at,
            "itemId": event.item_id,
            "eventValue": event.event_value,
            "properties": events.properties(event.properties),
        }
        present = {name: value for name, value in body.items() if value is not None}
        call.world.store.add_record(group, kept.subject, kept.session, call.now, present)
    return {}


def _tracker(call: Call, tracking_id: str) -> Resource:
    for tracker in call.world.store.find(
        "EventTracker", tracking_id=tracking_id, region=call.region
    ):
        if tracker.status != "ACTIVE":
            raise _not_active("event tracker", tracker.arn)
        return tracker
    raise events.no_such_tracker(tracking_id)


def _put_items(call: Call) -> dict[str, Any]:
    request = parse(PutItemsRequest, call.parameters)
    rows = [(one.itemId, one.properties) for one in request.items]
    return _put_rows(call, request.datasetArn, "ITEMS", rows)


def _put_users(call: Call) -> dict[str, Any]:
    request = parse(PutUsersRequest, call.parameters)
    rows = [(one.userId, one.properties) for one in request.users]
    return _put_rows(call, request.datasetArn, "USERS", rows)


def _not_active(noun: str, arn: str) -> ServiceError:
    """Refuse a call about a resource that is not ready for it, as these two services do."""
    return invalid(f"The given {noun} must be in the ACTIVE state: {arn}")


def _put_rows(
    call: Call, arn: str, dataset_type: str, rows: list[tuple[str, str | None]]
) -> dict[str, Any]:
    """Keep rows of a dataset, with properties named in camelCase."""
    dataset = lifecycle.existing(KINDS["Dataset"], call, arn)
    if dataset.attributes["datasetType"] != dataset_type:
        raise events.wrong_dataset(arn, dataset_type)
    lifecycle.require_active(dataset)
    schema = lifecycle.existing(KINDS["Schema"], call, dataset.attributes["schemaArn"])
    fields = schemas.parse(schema.attributes["schema"])
    columns = events.columns_by_property(field.name for field in fields)
    for id_, text in rows:
        row = events.columns_of(events.properties(text), columns)
        call.world.store.add_record(arn, id_, None, call.now, {"columns": row})
    return {}


OPERATIONS: dict[str, dict[str, Callable[[Call], dict[str, Any]]]] = {
    RUNTIME: {
        "GetRecommendations": _get_recommendations,
        "GetPersonalizedRanking": _get_ranking,
    },
    EVENTS: {
        "PutEvents": _put_events,
        "PutItems": _put_items,
        "PutUsers": _put_users,
    },
}
"""What the data plane implements, by service; every other operation answers "not implemented"."""
