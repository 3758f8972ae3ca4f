"""Under CRDs that are older than the operator no call is made that could be paid twice."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.simulation.desk import VERSION, OneObjectEngine, opened, version
from tests.simulation.memory_store import Body, MemoryStore


def test_no_paid_call_is_made_while_its_intent_is_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    keeps = MemoryStore.patch_status

    def prunes(
        self: MemoryStore, key: Any, patch: Mapping[str, Any], *rest: Any, **more: Any
    ) -> Body:
        known = {name: value for name, value in patch.items() if name != "intent"}
        return keeps(self, key, known, *rest, **more)

    async def scenario() -> None:
        made = version()
        made["status"] = {}
        desk = opened(OneObjectEngine(), made)
        monkeypatch.setattr(MemoryStore, "patch_status", prunes)
        for _ in range(3):
            await desk.look(VERSION)
        assert desk.engine.calls == []
        shown = desk.conditions(VERSION)
        assert shown["Ready"] == shown["Succeeded"] == "Unknown/CRDOutdated"
        assert shown["Stalled"] == "True/CRDOutdated"
        told = next(c["message"] for c in desk.status(VERSION)["conditions"])
        assert "solutionversions.reco.dev" in told
        assert ("Warning", "CRDOutdated") in {event[:2] for event in desk.events}

        monkeypatch.setattr(MemoryStore, "patch_status", keeps)
        await desk.look(VERSION)
        assert desk.engine.calls == ["create SolutionVersion shop_thing"]

    asyncio.run(scenario())
