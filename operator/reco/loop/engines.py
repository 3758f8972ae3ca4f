"""The engines in use: one for each EngineClass, made from its spec, watching while it lasts.

A class whose spec changes gets a new engine. The old one stops watching, but answers whoever still
holds it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reco.api.resource import Key, Resource
from reco.decide.model import digest
from reco.engines.port import Engine, EngineFactory

RESTART_AFTER: Final = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    engine: Engine
    uid: str
    digest: str
    watching: asyncio.Task[None]


class Engines:
    """Makes engines when they are asked for, and keeps them."""

    def __init__(self, factory: EngineFactory, notify: Callable[[Key], None]) -> None:
        """Make none yet.

        Args:
            factory: makes the engine of a class.
            notify: told of each resource whose external object changed; queues it.
        """
        self._factory = factory
        self._notify = notify
        self._running: dict[str, _Running] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def get(self, engine_class: Resource) -> Engine:
        """Return the engine of a class, made from its present spec.

        Raises:
            ValueError: if no engine can work with the class's settings.
        """
        name = engine_class.key.name
        spec = digest(None if engine_class.spec is None else engine_class.spec.manifest())
        running = self._running.get(name)
        if running is not None and (running.uid, running.digest) == (engine_class.uid, spec):
            return running.engine
        engine = self._factory(engine_class)
        self._stop(name)
        watching = asyncio.create_task(self._watch(name, engine), name=f"engine {name}")
        self._running[name] = _Running(engine, engine_class.uid, spec, watching)
        logger.info("engine made", extra={"engine_class": name})
        return engine

    def forget(self, key: Key) -> None:
        """Tell all engines that a resource is gone; a class that is gone takes its engine along."""
        if key.kind == "EngineClass":
            self._stop(key.name)
        for running in self._running.values():
            running.engine.forget(key)

    async def close(self) -> None:
        """Stop all engines and wait for them."""
        for name in list(self._running):
            self._stop(name)
        await asyncio.gather(*self._stopping, return_exceptions=True)

    def _stop(self, name: str) -> None:
        running = self._running.pop(name, None)
        if running is not None:
            running.watching.cancel()
            self._stopping.add(running.watching)
            running.watching.add_done_callback(self._stopping.discard)

    async def _watch(self, name: str, engine: Engine) -> None:
        while True:
            try:
                await engine.run(self._notify)
            except Exception:
                logger.exception("an engine's watch failed", extra={"engine_class": name})
            await asyncio.sleep(RESTART_AFTER)
