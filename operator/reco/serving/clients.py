"""Who may call: key pairs of clients from a mounted Secret, and what each may do.

Each entry of the Secret is one key pair: its name the access key id, its value JSON of `Client`.
Kubernetes writes a changed Secret into the volume while the pod runs; it is looked at every second,
so that keys are added, changed and taken away without a restart. An entry that can't be read is no
key: it lets nobody in.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from typing_extensions import override

from reco.serving.errors import ServiceError
from reco.serving.requests import OPERATIONS
from reco.serving.signing import SERVICE, Headers, Verifier
from reco.workload.addresses import named_in
from reco.workload.results import Outcome
from reco.workload.tasks import Authentication

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often the Secret's files are looked at."""
LEAST_SECRET: Final = 16
"""Characters of a secret key; those of AWS have 40."""
_MOST_BYTES: Final = 64 << 10
_FORM: Final = '{"secretKey": "...", "operations": [...], "campaigns": [...], "trackers": [...]}'
_SETTING: Final = "spec.inCluster.authentication.keysSecretRef"

_Names = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(max_length=1000)]


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One key pair, and what it may do.

    Without `operations` it may call all. Without `campaigns` and `trackers` it may call all of
    them; with one of the two, only what is named there. Names are external names, or ARNs, of which
    the end counts; a tracker's tracking id will do, too.
    """

    secret_key: Annotated[str, Meta(min_length=LEAST_SECRET, max_length=256)]
    operations: _Names | None = None
    campaigns: _Names | None = None
    trackers: _Names | None = None

    def may(self, operation: str, noun: str, names: tuple[str, ...]) -> bool:
        """Say whether an operation on the `campaign` or `tracker` of these names is allowed."""
        if self.operations is not None and operation not in self.operations:
            return False
        if self.campaigns is None and self.trackers is None:
            return True
        allowed = (self.campaigns if noun == "campaign" else self.trackers) or ()
        return any(name in names or (named_in(name) or name) in names for name in allowed)

    @override
    def __repr__(self) -> str:
        """Leave out the secret: logs show whatever is printed."""
        return f"Client({self.operations}, {self.campaigns}, {self.trackers})"


class Clients:
    """The key pairs in a folder, as of the last look at it."""

    def __init__(self, task: Authentication) -> None:
        self._folder = Path(task.folder)
        self._secret = task.secret
        self._seen: object = None
        self._known: Mapping[str, Client] = {}
        self.unreadable: Mapping[str, str] = {}
        """Why an entry is no key, by its name."""

    def __len__(self) -> int:
        """Return how many can sign in."""
        return len(self._known)

    def get(self, key_id: str) -> Client | None:
        """Return a client by access key id."""
        return self._known.get(key_id)

    def look(self) -> None:
        """Read the folder again if it has changed."""
        seen = _state(self._folder)
        if seen == self._seen:
            return
        known, unreadable = {}, {}
        for path in _entries(self._folder):
            try:
                known[path.name] = _read(path)
            except ValueError as error:
                unreadable[path.name] = str(error)
        for name in sorted(unreadable.keys() - self.unreadable.keys()):
            logger.warning("Secret %s: %s lets nobody in: %s", self._secret, name, unreadable[name])
        if self._seen is not None or known:
            logger.info("Secret %s: %d clients may sign in", self._secret, len(known))
        self._seen, self._known, self.unreadable = seen, known, unreadable

    @property
    def problem(self) -> str | None:
        """Why nobody can sign in; None if somebody can."""
        if self._known:
            return None
        if not self._folder.is_dir() or not (self.unreadable or _entries(self._folder)):
            what = f"the Secret {self._secret} ({_SETTING}) has no entry, or is not there"
        else:
            told = "; ".join(f"{name}: {why}" for name, why in sorted(self.unreadable.items()))
            what = f"the Secret {self._secret} ({_SETTING}) has no entry that can be used ({told})"
        return (
            f"{Outcome.ACCESS_DENIED}: no client can sign in: {what}. Each entry is named by an "
            f"access key id, and its value is JSON such as {_FORM}"
        )

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()


class Guard:
    """Lets in who has signed, and may.

    `noun` says what `names_of` finds in a request's body: the external names of a `campaign` or a
    `tracker`; none where the body does not tell, which the operation itself then refuses.
    """

    def __init__(
        self,
        task: Authentication,
        noun: str,
        names_of: Callable[[bytes], tuple[str, ...]],
        time: Callable[[], float],
    ) -> None:
        self.clients = Clients(task)
        self._noun = noun
        self._names_of = names_of
        self._verifier = Verifier(self._secret_of, time, task.region)
        self.clients.look()

    def check(self, operation: str, query: bytes, headers: Headers, body: bytes) -> None:
        """Refuse a request that is not signed by who may make it.

        Raises:
            ServiceError: who it is is not known (see `Verifier.verify`), or they may not
                (`AccessDeniedException`).
        """
        key_id = self._verifier.verify(_PATHS[operation], query, headers, body)
        client = self.clients.get(key_id)
        names = self._names_of(body)
        if client is None or (names and not client.may(operation, self._noun, names)):
            raise ServiceError(
                "AccessDeniedException",
                f"User: {key_id} is not authorized to perform: {SERVICE}:{operation} on resource: "
                f"{self._noun}/{names[0] if names else ''}",
            )

    def _secret_of(self, key_id: str) -> str | None:
        client = self.clients.get(key_id)
        return client.secret_key if client is not None else None


def guarding(
    task: Authentication | None,
    noun: str,
    names_of: Callable[[bytes], tuple[str, ...]],
    time: Callable[[], float] = time.time,
) -> Guard | None:
    """Return the guard that a task asks for, if it does."""
    return Guard(task, noun, names_of, time) if task is not None else None


def _entries(folder: Path) -> list[Path]:
    """Return the files of a Secret's volume; what begins with a dot is Kubernetes' own."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _state(folder: Path) -> object:
    """Return what changes whenever the Secret does."""
    found = []
    for path in _entries(folder):
        try:
            stat = path.stat()
        except OSError:
            continue  # taken away meanwhile
        found.append((path.name, stat.st_mtime_ns, stat.st_ino, stat.st_size))
    return tuple(found)


def _read(path: Path) -> Client:
    """Read one entry; raises ValueError that says what is wrong and never shows the secret."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise ValueError(f"it can't be read: {os.strerror(error.errno or 0)}") from error
    try:
        client = _DECODER.decode(content)
    except msgspec.MsgspecError as error:
        raise ValueError(f"it must be JSON such as {_FORM}: {error}") from error
    unknown = [name for name in client.operations or () if name not in OPERATIONS]
    if unknown:
        raise ValueError(f"there is no operation '{unknown[0]}'; there are {', '.join(OPERATIONS)}")
    return client


_DECODER: Final = msgspec.json.Decoder(Client)
_PATHS: Final = {name: path.encode() for name, (path, _) in OPERATIONS.items()}
