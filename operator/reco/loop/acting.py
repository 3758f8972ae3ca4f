"""Acting: one action of a decision carried out, in the engine or in the cluster.

A call that changes something in an engine waits for its turn first; then the decision is confirmed,
leadership asked for, and the intent of a call that can't be proved recorded. Nothing else waits
between that and the call.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import FINALIZER
from reco.cluster.errors import StoreExists
from reco.decide.conditions import timestamp
from reco.decide.decision import (
    Action,
    AddFinalizer,
    CreateExternal,
    CreateResource,
    DeleteExternal,
    DeleteResource,
    EngineAction,
    OwnResource,
    RecreateResource,
    RemoveFinalizer,
    StopExternal,
    TagExternal,
    UpdateExternal,
)
from reco.decide.model import ErrorClass, Failure, Situation, Waiting
from reco.decide.references import resolve
from reco.engines.port import Engine, EngineError
from reco.loop.confirming import Confirmer, Known, Outdated
from reco.loop.looking import Looker
from reco.loop.store import Store

log = logging.getLogger(__name__)


class FenceLost(Exception):  # noqa: N818 - a signal, not an error of this code
    """This process no longer leads, so it must not call the engine."""


class IntentLost(Exception):  # noqa: N818 - a signal, as above
    """The API server did not keep an intent that was to be recorded: its CRDs are older than us."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Carries out actions."""

    store: Store
    cache: Known
    looker: Looker
    confirmer: Confirmer
    clock: Callable[[], datetime]
    """The time in UTC."""
    fence: Callable[[], bool]
    """Whether this process may still change things in an engine."""

    async def prepare(self, situation: Situation, resource: Resource, action: Action) -> Resource:
        """Wait for an action's turn and confirm it; return the resource as it then is.

        Raises:
            EngineError: if there is no engine any more.
            StoreError: if Kubernetes failed a request.
            Outdated: if the action would not be decided again.
            FenceLost: if leadership was lost meanwhile.
            IntentLost: if an intent was to be recorded, and is not in what the API server keeps.
        """
        if isinstance(action, RemoveFinalizer):
            return await self.confirmer.confirm(situation, action)
        if not isinstance(action, EngineAction):
            return resource
        engine = self._engine(resource)
        await engine.turn()
        resource = await self.confirmer.confirm(situation, action)
        if self._engine(resource) is not engine:
            raise Outdated  # it was another account, region or store that was looked at
        if not self.fence():
            raise FenceLost
        if isinstance(action, CreateExternal) and action.record_intent:
            return await self._record_intent(resource, action)
        return resource

    async def _record_intent(self, resource: Resource, action: CreateExternal) -> Resource:
        """Write down that a call is about to be made; return the resource as it now is.

        The write also proves that the resource is the very one that the decision was about.
        """
        intent = {
            "operation": f"Create{resource.key.kind}",
            "name": action.desired.name,
            "time": timestamp(self.clock()),
        }
        written = await self.store.patch_status(
            resource.key, {"intent": intent}, resource.resource_version
        )
        self.cache.observe_write(written)
        if written.raw_status.get("intent") != intent:
            raise IntentLost
        return written

    async def act(
        self, resource: Resource, action: Action
    ) -> tuple[Resource | None, Mapping[str, Any]]:
        """Carry out a prepared action; return the resource as it now is, and status to record.

        Raises:
            EngineError: if the engine refused or failed the call.
            StoreError: if Kubernetes did.
            FenceLost: if leadership was lost before an engine call.
        """
        if isinstance(action, EngineAction):
            return await self._act_on_engine(resource, action)
        match action:
            case AddFinalizer():
                finalizers = [*resource.finalizers, FINALIZER]
                return await self._finalizers(resource, finalizers), {}
            case RemoveFinalizer():
                await self._let_go(resource)
                return None, {}
            case CreateResource(manifest):
                await self._create_resource(resource, manifest)
            case DeleteResource(key, uid):
                await self.store.delete(key, uid)
                log.info("deleted %s", key, extra={"resource": str(resource.key)})
            case OwnResource(child, owner):
                self.cache.observe_write(
                    await self.store.set_owners(child.key, [owner], child.resource_version)
                )
            case RecreateResource(manifest):
                await self._let_go(resource)
                await self._create_resource(resource, manifest)
                return None, {}
        return resource, {}

    async def _let_go(self, resource: Resource) -> None:
        finalizers = [name for name in resource.finalizers if name != FINALIZER]
        self.looker.engines.forget(resource.key)
        await self._finalizers(resource, finalizers)

    async def _finalizers(self, resource: Resource, finalizers: list[str]) -> Resource | None:
        written = await self.store.set_finalizers(
            resource.key, finalizers, resource.resource_version
        )
        if written is None:
            self.cache.remove(resource.key, resource.uid)
        else:
            self.cache.observe_write(written)
        return written

    async def _create_resource(self, parent: Resource, manifest: Mapping[str, Any]) -> None:
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        try:
            child = await self.store.create(manifest)
        except StoreExists:
            log.debug("%s exists already", name)
            return
        self.cache.observe_write(child)
        log.info("made %s", name, extra={"resource": str(parent.key)})

    async def _act_on_engine(
        self, resource: Resource, action: EngineAction
    ) -> tuple[Resource, Mapping[str, Any]]:
        engine = self._engine(resource)
        kind = resource.key.kind
        recorded: Mapping[str, Any] = {}
        if not self.fence():
            raise FenceLost
        log.info("%s %s", type(action).__name__, kind, extra={"resource": str(resource.key)})
        match action:
            case CreateExternal(desired, tags):
                id_ = await engine.create(kind, desired, tags)
                recorded = {"external": {"name": desired.name, "arn": id_}}
            case UpdateExternal(observed, fields, desired):
                await engine.update(kind, observed, fields, desired)
            case TagExternal(observed, set_, remove):
                await engine.tag(kind, observed, set_, remove)
            case StopExternal(observed):
                await engine.stop(kind, observed)
            case DeleteExternal(observed):
                await engine.delete(kind, observed)
        return resource, recorded

    def _engine(self, resource: Resource) -> Engine:
        looker = self.looker
        engine, none = looker.engine(resource, resolve(resource, looker.cache))
        if engine is None:
            raise EngineError(_unreachable(none))
        return engine


def _unreachable(waiting: Waiting) -> Failure:
    return Failure(ErrorClass.TRANSIENT, waiting.message)
