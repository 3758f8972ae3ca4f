"""Requests that whoever keeps objects in the Kubernetes API makes, over any transport."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from reco.cluster.errors import StoreConflict, StoreNotFound

APPLY_PATCH: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
PAGE: Final = 500


class Requests(Protocol):
    """Requests to the Kubernetes API; all raise `StoreError`."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request and return the JSON object of the answer."""
        ...


async def listed(
    api: Requests, path: str, *, kind: str, api_version: str, selector: str = ""
) -> tuple[list[dict[str, Any]], str]:
    """Return all objects of a collection, page by page, and the version to watch from.

    Items of a list carry neither their kind nor their version; these do. Raises `StoreError`.
    """
    query: dict[str, str | int] = {"limit": PAGE}
    if selector:
        query["labelSelector"] = selector
    found: list[dict[str, Any]] = []
    while True:
        page = await api.request("GET", path, query=query)
        found += ({"apiVersion": api_version, **one, "kind": kind} for one in page["items"])
        token = page["metadata"].get("continue", "")
        if not token:
            return found, str(page["metadata"]["resourceVersion"])
        query["continue"] = token


async def delete(api: Requests, path: str, uid: str) -> bool:
    """Ask for deletion of exactly this object; what it owns goes along with it.

    Returns whether it was there: False if it is gone, or if the name is another object's by now.
    Raises `StoreError`.
    """
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": uid},
        "propagationPolicy": "Background",
    }
    try:
        await api.request("DELETE", path, body=body)
    except (StoreNotFound, StoreConflict):
        return False
    return True
