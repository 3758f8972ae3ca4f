"""Names that can't meet, and conditions that move only when something has changed."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from reco.api.base import Condition
from reco.api.resource import Key
from reco.api.vocabulary import ConditionType, Reason
from reco.decide import names
from reco.decide.conditions import merge
from reco.decide.decision import Keep, Verdict
from reco.decide.events import transitions
from tests.support.situations import NOW, condition, resource

LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True)
SUBDOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
READY = ConditionType.READY


@given(LABEL, SUBDOMAIN)
def test_every_kubernetes_name_becomes_one_that_personalize_takes(
    namespace: str, name: str
) -> None:
    external = names.mapped_name(Key("Campaign", namespace, name))

    assert len(external) <= names.EXTERNAL_NAME_LIMIT
    assert external[0].isalnum()
    assert set(external) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


@given(LABEL, SUBDOMAIN, LABEL, SUBDOMAIN)
def test_no_two_resources_meet_in_one_name(ns1: str, name1: str, ns2: str, name2: str) -> None:
    first, second = Key("Campaign", ns1, name1), Key("Campaign", ns2, name2)

    assert (names.mapped_name(first) == names.mapped_name(second)) == (first == second)


@given(SUBDOMAIN.map(lambda name: name * 4), st.integers(0, 10**8))
def test_a_child_of_the_longest_parent_is_still_a_name(parent: str, minute: int) -> None:
    child = names.child(parent[:253], str(minute))

    assert len(child) <= 253
    assert child.endswith(f"-{minute}")


def verdicts(status: str, reason: Reason, message: str = "") -> dict[ConditionType, Verdict | Keep]:
    return {READY: Verdict(status, reason, message)}


def test_the_transition_time_moves_with_the_status_alone() -> None:
    first = merge([], verdicts("True", Reason.IN_SYNC), generation=1, now=NOW)
    later = NOW + timedelta(hours=1)

    same = merge(first, verdicts("True", Reason.IN_SYNC, "new words"), generation=2, now=later)
    moved = merge(first, verdicts("False", Reason.DELETING), generation=2, now=later)

    assert same[0].last_transition_time == NOW
    assert same[0].observed_generation == 2
    assert moved[0].last_transition_time == later


def test_r2_conditions_of_trouble_are_there_only_while_there_is_trouble() -> None:
    stalled = {ConditionType.STALLED: Verdict("True", Reason.INVALID_SPEC)}
    before = merge([], verdicts("False", Reason.INVALID_SPEC) | stalled, generation=1, now=NOW)

    after = merge(before, verdicts("True", Reason.IN_SYNC), generation=1, now=NOW)

    assert [c.type for c in before] == ["Ready", "Stalled"]
    assert [c.type for c in after] == ["Ready"]


def test_r9_events_tell_of_changes_and_of_nothing_else() -> None:
    thing = resource(
        "Campaign", status={"conditions": [condition("Ready", "True", "InSync", "as wanted")]}
    )
    before = thing.status.conditions
    reworded = [before[0].model_copy(update={"message": "as wanted, again"})]
    failed = [_condition("False", "ExternalFailure", "no capacity")]

    assert transitions(before, reworded) == []
    (event,) = transitions(before, failed)
    assert (event.type, event.reason, event.message) == (
        "Warning",
        "ExternalFailure",
        "no capacity",
    )


def _condition(status: str, reason: str, message: str) -> Condition:
    return Condition(
        type="Ready", status=status, reason=reason, message=message, last_transition_time=NOW
    )
