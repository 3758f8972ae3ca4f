"""What specs come to as objects, and whether a later look sees that they have changed."""

from typing import Any

import pytest

from reco.api.in_cluster import InClusterSettings
from reco.api.resource import Resource
from reco.api.vocabulary import ANNOTATION_ADOPT_FROM
from reco.decide.model import EngineView
from reco.decide.references import References
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.groups import dataset_group
from reco.engines.incluster.objects import within
from reco.engines.incluster.place import Place
from reco.engines.incluster.pods import plays, task_of
from reco.engines.incluster.rendering import Rendered
from reco.engines.incluster.serving import event_tracker
from reco.workload.tasks import CollectorTask, ConsumerTask
from tests.support.situations import resource

GROUP = resource("DatasetGroup", "movies")


def place(**settings: Any) -> Place:
    storage = {"s3": {"bucket": "reco"}}
    read = InClusterSettings.model_validate({"storage": storage, **settings})
    return Place(read, EngineView("in-cluster"), "cluster-1", Credentials(b"k" * 32))


def group(of: Resource = GROUP, **settings: Any) -> dict[str, Any]:
    """Return the objects of a dataset group."""
    rendered = dataset_group(of, References({}), place(**settings))
    assert isinstance(rendered, Rendered)
    return rendered.fields()


def tracker(of: Resource = GROUP, **spec: Any) -> dict[str, Any]:
    """Return the objects of an event tracker."""
    references = References({"datasetGroupRef": of}, lineage=(of,))
    rendered = event_tracker(resource("EventTracker", spec=spec), references, place())
    assert isinstance(rendered, Rendered)
    return rendered.fields()


@pytest.mark.parametrize(
    "placement",
    [
        {"nodeSelector": {"disk": "fast"}},
        {"priorityClassName": "high"},
        {"tolerations": [{"key": "gpu", "operator": "Exists"}]},
        {"resources": {"cpuLimit": "1"}},
    ],
)
def test_a_setting_that_is_taken_out_of_a_class_is_a_difference(placement: dict[str, Any]) -> None:
    found = group(events=placement)["Deployment/movies-catalog"]
    wanted = group()["Deployment/movies-catalog"]

    assert within(wanted, found) != wanted


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_r5_what_holds_data_never_goes_along_with_its_resource(policy: str) -> None:
    objects = group(resource("DatasetGroup", "movies", spec={"deletionPolicy": policy}))

    assert "ownerReferences" not in objects["StatefulSet/movies-online-store"]["metadata"]
    assert objects["Deployment/movies-catalog"]["metadata"]["ownerReferences"]


def test_r5_retain_leaves_what_serves_behind() -> None:
    retained, deleted = tracker(deletionPolicy="Retain"), tracker(deletionPolicy="Delete")

    for name, one in deleted.items():
        if name != "rollout":
            assert one["metadata"]["ownerReferences"]
            assert "ownerReferences" not in retained[name]["metadata"]
            assert within(retained[name], one) != retained[name]


def test_who_writes_to_the_store_may_adopt_what_the_group_may() -> None:
    handed_over = resource(
        "DatasetGroup", "movies", annotations={ANNOTATION_ADOPT_FROM: "c/shop/movies"}
    )
    objects = tracker(of=handed_over)

    def told(role: str, sort: type[CollectorTask | ConsumerTask]) -> list[str | None]:
        deployments = [one for name, one in objects.items() if name.startswith("Deployment/")]
        return [task_of(one, sort).group.adopt_from for one in deployments if plays(one, role)]

    assert told("collector", CollectorTask) == ["c/shop/movies"]
    assert told("consumer", ConsumerTask) == ["c/shop/movies"]


def test_the_store_of_a_long_name_leaves_room_for_what_its_pods_are_labelled_with() -> None:
    objects = group(resource("DatasetGroup", "m" * 58))

    (name,) = [key.partition("/")[2] for key in objects if key.startswith("StatefulSet/")]
    assert len(f"{name}-5b8c7d9f64") <= 63  # controller-revision-hash
