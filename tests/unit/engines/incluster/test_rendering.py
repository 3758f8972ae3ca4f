"""What specs come to as objects, and whether a later look sees that they have changed."""

from dataclasses import replace
from typing import Any

import pytest

from reco.api.in_cluster import InClusterSettings
from reco.api.resource import Resource
from reco.api.tenancy import Tenancy
from reco.api.vocabulary import ANNOTATION_ADOPT_FROM, ANNOTATION_RELEASE_TO
from reco.decide.model import EngineView
from reco.decide.references import References
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.groups import dataset_group
from reco.engines.incluster.objects import within
from reco.engines.incluster.place import Place
from reco.engines.incluster.pods import plays, task_of
from reco.engines.incluster.rendering import Rendered
from reco.engines.incluster.serving import event_tracker
from reco.workload.tasks import CatalogTask, CollectorTask, ConsumerTask
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


THEIRS = resource("DatasetGroup", "films", namespace="bank")
RELEASED = resource(
    "DatasetGroup",
    "films",
    namespace="bank",
    annotations={ANNOTATION_RELEASE_TO: "cluster-1/shop/movies"},
)


@pytest.mark.parametrize(
    ("owner", "living", "class_says", "allowed"),
    [
        ("cluster-1/bank/films", RELEASED, {}, True),
        ("cluster-1/bank/films", THEIRS, {}, False),
        ("cluster-1/bank/films", THEIRS, {"fromClusters": ["cluster-1"]}, False),
        ("cluster-1/bank/films", None, {}, False),
        ("cluster-1/bank/films", None, {"fromClusters": ["cluster-1"]}, True),
        ("dead/bank/films", RELEASED, {}, False),
        ("dead/bank/films", THEIRS, {"fromClusters": ["dead"]}, True),
        ("nonsense", None, {"fromClusters": ["cluster-1"]}, False),
    ],
)
def test_r6_pods_take_over_what_the_owner_or_the_class_lets(
    owner: str, living: Resource | None, class_says: dict[str, Any], *, allowed: bool
) -> None:
    group = resource("DatasetGroup", "movies", annotations={ANNOTATION_ADOPT_FROM: owner})
    rules = [{"namespaces": ["shop"], **class_says}] if class_says else []
    said = Tenancy.model_validate({"adoption": rules})
    at = replace(place(), view=EngineView("in-cluster", tenancy=said))
    of_group = References({}, releasing=living)
    of_tracker = References({"datasetGroupRef": group}, lineage=(group,), releasing=living)

    sorts: dict[str, type[CatalogTask | CollectorTask | ConsumerTask]] = {
        "catalog": CatalogTask,
        "collector": CollectorTask,
        "consumer": ConsumerTask,
    }
    rendered = [
        dataset_group(group, of_group, at),
        event_tracker(resource("EventTracker"), of_tracker, at),
    ]

    told = [
        task_of(one, sort).group.adopt_from
        for objects in rendered
        if isinstance(objects, Rendered)
        for one in objects.fields().values()
        for role, sort in sorts.items()
        if isinstance(one, dict) and one.get("kind") == "Deployment" and plays(one, role)
    ]
    assert told == [owner if allowed else None] * 3


def test_r6_pods_take_over_nothing_where_the_owner_may_live_unseen() -> None:
    owner = "cluster-1/bank/films"
    group = resource("DatasetGroup", "movies", annotations={ANNOTATION_ADOPT_FROM: owner})
    said = Tenancy.model_validate(
        {"adoption": [{"namespaces": ["*"], "fromClusters": ["cluster-1"]}]}
    )
    at = replace(
        place(),
        view=EngineView("in-cluster", tenancy=said),
        watches=lambda namespace: namespace == "shop",
    )

    assert at.claimant(group, References({})).adopt_from is None


def test_the_store_of_a_long_name_leaves_room_for_what_its_pods_are_labelled_with() -> None:
    objects = group(resource("DatasetGroup", "m" * 58))

    (name,) = [key.partition("/")[2] for key in objects if key.startswith("StatefulSet/")]
    assert len(f"{name}-5b8c7d9f64") <= 63  # controller-revision-hash
