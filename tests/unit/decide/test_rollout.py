"""Which version a campaign serves: the newest good one, whatever has happened since."""

from datetime import timedelta
from typing import Any

import pytest

from reco.api.resource import Resource, parse
from reco.api.vocabulary import API_VERSION
from reco.decide.model import Waiting
from reco.decide.references import blocker, resolve
from reco.decide.rollout import choose_version
from tests.support.lookup import Cluster
from tests.support.situations import CREATED, NOW, condition, desired, resource, settled_status

CLASS = parse(
    {
        "apiVersion": API_VERSION,
        "kind": "EngineClass",
        "metadata": {
            "name": "personalize",
            "uid": "u",
            "resourceVersion": "1",
            "creationTimestamp": CREATED.isoformat(),
        },
        "spec": {"engine": "Personalize", "personalize": {"region": "eu-west-1"}},
    }
)
READY = settled_status(desired())
ABOVE = (
    CLASS,
    resource("DatasetGroup", "movies", status=READY),
    resource("Solution", "sol", status=READY),
)
BAD_ENDS = ("ExternalFailure", "TransientFailure", "Stopped", "ExternalDeleted")


def version(name: str, hours_ago: float, succeeded: str, reason: str) -> Resource:
    made = NOW - timedelta(hours=hours_ago)
    conditions = [condition("Succeeded", succeeded, reason)]
    if succeeded == "False":
        conditions.append(condition("Stalled", "True", reason))
    external = {"name": f"shop_{name}", "arn": f"arn:{name}", "creationTime": made.isoformat()}
    status = {"conditions": conditions, "external": external}
    return resource("SolutionVersion", name, status=status, created=made)


GOOD = version("good", 5, "True", "Trained")


def serves(campaign: Resource, *versions: Resource) -> str | Waiting:
    """Return the name of the version that a campaign is to serve, or what it waits for."""
    cluster = Cluster(*ABOVE, campaign, *versions)
    chosen = choose_version(campaign, resolve(campaign, cluster), cluster)
    if isinstance(chosen, Waiting):
        return chosen
    return blocker(campaign, chosen) or chosen.direct["version"].key.name


def campaign(**spec: Any) -> Resource:
    return resource("Campaign", "camp", spec=spec, status=READY)


@pytest.mark.parametrize("reason", BAD_ENDS)
def test_a_newer_version_that_ended_badly_is_not_followed(reason: str) -> None:
    assert serves(campaign(), GOOD, version("bad", 1, "False", reason)) == "good"


def test_a_version_that_is_trained_just_now_is_not_followed_yet() -> None:
    assert serves(campaign(), GOOD, version("young", 1, "Unknown", "Training")) == "good"


def test_the_newest_of_several_good_versions_is_followed() -> None:
    newer = version("newer", 2, "True", "Trained")
    assert serves(campaign(), newer, GOOD) == "newer"


@pytest.mark.parametrize("reason", BAD_ENDS)
def test_a_pinned_version_that_ended_badly_is_waited_for_by_name(reason: str) -> None:
    waits = serves(campaign(version={"name": "bad"}), GOOD, version("bad", 1, "False", reason))
    assert isinstance(waits, Waiting)
    assert waits.message.startswith(f"SolutionVersion shop/bad is not ready: {reason}")


@pytest.mark.parametrize("shown", [[], [condition("Succeeded", "Unknown", "AwaitingDependency")]])
def test_nothing_is_chosen_over_a_version_that_nobody_has_looked_at(shown: list[Any]) -> None:
    """Nobody has while it waits for its Solution, as everything does after a restore."""
    status = {"conditions": shown}
    unknown = resource("SolutionVersion", "unknown", status=status, created=NOW)
    waits = serves(resource("Campaign", "camp"), GOOD, unknown)
    assert isinstance(waits, Waiting)
    assert "may be newer" in waits.message
