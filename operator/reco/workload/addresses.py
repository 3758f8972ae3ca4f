"""Where pods answer: names of Services, ports and paths, all computed, none looked up.

Clients name a campaign by its ARN, as in Amazon Personalize. Only the end of it counts, the
external name, so an application that moves here from the service keeps the ARNs it has.
"""

import hashlib
import re
from typing import Final

PORT: Final = 8080
"""Where every pod of ours listens, for requests, health and metrics alike."""
SERVICE_PORT: Final = 80
STORE_PORT: Final = 6379
"""Where a managed online store listens."""
HEALTH: Final = "/healthz"
READY: Final = "/readyz"
METRICS: Final = "/metrics"

CATALOG_VERSIONS: Final = "/versions"
"""Answers `{"versions": [VersionManifest, ...]}`; DELETE `/versions/<solution>/<version>`."""
CATALOG_SNAPSHOTS: Final = "/snapshots"
"""Answers `{"snapshots": [SnapshotManifest, ...]}` and by dataset type `current` (names of those
that count) and `streamed` (`rows`, `last` in epoch seconds, `complete`). DELETE
`/snapshots/<Type>/<job>`."""
CATALOG_DATASETS: Final = "/datasets"
"""DELETE `/datasets/<Type>` removes the dataset's data; answers 503 while there is more."""
CATALOG_GROUP: Final = "/group"
"""DELETE removes all that the group keeps; answers 503 while there is more."""
TOKEN_HEADER: Final = "X-Reco-Token"  # noqa: S105 - the name, not the secret
"""Has the token of the group's catalog. `Authorization` is none: the API server, through which
catalogs are asked, takes that for itself and passes it on to nobody."""
OWNER_HEADER: Final = "X-Reco-Uid"
"""Names the group's owner in a deletion."""
CATALOG_SOURCE: Final = "/source"
"""`?location=...` answers `{"digest": ..., "objects": n}` or `{"problem": ...}`."""

_LABEL: Final = 63
_NOT_A_LABEL: Final = re.compile(r"[^a-z0-9-]+")


def arn(noun: str, name: str) -> str:
    """Return the ARN of an object of the in-cluster engine, such as a `campaign`."""
    return f"arn:reco:personalize:::{noun}/{name}"


def named_in(arn_: str) -> str:
    """Return the external name in an ARN of any partition, account and region; empty if none."""
    return arn_.rpartition(":")[2].partition("/")[2]


def service(name: str, role: str, longest: int = _LABEL) -> str:
    """Return the name of the Service of an external object: a DNS label of at most 63 characters.

    Different names never meet: one that had to be changed to fit ends with a hash of the original.
    """
    label = _NOT_A_LABEL.sub("-", name.lower()).strip("-")
    longest -= 1 + len(role)
    if label != name or len(label) > longest or not label[:1].isalpha():
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        label = f"{f'r-{label}'[: longest - 9].rstrip('-')}-{digest}"
    return f"{label}-{role}"


def campaign_service(name: str, namespace: str) -> str:
    """Return the Service of a campaign, by its external name.

    `shop_movies-for-you` in namespace `shop` is `movies-for-you-ranker`.
    """
    return service_of(name, namespace, "ranker")


def catalog_service(name: str, namespace: str) -> str:
    """Return the Service of a dataset group's catalog, by the group's external name."""
    return service_of(name, namespace, "catalog")


def service_of(name: str, namespace: str, role: str, longest: int = _LABEL) -> str:
    """Return the Service of an external object in a namespace: without that in its name."""
    return service(name.removeprefix(f"{namespace}_"), role, longest)
