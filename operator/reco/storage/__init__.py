"""Files in an S3-compatible bucket, or in a folder where a volume is mounted.

`open_storage` opens where a dataset group keeps its files, `Sources` where bulk data comes from.
Both give an `ObjectStore`: whole files under keys, written at once or not at all, and errors that
say what to do. Calls block; a server makes them in a thread.
"""

from reco.storage.digests import digest_of, download_checked
from reco.storage.groups import (
    Corrupt,
    OwnedElsewhere,
    claim,
    decode,
    encode,
    read,
    write,
)
from reco.storage.locations import Source, Sources, digest_of_source, open_storage
from reco.storage.port import (
    AccessDenied,
    Entry,
    NotFound,
    ObjectStore,
    StorageError,
    Unavailable,
)

__all__ = [
    "AccessDenied",
    "Corrupt",
    "Entry",
    "NotFound",
    "ObjectStore",
    "OwnedElsewhere",
    "Source",
    "Sources",
    "StorageError",
    "Unavailable",
    "claim",
    "decode",
    "digest_of",
    "digest_of_source",
    "download_checked",
    "encode",
    "open_storage",
    "read",
    "write",
]
