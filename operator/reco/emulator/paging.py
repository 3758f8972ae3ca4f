"""Pages of lists, and the opaque tokens that say where the last one ended.

A token holds the sort key of the last item shown, so that a page never depends on whether that
item still exists.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from reco.emulator.errors import ServiceError

LONGEST = 100
"""The most items the service shows on one page, and what it shows if not asked otherwise."""

Item = TypeVar("Item")

# Recorded tokens begin with these bytes (AYAD in base64).
_PREFIX = b"\x01\x80\x03"


def start(parameters: Mapping[str, Any], *types: type) -> list[Any] | None:
    """Give the sort key after which the page begins, None for the first page.

    ``types`` are those of the key's parts; a token that holds anything else is refused.
    """
    token = parameters.get("nextToken")
    if token is None:
        return None
    try:
        decoded = base64.b64decode(token, validate=True)
        key = json.loads(decoded.removeprefix(_PREFIX))
    except (ValueError, RecursionError) as error:
        raise _invalid() from error
    if not isinstance(key, list) or [type(part) for part in key] != list(types):
        raise _invalid()
    if any(isinstance(part, float) and not math.isfinite(part) for part in key):
        raise _invalid()
    return key


def cut(
    items: Sequence[Item], size: int, key: Callable[[Item], list[Any]]
) -> tuple[list[Item], dict[str, str]]:
    """Cut a page off sorted items; the answer's ``nextToken`` comes with it if any are left."""
    chosen = list(items[:size])
    if len(items) <= size:
        return chosen, {}
    token = base64.b64encode(_PREFIX + json.dumps(key(chosen[-1])).encode()).decode()
    return chosen, {"nextToken": token}


def _invalid() -> ServiceError:
    return ServiceError("InvalidNextTokenException", "The token is not valid.")
