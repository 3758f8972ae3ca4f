"""What goes wrong around an operator: objects recreated, data that comes and goes, wrong clocks."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from reco.emulator.errors import ServiceError
from tests.simulation.world import World

_MEMBERS = {
    "Solution": ("name", "datasetGroupArn", "recipeArn"),
    "Dataset": ("name", "datasetGroupArn", "datasetType", "schemaArn"),
}
"""What makes an object of the same name again."""
_PATIENCE = 40


class Sabotage:
    """Acts behind everybody's back until it is told to end."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self._hidden: dict[str, bytes] = {}

    def end(self) -> None:
        """Put back what is missing, and the clock right."""
        self.world.clock_error = 0.0
        for location in list(self._hidden):
            self._show(location)

    # --- what is done ------------------------------------------------------------------------

    def recreate(self) -> None:
        """Delete an object of the engine and make another of its name, without our marks."""
        kind = self.rng.choice(("Solution", "Dataset"))
        found = self.world.external(kind)
        if found:
            self._spawn(self._recreate(kind, self.rng.choice(found).arn))

    async def _recreate(self, kind: str, arn: str) -> None:
        member = f"{kind[0].lower()}{kind[1:]}"
        try:
            described = self._call(f"Describe{kind}", **{f"{member}Arn": arn})[member]
            self._call(f"Delete{kind}", **{f"{member}Arn": arn})
        except ServiceError as error:
            self.world.trace(f"somebody: refused: {error}")
            return
        again = {name: described[name] for name in _MEMBERS[kind] if name in described}
        for _ in range(_PATIENCE):
            await asyncio.sleep(5.0)
            try:
                self._call(f"Create{kind}", **again)
            except ServiceError as error:
                if error.code != "ResourceInUseException":
                    self.world.trace(f"somebody: refused: {error}")
                    return  # the operator was faster, or what it needs is gone
            else:
                return

    def retag(self) -> None:
        """Change the users' tags of an object, or set one that nobody wants."""
        kind = self.rng.choice(("DatasetGroup", "Dataset", "Solution", "Campaign"))
        found = self.world.external(kind)
        if not found:
            return
        arn, key = self.rng.choice(found).arn, self.rng.choice(("env", "cost", "team", "stray"))
        tags = [{"tagKey": key, "tagValue": "somebody"}]
        try:
            self._call("TagResource", resourceArn=arn, tags=tags)
        except ServiceError as error:
            self.world.trace(f"somebody: refused: {error}")

    def hide_data(self) -> None:
        """Take a file away, and put it back after a while."""
        locations = sorted(self.world.bucket.objects)
        if len(locations) > 1:
            self._spawn(self._hide(self.rng.choice(locations)))

    async def _hide(self, location: str) -> None:
        self._hidden[location] = self.world.bucket.objects.pop(location)
        self.world.trace(f"somebody: takes {location} away")
        await asyncio.sleep(self.rng.expovariate(1 / 600.0))
        self._show(location)

    def _show(self, location: str) -> None:
        content = self._hidden.pop(location, None)
        if content is not None:
            if location not in self.world.bucket.objects:
                self.world.bucket.objects[location] = content
            self.world.trace(f"somebody: puts {location} back")

    def set_clock(self) -> None:
        """Let the clock of the operator's node go wrong, and be put right after a while."""
        self._spawn(self._wrong_clock(self.rng.choice((7200.0, 86_400.0, 31_536_000.0, -900.0))))

    async def _wrong_clock(self, seconds: float) -> None:
        self.world.trace(f"the operator's clock is {seconds:.0f} s ahead")
        self.world.clock_error = seconds
        await asyncio.sleep(self.rng.expovariate(1 / 300.0))
        self.world.trace("the operator's clock is right again")
        self.world.clock_error = 0.0

    # --- how ---------------------------------------------------------------------------------

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        self.world.loop.spawn(None, what)

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.world.execute("somebody", operation, parameters)
