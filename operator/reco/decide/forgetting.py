"""What is forgotten of an object that a resource may not, or may no longer, look at or hold.

Nothing is changed or deleted for that: what was made stays, and goes on serving.
"""

from typing import Any

from reco.api.base import ExternalStatus
from reco.api.vocabulary import ManagementPolicy, Reason
from reco.decide import pictures
from reco.decide.decision import Decision
from reco.decide.model import Situation


def refused(situation: Situation, why: str) -> Decision:
    """Say why the EngineClass does not let a resource be carried out, and wait for its word.

    What is only observed is shown no more, so that nobody builds on it. What the resource holds
    stays on record: it is to be found and deleted as before.
    """
    observes = situation.resource.spec.management_policy is ManagementPolicy.OBSERVE
    return Decision(
        pictures.stuck(situation, Reason.NOT_PERMITTED, why),
        status=_all_that_was_read(situation) if observes else {},
        look_again=situation.timing.denied,
    )


def lost(situation: Situation) -> dict[str, Any]:
    """Return what to clear of the record of an object that turned out to be another's.

    So it is looked for by its name from now on, with its tags, and nobody builds on it. A run keeps
    its record: what it did is done, whoever has it now.
    """
    resource = situation.resource
    if resource.status.external is None or resource.kind.runs_to_completion:
        return {}
    return {"external": None, "applied": None}


def _all_that_was_read(situation: Situation) -> dict[str, Any]:
    model = type(situation.resource.status)
    shared = ExternalStatus.model_fields.keys() - {"external", "applied"}
    return {
        field.alias or name: None
        for name, field in model.model_fields.items()
        if name not in shared and getattr(situation.resource.status, name) is not None
    }
