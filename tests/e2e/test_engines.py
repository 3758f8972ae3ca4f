"""One suite, two engines: the same manifests and the same boto3 calls on Personalize and in the
cluster, on real pods."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hack.images import Images
from hack.node import NodeCluster
from hack.s3 import S3Server
from tests.cluster.emulated import EmulatorProcess
from tests.e2e.estate import (
    Estate,
    Manifest,
    in_cluster_class,
    names,
    personalize_class,
    within,
)
from tests.e2e.setting import estate_in
from tests.support.conformance import ENGINES, OFFERS

PATIENCE = 400
# Whichever test comes first also waits for the estate.
pytestmark = pytest.mark.timeout(1200)
RANKING = "movies-ranked"


@pytest.fixture(scope="module", params=ENGINES)
def estate(
    request: pytest.FixtureRequest,
    operator: NodeCluster,
    images: Images,
    data: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Estate]:
    """The quickstart's estate on one engine, with a second solution that ranks."""
    with ExitStack() as stack:
        name = f"e2e-{request.param}"
        if request.param == "personalize":
            folder = tmp_path_factory.mktemp("emulator")
            emulator = EmulatorProcess(folder, data, address=operator.host_address)
            stack.enter_context(emulator)
            engine_class = personalize_class(name, emulator.url, data)
        else:
            engine_class = in_cluster_class(name, images, data.url)
        estate = stack.enter_context(estate_in(operator, engine_class, data))
        estate.apply(*everything(estate))
        estate.watch.ready("Campaign", "movies-for-you", timeout=PATIENCE)
        estate.watch.ready("Campaign", RANKING, timeout=PATIENCE)
        estate.watch.ready("EventTracker", "movies", timeout=60)
        yield estate


def everything(estate: Estate) -> list[Manifest]:
    return [
        *estate.quickstart(),
        estate.manifest(
            "Solution",
            RANKING,
            datasetGroupRef={"name": "movies"},
            recipe="aws-personalized-ranking",
        ),
        estate.manifest("Campaign", RANKING, solutionRef={"name": RANKING}),
    ]


def recommended(estate: Estate, user: str = "u1", **more: Any) -> list[str]:
    answer = estate.runtime().get_recommendations(
        campaignArn=estate.arn(), userId=user, **({"numResults": 5} | more)
    )
    assert answer["recommendationId"].startswith("RID-")
    return [item["itemId"] for item in answer["itemList"]]


def test_it_recommends_and_an_event_changes_what(estate: Estate) -> None:
    before = recommended(estate)
    assert len(before) == len(set(before)) == 5
    tracker = estate.get("eventtracker", "movies")["status"]["trackingID"]
    estate.events().put_events(
        trackingId=tracker,
        userId="u1",
        sessionId="s1",
        eventList=[{"eventType": "watch", "itemId": before[0], "sentAt": datetime.now(UTC)}],
    )
    within(10, lambda: before[0] not in recommended(estate), "what was watched is not recommended")


def test_statuses_say_where_to_go_and_so_do_config_maps_in_the_cluster(estate: Estate) -> None:
    campaign = estate.get("campaign", "movies-for-you")["status"]
    tracker = estate.get("eventtracker", "movies")["status"]
    assert campaign["endpoint"]
    assert tracker["endpoint"]
    assert tracker["trackingID"]
    if estate.class_name == "e2e-personalize":
        return
    assert estate.get("configmap", "movies-for-you-endpoint")["data"] == {
        "endpoint": campaign["endpoint"],
        "campaignArn": campaign["external"]["arn"],
    }
    assert estate.get("configmap", "movies-events-endpoint")["data"] == {
        "endpoint": tracker["endpoint"],
        "trackingId": tracker["trackingID"],
    }


def test_several_campaigns_answer_at_one_endpoint(estate: Estate) -> None:
    items = ["i1", "i2", "i3", "i4", "unknown"]
    answer = estate.runtime().get_personalized_ranking(
        campaignArn=estate.arn(RANKING), inputList=items, userId="u2"
    )
    ranked = [item["itemId"] for item in answer["personalizedRanking"]]
    assert sorted(ranked) == sorted(items)
    assert ranked[-1] == "unknown"
    assert recommended(estate)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"numResults": 501}, "InvalidInputException"),
        ({"userId": ""}, "InvalidInputException"),
        ({"campaignArn": "arn:aws:personalize:eu-west-1:000000000000:campaign/none"}, "Resource"),
    ],
)
def test_bad_input_gets_the_service_s_own_error(
    estate: Estate, parameters: dict[str, Any], code: str
) -> None:
    given = {"campaignArn": estate.arn(), "userId": "u1"} | parameters
    with pytest.raises(ClientError) as refused:
        estate.runtime().get_recommendations(**given)
    assert refused.value.response["Error"]["Code"].startswith(code)


def test_kubectl_tells_which_model_serves_and_how_good_it_is(estate: Estate) -> None:
    campaign = estate.get("campaign", "movies-for-you")["status"]
    version = estate.get("solutionversion", campaign["serving"]["current"])["status"]
    assert float(version["metrics"]["coverage"]) > 0
    assert campaign["engineClassName"] == estate.class_name


def test_what_an_engine_offers_is_in_its_class(
    estate: Estate, record_property: Callable[[str, object], None]
) -> None:
    status = json.loads(
        estate.node.kubectl("get", "engineclass", estate.class_name, "-o", "jsonpath={.status}")
    )
    assert "Campaign" in status["supportedFeatures"]
    assert "aws-user-personalization-v2" in status["recipes"]
    record_property(OFFERS, status["supportedFeatures"] + status["recipes"])


@pytest.mark.ends_estate
def test_deleting_the_manifests_leaves_nothing(estate: Estate) -> None:
    for manifest in reversed(everything(estate)):
        estate.kubectl(
            *("delete", manifest["kind"], manifest["metadata"]["name"]),
            *("--wait=false", "--ignore-not-found"),
        )
    within(PATIENCE, lambda: not estate.watch.all(), "all of our resources are gone")
    kinds = "deployments,statefulsets,jobs,services,configmaps,secrets,hpa,pdb,networkpolicies"
    ours = ("-l", "app.kubernetes.io/managed-by=reco-operator")
    within(60, lambda: names(estate.items(kinds, *ours)) == [], "all objects are gone")
    listed = estate.s3.client().list_objects_v2(
        Bucket="reco-quickstart", Prefix=f"{estate.class_name}/"
    )
    assert listed.get("Contents", []) == []
