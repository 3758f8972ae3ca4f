"""The state table of a serving kind, row by row, as users and tools see it."""

import pytest

from reco.api.vocabulary import Reason
from reco.decide.decision import CreateExternal, UpdateExternal
from reco.decide.lifecycle import decide
from reco.decide.model import ErrorClass, Failure, State
from tests.support.situations import (
    condition,
    desired,
    resource,
    settled_status,
    shown,
    situation,
)
from tests.support.state_table import PINNED, ROWS, WANTED, Row, deletion_blocked, pinned_by_spec

ALWAYS = {"Ready", "Available", "Synced", "Accepted", "DependenciesReady"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_situation_shows_its_row_of_the_table(row: Row) -> None:
    it = row.make()

    decision = decide(it)

    conditions = shown(it.resource, decision)
    assert (conditions["Ready"], conditions["Available"], conditions["Synced"]) == (
        row.ready,
        row.available,
        row.synced,
    )
    assert conditions.keys() - ALWAYS == row.present
    assert tuple(type(action) for action in decision.actions) == row.actions


def test_r5_a_deletion_waits_for_dependents_and_names_them() -> None:
    it = deletion_blocked()

    decision = decide(it)

    blocked = decision.conditions["DeletionBlocked"]  # type: ignore[index]
    assert "Dataset shop/data" in blocked.message  # type: ignore[union-attr]
    assert decision.actions == ()


def test_a_failed_update_is_tried_again_only_when_a_person_asks() -> None:
    it = pinned_by_spec(State.FAILED)
    assert decide(it).actions == ()

    asked = resource(
        "Campaign",
        generation=2,
        status=settled_status(WANTED),
        annotations={"reco.dev/reconcile-requested-at": "now"},
    )
    again = decide(situation(asked, desired=PINNED, observation=it.observation))

    assert [type(action) for action in again.actions] == [UpdateExternal]
    assert again.status["lastHandledReconcileAt"] == "now"


def test_a_refused_spec_is_not_sent_again_until_it_changes() -> None:
    refusal = {"digest": WANTED.digest, "reason": "InvalidSpec", "message": "bad weight"}
    campaign = resource("Campaign", status={"refusal": refusal})

    refused = decide(situation(campaign))
    edited = decide(situation(campaign, desired=desired(minProvisionedTPS=2)))

    assert refused.actions == ()
    assert shown(campaign, refused)["Accepted"] == "False/InvalidSpec"
    assert [type(action) for action in edited.actions] == [CreateExternal]


def test_readiness_survives_a_failing_engine_for_as_long_as_it_fails() -> None:
    campaign = resource(
        "Campaign",
        status=settled_status(
            WANTED, conditions=[condition("Ready", "True", Reason.IN_SYNC.value)]
        ),
    )
    failure = Failure(ErrorClass.TRANSIENT, "connection refused", "ListCampaigns")

    decision = decide(situation(campaign, observation=failure))

    assert shown(campaign, decision)["Ready"] == "True/InSync"
    assert decision.retry
