"""A dataset group's files: whose they are, and its small JSON documents.

Whoever works for a group claims it first. The first claim wins, by a conditional write; what
another resource owns is left alone. A resource that was made anew under its old name, as from Git
in an empty cluster, is the same owner unless its adoption policy says otherwise.
"""

from typing import TypeVar

from reco.storage.port import NotFound, ObjectStore, StorageError
from reco.workload.storage import Owner, Places, Stored
from reco.workload.tasks import Group

Document = TypeVar("Document", bound=Stored)


class OwnedElsewhere(StorageError):  # noqa: N818 - the condition's name, as its siblings
    """The group belongs to another resource."""

    def __init__(self, message: str, owner: Owner) -> None:
        """Say whose the group is."""
        super().__init__(message)
        self.owner = owner


class Corrupt(StorageError):  # noqa: N818 - as above
    """A file is not what was written."""


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
    where = f"{store.location}/{Places(group.name).root}"
    if group.adopt_from == name_of(found):
        write(store, key, wanted)
    elif name_of(found) != name_of(wanted):
        raise OwnedElsewhere(
            f"{where} belongs to {name_of(found)} (cluster/namespace/name): to take it over, "
            f"annotate the DatasetGroup reco.dev/adopt-from={name_of(found)}; else set its "
            f"spec.externalName, or another prefix in its EngineClass",
            found,
        )
    elif group.adopt_own:
        write(store, key, wanted)
    else:
        raise OwnedElsewhere(
            f"{where} was made by an earlier resource of this name (uid {found.uid}), and "
            f"spec.adoptionPolicy is 'Never': allow 'AdoptOrCreate', or set spec.externalName",
            found,
        )


def name_of(owner: Owner) -> str:
    """Return the owner as `cluster/namespace/name`."""
    return f"{owner.cluster}/{owner.namespace}/{owner.name}"
