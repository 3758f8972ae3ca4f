"""What a class and a present owner let a namespace do, and what a refusal says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from reco.api.resource import Key, Resource
from reco.api.tenancy import Tenancy
from reco.api.vocabulary import ANNOTATION_ADOPT_FROM, ANNOTATION_RELEASE_TO, FINALIZER
from reco.decide import names, owners, tenancy
from reco.decide.decision import Decision, DeleteExternal, RemoveFinalizer, TagExternal
from reco.decide.lifecycle import decide
from reco.decide.model import Desired, EngineView, State, Waiting
from reco.decide.references import References
from tests.support.situations import (
    ENGINE,
    IDENTITY,
    NOW,
    desired,
    observed,
    resource,
    settled_status,
    shown,
    situation,
    written,
)

WANTED = desired()
ME = f"{IDENTITY.cluster}/shop/thing"
NEIGHBOUR = f"{IDENTITY.cluster}/bank/theirs"


def view(**said: Any) -> EngineView:
    return replace(ENGINE, tenancy=Tenancy.model_validate(said))


def marks(owner: str) -> dict[str, str]:
    cluster, namespace, name = owner.split("/")
    return {
        names.TAG_CLUSTER: cluster,
        names.TAG_NAMESPACE: namespace,
        names.TAG_NAME: name,
        names.TAG_UID: "theirs",
    }


@dataclass
class Everything:
    """Knows some resources."""

    resources: Sequence[Resource]

    def get(self, key: Key) -> Resource | None:
        return next((one for one in self.resources if one.key == key), None)

    def all(self, kind: str, _namespace: str | None = None) -> Sequence[Resource]:
        return [one for one in self.resources if one.key.kind == kind]

    def referring(self, _key: Key, _kind: str | None = None) -> Sequence[Resource]:
        return []


def told(before: Resource, decision: Decision) -> str:
    """Return reason and message of Ready."""
    ready = next(c for c in written(before, decision)["conditions"] if c["type"] == "Ready")
    return f"{ready['reason']}: {ready['message']}"


# --- names -------------------------------------------------------------------------------------

LONG = "n" * 60


@pytest.mark.parametrize(
    ("namespace", "external_name", "patterns", "allowed"),
    [
        ("shop", None, (), True),
        ("shop", "shop_movies", (), True),
        ("shop", "shop_", (), True),
        ("shop", "shopping_movies", (), False),
        ("shop", "shop-movies", (), False),
        ("shop", "SHOP_movies", (), False),
        ("shop", "bank_movies", (), False),
        ("shop", "live-1", ("live-*",), True),
        ("shop", "live-1", ("live-",), False),
        ("shop", "a-live-1", ("live-*",), False),
        ("shop", "anything/at-all", ("*",), True),
        ("shop", "a-b-c", ("a*b*c",), True),
        (LONG, None, (), True),
        (LONG, f"{LONG[:54]}-12345678", (), False),
    ],
)
def test_r6_a_namespace_uses_its_own_names_and_those_it_is_given(
    namespace: str, external_name: str | None, patterns: tuple[str, ...], *, allowed: bool
) -> None:
    spec = {"externalName": external_name} if external_name else {}
    rules = [{"namespaces": [namespace], "patterns": list(patterns)}] if patterns else []
    others = [{"namespaces": ["else"], "patterns": ["*"]}]

    why = tenancy.barred(
        resource("Campaign", spec=spec, namespace=namespace),
        view(externalNames=[*rules, *others]),
        None,
    )

    assert (why is None) == allowed, why
    if why is not None:
        assert "ask whoever administers EngineClass personalize" in why


def test_r6_a_version_may_have_any_name_within_its_solution() -> None:
    version = resource("SolutionVersion", spec={"externalName": "bank_sol/0a1b2c3d"})
    job = resource("DatasetImportJob", spec={"externalName": "bank_import"})

    assert tenancy.barred(version, ENGINE, None) is None
    assert tenancy.barred(job, ENGINE, None) is not None


@pytest.mark.parametrize("kind", ["SolutionVersion", "Dataset"])
@pytest.mark.parametrize("policy", ["Manage", "Observe"])
def test_r6_a_part_is_not_looked_for_before_its_parent_is_known(kind: str, policy: str) -> None:
    part = resource(
        kind, spec={"adoptionPolicy": "Adopt", "managementPolicy": policy}, finalizers=()
    )
    there = observed(part, WANTED, tags={}, details={"metrics": {"ndcg": "0.3"}})

    decision = decide(situation(part, desired=Waiting("no parent"), observation=there))

    assert decision.actions == ()
    assert not decision.status.keys() & {"external", "metrics"}


# --- namespaces --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "labels", "admitted"),
    [
        ({}, {}, True),
        ({"from": "All"}, {}, True),
        ({"from": "Names", "names": ["shop"]}, {}, True),
        ({"from": "Names", "names": ["bank"]}, {}, False),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, {"team": "a"}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, {"team": "b"}, False),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, {}, False),
    ],
)
def test_a_class_is_used_by_the_namespaces_that_it_admits(
    said: Mapping[str, Any], labels: Mapping[str, str], *, admitted: bool
) -> None:
    why = tenancy.barred(resource("Campaign"), view(namespaces=said), labels)

    assert (why is None) == admitted


@pytest.mark.parametrize(
    ("operator", "values", "matching"),
    [
        ("In", ["a", "b"], [{"x": "a"}, {"x": "b"}]),
        ("NotIn", ["a", "b"], [{}, {"x": "c"}, {"x": ""}]),
        ("Exists", None, [{"x": "a"}, {"x": "b"}, {"x": "c"}, {"x": ""}]),
        ("DoesNotExist", None, [{}]),
    ],
)
def test_labels_are_compared_as_kubernetes_does(
    operator: str, values: list[str] | None, matching: list[dict[str, str]]
) -> None:
    requirement = {"key": "x", "operator": operator} | ({"values": values} if values else {})
    said = {"from": "Selector", "selector": {"matchExpressions": [requirement]}}

    for labels in ({}, {"x": "a"}, {"x": "b"}, {"x": "c"}, {"x": ""}):
        why = tenancy.barred(resource("Campaign"), view(namespaces=said), labels)
        assert (why is None) == (labels in matching), labels


def test_labels_that_cannot_be_read_admit_nobody_and_say_what_is_missing() -> None:
    said = {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}

    why = tenancy.barred(resource("Campaign"), view(namespaces=said), "they may not be read")

    assert why is not None
    assert "they may not be read" in why


def test_who_is_barred_loses_nothing_and_is_told_whom_to_ask() -> None:
    campaign = resource("Campaign", status=settled_status(WANTED), spec={"minProvisionedTPS": 9})

    decision = decide(situation(campaign, barred="no: ask somebody"))

    assert decision.actions == ()
    assert not decision.status.keys() & {"external", "applied"}
    assert shown(campaign, decision)["Ready"] == "False/NotPermitted"
    assert shown(campaign, decision)["Available"] == "True/InSync", "it serves on"


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_who_is_barred_can_delete_what_is_provably_its_own(policy: str) -> None:
    campaign = resource(
        "Campaign",
        spec={"deletionPolicy": policy},
        status=settled_status(WANTED),
        deleted=True,
    )

    decision = decide(situation(campaign, barred="no", observation=observed(campaign, WANTED)))

    wanted = DeleteExternal if policy == "Delete" else RemoveFinalizer
    assert [type(action) for action in decision.actions] == [wanted]


# --- taking over -------------------------------------------------------------------------------

TAKE_OVER = [
    # owner, adopt-from, what the owner says, what the class says, taken
    (NEIGHBOUR, NEIGHBOUR, ME, {}, True),
    (NEIGHBOUR, None, ME, {}, False),
    (NEIGHBOUR, NEIGHBOUR, None, {}, False),
    (NEIGHBOUR, NEIGHBOUR, f"{IDENTITY.cluster}/evil/thing", {}, False),
    (NEIGHBOUR, NEIGHBOUR, None, {"fromClusters": [IDENTITY.cluster]}, False),
    (NEIGHBOUR, NEIGHBOUR, "gone", {}, False),
    (NEIGHBOUR, NEIGHBOUR, "gone", {"adopt": True, "observe": True}, False),
    (NEIGHBOUR, NEIGHBOUR, "gone", {"fromClusters": [IDENTITY.cluster]}, True),
    (NEIGHBOUR, NEIGHBOUR, "hidden", {"fromClusters": [IDENTITY.cluster]}, False),
    ("dead/shop/thing", "dead/shop/thing", "gone", {}, False),
    ("dead/shop/thing", "dead/shop/thing", "gone", {"fromClusters": ["other"]}, False),
    ("dead/shop/thing", "dead/shop/thing", "gone", {"fromClusters": ["dead"]}, True),
    ("dead/shop/thing", None, "gone", {"fromClusters": ["dead"]}, False),
    (f"{IDENTITY.cluster}/shop/before", f"{IDENTITY.cluster}/shop/before", "gone", {}, True),
    (f"{IDENTITY.cluster}/shop/before", None, "gone", {}, False),
    (f"{IDENTITY.cluster}/shop/before", f"{IDENTITY.cluster}/shop/before", None, {}, False),
]


@pytest.mark.parametrize(("owner", "adopt_from", "owner_says", "class_says", "taken"), TAKE_OVER)
@pytest.mark.parametrize("policy", ["AdoptOrCreate", "Adopt"])
def test_r6_what_another_owns_is_taken_by_the_owners_word_or_the_classs(
    policy: str,
    owner: str,
    adopt_from: str | None,
    owner_says: str | None,
    class_says: Mapping[str, Any],
    *,
    taken: bool,
) -> None:
    said = {ANNOTATION_ADOPT_FROM: adopt_from} if adopt_from else None
    campaign = resource("Campaign", annotations=said, spec={"adoptionPolicy": policy})
    _, namespace, name = owner.split("/")
    living = None
    if owner_says not in {"gone", "hidden"}:
        releases = {ANNOTATION_RELEASE_TO: owner_says} if owner_says else None
        living = resource("Campaign", name, namespace=namespace, annotations=releases)
    rules = [{"namespaces": ["shop"], **class_says}] if class_says else []

    decision = decide(
        situation(
            campaign,
            engine=view(adoption=rules),
            observation=observed(campaign, WANTED, tags=marks(owner)),
            owner=living,
            owner_hidden=owner_says == "hidden",
        )
    )

    if taken:
        assert [type(action) for action in decision.actions] == [TagExternal]
        return
    assert decision.actions == ()
    message = told(campaign, decision)
    assert message.startswith("OwnedElsewhere: shop_thing belongs to")
    granted = owner_says == ME or adopt_from is None
    assert ("ask" in message) != granted
    assert (f"{ANNOTATION_ADOPT_FROM}={owner}" in message) == granted, "a recipe once it is allowed"


def test_r6_an_unmarked_object_of_a_given_name_is_the_classs_to_give() -> None:
    campaign = resource("Campaign", spec={"adoptionPolicy": "Adopt", "externalName": "live"})
    given = [{"namespaces": ["shop"], "adopt": True}]
    there = observed(campaign, WANTED, tags={})

    refused = decide(situation(campaign, observation=there))
    adopted = decide(situation(campaign, engine=view(adoption=given), observation=there))

    assert refused.actions == ()
    assert "ask whoever administers the class" in told(campaign, refused)
    assert [type(action) for action in adopted.actions] == [TagExternal]


def test_r6_a_part_comes_along_with_its_parent_and_not_without() -> None:
    version = resource("SolutionVersion", spec={"adoptionPolicy": "Adopt"})
    there = observed(version, WANTED, tags=marks(NEIGHBOUR))
    ours = resource("Solution", "sol")
    watched = resource("Solution", "sol", spec={"managementPolicy": "Observe"})

    with_ours = decide(situation(version, observation=there, parent=ours))
    with_theirs = decide(situation(version, observation=there, parent=watched))

    assert shown(version, with_ours)["Succeeded"] == "True/Trained"
    assert shown(version, with_theirs)["Ready"] == "False/OwnedElsewhere"


@pytest.mark.parametrize("tags", [None, {}])
@pytest.mark.parametrize(
    ("status", "policy", "owns"),
    [
        ({"external": {"name": "bank_x", "arn": "arn:thing"}}, "Manage", True),
        ({"external": {"name": "bank_x", "arn": "arn:other"}}, "Manage", False),
        ({"external": {"name": "bank_x", "arn": "arn:thing"}}, "Observe", False),
        ({}, "Manage", True),
        ({}, "Observe", False),
    ],
)
def test_r6_what_has_no_marks_is_whose_living_resource_has_it(
    tags: dict[str, str] | None, status: Mapping[str, Any], policy: str, *, owns: bool
) -> None:
    spec = {"managementPolicy": policy}
    theirs = resource("Schema", "x", namespace="bank", spec=spec, status=status)
    ours = resource("Schema", spec={"externalName": "bank_x"})
    there = observed(ours, WANTED, tags=tags, name="bank_x")

    owner, namespace = owners.owner_of(ours, there, IDENTITY, Everything([theirs, ours]))

    assert owner == (theirs if owns else None)
    assert namespace == ("bank" if owns else None)


# --- observing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "observe", "allowed"),
    [
        (marks(NEIGHBOUR), False, False),
        (marks(NEIGHBOUR), True, True),
        (marks("dead/shop/thing"), False, False),
        (marks(f"{IDENTITY.cluster}/shop/other"), False, True),
        ({}, False, True),
    ],
)
def test_r14_what_others_own_is_shown_where_the_class_lets(
    tags: dict[str, str], *, observe: bool, allowed: bool
) -> None:
    status = settled_status(WANTED) | {"trackingID": "before"}
    tracker = resource(
        "EventTracker", spec={"managementPolicy": "Observe"}, status=status, finalizers=()
    )
    there = observed(tracker, WANTED, tags=tags, details={"tracking_id": "secret"})
    said = [{"namespaces": ["shop"], "observe": observe}]

    decision = decide(situation(tracker, engine=view(adoption=said), observation=there))

    if allowed:
        assert decision.status["trackingID"] == "secret"
        return
    assert shown(tracker, decision)["Ready"] == "False/NotPermitted"
    assert decision.status["trackingID"] is None
    assert decision.status["external"] is None
    assert decision.status["applied"] is None, "nobody builds on it"


@pytest.mark.parametrize(
    ("external_name", "policy", "observe", "allowed"),
    [
        ("bank_movies", "Observe", False, False),
        ("bank_movies", "Observe", True, True),
        ("shop_movies", "Observe", False, True),
        ("live", "Manage", False, True),
    ],
)
def test_r6_what_is_only_observed_is_built_on_where_the_class_lets(
    external_name: str, policy: str, *, observe: bool, allowed: bool
) -> None:
    spec = {"externalName": external_name, "managementPolicy": policy}
    group = resource("DatasetGroup", "movies", spec=spec)
    solution = resource("Solution")
    said = view(adoption=[{"namespaces": ["shop"], "observe": observe}])

    waiting = tenancy.builds_on_others(
        solution, References({"datasetGroupRef": group}, lineage=(group,)), said
    )

    assert (waiting is None) == allowed
    if waiting is not None:
        assert waiting.reason == "NotPermitted"


# --- releasing ---------------------------------------------------------------------------------


def test_what_was_handed_over_is_forgotten_and_never_fought_for() -> None:
    former = resource(
        "Campaign",
        annotations={ANNOTATION_RELEASE_TO: NEIGHBOUR},
        status=settled_status(WANTED),
    )
    there = observed(
        former, WANTED, tags=marks(NEIGHBOUR), fields={**WANTED.fields, "minProvisionedTPS": 9}
    )

    decision = decide(situation(former, observation=there))

    assert decision.actions == ()
    assert "was handed over to" in told(former, decision)
    assert decision.status["external"] is None
    assert decision.status["applied"] is None


def test_what_is_offered_is_not_changed_by_who_offers_it() -> None:
    for taker, busy in ((NEIGHBOUR, False), (ME, True), ("nonsense", False)):
        campaign = resource(
            "Campaign",
            annotations={ANNOTATION_RELEASE_TO: taker},
            status=settled_status(WANTED),
        )
        fields = {**WANTED.fields, "minProvisionedTPS": 9}
        there = observed(campaign, WANTED, fields=fields)

        decision = decide(situation(campaign, observation=there))

        assert bool(decision.actions) == busy, taker
        assert shown(campaign, decision)["Ready"] == "True/InSync" or busy


def test_whoever_a_resource_deals_with_is_woken_with_it() -> None:
    said = {ANNOTATION_RELEASE_TO: NEIGHBOUR, ANNOTATION_ADOPT_FROM: "not an owner"}

    found = owners.counterparts(resource("Campaign", annotations=said))

    assert found == [Key("Campaign", "bank", "theirs")]


# --- what proves that something is ours --------------------------------------------------------


def adopted_never_in_sync(**status: Any) -> dict[str, Any]:
    external = {"name": "live", "arn": "arn:thing", "creationTime": NOW.isoformat()}
    return {"observedGeneration": 1, "external": external, **status}


@pytest.mark.parametrize(
    ("kind", "tags", "status", "deleted"),
    [
        ("Campaign", {}, adopted_never_in_sync(), False),
        ("Campaign", {}, settled_status(WANTED), True),
        ("Campaign", marks(ME), adopted_never_in_sync(), True),
        ("Campaign", marks(ME), {}, True),
        ("Schema", None, adopted_never_in_sync(), False),
        ("Schema", None, {}, False),
        ("Schema", None, settled_status(WANTED), True),
        ("Schema", None, {"external": {"name": "shop_thing", "arn": "arn:thing"}}, True),
    ],
)
def test_r5_what_was_never_ours_is_left_alone_whatever_the_policy(
    kind: str, tags: dict[str, str] | None, status: Mapping[str, Any], *, deleted: bool
) -> None:
    going = resource(
        kind,
        spec={"deletionPolicy": "Delete", "adoptionPolicy": "Adopt"},
        status=status,
        deleted=True,
    )
    wanted = replace(WANTED, tags=None) if tags is None else WANTED
    there = observed(going, wanted, tags=tags)

    decision = decide(situation(going, desired=wanted, observation=there))

    expected = DeleteExternal if deleted else RemoveFinalizer
    assert [type(action) for action in decision.actions] == [expected]


def test_a_schema_made_a_moment_ago_is_ours_until_it_was_in_sync() -> None:
    wanted = Desired("shop_thing", {"schema": "one"})
    intent = {"operation": "CreateSchema", "name": "shop_thing", "time": NOW.isoformat()}
    schema = resource(
        "Schema",
        spec={"deletionPolicy": "Delete"},
        status={"external": {"name": "shop_thing", "arn": "arn:thing"}, "intent": intent},
    )
    differs = observed(schema, wanted, tags=None, fields={"schema": "other"}, created=NOW)

    decision = decide(situation(schema, desired=wanted, observation=differs))

    assert "intent" not in decision.status
    going = resource(
        "Schema",
        spec={"deletionPolicy": "Delete"},
        status={**adopted_never_in_sync(), "intent": intent},
        deleted=True,
    )
    gone = decide(situation(going, desired=wanted, observation=differs))
    assert [type(action) for action in gone.actions] == [DeleteExternal]


def test_what_failed_before_it_was_ours_is_not_deleted_to_be_made_anew() -> None:
    refusal = {"digest": "other", "reason": "ExternalFailure", "message": "failed"}
    status = adopted_never_in_sync(refusal=refusal)
    campaign = resource("Campaign", spec={"adoptionPolicy": "Adopt"}, status=status)
    failed = observed(campaign, WANTED, State.FAILED, tags={})

    decision = decide(situation(campaign, observation=failed))

    assert decision.actions == ()


def test_a_corrected_name_is_looked_for_anew() -> None:
    status = adopted_never_in_sync()
    campaign = resource("Campaign", spec={"adoptionPolicy": "Adopt"}, status=status, generation=2)
    there = observed(campaign, WANTED, tags={}, name="live")
    ours = observed(campaign, WANTED)

    decision = decide(situation(campaign, observation=there))
    kept = decide(situation(campaign, observation=ours))

    assert decision.status["external"] is None
    assert decision.look_again == 0.0
    assert kept.status["external"] is not None
    assert FINALIZER in campaign.finalizers


def test_a_fixed_difference_of_what_was_never_in_sync_says_what_would_help() -> None:
    wanted = replace(WANTED, mutable=frozenset())
    campaign = resource(
        "Campaign", spec={"adoptionPolicy": "Adopt"}, status=adopted_never_in_sync()
    )
    fields = {**WANTED.fields, "solutionVersionArn": "arn:v9"}

    def message(tags: dict[str, str]) -> str:
        there = observed(campaign, WANTED, tags=tags, fields=fields)
        return told(campaign, decide(situation(campaign, desired=wanted, observation=there)))

    assert "Set spec.externalName to the object that is meant" in message({})
    assert "deleting this resource leaves it alone" in message({})
    assert "leaves it alone" not in message(marks(ME)), "what is marked is deleted by policy"
