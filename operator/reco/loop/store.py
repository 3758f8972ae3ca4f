"""The port to the Kubernetes API: all that the loop ever reads from it or writes to it.

There is no way here to write a spec: what users wrote stays as they wrote it. Every write that
depends on what was read carries the resource version that was read, so a stale one fails with
`StoreConflict` instead of undoing somebody else's work.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from reco.api.resource import Key, Resource


class Store(Protocol):
    """The Kubernetes API. Every method but `create_event` raises `StoreError`."""

    async def get(self, key: Key) -> Resource | None:
        """Read one resource from the API itself, not from the cache; None if there is none."""
        ...

    async def list(self, kind: str) -> Sequence[Resource]:
        """Read all resources of a kind in the namespaces that the operator watches.

        The answer is one consistent snapshot, taken no earlier than the call (per namespace,
        where several are watched).
        """
        ...

    async def create(self, manifest: Mapping[str, Any]) -> Resource:
        """Make a resource of one of our kinds.

        Raises:
            StoreExists: if the name is taken.
        """
        ...

    async def delete(self, key: Key, uid: str) -> None:
        """Ask for deletion of the resource with this UID; its dependents go in the background.

        One that is gone, or whose name now belongs to another UID, is what was asked for.
        """
        ...

    async def patch_status(
        self,
        key: Key,
        status_patch: Mapping[str, Any],
        resource_version: str,
        *,
        dry_run: bool = False,
    ) -> Resource:
        """Merge a patch into the status and return the resource as it now is.

        A null removes a field; a list replaces the whole list. A dry run only says what would
        become of it.

        Raises:
            StoreInvalid: if the CRD does not allow the status.
            StoreConflict: if the resource is no longer at `resource_version`.
            StoreNotFound: if it is gone.
        """
        ...

    async def set_finalizers(
        self, key: Key, finalizers: Sequence[str], resource_version: str
    ) -> Resource | None:
        """Replace the finalizers; return the resource, or None if it is gone, by this or before.

        Raises:
            StoreConflict: if the resource is no longer at `resource_version`.
        """
        ...

    async def set_owners(
        self, key: Key, owners: Sequence[Mapping[str, Any]], resource_version: str
    ) -> Resource:
        """Replace the owner references of a resource and return it as it now is.

        Raises:
            StoreConflict: if the resource is no longer at `resource_version`.
            StoreNotFound: if it is gone.
        """
        ...

    async def create_event(
        self, resource: Resource, type_: str, reason: str, message: str, action: str = "Reconcile"
    ) -> None:
        """Tell the user what happened, as a Kubernetes Event; repeated ones are counted in one.

        `type_` is `Normal` or `Warning`. Never raises: an Event that is lost harms nobody.
        """
        ...

    async def namespace_uid(self, name: str) -> str:
        """Return the UID of a namespace."""
        ...

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of a namespace.

        Raises:
            StoreForbidden: if the operator may not read it.
            StoreNotFound: if there is none of this name.
        """
        ...
