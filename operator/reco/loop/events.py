"""Kubernetes Events: what happened to a resource, where `kubectl describe` shows it.

The same news about the same resource within the hour becomes one Event with a count, as client-go's
recorder does it, so that a resource that flaps can't flood the cluster's store.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from reco.api.resource import Resource
from reco.api.vocabulary import API_VERSION, FIELD_MANAGER
from reco.cluster.errors import StoreError, StoreNotFound
from reco.cluster.requests import MERGE_PATCH, Requests

REPORTER: Final = "reco.dev/operator"
_SAME_EVENT: Final = timedelta(hours=1)
_REMEMBERED: Final = 1024
_NOTE_LIMIT: Final = 1024  # of the events.k8s.io/v1 API, in bytes

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Series:
    path: str
    last: datetime
    count: int = 1


class EventRecorder:
    """Writes Events of `events.k8s.io/v1`."""

    def __init__(self, api: Requests, instance: str, now: Callable[[], datetime]) -> None:
        """Make a recorder.

        Args:
            api: sends the requests.
            instance: names this process in the Events.
            now: tells the time.
        """
        self._api = api
        self._instance = instance[:128]
        self._now = now
        self._known: OrderedDict[str, _Series] = OrderedDict()

    async def record(
        self, resource: Resource, type_: str, reason: str, message: str, action: str
    ) -> None:
        """Write an Event, or count it in the one that said the same.

        A failure is logged and no more: an Event that is lost harms nobody.
        """
        note = message.encode()[:_NOTE_LIMIT].decode(errors="ignore")
        identity = f"{resource.uid}/{type_}/{reason}/{note}"
        now = self._now()
        try:
            series = self._known.get(identity)
            if series is None or now - series.last > _SAME_EVENT:
                await self._create(identity, resource, type_, reason, note, action, now)
            else:
                await self._count(identity, series, now)
        except StoreError as error:
            logger.warning("could not write an Event about %s: %s", resource.key, error)

    async def _create(
        self,
        identity: str,
        resource: Resource,
        type_: str,
        reason: str,
        note: str,
        action: str,
        now: datetime,
    ) -> None:
        key = resource.key
        namespace = key.namespace or "default"  # where Events about cluster-scoped objects live
        unique = hashlib.sha256(f"{identity}@{now.isoformat()}".encode()).hexdigest()[:16]
        name = f"{key.name[:230]}.{unique}"
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": micro_time(now),
            "reportingController": REPORTER,
            "reportingInstance": self._instance,
            "type": type_,
            "reason": reason,
            "action": action,
            "note": note,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": key.kind,
                "namespace": key.namespace,
                "name": key.name,
                "uid": resource.uid,
            },
        }
        await self._api.request("POST", path, query={"fieldManager": FIELD_MANAGER}, body=event)
        self._known[identity] = _Series(f"{path}/{name}", now)
        self._known.move_to_end(identity)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def _count(self, identity: str, series: _Series, now: datetime) -> None:
        series.count += 1
        series.last = now
        try:
            await self._api.request(
                "PATCH",
                series.path,
                query={"fieldManager": FIELD_MANAGER},
                body={"series": {"count": series.count, "lastObservedTime": micro_time(now)}},
                content_type=MERGE_PATCH,
            )
        except StoreNotFound:  # Events expire; the next of its kind begins a new one
            del self._known[identity]
            raise


def micro_time(time: datetime) -> str:
    """Return a time as Kubernetes' `MicroTime` is spelled."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
