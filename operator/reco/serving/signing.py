"""Signature Version 4 of AWS, as a service checks it: who signed a request, and whether they did.

SDKs sign by the `Authorization` header. The rules and the words of refusals are those of AWS:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
Presigned addresses, session tokens, signatures of version 4a and bodies that are not signed are
refused: no SDK uses them for these two services unless it is made to.
"""

import hashlib
import hmac
import re
from calendar import timegm
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from time import gmtime, strftime, strptime
from typing import Final, NamedTuple

from reco.serving.errors import ServiceError

SERVICE: Final = "personalize"
"""What signatures for the runtime and events services are scoped to."""
SKEW_SECONDS: Final = 300

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_END: Final = "aws4_request"
_HEADER: Final = re.compile(
    rf"{_ALGORITHM} +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{{64}})\s*"
)
_ORDER_FREE: Final = ("Credential", "SignedHeaders", "Signature")
_DATE: Final = "%Y%m%dT%H%M%SZ"
_MUST_SIGN: Final = ("host", "x-amz-date")
_MOST_KNOWN: Final = 1024

Headers = Mapping[str, str]
"""Names in lower case; values of a name that comes several times are joined by commas."""


class Scope(NamedTuple):
    """A credential: whose key, and what for."""

    key_id: str
    date: str
    region: str
    service: str
    end: str


class Signature(NamedTuple):
    """What an `Authorization` header says."""

    credential: str
    signed: tuple[str, ...]
    """Names of headers, as the client ordered them."""
    signature: str


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return an ASGI request's headers."""
    found: dict[str, str] = {}
    for name, value in raw:
        text, key = value.decode("latin-1"), name.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def parse(headers: Headers, query: str = "") -> Signature:
    """Return what the request says of its signature.

    Raises:
        ServiceError: nothing (`MissingAuthenticationTokenException`), not all
            (`IncompleteSignatureException`), or what is not accepted here.
    """
    given = headers.get("authorization")
    if not given:
        if "X-Amz-Signature=" in query:
            raise _incomplete("Presigned requests are not accepted here: sign by the header.")
        raise ServiceError(
            "MissingAuthenticationTokenException", "Request is missing Authentication Token"
        )
    if "x-amz-security-token" in headers:
        raise unrecognized(
            " Session tokens are not accepted here: sign with an access key and its secret alone."
        )
    match = _HEADER.fullmatch(given)
    if match is not None:
        credential, signed, signature = match.groups()
        return Signature(credential, tuple(signed.split(";")), signature)
    return _in_any_order(given)


def _in_any_order(given: str) -> Signature:
    """Read a header whose parts come in another order; refuse one that lacks any."""
    algorithm, _, rest = given.partition(" ")
    if algorithm != _ALGORITHM:
        raise _incomplete(f"Authorization must begin with '{_ALGORITHM}'.")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for name in _ORDER_FREE:
        if not parts.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
    credential, signed, signature = (parts[name] for name in _ORDER_FREE)
    return Signature(credential, tuple(signed.split(";")), signature)


class Verifier:
    """Checks signatures with the secrets that `secret_of` knows by access key id.

    Keys derived from a secret are remembered by credential once a signature with them was right,
    for as long as the secret is the same. `region` is the only one that may be signed for; None
    allows any. `time` is in epoch seconds.
    """

    def __init__(
        self,
        secret_of: Callable[[str], str | None],
        time: Callable[[], float],
        region: str | None = None,
    ) -> None:
        self._secret_of = secret_of
        self._time = time
        self._region = region
        self._derived: dict[str, tuple[str, bytes]] = {}
        """By credential: the secret, and the key derived from it."""

    def verify(self, path: str, query: str, headers: Headers, body: bytes) -> str:
        """Return the access key id that signed a POST.

        Raises:
            ServiceError: nobody did whom we know, it is too old, or it was changed.
        """
        told = parse(headers, query)
        scope = _scope(told.credential)
        secret = self._secret_of(scope.key_id)
        if secret is None:
            raise unrecognized()
        self._check_scope(scope)
        stamp = headers.get("x-amz-date", "")
        self._check_date(stamp, scope)
        missing = [name for name in _MUST_SIGN if name not in told.signed]
        if missing or sorted(told.signed) != list(told.signed):
            raise _invalid(
                f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization."
                if missing
                else "SignedHeaders must be sorted."
            )
        digest = hashlib.sha256(body).hexdigest()
        if headers.get("x-amz-content-sha256", digest) != digest:
            raise _invalid("x-amz-content-sha256 must be the SHA-256 of the body, which is signed.")
        key = self._key(told.credential, scope, secret)
        text = to_sign(stamp, scope, canonical(path, query, told.signed, headers, digest))
        right = hmac.digest(key, text.encode("latin-1"), "sha256").hex()
        if not hmac.compare_digest(right.encode(), told.signature.encode("latin-1", "replace")):
            raise _invalid(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. Consult the service "
                "documentation for details."
            )
        self._remember(told.credential, secret, key)
        return scope.key_id

    def _key(self, credential: str, scope: Scope, secret: str) -> bytes:
        known, key = self._derived.get(credential, ("", b""))
        if key and hmac.compare_digest(known.encode(), secret.encode()):
            return key
        return signing_key(secret, scope)

    def _remember(self, credential: str, secret: str, key: bytes) -> None:
        if credential not in self._derived and len(self._derived) >= _MOST_KNOWN:
            self._derived.clear()
        self._derived[credential] = (secret, key)

    def _check_scope(self, scope: Scope) -> None:
        if scope.service != SERVICE:
            raise _invalid(f"Credential should be scoped to correct service: '{SERVICE}'. ")
        if self._region is not None and scope.region != self._region:
            raise _invalid(
                "Credential should be scoped to a valid region, "
                f"not '{scope.region}': '{self._region}'. "
            )
        if scope.end != _END:
            raise _invalid(f"Credential should be scoped with a valid terminator: '{_END}'. ")

    def _check_date(self, stamp: str, scope: Scope) -> None:
        signed = _epoch(stamp)
        if signed is None:
            raise _incomplete(
                "Authorization header requires existence of a 'X-Amz-Date' header such as "
                "'20260131T235959Z'."
            )
        if not stamp.startswith(scope.date):
            raise _invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{scope.date}' != '{stamp[:8]}', from '{stamp}'."
            )
        now = int(self._time())
        if signed < now - SKEW_SECONDS:
            raise _invalid(
                f"Signature expired: {stamp} is now earlier than {_stamp(now - SKEW_SECONDS)} "
                f"({_stamp(now)} - 5 min.)"
            )
        if signed > now + SKEW_SECONDS:
            raise _invalid(
                f"Signature not yet current: {stamp} is still later than "
                f"{_stamp(now + SKEW_SECONDS)} ({_stamp(now)} + 5 min.)"
            )


def canonical(path: str, query: str, signed: Iterable[str], headers: Headers, digest: str) -> str:
    """Return the canonical form of a POST whose path needs no encoding.

    Raises:
        ServiceError: a header that was signed did not come.
    """
    lines = []
    for name in signed:
        value = headers.get(name)
        if value is None:
            raise _invalid(f"The header '{name}' was signed and did not arrive.")
        lines.append(f"{name}:{_trimmed(value)}\n")
    ordered = "&".join(sorted(query.split("&"))) if query else ""
    return f"POST\n{path}\n{ordered}\n{''.join(lines)}\n{';'.join(signed)}\n{digest}"


def to_sign(stamp: str, scope: Scope, request: str) -> str:
    """Return the text that is signed."""
    digest = hashlib.sha256(request.encode("latin-1", "replace")).hexdigest()
    return f"{_ALGORITHM}\n{stamp}\n{'/'.join(scope[1:])}\n{digest}"


def signing_key(secret: str, scope: Scope) -> bytes:
    """Return the key that a secret gives for a scope."""
    key = f"AWS4{secret}".encode()
    for part in scope[1:]:
        key = hmac.digest(key, part.encode("latin-1", "replace"), "sha256")
    return key


def unrecognized(more: str = "") -> ServiceError:
    """Refuse a key that nobody here has."""
    return ServiceError(
        "UnrecognizedClientException",
        f"The security token included in the request is invalid.{more}",
    )


def _scope(credential: str) -> Scope:
    parts = credential.split("/")
    if len(parts) != len(Scope._fields):
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            f"keyid/date/region/service/term, got '{credential[:128]}'"
        )
    return Scope(*parts)


def _trimmed(value: str) -> str:
    return " ".join(value.split()) if "  " in value else value.strip()


@lru_cache(maxsize=4096)
def _epoch(stamp: str) -> int | None:
    try:
        return timegm(strptime(stamp, _DATE))
    except ValueError:
        return None


def _stamp(seconds: int) -> str:
    return strftime(_DATE, gmtime(seconds))


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidSignatureException", message)


def _incomplete(message: str) -> ServiceError:
    return ServiceError("IncompleteSignatureException", message)
