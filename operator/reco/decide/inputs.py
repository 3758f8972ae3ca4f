"""Inputs: what a training starts from, and whether that has changed.

An input is a digest of the spec and one of each table's data. What is not known now, because a
Dataset is absent, new or not yet looked at, is neither compared nor forgotten: an incomplete
picture is no change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from reco.api.resource import Resource
from reco.decide.model import digest

EVENTS = "Events"
"""The key of what was streamed."""
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Input:
    """What a training starts from."""

    spec: str
    """A digest of the settings."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Digests by type of dataset, as far as they are known, and of streamed events."""

    @property
    def text(self) -> str:
        """The input as it stands in annotations and statuses."""
        return f"{self.spec};{','.join(f'{key}={self.data[key]}' for key in sorted(self.data))}"

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Read an input; None where there is none, or one that an older release wrote."""
        spec, separator, data = (text or "").partition(";")
        if not separator:
            return None
        pairs = (part.partition("=") for part in data.split(",") if part)
        return cls(spec, {key: value for key, _, value in pairs})

    def known_from(self, before: Self | None) -> Self:
        """Return this input, with what is not known now as it was before."""
        return self if before is None else type(self)(self.spec, {**before.data, **self.data})


def changed(before: Input | None, now: Input | None) -> bool:
    """Whether anything that is known now differs. An unknown input counts as the present one."""
    if before is None or now is None:
        return False
    return before.spec != now.spec or any(
        before.data.get(key) != value for key, value in now.data.items()
    )


def data_of(datasets: Iterable[Resource], streamed: object = None) -> dict[str, str]:
    """Return digests of the data there is, of the tables of which it is known.

    Args:
        datasets: the datasets of the group.
        streamed: what the engine says of streamed events, as JSON; None where it says nothing.
    """
    found = {
        dataset.spec.type.value: digest(name)[:_SHORT]
        for dataset in datasets
        if dataset.spec is not None
        and dataset.deleted is None
        and (name := _imported(dataset)) is not None
    }
    return found if streamed is None else {**found, EVENTS: digest(streamed)[:_SHORT]}


def _imported(dataset: Resource) -> str | None:
    last = dataset.status.import_
    if last is None:
        return None
    return last.last_successful_input or last.last_successful_job  # type: ignore[no-any-return]
