"""The operator's own key: one Secret in its own namespace, made at its first start.

Engines derive from it what they and their pods have to agree on, so that the operator need not read
any Secret but this one.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from reco.cluster.errors import StoreExists, StoreForbidden, StoreNotFound
from reco.cluster.requests import Requests

KEY_BYTES: Final = 32
_DATA: Final = "key"


class KeyUnavailable(ValueError):  # noqa: N818 - a state, not a fault of the program
    """The operator has no key; the text says why and what to do."""


async def operator_key(
    api: Requests, namespace: str, name: str, new_key: Callable[[int], bytes]
) -> bytes:
    """Return the key in a Secret, and make the Secret if there is none.

    Args:
        api: sends the requests.
        namespace: the operator's own.
        name: the Secret's.
        new_key: makes so many random bytes.

    Raises:
        KeyUnavailable: the Secret may not be used, or holds no key.
        StoreError: the API failed otherwise.
    """
    collection = f"/api/v1/namespaces/{namespace}/secrets"
    try:
        found = await _read(api, f"{collection}/{name}")
        if found is None:
            encoded = base64.b64encode(new_key(KEY_BYTES)).decode()
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": namespace, "name": name},
                "data": {_DATA: encoded},
            }
            with suppress(StoreExists):  # another replica was faster: its key is read
                await api.request("POST", collection, body=secret)
            found = await _read(api, f"{collection}/{name}")
    except StoreForbidden as error:
        raise KeyUnavailable(
            f"the operator may not use its own Secret {namespace}/{name}: {error}. Allow it to"
            f" create Secrets in its namespace and to get this one, then restart it"
        ) from error
    return _key_of(found or {}, f"Secret {namespace}/{name}")


async def _read(api: Requests, path: str) -> dict[str, Any] | None:
    try:
        return await api.request("GET", path)
    except StoreNotFound:
        return None


def _key_of(secret: Mapping[str, Any], where: str) -> bytes:
    try:
        key = base64.b64decode((secret.get("data") or {}).get(_DATA, ""), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < KEY_BYTES:
        raise KeyUnavailable(
            f"{where} holds no key of at least {KEY_BYTES} bytes under {_DATA!r}: delete it, then"
            f" restart the operator, which makes a new one"
        )
    return key
