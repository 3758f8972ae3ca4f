"""Sees every state that a namespace's resources go through, as a client that watches does.

Tests wait for what they expect with `until`, and ask afterwards what was ever shown on the way.
"""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any, Self
from urllib.parse import urlsplit

from hack.kube_access import Cluster
from reco.api.kinds import KINDS
from reco.api.vocabulary import API_VERSION

Object = dict[str, Any]


def condition(item: Mapping[str, Any] | None, type_: str) -> dict[str, str]:
    """Return one condition of an object; empty if it does not have it."""
    conditions = (item or {}).get("status", {}).get("conditions", [])
    return next((found for found in conditions if found["type"] == type_), {})


def says(item: Mapping[str, Any] | None, type_: str) -> str:
    """Return a condition as `Status/Reason`; empty if it is not there."""
    found = condition(item, type_)
    return f"{found['status']}/{found['reason']}" if found else ""


class Watcher:
    """Watches all kinds in one namespace, from `with` to its end."""

    def __init__(self, plane: Cluster, namespace: str) -> None:
        self._plane = plane
        self._namespace = namespace
        self._news = threading.Condition()
        self._now: dict[tuple[str, str], Object] = {}
        self._stop = threading.Event()
        self._listed = {kind.name: threading.Event() for kind in KINDS.values() if kind.namespaced}
        self._open: dict[str, http.client.HTTPSConnection] = {}
        self.seen: list[tuple[str, Object]] = []
        """Every event: its type and the object."""

    def __enter__(self) -> Self:
        for kind in self._listed:
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()
        for listed in self._listed.values():
            listed.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for connection in list(self._open.values()):
            if connection.sock is not None:
                with suppress(OSError):  # has ended by itself
                    connection.sock.shutdown(2)

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object as it was last seen."""
        with self._news:
            return self._now.get((kind, name))

    def all(self, kind: str | None = None) -> list[Object]:
        """Return all objects as they were last seen."""
        with self._news:
            return [item for (of, _), item in sorted(self._now.items()) if kind in {None, of}]

    def history(self, kind: str, name: str, since: int = 0) -> list[Object]:
        """Return every state of one object, from the `since`th event on."""
        with self._news:
            return [
                item
                for type_, item in self.seen[since:]
                if type_ != "DELETED" and (item["kind"], item["metadata"]["name"]) == (kind, name)
            ]

    def until(
        self, what: Callable[["Watcher"], object], reason: str, *, timeout: float = 30
    ) -> None:
        """Wait until `what` is true of what was seen.

        Raises:
            AssertionError: it was not within `timeout` seconds; the text shows what there is.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            while not what(self):
                if not self._news.wait(timeout=deadline - time.monotonic()):
                    raise AssertionError(f"{reason}: not within {timeout:g} s\n{self.picture()}")

    def ready(self, kind: str, name: str, *, timeout: float = 30) -> Object:
        """Wait until an object is Ready as its present spec says, and return it."""
        path = f"{self._path(kind)}/{name}"
        generation = self._plane.get(path)["metadata"]["generation"]

        def is_ready(_: "Watcher") -> bool:
            item = self._now.get((kind, name))
            return (
                item is not None
                and condition(item, "Ready").get("status") == "True"
                and item["status"]["observedGeneration"] >= generation
            )

        self.until(is_ready, f"{kind} {name} is Ready", timeout=timeout)
        return self._now[kind, name]

    def shows(self, kind: str, name: str, type_: str, text: str, *, timeout: float = 30) -> str:
        """Wait until a condition is `text` (Status/Reason); return its message."""
        self.until(
            lambda _: says(self._now.get((kind, name)), type_) == text,
            f"{kind} {name} shows {type_} {text}",
            timeout=timeout,
        )
        return condition(self._now[kind, name], type_)["message"]

    def gone(
        self, kind: str | None = None, name: str | None = None, *, timeout: float = 30
    ) -> None:
        """Wait until an object, or all of a kind, or all there are, have gone."""
        self.until(
            lambda _: (
                not any(kind in {None, of} and name in {None, called} for of, called in self._now)
            ),
            f"{kind or 'everything'} {name or ''} is gone",
            timeout=timeout,
        )

    def picture(self) -> str:
        """Return what there is, a line each."""
        lines = [f"{len(self._now)} resources in {self._namespace}"]
        for (kind, name), item in sorted(self._now.items()):
            shown = [f"{c['type']}={c['status']}/{c['reason']}" for c in _conditions(item)]
            ready = condition(item, "Ready").get("message", "")
            lines.append(f"  {kind} {name}: {' '.join(shown)}\n    {ready}")
        return "\n".join(lines)

    def _path(self, kind: str) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self._namespace}/{KINDS[kind].plural}"

    def _follow(self, kind: str) -> None:
        path = self._path(kind)
        while not self._stop.is_set():
            # The API server may be away for a while: that is what some tests are about.
            with suppress(OSError, http.client.HTTPException, ValueError):
                listed = self._plane.get(path)
                self._replace(kind, listed["items"])
                self._listed[kind].set()
                version = listed["metadata"]["resourceVersion"]
                self._read(kind, f"{path}?watch=1&resourceVersion={version}")
            self._stop.wait(0.2)

    def _read(self, kind: str, path: str) -> None:
        address = urlsplit(self._plane.server)
        trust = ssl.create_default_context(cafile=str(self._plane.certificate_authority))
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=trust, timeout=600
        )
        self._open[kind] = connection
        with closing(connection):
            connection.request(
                "GET", path, headers={"Authorization": f"Bearer {self._plane.token}"}
            )
            answer = connection.getresponse()
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                self._take(event["type"], event["object"])

    def _replace(self, kind: str, items: list[Object]) -> None:
        """Take in a list: what it lacks has vanished while nobody watched."""
        listed = {item["metadata"]["name"] for item in items}
        with self._news:
            vanished = [
                i for (of, name), i in self._now.items() if of == kind and name not in listed
            ]
        for item in vanished:
            self._take("DELETED", item)
        for item in items:
            # Lists leave these out of their items.
            self._take("ADDED", {"apiVersion": API_VERSION, "kind": kind, **item})

    def _take(self, type_: str, item: Object) -> None:
        key = item["kind"], item["metadata"]["name"]
        with self._news:
            if type_ == "DELETED":
                self._now.pop(key, None)
            else:
                self._now[key] = item
            self.seen.append((type_, item))
            self._news.notify_all()


def _conditions(item: Object) -> list[dict[str, str]]:
    found: list[dict[str, str]] = item.get("status", {}).get("conditions", [])
    return found
