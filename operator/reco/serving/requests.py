"""What clients may send to the runtime and events APIs, and the rules that no type can tell.

Structs are named and bounded as in the services' models. `context` is accepted and has no effect;
`filterValues` count with a filter only.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from reco.serving.errors import invalid, unsupported
from reco.serving.validation import whole

DEFAULT_RESULTS: Final = 25
MOST_RESULTS: Final = 500
"""Also of items to rank."""
MOST_TOLD: Final = 50
"""Items of an answer with metadata."""
MOST_COLUMNS: Final = 10

Arn = Annotated[str, Meta(max_length=256, pattern=whole(r"arn:([a-z\d-]+):personalize:.*:.*:.+"))]
_RuntimeId = Annotated[str, Meta(max_length=256)]
_Id = Annotated[str, Meta(min_length=1, max_length=256)]
_Value = Annotated[str, Meta(max_length=1000)]
_Context = Annotated[
    dict[Annotated[str, Meta(max_length=150, pattern=whole(r"[A-Za-z\d_]+"))], _Value],
    Meta(max_length=150),
]
_FilterValues = Annotated[
    dict[Annotated[str, Meta(max_length=50, pattern=whole(r"[A-Za-z0-9_]+"))], _Value],
    Meta(max_length=25),
]
_Columns = Annotated[tuple[Annotated[str, Meta(max_length=150)], ...], Meta(max_length=99)]
_MetadataColumns = Annotated[
    dict[Annotated[str, Meta(max_length=256)], _Columns], Meta(max_length=1)
]


class _Shape(Struct, frozen=True, forbid_unknown_fields=True):
    """A structure of the services' models."""


class Promotion(_Shape, frozen=True):
    """Items that are promoted in an answer."""

    name: (
        Annotated[
            str, Meta(min_length=1, max_length=63, pattern=whole(r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*"))
        ]
        | None
    ) = None
    percentPromotedItems: Annotated[int, Meta(ge=1, le=100)] | None = None  # noqa: N815 - the wire's
    filterArn: Arn | None = None  # noqa: N815
    filterValues: _FilterValues | None = None  # noqa: N815


class GetRecommendationsRequest(_Shape, frozen=True):
    """Asks for items for a user, or like an item."""

    campaignArn: Arn | None = None  # noqa: N815
    itemId: _RuntimeId | None = None  # noqa: N815
    userId: _RuntimeId | None = None  # noqa: N815
    numResults: Annotated[int, Meta(ge=0)] | None = None  # noqa: N815
    context: _Context | None = None
    filterArn: Arn | None = None  # noqa: N815
    filterValues: _FilterValues | None = None  # noqa: N815
    recommenderArn: Arn | None = None  # noqa: N815
    promotions: Annotated[tuple[Promotion, ...], Meta(max_length=1)] | None = None
    metadataColumns: _MetadataColumns | None = None  # noqa: N815


class GetPersonalizedRankingRequest(_Shape, frozen=True):
    """Asks for the order of given items for a user."""

    campaignArn: Arn  # noqa: N815
    inputList: tuple[_RuntimeId, ...]  # noqa: N815
    userId: _RuntimeId  # noqa: N815
    context: _Context | None = None
    filterArn: Arn | None = None  # noqa: N815
    filterValues: _FilterValues | None = None  # noqa: N815
    metadataColumns: _MetadataColumns | None = None  # noqa: N815


class MetricAttribution(_Shape, frozen=True):
    """What an event is attributed to."""

    eventAttributionSource: Annotated[  # noqa: N815
        str,
        Meta(max_length=1024, pattern=whole(r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$")),
    ]


class Event(_Shape, frozen=True):
    """One thing a user did.

    `sentAt` is in seconds since 1970; milliseconds and ISO 8601 are understood.
    """

    eventType: _Id  # noqa: N815
    sentAt: float | datetime  # noqa: N815
    eventId: _Id | None = None  # noqa: N815
    eventValue: float | None = None  # noqa: N815
    itemId: _Id | None = None  # noqa: N815
    properties: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    recommendationId: Annotated[str, Meta(min_length=1, max_length=40)] | None = None  # noqa: N815
    impression: Annotated[tuple[_Id, ...], Meta(min_length=1, max_length=25)] | None = None
    metricAttribution: MetricAttribution | None = None  # noqa: N815


class PutEventsRequest(_Shape, frozen=True):
    """Says what a user or an anonymous session did."""

    trackingId: _Id  # noqa: N815
    sessionId: _Id  # noqa: N815
    eventList: Annotated[tuple[Event, ...], Meta(min_length=1, max_length=10)]  # noqa: N815
    userId: _Id | None = None  # noqa: N815


class Item(_Shape, frozen=True):
    """A row of an Items dataset."""

    itemId: _Id  # noqa: N815
    properties: Annotated[str, Meta(min_length=1, max_length=32_000)] | None = None


class PutItemsRequest(_Shape, frozen=True):
    """Adds rows to an Items dataset."""

    datasetArn: Arn  # noqa: N815
    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=10)]


class User(_Shape, frozen=True):
    """A row of a Users dataset."""

    userId: _Id  # noqa: N815
    properties: Annotated[str, Meta(min_length=1, max_length=24_000)] | None = None


class PutUsersRequest(_Shape, frozen=True):
    """Adds rows to a Users dataset."""

    datasetArn: Arn  # noqa: N815
    users: Annotated[tuple[User, ...], Meta(min_length=1, max_length=10)]


OPERATIONS: Final[Mapping[str, tuple[str, type[_Shape]]]] = MappingProxyType(
    {
        "GetRecommendations": ("/recommendations", GetRecommendationsRequest),
        "GetPersonalizedRanking": ("/personalize-ranking", GetPersonalizedRankingRequest),
        "PutEvents": ("/events", PutEventsRequest),
        "PutItems": ("/items", PutItemsRequest),
        "PutUsers": ("/users", PutUsersRequest),
    }
)
"""What is implemented: each operation's path and request. All of them are POST."""

USER_PERSONALIZATION: Final = "USER_PERSONALIZATION"
PERSONALIZED_RANKING: Final = "PERSONALIZED_RANKING"
RELATED_ITEMS: Final = "RELATED_ITEMS"


def campaign_of(request: GetRecommendationsRequest) -> str:
    """Return the campaign that is asked.

    Raises:
        ServiceError: the request names none.
    """
    if not request.campaignArn:
        raise invalid("campaignArn must be given; there are no recommenders here.")
    return request.campaignArn


def results_of(
    request: GetRecommendationsRequest, kind: str, columns: Collection[str] | None = None
) -> int:
    """Return how many items are asked for, of a campaign whose recipe is of this kind.

    `columns` are those of items that it may tell; None if it tells none.

    Raises:
        ServiceError: the request does not suit the recipe, or asks for what is not supported.
    """
    _refuse_unsupported(request)
    if kind == PERSONALIZED_RANKING:
        raise invalid(
            f"Campaign {request.campaignArn} ranks given items; use GetPersonalizedRanking with it."
        )
    if kind == RELATED_ITEMS and not request.itemId:
        raise invalid("itemId must be given for a campaign of a related-items recipe.")
    if kind == USER_PERSONALIZATION and not request.userId:
        raise invalid("userId must be given for a campaign of a user-personalization recipe.")
    count = request.numResults or DEFAULT_RESULTS
    most = MOST_TOLD if told(request, columns) else MOST_RESULTS
    if count > most:
        raise invalid(f"numResults must be at most {most}, not {count}.")
    return count


def check_ranking(
    request: GetPersonalizedRankingRequest, kind: str, columns: Collection[str] | None = None
) -> None:
    """Refuse what a campaign whose recipe is of this kind can't rank; errors as of `results_of`."""
    _refuse_unsupported(request)
    if kind != PERSONALIZED_RANKING:
        raise invalid(f"Campaign {request.campaignArn} is not of a personalized-ranking recipe.")
    most = MOST_TOLD if told(request, columns) else MOST_RESULTS
    if not 1 <= len(request.inputList) <= most:
        raise invalid(f"inputList must have 1 to {most} items.")


def told(
    request: GetRecommendationsRequest | GetPersonalizedRankingRequest,
    columns: Collection[str] | None,
) -> tuple[str, ...]:
    """Return the columns of items that are asked for, in upper case.

    Raises:
        ServiceError: the campaign tells none, or not these, or they are too many.
    """
    wanted = request.metadataColumns
    if not wanted:
        return ()
    if columns is None:
        raise invalid(
            f"Campaign {request.campaignArn} tells no metadata: its campaignConfig must set "
            "enableMetadataWithRecommendations."
        )
    found = []
    for dataset, names in wanted.items():
        if dataset.upper() != "ITEMS":
            raise invalid(f"metadataColumns must name columns of ITEMS, not of {dataset}.")
        if len(names) > MOST_COLUMNS:
            raise invalid(f"metadataColumns must name at most {MOST_COLUMNS} columns.")
        for name in names:
            if name.upper() not in columns:
                raise invalid(f"The Items dataset has no column {name}.")
            found.append(name.upper())
    return tuple(found)


def _refuse_unsupported(request: Any) -> None:  # noqa: ANN401 - either of the two
    for member in ("filterArn", "promotions"):
        if getattr(request, member, None):
            raise unsupported(member)
