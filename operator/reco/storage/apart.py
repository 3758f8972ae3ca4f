"""Whether a source of bulk data reaches storage of ours: by what is reached, not how it is spelled.

Credentials of sources and of storage may be the same, and what other groups keep is none of a
tenant's business. So a location is refused that lies in the folder of all groups, or above it. The
same file has many addresses: endpoints differ in case, default ports and trailing dots, a bucket
may stand in the host or in the path, keys may hold dots, and a volume may be mounted twice. Names
that tell as much are compared first. For all other names (a DNS alias, an access point, a claim
that is mounted again) the proof is the group's own file, which says whose it is: where the source
shows the very same one, it is the storage.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from reco.storage.port import AccessDenied, NotFound, ObjectStore
from reco.workload.storage import GROUPS, Places
from reco.workload.tasks import S3

Parts = tuple[str, ...]

_AMAZON: Final = re.compile(r"(?:(?P<before>.+)\.)?s3(?:[.-].+)?\.amazonaws\.com(?P<china>\.cn)?")
_DEFAULT_PORTS: Final = frozenset({("http", 80), ("https", 443)})


def parts_of(key: str) -> Parts:
    """Return the folders and the name in a key, as a file system reads it."""
    found: list[str] = []
    for part in key.split("/"):
        if part == "..":
            del found[-1:]
        elif part not in {"", "."}:
            found.append(part)
    return tuple(found)


def root_of(prefix: str = "") -> Parts:
    """Return where all groups are kept below a prefix."""
    return (*parts_of(prefix), GROUPS)


def meets(asked: Parts, root: Parts) -> bool:
    """Say whether one lies in the other."""
    shortest = min(len(asked), len(root))
    return asked[:shortest] == root[:shortest]


def reached(s3: S3, key: Parts) -> set[tuple[str, Parts]]:
    """Return what a key may reach: servers, each with bucket and key.

    Several, for a bucket that is asked for in the path may stand behind another one in the host.
    """
    url = urlsplit(s3.endpoint_url or "https://s3.amazonaws.com")
    host = (url.hostname or "").rstrip(".")
    in_path = (s3.bucket, *key)
    amazon = _AMAZON.fullmatch(host)
    if amazon is not None:
        # A bucket's name is one bucket's, whatever the region and the way there.
        server = f"amazonaws.com{amazon['china'] or ''}"
        before = amazon["before"] or ""
        ways = {(server, in_path)}
        return ways if "vpce-" in before or not before else ways | {(server, (before, *in_path))}
    port = url.port
    end = "" if port is None or (url.scheme.lower(), port) in _DEFAULT_PORTS else f":{port}"
    first, _, rest = host.partition(".")
    return {(f"{host}{end}", in_path), (f"{rest}{end}", (first, *in_path))}


def same_place(ours: S3, theirs: S3, key: Parts) -> bool:
    """Say whether names alone tell that a key lies where our groups are kept, or above that."""
    root = reached(ours, root_of(ours.prefix))
    return any(
        server == other and meets(asked, kept)
        for server, asked in reached(theirs, key)
        for other, kept in root
    )


@dataclass(frozen=True, slots=True)
class Proof:
    """The file by which a storage is known again, wherever it shows."""

    store: ObjectStore
    """Our storage."""
    group: str
    """External name of a group that is kept there."""
    prefix: str = ""
    """What stands before all keys of the storage, in its bucket."""

    def shown_by(self, source: ObjectStore) -> bool:
        """Say whether a source is our storage.

        Raises:
            StorageError: either did not answer.
        """
        key = Places(self.group).owner
        try:
            ours = self.store.get(key)
        except NotFound:
            return False  # nothing is kept there yet
        try:
            return source.get("/".join((*parts_of(self.prefix), key))) == ours
        except (NotFound, AccessDenied):
            return False

    @property
    def root(self) -> Parts:
        """Where groups are kept, as a source shows it."""
        return root_of(self.prefix)


def refusal(location: str, root: str) -> AccessDenied:
    """Return what to raise of a location that reaches the folder of all groups."""
    return AccessDenied(
        f"{location} may not be read: {root} is where dataset groups are kept. Name a prefix apart"
        f" from it"
    )
