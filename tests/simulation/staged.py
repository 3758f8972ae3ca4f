"""A calm world with one estate of every kind: what happens in it is staged, not drawn."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from reco.api.resource import Key
from tests.simulation.ending import Ending
from tests.simulation.estate import CLASS, GOOD_DATA, ROLE, SCHEMAS, Manifest, User, manifest
from tests.simulation.memory_store import key_of
from tests.simulation.rules import Rules
from tests.simulation.world import REGION, World

NAMESPACE = "shop"
PATIENCE = 4 * 3600.0
"""Virtual seconds within which everything must have come to be."""


class Stage:
    """A world, its user and its rules."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed)
        self.world.weather.calm()
        self.world.server.create_namespace("kube-system")
        self.user = self.world.user = User(self.world)
        self.rules = Rules(self.world)
        self.ending = Ending(self.world, self.rules, self.user)

    def play(self, scenario: Callable[["Stage"], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario; no rule may break in it."""
        try:
            self.world.loop.run(scenario(self))
            errors = [repr(error.get("exception")) for error in self.world.loop.errors]
            assert not self.world.problems + errors, "\n".join(self.world.lines[-40:])
        finally:
            self.world.emulator.close()

    # --- what a user does -------------------------------------------------------------------

    def want(self, *manifests: Manifest) -> None:
        """Want something without applying it yet."""
        for one in manifests:
            self.user.wanted[key_of(one)] = one

    def edit(self, key: Key, **spec: Any) -> None:
        """Change a spec and apply it."""
        self.user.wanted[key]["spec"] |= spec
        assert self.user.apply(key)

    def delete(self, key: Key) -> None:
        """Delete something and want it no more."""
        self.user.wanted.pop(key, None)
        self.user.delete(key)

    # --- what becomes of it -----------------------------------------------------------------

    async def until(self, what: str, unfinished: Callable[[], list[str]]) -> None:
        """Let time pass until nothing is left to happen, for longer than a new leader needs."""
        limit = self.world.loop.time() + PATIENCE
        quiet = 0
        while quiet < 3:
            assert self.world.loop.time() < limit, f"not {what}: {unfinished()}"
            await asyncio.sleep(60.0)
            quiet = 0 if unfinished() or self.world.problems else quiet + 1

    async def settled(self) -> None:
        """Let time pass until everything is as wanted."""
        await self.until("as wanted", self.ending.unfinished)

    async def gone(self, *keys: Key) -> None:
        """Let time pass until resources are gone."""
        await self.until("gone", lambda: [str(k) for k in keys if self.world.server.get(k)])

    def carried_out(self, since: int) -> Counter[str]:
        """Return how often the operator changed something in the engine, by operation."""
        calls = self.world.calls[since:]
        return Counter(call.operation for call in calls if call.error is None)


def key(kind: str, name: str) -> Key:
    """Return the key of a resource of the estate."""
    return Key(kind, "" if kind == "EngineClass" else NAMESPACE, name)


def estate(stage: Stage) -> list[Manifest]:
    """Return one of every kind, which all go without a trace once they are deleted."""

    def one(kind: str, name: str, **spec: Any) -> Manifest:
        return manifest(kind, NAMESPACE, name, spec)

    group, source = {"datasetGroupRef": {"name": "movies"}}, "s3://data/movies/"
    stage.world.bucket.objects[f"{source}1.csv"] = GOOD_DATA["Interactions"]
    settings = {"region": REGION, "roleARN": ROLE}
    return [
        manifest(
            "EngineClass",
            "",
            CLASS,
            {"engine": "Personalize", "deletionPolicy": "Delete", "personalize": settings},
        ),
        one("DatasetGroup", "movies", engineClassName=CLASS),
        schema("interactions", SCHEMAS["interactions"]),
        one(
            "Dataset",
            "interactions",
            **group,
            type="Interactions",
            schemaRef={"name": "interactions"},
            **{"import": {"source": {"s3": source}}},
        ),
        one(
            "DatasetImportJob",
            "once-more",
            datasetRef={"name": "interactions"},
            source={"s3": source},
        ),
        one("Solution", "for-you", **group, recipe="aws-sims", training={"owner": "Operator"}),
        one("SolutionVersion", "by-hand", solutionRef={"name": "for-you"}),
        one("Campaign", "for-you", solutionRef={"name": "for-you"}, version={"name": "by-hand"}),
        one("EventTracker", "events", **group),
    ]


def schema(name: str, columns: list[tuple[str, Any]]) -> Manifest:
    """Return a schema of some columns."""
    fields = [{"name": column, "type": type_} for column, type_ in columns]
    avro = {"type": "record", "name": "Interactions", "fields": fields}
    return manifest("Schema", NAMESPACE, name, {"engineClassName": CLASS, "avro": avro})
