"""Which web pages may call from a browser: cross-origin resource sharing, as AWS' services answer.

A browser asks first (preflight) whether a page of this origin may send such a request, and shows
the page only the headers of an answer that it is told to show. Neither is a matter of who the
caller is: a preflight is never signed.
"""

from collections.abc import Collection, Iterable
from typing import Final

ANY: Final = "*"
PREFLIGHT_SECONDS: Final = 172_800
_SENT: Final = (
    "authorization, content-type, date, x-amz-content-sha256, x-amz-date, x-amz-security-token, "
    "x-amz-target, x-amz-user-agent, x-amzn-platform-id, x-amzn-trace-id, amz-sdk-invocation-id, "
    "amz-sdk-request"
)
"""Headers that AWS' SDKs send from browsers."""
_SHOWN: Final = "x-amzn-requestid, x-amzn-errortype, x-amzn-errormessage, date"
"""Headers of answers that they read; the date corrects a wrong clock."""

Headers = tuple[tuple[bytes, bytes], ...]


class Origins:
    """The origins that may call, such as `https://shop.example.com`; `*` is any."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(one.rstrip("/").encode() for one in allowed)
        self._any = ANY in allowed

    def __bool__(self) -> bool:
        """Say whether any may."""
        return bool(self._allowed)

    def headers(self, request: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Return what an answer to such a request says beside; errors say it, too."""
        found = self._origin(request)
        if found is None:
            return ((b"vary", b"Origin"),)
        return (
            (b"access-control-allow-origin", found),
            (b"access-control-expose-headers", _SHOWN.encode()),
            (b"vary", b"Origin"),
        )

    def preflight(self, request: Iterable[tuple[bytes, bytes]]) -> tuple[int, Headers]:
        """Return status and headers of the answer to an OPTIONS request."""
        found = self._origin(request)
        if found is None:
            return 403, ((b"vary", b"Origin"),)
        return 200, (
            (b"access-control-allow-origin", found),
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", _SENT.encode()),
            (b"access-control-expose-headers", _SHOWN.encode()),
            (b"access-control-max-age", b"%d" % PREFLIGHT_SECONDS),
            (b"vary", b"Origin"),
        )

    def _origin(self, request: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """Return what to allow: None if the request's origin may not call."""
        origin = next((value for name, value in request if name == b"origin"), None)
        if origin is None:
            return None
        if self._any:
            return ANY.encode()
        return origin if origin in self._allowed else None
