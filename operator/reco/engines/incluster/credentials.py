"""Credentials that the operator makes for a dataset group, derived from one key of its own.

The operator may create Secrets and read none of them but its own: patching one returns its
content, so that is no lesser right than reading. A random value would therefore be known to nobody
who comes later. What the operator and a pod both have to know is HMAC-SHA-256 of what it is for,
keyed with the operator's key. So it is the same after a restart of the operator, and a Secret that
was deleted is made anew with the same content.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = "catalog-token"  # noqa: S105 - what it is for
_PASSWORD: Final = "online-store-password"  # noqa: S105 - as above
_SHORTEST_KEY: Final = 32
_FINGERPRINT: Final = 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """Derives the credentials of all groups."""

    key: bytes = field(repr=False)
    """The operator's key, of at least 32 bytes."""

    def __post_init__(self) -> None:
        """Refuse a key that could be guessed."""
        if len(self.key) < _SHORTEST_KEY:
            raise ValueError(f"a key of {len(self.key)} bytes is too short: use {_SHORTEST_KEY}")

    def catalog_token(self, namespace: str, group: str) -> str:
        """Return what the catalog of a group, named by its external name, wants to be sent."""
        return self._derived(_TOKEN, namespace, group)

    def store_password(self, namespace: str, store: str) -> str:
        """Return the password of a managed online store."""
        return self._derived(_PASSWORD, namespace, store)

    def _derived(self, purpose: str, namespace: str, name: str) -> str:
        told = f"{purpose}\0{namespace}\0{name}".encode()
        digest = hmac.digest(self.key, told, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def fingerprint(credential: str) -> str:
    """Return some letters that tell one credential from another and nothing else of it."""
    return hashlib.sha256(credential.encode()).hexdigest()[:_FINGERPRINT]
