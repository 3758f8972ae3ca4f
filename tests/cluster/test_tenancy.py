"""Two namespaces of one real API server that share an engine: rights, and a change of hands."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster.estate import Estate, Manifest
from tests.cluster.operators import OperatorThread
from tests.cluster.watching import Watcher

CLUSTER = "this"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another namespace, with the same class."""

    estate: Estate
    namespace: str
    watch: Watcher

    def group(self, **spec: str) -> Manifest:
        group = self.estate.manifest(
            "DatasetGroup", "mine", engineClassName=self.estate.namespace, **spec
        )
        group["metadata"]["namespace"] = self.namespace
        return group

    def kubectl(self, *args: str) -> str:
        return self.estate.plane.kubectl(*args, "-n", self.namespace)


@pytest.fixture
def neighbour(estate: Estate) -> Iterator[Neighbour]:
    """Another namespace, watched by the same operator."""
    name = f"{estate.namespace}-evil"
    estate.plane.kubectl("create", "namespace", name)
    namespaces = (estate.namespace, name)
    with (
        Watcher(estate.plane, name) as watch,
        OperatorThread(estate.plane.kubeconfig, namespaces=namespaces, cluster_id=CLUSTER),
    ):
        yield Neighbour(estate, name, watch)


def owner(estate: Estate) -> str:
    (group,) = estate.client().list_dataset_groups()["datasetGroups"]
    answer = estate.client().list_tags_for_resource(resourceArn=group["datasetGroupArn"])
    tags = {tag["tagKey"]: tag["tagValue"] for tag in answer["tags"]}
    return f"{tags['reco.dev/namespace']}/{tags['reco.dev/name']}"


def test_r6_an_object_changes_hands_by_the_word_of_both_and_of_the_class(
    estate: Estate, neighbour: Neighbour
) -> None:
    theirs, ours = f"{neighbour.namespace}/mine", f"{estate.namespace}/movies"
    name = f"{estate.namespace}_movies"
    names = [{"namespaces": [neighbour.namespace], "patterns": [name]}]
    estate.apply([estate.engine_class(), estate.data()[0]])
    estate.watch.ready("DatasetGroup", "movies")
    taker = neighbour.group(externalName=name, deletionPolicy="Delete")
    taker["metadata"]["annotations"] = {"reco.dev/adopt-from": f"{CLUSTER}/{ours}"}

    estate.apply([taker])
    neighbour.watch.shows("DatasetGroup", "mine", "Ready", "False/NotPermitted")
    estate.apply([estate.engine_class(tenancy={"externalNames": names})])
    told = neighbour.watch.shows("DatasetGroup", "mine", "Ready", "False/OwnedElsewhere")
    assert f"ask the owner of DatasetGroup {ours}" in told
    assert owner(estate) == ours

    estate.annotate("DatasetGroup", "movies", f"reco.dev/release-to={CLUSTER}/{theirs}")
    neighbour.watch.ready("DatasetGroup", "mine")
    assert owner(estate) == theirs
    told = estate.watch.shows("DatasetGroup", "movies", "Ready", "False/OwnedElsewhere")
    assert "was handed over" in told
    estate.delete([estate.data()[0]])
    estate.watch.gone("DatasetGroup")
    assert estate.mutations() == ["CreateDatasetGroup"]

    neighbour.kubectl("delete", "datasetgroup", "mine", "--wait=false")
    neighbour.watch.gone("DatasetGroup")
    assert estate.mutations() == ["CreateDatasetGroup", "DeleteDatasetGroup"]


def test_a_class_admits_namespaces_by_their_labels(estate: Estate, neighbour: Neighbour) -> None:
    selector = {"matchLabels": {"recommendations": estate.namespace}}
    admits = {"namespaces": {"from": "Selector", "selector": selector}}
    estate.plane.kubectl(
        "label", "namespace", estate.namespace, f"recommendations={estate.namespace}"
    )

    estate.apply([estate.engine_class(tenancy=admits), estate.data()[0], neighbour.group()])

    estate.watch.ready("DatasetGroup", "movies")
    told = neighbour.watch.shows("DatasetGroup", "mine", "Ready", "False/NotPermitted")
    assert f"ask whoever administers EngineClass {estate.namespace}" in told
    assert estate.mutations() == ["CreateDatasetGroup"]
