"""The one path that every resource takes, whatever its kind and engine.

Read the cache, follow the references, ask the engine, decide, act, write the status. One pass makes
at most one mutating engine call, so a crash between any two awaits leaves something that the next
pass can go on from.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any, Protocol

from reco.api.resource import Key, Resource
from reco.api.vocabulary import FINALIZER, ConditionType, Reason
from reco.cluster.errors import (
    StoreConflict,
    StoreError,
    StoreForbidden,
    StoreInvalid,
    StoreNotFound,
)
from reco.decide import events, failures, lifecycle
from reco.decide.decision import Action, CreateResource, Decision, Keep, Verdict
from reco.decide.model import Identity, Situation, Timing
from reco.engines.port import EngineError
from reco.loop import looking
from reco.loop.acting import Actor, FenceLost, IntentLost
from reco.loop.confirming import Confirmer, Known, Outdated
from reco.loop.looking import Engines, Looker
from reco.loop.namespaces import Namespaces
from reco.loop.status import patch
from reco.loop.store import Store

log = logging.getLogger(__name__)

DEFAULT_TIMING = Timing()


class View(looking.View, Known, Protocol):
    """What the reconciler reads and writes of the cache."""


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


class Reconciler:
    """Looks at one resource at a time; safe to use from several workers.

    Args:
        store: the Kubernetes API.
        cache: what is known of the cluster.
        queue: where looks are asked for.
        engines: the engine of each class.
        identity: who we are, for ownership tags.
        clock: the time in UTC.
        fence: whether this process may still change things in an engine.
        namespaces: what is known of namespaces; left out, all are watched.
        timing: the periods of decisions.
        jitter: a factor around 1 that spreads looks.
    """

    def __init__(
        self,
        *,
        store: Store,
        cache: View,
        queue: Queue,
        engines: Engines,
        identity: Identity,
        clock: Callable[[], datetime],
        fence: Callable[[], bool],
        namespaces: Namespaces | None = None,
        timing: Timing = DEFAULT_TIMING,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._store = store
        self._cache = cache
        self._queue = queue
        self._engines = engines
        self._clock = clock
        self._timing = timing
        self._jitter = jitter
        namespaces = namespaces or Namespaces(store, monotonic)
        self._looker = Looker(cache, engines, identity, clock, queue.failures, timing, namespaces)
        self._confirmer = Confirmer(store, cache, self._looker)
        self._actor = Actor(store, cache, self._looker, self._confirmer, clock, fence)

    async def reconcile(self, key: Key) -> None:
        """Look at one resource, act on it, and say when to look again.

        Raises:
            FenceLost: if leadership was lost before an engine call.
        """
        resource = self._cache.get(key)
        if resource is None:
            self._queue.forget(key)
            self._engines.forget(key)
            return
        try:
            decision = await self._look(resource)
        except StoreConflict:
            await self._catch_up(key)
            return
        except Outdated:
            self._queue.fail(key)  # with backoff, so that no fault of ours can make it spin
            return
        except StoreNotFound:
            self._cache.remove(key, resource.uid)
            return
        except StoreError as error:
            log.warning("the Kubernetes API failed a request for %s: %s", key, error)
            self._queue.fail(key)
            return
        except FenceLost:
            raise
        except Exception as error:
            await self._own_up(resource, error)
            raise
        self._schedule(key, decision)

    async def _catch_up(self, key: Key) -> None:
        """Read anew what was written by somebody else meanwhile: the watch may tell it late."""
        self._queue.fail(key)
        try:
            await self._confirmer.refresh(key)
        except StoreError as error:
            log.warning("the Kubernetes API failed a request for %s: %s", key, error)

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
            self._queue.fail(key)
        else:
            self._queue.forget(key)
        wait = decision.look_again
        if wait is not None and not decision.retry:
            self._queue.add_after(key, wait * self._jitter() if wait > 1 else wait)
        self._queue.add_after(key, self._timing.resync * self._jitter())

    async def _look(self, resource: Resource) -> Decision:
        if not resource.kind.external:
            return await self._carry_out(resource, await self._looker.engine_class(resource), None)
        situation = await self._looker.situation(resource)
        return await self._carry_out(resource, lifecycle.decide(situation), situation)

    async def _carry_out(
        self, resource: Resource, decision: Decision, situation: Situation | None
    ) -> Decision:
        """Act on a decision and write the status; return what it has come to."""
        current = resource
        if decision.actions and failures.shows_refused_status(resource):
            refused = await self._write(resource, decision, dry_run=True)
            if refused is not None:
                return refused  # what was done could not be written down, and would be done again
        for action in decision.actions:
            try:
                if situation is not None:
                    current = await self._actor.prepare(situation, current, action)
                written, more = await self._actor.act(current, action)
            except (EngineError, IntentLost, StoreForbidden, StoreInvalid) as error:
                decision = _stopped(current, situation, decision, action, error)
                break
            if written is None:
                return Decision({})
            current = written
            decision = replace(decision, status={**decision.status, **more})
        return await self._write(current, decision) or decision

    async def _write(
        self, resource: Resource, decision: Decision, *, dry_run: bool = False
    ) -> Decision | None:
        """Write what a decision shows; return what was shown instead if the API refuses that."""
        try:
            await self._put(resource, decision, dry_run=dry_run)
        except StoreInvalid as error:
            log.warning("the API server refuses the status of %s: %s", resource.key, error)
            refused = failures.status_refused(resource, str(error))
            await self._put(resource, refused)
            return refused
        return None

    async def _put(self, resource: Resource, decision: Decision, *, dry_run: bool = False) -> None:
        if resource.deleted is not None and FINALIZER not in resource.finalizers:
            return
        change, conditions = patch(resource, decision, self._clock())
        if not change:
            return
        written = await self._store.patch_status(
            resource.key, change, resource.resource_version, dry_run=dry_run
        )
        if dry_run:
            return
        self._cache.observe_write(written)
        for event in events.transitions(resource.status.conditions, conditions):
            await self._store.create_event(resource, event.type, event.reason, event.message)


def _stopped(
    resource: Resource,
    situation: Situation | None,
    decision: Decision,
    action: Action,
    error: EngineError | IntentLost | StoreForbidden | StoreInvalid,
) -> Decision:
    """Return what to show and do now that an action of a decision has failed.

    Raises:
        EngineError: for a class, which asks its engine for nothing.
        StoreForbidden: if the operator itself lacks a permission.
    """
    match error:
        case EngineError() if situation is not None:
            looking.log_failure(resource, error)
            seen = replace(situation, resource=resource)
            failed = failures.decide(seen, error.failure, action)
            return replace(failed, status={**_recorded(decision.status), **failed.status})
        case IntentLost() if situation is not None:
            return failures.intent_lost(situation)
        case StoreForbidden() | StoreInvalid() if isinstance(action, CreateResource):
            return _child_refused(decision, action, error)
        case StoreInvalid():
            return failures.status_refused(resource, str(error))
        case _:
            raise error


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
