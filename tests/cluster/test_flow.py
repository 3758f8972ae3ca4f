"""From manifests to recommendations and back to nothing, as a user goes."""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.control_plane import ControlPlane
from hack.s3 import S3Server
from reco.api.vocabulary import FIELD_MANAGER
from tests.cluster.emulated import interactions
from tests.cluster.estate import Estate, Manifest
from tests.cluster.operators import OperatorThread
from tests.cluster.watching import condition, says

EXAMPLES = Path(__file__).parents[2] / "examples" / "quickstart"

pytestmark = pytest.mark.usefixtures("operator")


def serving(estate: Estate) -> dict[str, Any]:
    """Apply the whole estate and return the campaign once it serves."""
    estate.apply(estate.whole())
    estate.watch.ready("EventTracker", "movies", timeout=60)
    return estate.watch.ready("Campaign", "for-you", timeout=60)


def recommend(estate: Estate, user: str) -> list[str]:
    """Ask the campaign as an application does."""
    arn = estate.get("Campaign", "for-you")["status"]["external"]["arn"]
    runtime = estate.client("personalize-runtime")
    answer = runtime.get_recommendations(campaignArn=arn, userId=user, numResults=10)
    return [item["itemId"] for item in answer["itemList"]]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_manifests_in_any_order_become_recommendations_and_deletions_leave_nothing(
    estate: Estate, seed: int
) -> None:
    order = random.Random(seed)
    manifests = estate.whole()
    estate.apply(order.sample(manifests, len(manifests)))
    campaign = estate.watch.ready("Campaign", "for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies")
    assert campaign["status"]["serving"]["current"]
    made = [name for name in estate.mutations() if name.startswith("Create")]
    assert sorted(made) == sorted(set(made)), "each thing was made once"

    estate.delete(order.sample(manifests, len(manifests)))
    estate.watch.gone(timeout=60)
    assert estate.external() == {}


def test_events_change_what_the_campaign_recommends(estate: Estate) -> None:
    serving(estate)
    before = recommend(estate, "u1")
    assert len(before) == 10
    tracker = estate.get("EventTracker", "movies")["status"]
    estate.client("personalize-events").put_events(
        trackingId=tracker["trackingID"],
        userId="u1",
        sessionId="one",
        eventList=[{"eventType": "watch", "itemId": before[-1], "sentAt": int(time.time())}],
    )
    assert recommend(estate, "u1") != before


def test_a_change_is_carried_out_in_place_while_the_campaign_serves(estate: Estate) -> None:
    arn = serving(estate)["status"]["external"]["arn"]
    since = len(estate.watch.seen)
    estate.patch("Campaign", "for-you", {"spec": {"minProvisionedTPS": 3}})
    estate.watch.until(
        lambda watch: says(watch.get("Campaign", "for-you"), "Reconciling") == "True/OutOfSync",
        "the change is under way",
    )
    assert len(recommend(estate, "u1")) == 10
    estate.watch.ready("Campaign", "for-you")

    described = estate.client().describe_campaign(campaignArn=arn)["campaign"]
    assert described["minProvisionedTPS"] == 3
    on_the_way = estate.watch.history("Campaign", "for-you", since)
    assert {condition(item, "Available")["status"] for item in on_the_way} == {"True"}


def test_r3_a_retraining_and_its_rollout_take_nothing_from_what_serves(estate: Estate) -> None:
    first = serving(estate)["status"]["serving"]["current"]
    since = len(estate.watch.seen)
    estate.annotate("Solution", "for-you", "reco.dev/run-now=please")
    estate.watch.until(
        lambda watch: (
            (watch.get("Campaign", "for-you") or {})["status"]["serving"]["current"] != first
            and says(watch.get("Campaign", "for-you"), "Synced") == "True/InSync"
        ),
        "the campaign serves the new version",
    )

    for kind, types in (("Campaign", ("Ready", "Available")), ("Solution", ("Ready",))):
        states = estate.watch.history(kind, "for-you", since)
        shown = {condition(item, type_)["status"] for item in states for type_ in types}
        assert shown == {"True"}, kind
        assert not [item for item in states if condition(item, "Reconciling")]
    assert estate.mutations().count("CreateSolutionVersion") == 2
    assert estate.mutations().count("UpdateCampaign") == 1

    # Back to the one before, by pinning it.
    estate.patch("Campaign", "for-you", {"spec": {"version": {"name": first, "follow": None}}})
    estate.watch.ready("Campaign", "for-you")
    status = estate.get("Campaign", "for-you")["status"]["serving"]
    assert status["current"] == first
    assert status["previous"] not in {None, first}


def test_what_is_retained_stays_and_is_adopted_again_without_a_training(estate: Estate) -> None:
    manifests = estate.whole()
    manifests[0] = estate.engine_class(deletionPolicy="Retain")
    estate.apply(manifests)
    first = estate.watch.ready("Campaign", "for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies")
    before, made = estate.external(), estate.mutations()

    estate.delete(manifests)
    estate.watch.gone()
    assert estate.external() == before
    assert estate.mutations() == made

    estate.apply(reversed(manifests))
    again = estate.watch.ready("Campaign", "for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies")
    estate.watch.ready("Dataset", "movies-interactions")
    assert again["metadata"]["uid"] != first["metadata"]["uid"]
    assert again["status"]["external"] == first["status"]["external"]
    assert again["status"]["serving"]["current"] == first["status"]["serving"]["current"]
    assert estate.external() == before
    assert estate.mutations().count("CreateSolutionVersion") == 1
    assert [name for name in estate.mutations()[len(made) :] if name.startswith("Create")] == []


def test_r5_without_any_policy_all_can_be_deleted_and_data_and_models_stay(
    estate: Estate,
) -> None:
    engine_class, *manifests = estate.whole()
    del engine_class["spec"]["deletionPolicy"]
    estate.apply([engine_class, *manifests])
    estate.watch.ready("Campaign", "for-you")
    estate.watch.ready("EventTracker", "movies")
    before = estate.external()
    estate.delete([engine_class, *manifests])
    estate.watch.gone()
    assert estate.external() == {
        what: found for what, found in before.items() if what not in {"campaigns", "trackers"}
    }


def test_deleting_the_namespace_ends_clean(
    estate: Estate, controller_manager: ControlPlane
) -> None:
    serving(estate)
    controller_manager.kubectl("delete", "namespace", estate.namespace, timeout=90)
    estate.watch.gone()
    assert estate.external() == {}


def quickstart(estate: Estate, file: Path) -> list[Manifest]:
    """Return a file of the example, with the test's engine in place of the quickstart's."""
    manifests: list[Manifest] = list(yaml.safe_load_all(file.read_text()))
    for manifest in manifests:
        if manifest["kind"] == "EngineClass":
            mine = estate.engine_class()
            manifest["metadata"]["name"] = mine["metadata"]["name"]
            manifest["spec"]["personalize"] |= mine["spec"]["personalize"]
        else:
            manifest["metadata"]["namespace"] = estate.namespace
    return manifests


def test_the_example_is_applied_and_deleted_by_kubectl_as_the_readme_says(
    estate: Estate, s3: S3Server, tmp_path: Path
) -> None:
    rows = [line.split(",") for line in interactions().splitlines()[1:]]
    table = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    table += [f"{user},{item},watch,{moment}" for user, item, moment in rows]
    s3.create_bucket("reco-quickstart")
    s3.upload("reco-quickstart", "interactions/interactions.csv", "\n".join(table))
    items = ["ITEM_ID,GENRES", *(f"i{number},Drama" for number in range(40))]
    s3.upload("reco-quickstart", "items/items.csv", "\n".join(items))
    for file in EXAMPLES.glob("*.yaml"):
        (tmp_path / file.name).write_text(yaml.safe_dump_all(quickstart(estate, file)))

    estate.plane.kubectl("apply", "-f", str(tmp_path))
    estate.watch.ready("Campaign", "movies-for-you", timeout=60)
    estate.watch.ready("EventTracker", "movies")
    # kubectl waits, file by file, until each resource is gone.
    estate.plane.kubectl("delete", "-f", str(tmp_path), timeout=90)
    estate.watch.gone()
    assert estate.external() == {}


# Rules about the whole flow --------------------------------------------------------------------


def test_r1_no_spec_that_a_user_wrote_is_owned_by_the_operator(estate: Estate) -> None:
    serving(estate)
    estate.patch("Campaign", "for-you", {"spec": {"minProvisionedTPS": 2}})
    estate.watch.ready("Campaign", "for-you")
    estate.annotate("Solution", "for-you", "reco.dev/run-now=please")
    estate.watch.until(
        lambda watch: len(watch.all("SolutionVersion")) == 2, "there is a second version"
    )
    users = [estate.plane.get(f"/apis/reco.dev/v1alpha1/engineclasses/{estate.namespace}")]
    users += [item for item in estate.watch.all() if not item["metadata"].get("ownerReferences")]
    assert len(users) == 7
    for item in users:
        ours = [e for e in item["metadata"]["managedFields"] if e["manager"] == FIELD_MANAGER]
        assert ours, "the operator has written a status"
        for entry in ours:
            assert "f:spec" not in entry["fieldsV1"], item["metadata"]["name"]
        assert {e["manager"] for e in item["metadata"]["managedFields"]} <= {
            FIELD_MANAGER,
            "kubectl-client-side-apply",
            "kubectl-patch",
            "kubectl-annotate",
        }


def test_r9_events_tell_of_transitions_and_steady_state_is_silent(
    estate: Estate, operator: OperatorThread
) -> None:
    del operator
    serving(estate)
    estate.watch.until(
        lambda watch: all(condition(i, "Synced").get("status") == "True" for i in watch.all()),
        "all is in sync",
    )
    told, versions = (
        estate.settled_events(),
        {i["metadata"]["resourceVersion"] for i in estate.watch.all()},
    )
    assert len(told) == len(set(told)), "each transition is told once"
    mark = estate.emulator.mark()
    # A look at everything, twice: what a resync does.
    for value in ("one", "two"):
        for item in estate.watch.all():
            name = item["metadata"]["name"]
            estate.annotate(item["kind"], name, f"example.com/touched={value}")
    assert versions
    estate.watch.until(
        lambda watch: all(
            i["metadata"]["annotations"].get("example.com/touched") == "two" for i in watch.all()
        ),
        "all was touched",
    )
    assert estate.events() == told
    assert estate.mutations(after=mark) == []


COLUMNS = {
    "engineclasses": ["NAME", "READY", "ENGINE", "REGION", "REASON", "AGE"],
    "campaigns": ["NAME", "READY", "AVAILABLE", "VERSION", "ENGINE", "REASON", "AGE"],
    "solutions": ["NAME", "READY", "RECIPE", "LATEST", "LAST TRAINED", "NEXT", "REASON", "AGE"],
    "solutionversions": ["NAME", "SUCCEEDED", "SOLUTION", "MODE", "NDCG@10", "REASON", "AGE"],
}


def table(estate: Estate, plural: str) -> tuple[list[str], list[str]]:
    """Return the header and the only row that `kubectl get` prints, age left out."""
    header, row = estate.kubectl("get", plural, "--sort-by=.metadata.name").splitlines()[:2]
    titles = [title.strip() for title in header.split("  ") if title.strip()]
    starts = [header.index(title) for title in titles]
    ends = [*starts[1:], len(row)]
    return titles, [row[start:end].strip() for start, end in zip(starts, ends, strict=True)][:-1]


def test_kubectl_get_tells_what_matters(estate: Estate) -> None:
    version = serving(estate)["status"]["serving"]["current"]
    metrics = estate.get("SolutionVersion", version)["status"]["metrics"]
    trained = estate.get("Solution", "for-you")["status"]["training"]["lastTrainedTime"]
    rows = {plural: table(estate, plural) for plural in COLUMNS}
    assert {plural: titles for plural, (titles, _) in rows.items()} == COLUMNS
    assert rows["campaigns"][1] == ["for-you", "True", "True", version, estate.namespace, "InSync"]
    solution = rows["solutions"][1]
    assert trained
    assert solution[:4] == ["for-you", "True", "aws-user-personalization", version]
    assert solution[5:] == ["", "InSync"]
    gain = metrics["normalized_discounted_cumulative_gain_at_10"]
    assert rows["solutionversions"][1] == [version, "True", "for-you", "Full", gain, "Trained"]
    wide = estate.kubectl("get", "campaigns", "-o", "wide")
    assert f"{estate.namespace}_for-you" in wide
    assert "as wanted" in wide
    listed = json.loads(estate.kubectl("get", "reco", "-o", "json"))["items"]
    assert {item["kind"] for item in listed} >= {"Campaign", "DatasetGroup", "SolutionVersion"}
