"""A dataset group's files: whose they are, and its small JSON documents.

Whoever works for a group claims it first. The first claim wins, by a conditional write; when a
later one counts is said in `workload.claims`.
"""

from typing import TypeVar

from reco.storage.port import NotFound, ObjectStore, StorageError
from reco.workload.claims import refusal
from reco.workload.results import Outcome
from reco.workload.storage import Owner, Places, Stored
from reco.workload.tasks import Group

Document = TypeVar("Document", bound=Stored)


class OwnedElsewhere(StorageError):  # noqa: N818 - the condition's name, as its siblings
    """The group belongs to another resource."""

    outcome = Outcome.OWNED_ELSEWHERE


class Corrupt(StorageError):  # noqa: N818 - as above
    """A file is not what was written."""

    outcome = Outcome.INVALID_DATA


def read(store: ObjectStore, key: str, document: type[Document]) -> Document | None:
    """Return a JSON document; None if there is none.

    Raises:
        Corrupt: the file holds something else.
        StorageError: as `get`.
    """
    try:
        content = store.get(key)
    except NotFound:
        return None
    return decode(store, key, content, document)


def decode(store: ObjectStore, key: str, content: bytes, document: type[Document]) -> Document:
    """Return the JSON document that a file holds; raises `Corrupt` as `read`."""
    try:
        return document.model_validate_json(content)
    except ValueError as error:
        raise Corrupt(
            f"{store.location}/{key} is no {document.__name__}, the file was damaged or is not "
            f"reco's: {error}"
        ) from error


def write(store: ObjectStore, key: str, document: Stored) -> None:
    """Write a JSON document, replacing it at once."""
    store.put(key, encode(document))


def encode(document: Stored) -> bytes:
    """Return a JSON document as it lies in storage: the same always gives the same bytes."""
    return document.model_dump_json(indent=1).encode()


def claim(store: ObjectStore, group: Group) -> None:
    """Make the group its owner's, or make sure that it is.

    Raises:
        OwnedElsewhere: it belongs to another resource.
        StorageError: as `get` and `put`.
    """
    key, wanted = Places(group.name).owner, group.owner
    if store.put_if_absent(key, encode(wanted)):
        return
    found = read(store, key, Owner)
    if found is None or found == wanted:  # None: deleted since, and the next claim will see to it
        return
    what = f"{store.location}/{Places(group.name).root}"
    why = refusal(group, found, what, "another prefix")
    if why is not None:
        raise OwnedElsewhere(why)
    write(store, key, wanted)
