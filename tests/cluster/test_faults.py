"""Bad input and faults: what users see of them, what is not done twice, and how it ends."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from hack.kube_access import KubectlError
from hack.s3 import S3Server
from reco.engines.personalize import aws
from tests.cluster.emulated import BUCKET, interactions
from tests.cluster.estate import Estate, Manifest
from tests.cluster.operators import QUICK, OperatorThread
from tests.cluster.watching import condition, says

Run = Callable[..., OperatorThread]


@pytest.fixture
def run(estate: Estate) -> Run:
    """Start the operator with settings of the test's own."""
    return lambda **settings: OperatorThread(
        estate.plane.kubeconfig, namespaces=(estate.namespace,), **settings
    )


def creations(estate: Estate, after: int = 0) -> Counter[str]:
    """Return how often each thing was made."""
    return Counter(name for name in estate.mutations(after) if name.startswith("Create"))


def look_again(estate: Estate, kind: str, name: str) -> None:
    """Ask for a look, as a person does who can't wait."""
    estate.annotate(kind, name, f"reco.dev/reconcile-requested-at={time.time()}")


# Manifests -------------------------------------------------------------------------------------


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a number out of range": ({"minProvisionedTPS": 0}, "greater than or equal to 1"),
    "a field that does not exist": ({"minTPS": 2}, 'unknown field "spec.minTPS"'),
    "two that exclude each other": (
        {"version": {"follow": "Latest", "name": "v"}},
        "exactly one of 'follow' and 'name'",
    ),
    "a word that is not in the list": ({"driftPolicy": "Repair"}, '"Correct", "Warn", "Ignore"'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_r11_kubectl_refuses_a_manifest_and_says_what_is_allowed(estate: Estate, what: str) -> None:
    spec, text = REFUSED[what]
    with pytest.raises(KubectlError) as refused:
        estate.apply([estate.campaign(**spec)])
    assert text in str(refused.value)


@pytest.mark.usefixtures("operator")
def test_r10_what_waits_for_something_missing_names_it_and_goes_on_when_it_comes(
    estate: Estate,
) -> None:
    *others, campaign, _ = estate.whole()
    estate.apply([campaign])
    message = estate.watch.shows(
        "Campaign", "for-you", "DependenciesReady", "False/AwaitingDependency"
    )
    assert f"Solution {estate.namespace}/for-you does not exist" in message
    estate.apply(reversed(others))
    estate.watch.ready("Campaign", "for-you")


@pytest.mark.usefixtures("operator")
def test_a_recipe_that_the_engine_lacks_is_refused_with_what_it_has_and_healed_by_an_edit(
    estate: Estate,
) -> None:
    estate.apply([estate.engine_class(), *estate.data()])
    estate.watch.ready("DatasetGroup", "movies")
    estate.apply([estate.solution(recipe="aws-mind-reading")])
    message = estate.watch.shows("Solution", "for-you", "Accepted", "False/UnsupportedFeature")
    assert "aws-mind-reading" in message
    assert "aws-sims" in message
    assert says(estate.watch.get("Solution", "for-you"), "Stalled") == "True/UnsupportedFeature"
    assert "CreateSolution" not in creations(estate)
    estate.apply([estate.solution()])
    estate.watch.ready("Solution", "for-you")


@pytest.mark.usefixtures("operator")
def test_hyperparameters_that_the_recipe_refuses_are_tried_once_and_healed_by_an_edit(
    estate: Estate,
) -> None:
    def solution(value: str) -> Manifest:
        config = {"algorithmHyperParameters": {"hidden_dimension": value}}
        return estate.solution(solutionConfig=config)

    estate.apply([estate.engine_class(), *estate.data(), solution("many")])
    message = estate.watch.shows("Solution", "for-you", "Accepted", "False/InvalidSpec")
    assert "hidden_dimension" in message
    assert says(estate.watch.get("Solution", "for-you"), "Stalled") == "True/InvalidSpec"
    estate.watch.shows("Dataset", "movies-interactions", "LastImportSucceeded", "True/Imported")
    refused = estate.emulator.calls(estate.region, operation="CreateSolution")
    assert len(refused) == 1
    estate.apply([solution("64")])
    estate.watch.ready("Solution", "for-you")
    assert not condition(estate.watch.get("Solution", "for-you"), "Stalled")


# Data ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("operator")
def test_data_refused_by_the_call_shows_the_reason_and_is_imported_once_it_is_mended(
    estate: Estate, s3: S3Server
) -> None:
    source = f"{estate.namespace}.csv"
    s3.upload(BUCKET, source, interactions().replace("ITEM_ID", "THING"))
    estate.apply([estate.engine_class(), *estate.data(source), estate.solution()])
    message = estate.watch.shows(
        "Dataset", "movies-interactions", "LastImportSucceeded", "False/ExternalFailure"
    )
    assert "ITEM_ID" in message
    (job,) = estate.watch.all("DatasetImportJob")
    assert "ITEM_ID" in condition(job, "Ready")["message"]
    assert says(job, "Stalled")
    assert condition(estate.watch.get("Dataset", "movies-interactions"), "Stalled")
    assert len(estate.emulator.calls(estate.region, operation="CreateDatasetImportJob")) == 1
    look_again(estate, "Dataset", "movies-interactions")
    estate.watch.shows(
        "Dataset", "movies-interactions", "LastImportSucceeded", "False/ExternalFailure"
    )

    s3.upload(BUCKET, source, interactions())
    look_again(estate, "Dataset", "movies-interactions")
    estate.watch.ready("Dataset", "movies-interactions")
    estate.watch.shows("Solution", "for-you", "LastTrainingSucceeded", "True/Trained")


@pytest.mark.usefixtures("operator")
def test_r4_a_training_that_failed_for_its_data_is_not_paid_again_until_the_data_changes(
    estate: Estate, s3: S3Server
) -> None:
    source = f"{estate.namespace}.csv"
    s3.upload(BUCKET, source, interactions(100))
    manifests = [estate.engine_class(), *estate.data(source), estate.solution(), estate.campaign()]
    estate.apply(manifests)
    message = estate.watch.shows(
        "Solution", "for-you", "LastTrainingSucceeded", "False/ExternalFailure"
    )
    assert "1000" in message
    (version,) = estate.watch.all("SolutionVersion")
    assert says(version, "Succeeded") == "False/ExternalFailure"
    assert says(version, "Stalled") == "True/ExternalFailure"
    waits = estate.watch.shows("Campaign", "for-you", "Ready", "False/AwaitingDependency")
    assert "no good version" in waits
    for _ in range(3):
        look_again(estate, "Solution", "for-you")
        look_again(estate, "Dataset", "movies-interactions")
    assert creations(estate)["CreateSolutionVersion"] == 1

    s3.upload(BUCKET, source, interactions())
    look_again(estate, "Dataset", "movies-interactions")
    estate.watch.ready("Campaign", "for-you", timeout=60)
    assert creations(estate)["CreateSolutionVersion"] == 2


# The engine's moods ----------------------------------------------------------------------------


ONCE_EACH = (
    "CreateDatasetGroup",
    "CreateSchema",
    "CreateDataset",
    "CreateDatasetImportJob",
    "CreateSolution",
    "CreateSolutionVersion",
    "CreateCampaign",
    "CreateEventTracker",
)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("kind", ["throttle", "serverError", "lostResponse"])
def test_r4_calls_that_fail_on_the_way_lead_to_one_object_each(estate: Estate, kind: str) -> None:
    for operation in ONCE_EACH:
        fault = {"kind": kind, "operation": operation, "count": 1}
        estate.emulator.ask("POST", "faults", fault)
    for operation in ("List*", "Describe*"):
        fault = {"kind": kind, "operation": operation, "count": 2, "skip": 2}
        estate.emulator.ask("POST", "faults", fault)
    estate.apply(estate.whole())
    estate.watch.ready("Campaign", "for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies")
    assert creations(estate) == Counter(ONCE_EACH)
    outcomes = Counter(call["outcome"] for call in estate.emulator.calls(estate.region))
    assert outcomes["OK"] < outcomes.total(), "faults have struck"


def test_r4_an_answer_that_comes_too_late_leads_to_one_object(
    estate: Estate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = Config(read_timeout=1)
    monkeypatch.setattr(aws, "_CHANGES", aws._CHANGES.merge(hasty))
    operations = ("CreateDatasetGroup", "CreateSolutionVersion")
    for operation in operations:
        fault = {"kind": "slow", "operation": operation, "delaySeconds": 2, "count": 1}
        estate.emulator.ask("POST", "faults", fault)
    with run():
        estate.apply([estate.engine_class(), *estate.data(), estate.solution()])
        estate.watch.shows(
            "Solution", "for-you", "LastTrainingSucceeded", "True/Trained", timeout=60
        )
    made = creations(estate)
    assert [made[operation] for operation in operations] == [1, 1]


@pytest.fixture
def serving(estate: Estate, operator: OperatorThread) -> Estate:
    """An estate that serves."""
    del operator
    estate.apply(estate.whole())
    estate.watch.ready("Campaign", "for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies", timeout=60)
    return estate


def test_r3_throttling_shows_and_takes_nothing_from_what_serves(serving: Estate) -> None:
    since = len(serving.watch.seen)
    with serving.emulator.fault("throttle"):
        look_again(serving, "Campaign", "for-you")
        serving.watch.shows("Campaign", "for-you", "Synced", "Unknown/Throttled")
    serving.watch.shows("Campaign", "for-you", "Synced", "True/InSync")
    states = serving.watch.history("Campaign", "for-you", since)
    assert {says(item, "Ready") for item in states} == {"True/InSync"}
    assert {says(item, "Available") for item in states} == {"True/InSync"}


@pytest.mark.parametrize("kind", ["accessDenied", "expiredCredentials"])
def test_refused_credentials_show_are_told_once_and_heal_when_granted(
    serving: Estate, kind: str
) -> None:
    told = Counter(serving.settled_events("Campaign"))
    with serving.emulator.fault(kind):
        look_again(serving, "Campaign", "for-you")
        serving.watch.shows("Campaign", "for-you", "CredentialsValid", "False/AccessDenied")
        serving.watch.shows("Campaign", "for-you", "Stalled", "True/AccessDenied")
        mark = serving.emulator.mark()
        time.sleep(3)  # nothing is to happen: there is no event to wait for
        calls = Counter(c["operation"] for c in serving.emulator.calls(serving.region, after=mark))
        # A list for each kind and period: whoever waits for one, waits for the same.
        assert max(calls.values()) <= 3 / QUICK["poll_fast"] + 2, calls
        assert all(name.startswith("List") for name in calls), calls
        campaign = serving.watch.get("Campaign", "for-you")
        assert says(campaign, "Ready") == "True/InSync"
        assert says(campaign, "Available") == "True/InSync"
        news = Counter(serving.events("Campaign")) - told
        assert [reason for _, reason, _ in news.elements()] == ["AccessDenied"], news
    serving.watch.until(
        lambda watch: not condition(watch.get("Campaign", "for-you"), "CredentialsValid"),
        "the operator is let in again",
    )
    assert says(serving.watch.get("Campaign", "for-you"), "Synced") == "True/InSync"


def test_r5_retained_resources_go_without_credentials(serving: Estate) -> None:
    before = serving.external()
    for kind, name in (
        ("EventTracker", "movies"),
        ("Campaign", "for-you"),
        ("SolutionVersion", serving.watch.all("SolutionVersion")[0]["metadata"]["name"]),
        ("Solution", "for-you"),
        ("DatasetImportJob", serving.watch.all("DatasetImportJob")[0]["metadata"]["name"]),
        ("Dataset", "movies-interactions"),
        ("Schema", "interactions"),
        ("DatasetGroup", "movies"),
    ):
        serving.patch(kind, name, {"spec": {"deletionPolicy": "Retain"}})
    with serving.emulator.fault("accessDenied"):
        serving.delete(serving.whole())
        serving.watch.gone()
    assert serving.external() == before


def test_r11_an_edit_of_what_is_fixed_once_made_is_refused_with_what_to_do_instead(
    serving: Estate,
) -> None:
    with pytest.raises(KubectlError, match="make a new Campaign"):
        serving.patch("Campaign", "for-you", {"spec": {"solutionRef": {"name": "other"}}})


# Behind our back -------------------------------------------------------------------------------


def test_r10_what_others_deleted_is_made_again_or_shown_by_policy(serving: Estate) -> None:
    serving.patch("Campaign", "for-you", {"spec": {"driftPolicy": "Warn"}})
    serving.watch.ready("Campaign", "for-you")
    tracker = serving.get("EventTracker", "movies")["status"]["external"]["arn"]
    campaign = serving.get("Campaign", "for-you")["status"]["external"]["arn"]
    serving.client().delete_event_tracker(eventTrackerArn=tracker)
    serving.client().delete_campaign(campaignArn=campaign)

    serving.watch.until(
        lambda watch: any(
            condition(item, "Ready").get("reason") == "ExternalDeleted"
            for item in watch.history("EventTracker", "movies")
        ),
        "the deletion shows",
    )
    serving.watch.ready("EventTracker", "movies")
    assert creations(serving)["CreateEventTracker"] == 2
    message = serving.watch.shows("Campaign", "for-you", "Stalled", "True/ExternalDeleted")
    assert "deleted by somebody else" in message
    assert says(serving.watch.get("Campaign", "for-you"), "Available") == "False/ExternalDeleted"
    assert creations(serving)["CreateCampaign"] == 1


@pytest.mark.parametrize("policy", ["Correct", "Warn", "Ignore"])
def test_what_others_edited_is_put_right_or_shown_by_policy(serving: Estate, policy: str) -> None:
    serving.patch("Campaign", "for-you", {"spec": {"driftPolicy": policy}})
    serving.watch.ready("Campaign", "for-you")
    arn = serving.get("Campaign", "for-you")["status"]["external"]["arn"]
    since, mark = len(serving.watch.seen), serving.emulator.mark()
    serving.client().update_campaign(campaignArn=arn, minProvisionedTPS=7)

    def described() -> int:
        found = serving.client().describe_campaign(campaignArn=arn)["campaign"]
        return int(found["minProvisionedTPS"])

    if policy == "Ignore":
        serving.watch.until(
            lambda watch: (
                "drift is ignored"
                in condition(watch.get("Campaign", "for-you"), "Ready").get("message", "")
            ),
            "the difference shows",
        )
    else:
        serving.watch.until(
            lambda watch: any(
                condition(item, "Drifted") for item in watch.history("Campaign", "for-you", since)
            ),
            "the difference shows",
        )
    if policy == "Correct":
        serving.watch.until(
            lambda watch: (
                not condition(watch.get("Campaign", "for-you"), "Drifted")
                and says(watch.get("Campaign", "for-you"), "Synced") == "True/InSync"
            ),
            "it is put right",
        )
        assert described() == 1
        states = serving.watch.history("Campaign", "for-you", since)
        assert {condition(item, "Available")["status"] for item in states} == {"True"}
    else:
        assert described() == 7
        assert serving.mutations(after=mark) == ["UpdateCampaign"], "only the intruder's"


# Names -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("operator")
def test_r6_what_nobody_marked_is_not_touched_until_a_person_says_so(estate: Estate) -> None:
    name = f"{estate.namespace}_movies"
    estate.client().create_dataset_group(name=name)
    estate.apply([estate.engine_class(), estate.data()[0]])
    message = estate.watch.shows("DatasetGroup", "movies", "Ready", "False/NameConflict")
    assert name in message
    assert "Adopt" in message
    assert estate.mutations() == ["CreateDatasetGroup"], "by somebody else"
    estate.patch("DatasetGroup", "movies", {"spec": {"adoptionPolicy": "Adopt"}})
    estate.watch.ready("DatasetGroup", "movies")
    assert estate.mutations() == ["CreateDatasetGroup"]


@pytest.mark.usefixtures("operator")
def test_r6_of_two_resources_that_claim_one_name_the_first_keeps_it(estate: Estate) -> None:
    def group(name: str) -> Manifest:
        return estate.manifest(
            "DatasetGroup", name, engineClassName=estate.namespace, externalName="theirs"
        )

    names = [{"namespaces": [estate.namespace], "patterns": ["theirs"]}]
    estate.apply([group("first"), estate.engine_class()])
    told = estate.watch.shows("DatasetGroup", "first", "Ready", "False/NotPermitted")
    assert "ask whoever administers EngineClass" in told
    assert estate.mutations() == []
    estate.apply([estate.engine_class(tenancy={"externalNames": names})])
    estate.watch.ready("DatasetGroup", "first")
    before = json.dumps(estate.get("DatasetGroup", "first")["status"])
    estate.apply([group("second")])
    message = estate.watch.shows("DatasetGroup", "second", "Ready", "False/OwnedElsewhere")
    assert f"{estate.namespace}/first" in message
    estate.delete([group("second")])
    estate.watch.gone("DatasetGroup", "second")
    assert estate.mutations() == ["CreateDatasetGroup"]
    assert json.dumps(estate.get("DatasetGroup", "first")["status"]) == before


def test_r6_what_a_dead_cluster_owns_is_taken_over_by_word_of_the_class(
    estate: Estate, run: Run
) -> None:
    retained = estate.data()[0]
    retained["spec"]["deletionPolicy"] = "Retain"
    with run(cluster_id="one"):
        estate.apply([estate.engine_class(), retained])
        estate.watch.ready("DatasetGroup", "movies")
        estate.delete([retained])
        estate.watch.gone("DatasetGroup")
    with run(cluster_id="two"):
        estate.apply([estate.data()[0]])
        message = estate.watch.shows("DatasetGroup", "movies", "Ready", "False/OwnedElsewhere")
        owner = f"one/{estate.namespace}/movies"
        assert owner in message
        assert "ask whoever administers the class" in message
        estate.annotate("DatasetGroup", "movies", f"reco.dev/adopt-from={owner}")
        assert estate.mutations() == ["CreateDatasetGroup"]
        dead = [{"namespaces": [estate.namespace], "fromClusters": ["one"]}]
        estate.apply([estate.engine_class(tenancy={"adoption": dead})])
        estate.watch.ready("DatasetGroup", "movies", timeout=60)
    assert estate.mutations() == ["CreateDatasetGroup"]
    group = estate.get("DatasetGroup", "movies")["status"]["external"]["arn"]
    tags = estate.client().list_tags_for_resource(resourceArn=group)["tags"]
    assert {"tagKey": "reco.dev/cluster", "tagValue": "two"} in tags


# The Kubernetes API ----------------------------------------------------------------------------


@pytest.mark.usefixtures("operator")
def test_r4_a_restart_of_the_api_server_in_the_middle_makes_nothing_twice(estate: Estate) -> None:
    estate.apply(estate.whole())
    estate.watch.until(lambda watch: watch.all("SolutionVersion"), "a training is about to begin")
    estate.plane.restart_apiserver(kill=True)
    estate.watch.ready("Campaign", "for-you", timeout=90)
    estate.watch.ready("EventTracker", "movies", timeout=60)
    assert creations(estate) == Counter(ONCE_EACH)
