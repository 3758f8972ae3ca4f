"""The one path that every resource takes, whatever its kind and engine.

Read the cache, follow the references, ask the engine, decide, act, write the status. One pass makes
at most one mutating engine call, so a crash between any two awaits leaves something that the next
pass can go on from.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from reco.api.resource import Key, Resource
from reco.api.vocabulary import FINALIZER, ConditionType, Reason
from reco.cluster.errors import (
    StoreConflict,
    StoreError,
    StoreExists,
    StoreForbidden,
    StoreInvalid,
    StoreNotFound,
)
from reco.decide import deletion, engine_class, events, failures, lifecycle, requests
from reco.decide.conditions import timestamp
from reco.decide.model import (
    Action,
    AddFinalizer,
    CreateExternal,
    CreateResource,
    Decision,
    DeleteExternal,
    DeleteResource,
    Desired,
    EngineAction,
    ErrorClass,
    Failure,
    Identity,
    Keep,
    NotAsked,
    Observation,
    RemoveFinalizer,
    Situation,
    StopExternal,
    TagExternal,
    Timing,
    UpdateExternal,
    Verdict,
    Waiting,
    Wish,
)
from reco.decide.references import Lookup, References, blocker, resolve
from reco.decide.rules import RULES
from reco.engines.port import Engine, EngineError
from reco.loop.status import patch
from reco.loop.store import Store

log = logging.getLogger(__name__)

DEFAULT_TIMING = Timing()


class View(Lookup, Protocol):
    """What the reconciler reads and writes of the cache."""

    def owned(self, uid: str) -> Sequence[Resource]:
        """Return the resources with an owner reference to `uid`."""
        ...

    def observe_write(self, resource: Resource) -> None:
        """Take in what a write of ours returned."""
        ...

    def remove(self, key: Key, uid: str) -> Resource | None:
        """Forget a resource that is gone."""
        ...


class Queue(Protocol):
    """What the reconciler needs of the work queue."""

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at a resource again in a while."""
        ...

    def fail(self, key: Key) -> float:
        """Look at a resource again with backoff."""
        ...

    def forget(self, key: Key) -> None:
        """Forget a resource's failures."""
        ...

    def failures(self, key: Key) -> int:
        """How often in a row a resource has failed."""
        ...


class Engines(Protocol):
    """Where engines come from."""

    def get(self, engine_class: Resource) -> Engine:
        """Return the engine of a class.

        Raises:
            ValueError: if the class's settings make no engine.
        """
        ...

    def forget(self, key: Key) -> None:
        """Tell all engines that a resource is gone."""
        ...


class FenceLost(Exception):  # noqa: N818 - a signal, not an error of this code
    """This process no longer leads, so it must not call the engine."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Looks at one resource at a time; safe to use from several workers."""

    store: Store
    cache: View
    queue: Queue
    engines: Engines
    identity: Identity
    clock: Callable[[], datetime]
    """The time in UTC."""
    fence: Callable[[], bool]
    """Whether this process may still change things in an engine."""
    timing: Timing = DEFAULT_TIMING
    jitter: Callable[[], float] = lambda: 1.0
    """A factor around 1 that spreads looks."""

    async def reconcile(self, key: Key) -> None:
        """Look at one resource, act on it, and say when to look again.

        Raises:
            FenceLost: if leadership was lost before an engine call.
        """
        resource = self.cache.get(key)
        if resource is None:
            self.queue.forget(key)
            self.engines.forget(key)
            return
        try:
            decision = await self._look(resource)
        except StoreConflict:
            self.queue.add_after(key, 0.05)
            return
        except StoreNotFound:
            self.cache.remove(key, resource.uid)
            return
        except StoreError as error:
            log.warning("the Kubernetes API failed a request for %s: %s", key, error)
            self.queue.fail(key)
            return
        except FenceLost:
            raise
        except Exception as error:
            await self._own_up(resource, error)
            raise
        self._schedule(key, decision)

    async def _own_up(self, resource: Resource, error: Exception) -> None:
        """Say in the status that the operator itself failed: its log is not where users look."""
        text = f"the operator failed: {type(error).__name__}: {error}; its log has the traceback"
        verdict = Verdict("Unknown", Reason.INTERNAL_ERROR, text)
        shown: dict[ConditionType, Verdict | Keep] = {
            ConditionType.READY: Keep(verdict),
            ConditionType.RECONCILING: replace(verdict, status="True"),
            ConditionType.SYNCED: verdict,
        }
        with suppress(StoreError):
            await self._write(resource, Decision(shown))

    def _schedule(self, key: Key, decision: Decision) -> None:
        if decision.retry:
            self.queue.fail(key)
        else:
            self.queue.forget(key)
        wait = decision.look_again
        if wait is not None and not decision.retry:
            self.queue.add_after(key, wait * self.jitter() if wait > 1 else wait)
        self.queue.add_after(key, self.timing.resync * self.jitter())

    async def _look(self, resource: Resource) -> Decision:
        if resource.key.kind == "EngineClass":
            decision = await self._engine_class(resource)
            situation = None
        else:
            situation = await self._situation(resource)
            decision = lifecycle.decide(situation)
        current = resource
        for action in decision.actions:
            if isinstance(action, CreateExternal) and action.record_intent:
                current = await self._record_intent(current, action)
            try:
                written, more = await self._act(current, situation, action)
            except EngineError as error:
                self._log_failure(resource, error)
                if situation is None:
                    raise
                failed = failures.decide(
                    replace(situation, resource=current), error.failure, action
                )
                decision = replace(failed, status={**_recorded(decision.status), **failed.status})
                break
            except (StoreForbidden, StoreInvalid) as error:
                if not isinstance(action, CreateResource):
                    raise
                decision = _child_refused(decision, action, error)
                break
            if written is None:
                return Decision({})
            current = written
            decision = replace(decision, status={**decision.status, **more})
        await self._write(current, decision)
        return decision

    # --- looking ----------------------------------------------------------------------------

    async def _engine_class(self, resource: Resource) -> Decision:
        offered: tuple[Sequence[str], Sequence[str]] | Failure | str
        users = self._users(resource) if resource.deleted is not None else []
        try:
            if resource.deleted is not None:
                offered = ((), ())
            elif resource.problem is not None:
                offered = resource.problem
            else:
                capabilities = await self.engines.get(resource).capabilities()
                offered = (capabilities.features, capabilities.recipes)
        except ValueError as error:
            offered = str(error)
        except EngineError as error:
            offered = error.failure
        return engine_class.decide(resource, offered=offered, users=users, timing=self.timing)

    def _users(self, engine_class: Resource) -> list[Resource]:
        """Return the resources that a class is in charge of, or that name it."""
        users = {user.key: user for user in self.cache.referring(engine_class.key)}
        for kind in RULES:
            for resource in self.cache.all(kind):
                if resource.status.engine_class_name == engine_class.key.name:
                    users[resource.key] = resource
        return [users[key] for key in sorted(users)]

    async def _situation(self, resource: Resource) -> Situation:
        rules = RULES[resource.key.kind]
        references = resolve(resource, self.cache)
        engine, no_engine = self._engine(resource, references)
        desired: Wish = no_engine
        if resource.spec is not None and engine is not None:
            desired = self._desired(resource, references, engine)
        observation: Observation = NotAsked()
        view = engine.view if engine is not None else None
        asks = (
            deletion.asks_engine(resource, view)
            if resource.deleted is not None
            else resource.spec is not None
        )
        if engine is not None and asks:
            observation = await self._observe(resource, engine, desired)
        owned = self.cache.owned(resource.uid)
        owned_keys = {child.key for child in owned}
        return Situation(
            resource=resource,
            now=self.clock(),
            identity=self.identity,
            engine=view,
            desired=desired,
            observation=observation,
            children=owned,
            dependents=[
                other for other in self.cache.referring(resource.key) if other.key not in owned_keys
            ],
            related=rules.related(resource, references, self.cache),
            failures=self.queue.failures(resource.key),
            timing=self.timing,
        )

    def _engine(self, resource: Resource, references: References) -> tuple[Engine | None, Waiting]:
        """Return the engine in charge, or why there is none.

        The class recorded in the status stands in for one that can't be reached through the
        references any more, so that deletion works in any order.
        """
        found = references.engine_class
        if found is None and resource.status.engine_class_name is not None:
            found = self.cache.get(Key("EngineClass", "", resource.status.engine_class_name))
        waiting = blocker(resource, references) if resource.spec is not None else None
        none = waiting or Waiting("there is no EngineClass in charge")
        if found is None or found.problem is not None:
            return None, none
        try:
            return self.engines.get(found), none
        except ValueError as error:
            return None, Waiting(f"{found.key} can't be used: {error}")

    def _desired(self, resource: Resource, references: References, engine: Engine) -> Wish:
        completed = RULES[resource.key.kind].complete(resource, references, self.cache)
        waiting = blocker(resource, references)
        if waiting is not None:
            return waiting
        if isinstance(completed, Waiting):
            return completed
        return engine.desired(resource, completed)

    async def _observe(self, resource: Resource, engine: Engine, desired: Wish) -> Observation:
        try:
            return await engine.observe(
                resource,
                desired,
                fresh=requests.forced(resource),
                tags=_tags_wanted(resource, desired),
            )
        except EngineError as error:
            self._log_failure(resource, error)
            return error.failure

    def _log_failure(self, resource: Resource, error: EngineError) -> None:
        log.info(
            "the engine failed a call",
            extra={
                "resource": str(resource.key),
                "operation": error.failure.operation,
                "class": error.error_class.value,
                "error": error.failure.message,
            },
        )

    # --- acting -----------------------------------------------------------------------------

    async def _act(
        self, resource: Resource, situation: Situation | None, action: Action
    ) -> tuple[Resource | None, Mapping[str, Any]]:
        """Carry out one action; return the resource as it now is, and status to record."""
        if isinstance(action, EngineAction):
            if situation is None:
                raise TypeError(f"{resource.key}: no engine to act on")
            return await self._act_on_engine(resource, action)
        match action:
            case AddFinalizer():
                finalizers = [*resource.finalizers, FINALIZER]
                return await self._finalizers(resource, finalizers), {}
            case RemoveFinalizer():
                finalizers = [name for name in resource.finalizers if name != FINALIZER]
                self.engines.forget(resource.key)
                await self._finalizers(resource, finalizers)
                return None, {}
            case CreateResource(manifest):
                await self._create_resource(resource, manifest)
            case DeleteResource(key, uid):
                await self.store.delete(key, uid)
                log.info("deleted %s", key, extra={"resource": str(resource.key)})
        return resource, {}

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
    ) -> tuple[Resource | None, Mapping[str, Any]]:
        engine, none = self._engine(resource, resolve(resource, self.cache))
        if engine is None:
            raise EngineError(_unreachable(none))
        kind = resource.key.kind
        recorded: Mapping[str, Any] = {}
        await engine.turn()  # it may take a while, so leadership is asked for after it
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

    async def _record_intent(self, resource: Resource, action: CreateExternal) -> Resource:
        intent = {
            "operation": f"Create{resource.key.kind}",
            "name": action.desired.name,
            "time": timestamp(self.clock()),
        }
        written = await self.store.patch_status(
            resource.key, {"intent": intent}, resource.resource_version
        )
        self.cache.observe_write(written)
        return written

    # --- writing ----------------------------------------------------------------------------

    async def _write(self, resource: Resource, decision: Decision) -> None:
        if resource.deleted is not None and FINALIZER not in resource.finalizers:
            return
        change, conditions = patch(resource, decision, self.clock())
        if not change:
            return
        written = await self.store.patch_status(resource.key, change, resource.resource_version)
        self.cache.observe_write(written)
        for event in events.transitions(resource.status.conditions, conditions):
            await self.store.create_event(resource, event.type, event.reason, event.message)


def _recorded(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a decision whose action failed may still record: what was seen, not hoped for."""
    kept = ("external", "engineClassName", "lastHandledReconcileAt")
    return {key: status[key] for key in kept if status.get(key) is not None}


def _child_refused(decision: Decision, action: CreateResource, error: StoreError) -> Decision:
    """Say that Kubernetes refused a resource that this one needs; what it was for is not done."""
    kind, name = action.manifest["kind"], action.manifest["metadata"]["name"]
    forbidden = isinstance(error, StoreForbidden)
    verdict = Verdict(
        "False",
        Reason.ACCESS_DENIED if forbidden else Reason.INVALID_SPEC,
        f"Kubernetes refuses {kind} {name}: {error}",
    )
    conditions = {
        **decision.conditions,
        ConditionType.READY: verdict,
        ConditionType.SYNCED: verdict,
    }
    return Decision(conditions, status=_recorded(decision.status), retry=True)


def _tags_wanted(resource: Resource, desired: Wish) -> bool:
    """Whether tags must be read before it can be said that the wanted ones are there."""
    applied = resource.status.applied
    return (
        isinstance(desired, Desired)
        and desired.tags is not None
        and not resource.kind.runs_to_completion
        and (
            applied is None
            or applied.digest != desired.digest
            or resource.is_true(ConditionType.DRIFTED)  # it may be the tags that have drifted
        )
    )


def _unreachable(waiting: Waiting) -> Failure:
    return Failure(ErrorClass.TRANSIENT, waiting.message)
