"""What the driver needs of a connection to the service; `aws` has the one over botocore."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from reco.decide.model import digest
from reco.engines.personalize.errors import StaleListError

PAGE_SIZE = 100
"""The most the service gives in one page."""

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object of object storage."""

    key: str
    size: int
    etag: str
    modified: datetime
    """When it was written."""


@dataclass(frozen=True, slots=True)
class SourceListing:
    """What lies at a location in object storage."""

    objects: tuple[SourceObject, ...]

    @property
    def digest(self) -> str:
        """A short digest that changes with any object."""
        return digest(sorted([found.key, found.size, found.etag] for found in self.objects))

    @property
    def modified(self) -> datetime | None:
        """When the newest object was written; None where there is none."""
        return max((found.modified for found in self.objects), default=None)


class PersonalizeClient(Protocol):
    """A connection to one account and region. What asks anybody raises `EngineError`."""

    async def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Call a control-plane operation by its API name and return its answer.

        Times in answers are aware datetimes, as botocore gives them.
        """
        ...

    async def turn(self) -> None:
        """Wait until the rate of the account allows one more change."""
        ...

    async def account(self) -> str | None:
        """Ask whose credentials are in use; None where the endpoint is not AWS's own."""
        ...

    async def list_source(self, location: str) -> SourceListing:
        """List the object, or the objects below the folder, at an `s3://` location."""
        ...


async def pages(
    client: PersonalizeClient,
    operation: str,
    /,
    **parameters: Any,  # noqa: ANN401 - JSON
) -> list[dict[str, Any]]:
    """Return all pages of a list.

    By hand, since some lists have no paginator, and since a page may be short, even empty, and
    still carry a token. A token that has become invalid means that the list has changed under its
    pages: it is started anew.

    Raises:
        EngineError: if any page can't be had.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await _followed(client, operation, parameters)
        except StaleListError:
            continue
    return await _followed(client, operation, parameters)


async def _followed(
    client: PersonalizeClient, operation: str, parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: str | None = None
    while not found or token:
        more = {"nextToken": token} if token else {}
        found.append(await client.call(operation, maxResults=PAGE_SIZE, **more, **parameters))
        token = found[-1].get("nextToken")
    return found
