"""Whose a dataset group's files and keys are: one rule for wherever the group keeps anything.

What another resource owns is left alone, unless the operator says that it may be taken over; whose
word that needs is decided there, and never here. A resource that was made anew under its old name,
as from Git in an empty cluster, is the same owner unless its adoption policy says otherwise.
"""

from reco.workload.storage import Owner
from reco.workload.tasks import Group


def refusal(group: Group, found: Owner, what: str, apart: str) -> str | None:
    """Return why what `found` owns may not become the group's, or None if it is or may.

    Args:
        group: who claims it.
        found: whose it is now.
        what: it, for the text.
        apart: what else to change than the external name to be apart from it.
    """
    wanted = group.owner
    if found == wanted or group.adopt_from == name_of(found):
        return None
    if name_of(found) != name_of(wanted):
        return (
            f"{what} belongs to {name_of(found)} (cluster/namespace/name), which has not released "
            f"it to {name_of(wanted)}: ask its owner or, if it is gone, whoever administers the "
            f"EngineClass; or set another spec.externalName, or {apart} in the EngineClass"
        )
    if group.adopt_own:
        return None
    return (
        f"{what} was made by an earlier resource of this name (uid {found.uid}), and "
        f"spec.adoptionPolicy is 'Never': allow 'AdoptOrCreate', or set spec.externalName"
    )


def name_of(owner: Owner) -> str:
    """Return the owner as `cluster/namespace/name`."""
    return f"{owner.cluster}/{owner.namespace}/{owner.name}"
