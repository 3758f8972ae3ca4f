"""The runtime and the events API: recommendations from trained models, and what users do."""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from reco.emulator import lifecycle, refreshing, schemas
from reco.emulator.catalogue import RECIPES
from reco.emulator.errors import ServiceError, invalid
from reco.emulator.errors import not_found as no_such
from reco.emulator.kinds import KINDS
from reco.emulator.model import EVENTS, RUNTIME
from reco.emulator.ports import Event, Scored
from reco.emulator.store import Resource
from reco.emulator.world import Call

_DEFAULT_RESULTS = 25
_MAX_RESULTS = 500
_MAX_RANKED = 500
_SCORE_DECIMALS = 7
_LATEST_TIME = 1e11  # in the year 5138: what is larger are not seconds


def _get_recommendations(call: Call) -> dict[str, Any]:
    """Answer from the model of the campaign's version, with what the user did since."""
    parameters = call.parameters
    if not parameters.get("campaignArn"):
        raise invalid("campaignArn must be given; this emulator has no recommenders.")
    campaign, version = _serving(call, parameters["campaignArn"])
    kind = RECIPES[version.attributes["recipeArn"]].type
    user, item = parameters.get("userId"), parameters.get("itemId")
    if kind == "PERSONALIZED_RANKING":
        raise invalid(
            f"Campaign {campaign.arn} ranks given items; use GetPersonalizedRanking with it."
        )
    if kind == "RELATED_ITEMS" and not item:
        raise invalid("itemId must be given for a campaign of a related-items recipe.")
    if kind == "USER_PERSONALIZATION" and not user:
        raise invalid("userId must be given for a campaign of a user-personalization recipe.")
    count = parameters.get("numResults") or _DEFAULT_RESULTS
    if count > _MAX_RESULTS:
        raise invalid(f"numResults must be at most {_MAX_RESULTS}, not {count}.")
    exploration = campaign.attributes["campaignConfig"].get("itemExplorationConfig", {})
    scored = refreshing.serving(call.world, version, call.now).recommend(
        user=user,
        item=item,
        count=count,
        events=_events_of(call, version, user),
        exploration=exploration,
    )
    return {"itemList": _items(scored), "recommendationId": _recommendation_id(call, campaign)}


def _get_ranking(call: Call) -> dict[str, Any]:
    """Order the given items for a user; those the model doesn't know come last."""
    parameters = call.parameters
    campaign, version = _serving(call, parameters["campaignArn"])
    if RECIPES[version.attributes["recipeArn"]].type != "PERSONALIZED_RANKING":
        raise invalid(f"Campaign {campaign.arn} is not of a personalized-ranking recipe.")
    if not 1 <= len(parameters["inputList"]) <= _MAX_RANKED:
        raise invalid(f"inputList must have 1 to {_MAX_RANKED} items.")
    user = parameters["userId"]
    scored = refreshing.serving(call.world, version, call.now).rank(
        user=user,
        items=parameters["inputList"],
        events=_events_of(call, version, user),
    )
    return {
        "personalizedRanking": _items(scored),
        "recommendationId": _recommendation_id(call, campaign),
    }


def _serving(call: Call, arn: str) -> tuple[Resource, Resource]:
    for member in ("filterArn", "promotions", "metadataColumns"):
        if call.parameters.get(member):
            raise ServiceError(
                "NotImplementedException", f"{member} is not implemented by this emulator.", 501
            )
    if arn.split(":")[3] != call.region:
        # A call that reaches another region than the campaign's is the service's own failure.
        raise ServiceError("InternalFailure", "", 500)
    campaign = lifecycle.existing(KINDS["Campaign"], call, arn)
    if campaign.status != "ACTIVE":
        raise invalid(f"The given campaign must be in the ACTIVE state: {arn}")
    version = call.world.store.get(campaign.attributes["solutionVersionArn"], "SolutionVersion")
    if version is None:
        raise no_such(f"Resource Arn {campaign.attributes['solutionVersionArn']} does not exist.")
    return campaign, version


def _events_of(call: Call, version: Resource, user: str | None) -> list[Event]:
    if not user:
        return []
    records = call.world.store.records(version.dataset_group or "", user, after=version.created)
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


def _items(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    return [
        {"itemId": one.item}
        | ({} if one.score is None else {"score": round(one.score, _SCORE_DECIMALS)})
        for one in scored
    ]


def _recommendation_id(call: Call, campaign: Resource) -> str:
    """Give an id of 40 characters; its last six are the campaign's and stay the same."""
    drawn = str(uuid.UUID(int=call.world.random.getrandbits(128), version=4))
    endpoint = hashlib.sha256(campaign.arn.encode()).hexdigest()[:6]
    return f"RID-{drawn[-25:]}-CID-{endpoint}"


def _put_events(call: Call) -> dict[str, Any]:
    """Keep what a user or an anonymous session did in the tracker's dataset group.

    A session named "null" (a known slip of client code) is accepted and dropped, as the service
    does.
    """
    parameters = call.parameters
    tracker = _tracker(call, parameters["trackingId"])
    session, user = parameters["sessionId"], parameters.get("userId")
    events = [_event(one) for one in parameters["eventList"]]
    if session == "null":
        return {}
    group = tracker.attributes["datasetGroupArn"]
    if user:
        call.world.store.adopt_session(group, session, user)
    for event in events:
        call.world.store.add_record(group, user or session, session, call.now, event)
    return {}


def _tracker(call: Call, tracking_id: str) -> Resource:
    for tracker in call.world.store.find(
        "EventTracker", tracking_id=tracking_id, region=call.region
    ):
        if tracker.status != "ACTIVE":
            raise invalid(f"The given event tracker must be in the ACTIVE state: {tracker.arn}")
        return tracker
    raise invalid(f"There is no event tracker with trackingId {tracking_id}.")


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    properties = _properties(event.get("properties"))
    if "timestamp" in properties:
        raise invalid("The property timestamp is set by the service and cannot be sent.")
    sent = event["sentAt"]
    seconds = sent.timestamp() if isinstance(sent, datetime) else float(sent)
    if not 0 <= seconds < _LATEST_TIME * 1000:
        raise invalid(f"sentAt must be a time in seconds since 1970, not {sent}.")
    kept = {
        "eventId": event.get("eventId"),
        "eventType": event["eventType"],
        # Some clients send milliseconds.
        "sentAt": seconds / 1000 if seconds >= _LATEST_TIME else seconds,
        "itemId": event.get("itemId") or properties.get("itemId"),
        "eventValue": event.get("eventValue", properties.get("eventValue")),
        "properties": properties,
    }
    return {name: value for name, value in kept.items() if value is not None}


def _properties(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        properties = json.loads(text)
    except ValueError as error:
        raise invalid("Error parsing properties json") from error
    if not isinstance(properties, dict):
        raise invalid("Error parsing properties json")
    return properties


def _put_records(member: str, key: str, dataset_type: str) -> Callable[[Call], dict[str, Any]]:
    """Build PutItems or PutUsers: rows of a dataset, with properties named in camelCase."""

    def put(call: Call) -> dict[str, Any]:
        arn = call.parameters["datasetArn"]
        dataset = lifecycle.existing(KINDS["Dataset"], call, arn)
        if dataset.attributes["datasetType"] != dataset_type:
            raise invalid(f"Dataset {arn} is not of type {dataset_type}.")
        lifecycle.require_active(dataset)
        schema = lifecycle.existing(KINDS["Schema"], call, dataset.attributes["schemaArn"])
        columns = {
            one.name.replace("_", "").lower(): one.name
            for one in schemas.parse(schema.attributes["schema"])
        }
        for record in call.parameters[member]:
            properties = _properties(record.get("properties"))
            row = {
                columns[name.replace("_", "").lower()]: value
                for name, value in properties.items()
                if name.replace("_", "").lower() in columns
            }
            call.world.store.add_record(arn, record[key], None, call.now, {"columns": row})
        return {}

    return put


OPERATIONS: dict[str, dict[str, Callable[[Call], dict[str, Any]]]] = {
    RUNTIME: {
        "GetRecommendations": _get_recommendations,
        "GetPersonalizedRanking": _get_ranking,
    },
    EVENTS: {
        "PutEvents": _put_events,
        "PutItems": _put_records("items", "itemId", "ITEMS"),
        "PutUsers": _put_records("users", "userId", "USERS"),
    },
}
"""What the data plane implements, by service; every other operation answers "not implemented"."""
