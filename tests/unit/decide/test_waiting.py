"""What waits for something else: what it shows, and that what serves is not made to look busy."""

from reco.decide import references
from reco.decide.lifecycle import decide
from reco.decide.model import Waiting
from reco.decide.rollout import choose_version
from tests.support.lookup import Cluster
from tests.support.situations import desired, observed, resource, settled_status, shown, situation

WANTED = desired()
MISSING = Waiting("Schema shop/interactions is being deleted")


def test_what_was_in_sync_stays_ready_and_idle_while_a_reference_is_gone() -> None:
    campaign = resource("Campaign", status=settled_status(WANTED))
    decision = decide(
        situation(campaign, desired=MISSING, observation=observed(campaign, WANTED, tags=None))
    )
    picture = shown(campaign, decision)
    assert picture["Ready"] == "True/InSync"
    assert picture["DependenciesReady"] == "False/AwaitingDependency"
    assert "Reconciling" not in picture


def test_a_new_spec_that_waits_is_not_ready_while_the_old_one_serves() -> None:
    campaign = resource("Campaign", status=settled_status(WANTED), generation=2)
    decision = decide(
        situation(campaign, desired=MISSING, observation=observed(campaign, WANTED, tags=None))
    )
    picture = shown(campaign, decision)
    assert picture["Ready"] == "False/AwaitingDependency"
    assert picture["Available"] == "True/AwaitingDependency"
    assert picture["Reconciling"] == "True/AwaitingDependency"


def test_a_campaign_that_the_service_moves_waits_for_a_first_version() -> None:
    solution = resource("Solution", "sol")
    campaign = resource(
        "Campaign", spec={"campaignConfig": {"syncWithLatestSolutionVersion": True}}
    )
    cluster = Cluster(solution, campaign)
    chosen = choose_version(campaign, references.resolve(campaign, cluster), cluster)
    assert isinstance(chosen, Waiting)
    assert "has no good version yet" in chosen.message
