"""What the driver needs of a connection to the service; `aws` has the one over botocore."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from reco.decide.model import digest

PAGE_SIZE = 100
"""The most the service gives in one page."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object of object storage."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class SourceListing:
    """What lies at a location in object storage."""

    objects: tuple[SourceObject, ...]

    @property
    def digest(self) -> str:
        """A short digest that changes with any object."""
        return digest(sorted([found.key, found.size, found.etag] for found in self.objects))


class PersonalizeClient(Protocol):
    """A connection to one account and region. Both methods raise `EngineError`."""

    async def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Call a control-plane operation by its API name and return its answer.

        Times in answers are aware datetimes, as botocore gives them.
        """
        ...

    async def list_source(self, location: str) -> SourceListing:
        """List the object, or the objects below the folder, at an `s3://` location."""
        ...


async def pages(
    client: PersonalizeClient,
    operation: str,
    /,
    **parameters: Any,  # noqa: ANN401 - JSON
) -> AsyncIterator[dict[str, Any]]:
    """Follow a list to its end.

    By hand, since some lists have no paginator, and since a page may be short, even empty, and
    still carry a token.
    """
    token: str | None = None
    while True:
        more = {"nextToken": token} if token else {}
        page = await client.call(operation, maxResults=PAGE_SIZE, **more, **parameters)
        yield page
        token = page.get("nextToken")
        if not token:
            return
