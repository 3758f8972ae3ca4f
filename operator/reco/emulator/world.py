"""What every rule is given: the emulator's state and means, and the call it decides about."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reco.emulator.kinds import KINDS, PHASES, Phase
from reco.emulator.ports import ObjectStore, Trainer
from reco.emulator.store import Resource, Store


@dataclass(frozen=True, slots=True)
class Settings:
    """How this emulator behaves where the real service varies or is unknown.

    ``durations`` (virtual seconds by label of ``kinds.PHASES``) and ``quotas`` (by kind) replace
    defaults. ``list_lag`` is how long (virtual seconds) a new resource stays out of lists;
    ``page_size`` bounds the pages of lists, whatever the caller asks for.
    """

    account: str = "000000000000"
    refuse_repeated_version_names: bool = True
    list_lag: float = 0.0
    page_size: int = 100
    durations: Mapping[str, float] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse settings that would silently do nothing."""
        for name, known in (("durations", PHASES), ("quotas", KINDS)):
            unknown = set(getattr(self, name)) - set(known)
            if unknown:
                raise ValueError(
                    f"unknown {name}: {', '.join(sorted(unknown))}; "
                    f"allowed are {', '.join(sorted(known))}"
                )
            for label, value in getattr(self, name).items():
                if not 0 <= value < float("inf"):
                    raise ValueError(f"{name} must be 0 or more, not {value} for {label}")
        if self.page_size < 1:
            raise ValueError(f"the page size must be 1 or more, not {self.page_size}")

    def phase(self, *labels: str) -> Phase:
        """Find the duration of the first label that has one, as configured if it is."""
        for label in labels:
            if label in self.durations:
                return PHASES[label].within(self.durations[label])
        return next(PHASES[label] for label in labels if label in PHASES)


@dataclass(frozen=True, slots=True)
class World:
    """State and means, the same for all calls. ``random`` is the only source of randomness."""

    store: Store
    trainer: Trainer
    objects: ObjectStore
    random: random.Random
    settings: Settings


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the rules see it: validated parameters, who asks, where and when.

    ``failure`` is the reason with which a fault wants the creation or update to fail later on;
    ``quotas`` and ``list_lag`` are the settings, or what a fault made of them.
    """

    world: World
    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str
    account: str
    now: float
    failure: str | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)
    list_lag: float = 0.0

    def arn(self, noun: str, suffix: str) -> str:
        """Give the ARN of a resource of the caller's."""
        return f"arn:aws:personalize:{self.region}:{self.account}:{noun}/{suffix}"

    def here(self, resource: Resource) -> bool:
        """Say whether a resource is the caller's and in the region that was asked."""
        return resource.region == self.region and resource.account == self.account

    def get(self, kind: str, arn: str) -> Resource | None:
        """Find a resource of the caller's, in the region that was asked."""
        resource = self.world.store.get(arn, kind)
        return resource if resource is not None and self.here(resource) else None
