"""The port: what the loop asks of an engine, whichever it is.

One `Engine` stands for one EngineClass. Drivers translate between our kinds and the engine's own
objects and hold no rule of their own: whether to adopt, update, retry or delete is decided in
`reco.decide`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reco.api.resource import Key, Resource
from reco.decide.model import (
    Absent,
    Desired,
    EngineView,
    ErrorClass,
    Failure,
    Observed,
    Unsupported,
    Waiting,
)
from reco.decide.references import References


class EngineError(Exception):
    """An engine refused or failed a call.

    Attributes:
        failure: the class of the error, the engine's own words, and whether the call may have
            been carried out all the same.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.operation}: {failure.message}")
        self.failure = failure

    @property
    def error_class(self) -> ErrorClass:
        """What the error means for us."""
        return self.failure.error_class


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine offers, for the status of its EngineClass."""

    features: Sequence[str]
    recipes: Sequence[str]


class Engine(Protocol):
    """One engine, reached through one EngineClass. All methods that wait raise `EngineError`."""

    @property
    def view(self) -> EngineView:
        """What decisions need to know of this engine."""
        ...

    async def capabilities(self) -> Capabilities:
        """Ask the engine what it offers; this also proves that it lets us in."""
        ...

    def desired(
        self, resource: Resource, references: References
    ) -> Desired | Waiting | Unsupported:
        """Translate a spec into what the external object should be. Pure."""
        ...

    async def observe(
        self,
        resource: Resource,
        desired: Desired | Waiting | Unsupported,
        *,
        fresh: bool = False,
        tags: bool = False,
    ) -> Observed | Absent:
        """Find a resource's external object: by the recorded id, else by name.

        `Absent` is a confirmed answer, never the mere lack of an entry in a list. Tags are read
        when the resource has no record of the object yet, on a slow sweep, and as asked.

        Args:
            resource: the resource.
            desired: what its object should be, or why that can't be said.
            fresh: whether to ask for everything anew, whatever is known.
            tags: whether to read the tags, too, once the object is active or has failed.
        """
        ...

    async def turn(self) -> None:
        """Wait until one more change may be asked for; what comes next is asked for at once."""
        ...

    async def create(self, kind: str, desired: Desired, tags: Mapping[str, str]) -> str:
        """Make an external object and return its id."""
        ...

    async def update(
        self, kind: str, observed: Observed, fields: Mapping[str, Any], desired: Desired
    ) -> None:
        """Change `fields` of an external object in place."""
        ...

    async def tag(
        self, kind: str, observed: Observed, set_: Mapping[str, str], remove: Sequence[str]
    ) -> None:
        """Set and remove tags of an external object."""
        ...

    async def stop(self, kind: str, observed: Observed) -> None:
        """Stop a run that has not ended."""
        ...

    async def delete(self, kind: str, observed: Observed) -> None:
        """Delete an external object. A kind that can't be deleted alone is left as it is."""
        ...

    async def run(self, notify: Callable[[Key], None]) -> None:
        """Watch what is in flight until cancelled, and name each resource whose object changed."""
        ...

    def forget(self, key: Key) -> None:
        """Stop watching for a resource that is gone."""
        ...


EngineFactory = Callable[[Resource], Engine]
"""Makes the engine of an EngineClass; raises `ValueError` for settings it can't work with."""
