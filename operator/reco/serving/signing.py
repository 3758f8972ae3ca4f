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
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from operator import itemgetter
from time import gmtime, strftime, strptime
from typing import Final, NamedTuple

from reco.serving.errors import ServiceError

SERVICE: Final = "personalize"
"""What signatures for the runtime and events services are scoped to."""
SKEW_SECONDS: Final = 300

_ALGORITHM: Final = b"AWS4-HMAC-SHA256"
_END: Final = "aws4_request"
_HEADER: Final = re.compile(
    rb"AWS4-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})"
)
_NAMES: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~;-]+")
_PARTS: Final = (b"Credential", b"SignedHeaders", b"Signature")
_DATE: Final = "%Y%m%dT%H%M%SZ"
_MUST_SIGN: Final = (b"host", b"x-amz-date")
_TOKEN: Final = b"x-amz-security-token"
_DIGITS: Final = 64
"""Of a signature, in hexadecimal."""
_MOST_KNOWN: Final = 1024

Headers = Mapping[bytes, bytes]
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

    credential: bytes
    signed: bytes
    """Names of headers, with semicolons between."""
    signature: bytes


class _Ready(NamedTuple):
    """All that follows from a credential and the names of signed headers."""

    key_id: str
    secret: str
    mac: hmac.HMAC
    """Begun with the key that is derived from the secret: to be copied."""
    values: Callable[[Headers], tuple[bytes, ...]]
    """Returns those of the signed headers."""
    form: bytes
    """The canonical request, with places for path, query, values and the body's digest."""
    date: bytes
    scope: bytes
    """As it stands in the text that is signed."""


def headers_of(raw: Collection[tuple[bytes, bytes]]) -> Headers:
    """Return an ASGI request's headers."""
    found = dict(raw)
    if len(found) == len(raw):
        return found
    found = {}
    for name, value in raw:
        found[name] = b"%b,%b" % (found[name], value) if name in found else value
    return found


def parse(headers: Headers, query: bytes = b"") -> Signature:
    """Return what the request says of its signature.

    Raises:
        ServiceError: nothing (`MissingAuthenticationTokenException`), not all
            (`IncompleteSignatureException`), or what is not accepted here.
    """
    given = headers.get(b"authorization")
    if not given:
        if b"X-Amz-Signature=" in query:
            raise _incomplete("Presigned requests are not accepted here: sign by the header.")
        raise ServiceError(
            "MissingAuthenticationTokenException", "Request is missing Authentication Token"
        )
    if _TOKEN in headers:
        raise unrecognized(
            " Session tokens are not accepted here: sign with an access key and its secret alone."
        )
    match = _HEADER.fullmatch(given)
    return Signature(*match.groups()) if match is not None else _in_any_order(given)


def _in_any_order(given: bytes) -> Signature:
    """Read a header whose parts come in another order; refuse one that lacks any."""
    algorithm, _, rest = given.partition(b" ")
    if algorithm != _ALGORITHM:
        raise _incomplete(f"Authorization must begin with '{_ALGORITHM.decode()}'.")
    parts = dict(part.strip().partition(b"=")[::2] for part in rest.split(b","))
    for name in _PARTS:
        if not parts.get(name):
            raise _incomplete(f"Authorization header requires '{name.decode()}' parameter.")
    return Signature(*(parts[name] for name in _PARTS))


class Verifier:
    """Checks signatures with the secrets that `secret_of` knows by access key id.

    What follows from a credential, the derived key above all, is remembered once a signature with
    it was right, for as long as the secret is the same. `region` is the only one that may be signed
    for; None allows any. `time` is in epoch seconds.
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
        self._known: dict[bytes, _Ready] = {}
        """By all of an `Authorization` header but the signature, with which it ends."""

    def verify(self, path: bytes, query: bytes, headers: Headers, body: bytes) -> str:
        """Return the access key id that signed a POST to a path that needs no encoding.

        Raises:
            ServiceError: nobody did whom we know, it is too old, or it was changed.
        """
        given = headers.get(b"authorization", b"")
        before, signature = given[:-_DIGITS], given[-_DIGITS:]
        known = self._known.get(before)
        if known is None or known.secret != self._secret_of(known.key_id) or _TOKEN in headers:
            credential, signed, signature = parse(headers, query)
            ready = self._prepare(credential, signed)
        else:
            ready = known
        stamp = headers.get(b"x-amz-date", b"")
        self._check_date(stamp, ready.date)
        digest = hashlib.sha256(body).hexdigest().encode()
        if headers.get(b"x-amz-content-sha256", digest) != digest:
            raise _invalid("x-amz-content-sha256 must be the SHA-256 of the body, which is signed.")
        mac = ready.mac.copy()
        request = hashlib.sha256(_canonical(ready, path, query, headers, digest)).hexdigest()
        mac.update(b"%b\n%b\n%b\n%b" % (_ALGORITHM, stamp, ready.scope, request.encode()))
        if not hmac.compare_digest(mac.hexdigest().encode(), signature):
            raise _invalid(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. Consult the service "
                "documentation for details."
            )
        if ready is not known and given.endswith(signature):
            self._remember(before, ready)
        return ready.key_id

    def _prepare(self, credential: bytes, signed: bytes) -> _Ready:
        """Work out what follows from these, if they are such as may be."""
        scope = _scope(credential.decode("latin-1"))
        secret = self._secret_of(scope.key_id)
        if secret is None:
            raise unrecognized()
        self._check_scope(scope)
        names = signed.split(b";")
        for name in _MUST_SIGN:
            if name not in names:
                raise _invalid(
                    f"'{name.decode()}' must be a 'SignedHeader' in the AWS Authorization."
                )
        if names != sorted(set(names)) or _NAMES.fullmatch(signed) is None:
            raise _invalid("SignedHeaders must be names in lower case, sorted, each once.")
        parts = [part.encode("latin-1") for part in scope[1:]]
        key = f"AWS4{secret}".encode()
        for part in parts:
            key = hmac.digest(key, part, "sha256")
        lines = b"".join(b"%b:\0\n" % name for name in names)
        form = b"POST\n\0\n\0\n%b\n%b\n\0" % (lines, signed)
        return _Ready(
            scope.key_id,
            secret,
            hmac.new(key, digestmod="sha256"),
            itemgetter(*names),
            form.replace(b"%", b"%%").replace(b"\0", b"%b"),
            parts[0],
            b"/".join(parts),
        )

    def _remember(self, before: bytes, ready: _Ready) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[before] = ready

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

    def _check_date(self, stamp: bytes, date: bytes) -> None:
        signed = _epoch(stamp)
        if signed is None:
            raise _incomplete(
                "Authorization header requires existence of a 'X-Amz-Date' header such as "
                "'20260131T235959Z'."
            )
        now = int(self._time())
        if -SKEW_SECONDS <= now - signed <= SKEW_SECONDS and stamp[:8] == date:
            return
        shown = stamp.decode()
        if stamp[:8] != date:
            raise _invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{date.decode('latin-1')}' != '{shown[:8]}', from '{shown}'."
            )
        if signed < now:
            raise _invalid(
                f"Signature expired: {shown} is now earlier than {_stamp(now - SKEW_SECONDS)} "
                f"({_stamp(now)} - 5 min.)"
            )
        raise _invalid(
            f"Signature not yet current: {shown} is still later than "
            f"{_stamp(now + SKEW_SECONDS)} ({_stamp(now)} + 5 min.)"
        )


def _canonical(ready: _Ready, path: bytes, query: bytes, headers: Headers, digest: bytes) -> bytes:
    """Return the canonical form of a POST; spaces that mean nothing are no part of it."""
    try:
        values = ready.values(headers)
    except KeyError as error:
        name = error.args[0].decode("latin-1")
        raise _invalid(f"The header '{name}' was signed and did not arrive.") from error
    ordered = b"&".join(sorted(query.split(b"&"))) if query else b""
    found = ready.form % (path, ordered, *values, digest)
    if b"  " in found or b": " in found or b" \n" in found:
        trimmed = (b" ".join(value.split()) for value in values)
        return ready.form % (path, ordered, *trimmed, digest)
    return found


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


@lru_cache(maxsize=4 * _MOST_KNOWN)
def _epoch(stamp: bytes) -> int | None:
    try:
        return timegm(strptime(stamp.decode("ascii"), _DATE))
    except ValueError:
        return None


def _stamp(seconds: int) -> str:
    return strftime(_DATE, gmtime(seconds))


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidSignatureException", message)


def _incomplete(message: str) -> ServiceError:
    return ServiceError("IncompleteSignatureException", message)
