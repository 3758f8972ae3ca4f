"""What specs come to in the cluster: objects that any namespace takes, and clear refusals."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest

from reco.api.resource import Resource, parse
from reco.api.vocabulary import API_VERSION, DeletionPolicy
from reco.decide.model import EngineView, Unsupported, Waiting
from reco.decide.references import References
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.drivers import DRIVERS
from reco.engines.incluster.engine import settings_of
from reco.engines.incluster.place import Place
from reco.engines.incluster.pods import plays, task_of
from reco.engines.incluster.rendering import Rendered
from reco.engines.incluster.serving import replicas
from reco.workload.tasks import (
    Authentication,
    CatalogTask,
    CollectorTask,
    ImportTask,
    OnlineStore,
    RankerTask,
    RuntimeTask,
)
from tests.support.situations import resource

LONG = ("a-very-long-name-" * 15)[:250] + "end"
"""As long as Kubernetes lets a name be."""
S3 = {"bucket": "reco", "endpointURL": "http://s3:9000", "credentialsSecretRef": {"name": "keys"}}
MADE = {"external": {"arn": "arn:reco:personalize:::x/made", "name": "made"}}
FIELDS = [{"name": n, "type": "string"} for n in ("USER_ID", "ITEM_ID", "EVENT_TYPE")]
INTERACTIONS = {
    "type": "record",
    "name": "Interactions",
    "fields": [*FIELDS, {"name": "TIMESTAMP", "type": "long"}],
}


def place(deletion: DeletionPolicy | None = None, **settings: Any) -> Place:
    spec = {"engine": "InCluster", "inCluster": {"storage": {"s3": S3}} | settings}
    engine_class = parse(
        {
            "apiVersion": API_VERSION,
            "kind": "EngineClass",
            "metadata": {
                "name": "here",
                "uid": "u",
                "resourceVersion": "1",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": spec,
        }
    )
    view = EngineView("here", deletion_policy=deletion)
    return Place(settings_of(engine_class), view, "cluster-1", Credentials(b"k" * 32))


class Estate:
    """A group with everything below it, each with one name."""

    def __init__(self, name: str = "movies", **specs: Mapping[str, Any]) -> None:
        def made(kind: str, spec: Mapping[str, Any] | None = None, **status: Any) -> Resource:
            merged = {**(spec or {}), **specs.get(kind, {})}
            return resource(kind, name, spec=merged, status=MADE | status)

        self.group = made("DatasetGroup", {"engineClassName": "here"})
        self.schema = made("Schema", {"avro": INTERACTIONS})
        self.dataset = made("Dataset")
        self.job = made("DatasetImportJob")
        self.solution = made("Solution", {"recipe": "aws-user-personalization-v2"})
        self.version = made("SolutionVersion", artifact="ab" * 32)
        self.campaign = made("Campaign")
        self.tracker = made("EventTracker")

    def rendered(self, kind: str, where: Place) -> Any:
        one, references = {
            "DatasetGroup": (self.group, References({})),
            "Schema": (self.schema, References({})),
            "Dataset": (
                self.dataset,
                References(
                    {"datasetGroupRef": self.group, "schemaRef": self.schema}, (self.group,)
                ),
            ),
            "DatasetImportJob": (
                self.job,
                References(
                    {"datasetRef": self.dataset},
                    (self.dataset, self.group),
                    siblings=(self.schema,),
                ),
            ),
            "Solution": (
                self.solution,
                References({"datasetGroupRef": self.group}, (self.group,)),
            ),
            "SolutionVersion": (
                self.version,
                References({"solutionRef": self.solution}, (self.solution, self.group)),
            ),
            "Campaign": (
                self.campaign,
                References(
                    {"solutionRef": self.solution, "version": self.version},
                    (self.solution, self.group),
                ),
            ),
            "EventTracker": (
                self.tracker,
                References({"datasetGroupRef": self.group}, (self.group,)),
            ),
        }[kind]
        return DRIVERS[kind].render(one, references, where)


def objects(kind: str, where: Place, estate: Estate | None = None) -> list[dict[str, Any]]:
    rendered = (estate or Estate()).rendered(kind, where)
    assert isinstance(rendered, Rendered), rendered
    return [dict(one) for one in rendered.objects]


def pods_of(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in found:
        template = one.get("spec", {}).get("template")
        if template is not None:
            yield template["spec"]


@pytest.mark.parametrize("kind", DRIVERS)
def test_every_pod_is_fit_for_the_strictest_namespace(kind: str) -> None:
    for pod in pods_of(objects(kind, place())):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("kind", DRIVERS)
def test_r13_secrets_come_by_reference_alone(kind: str) -> None:
    for pod in pods_of(objects(kind, place())):
        for container in pod["containers"]:
            plain = {one["name"] for one in container.get("env", ()) if "value" in one}
            assert plain <= {"RECO_TASK", "OPENBLAS_NUM_THREADS"}


CALLED: dict[str, tuple[str, type[Any]]] = {
    "DatasetGroup": ("runtime", RuntimeTask),
    "Campaign": ("ranker", RankerTask),
    "EventTracker": ("collector", CollectorTask),
}
"""By kind, the role of the pods that clients call."""


@pytest.mark.parametrize("kind", CALLED)
def test_pods_that_clients_call_know_who_may(kind: str) -> None:
    role, sort = CALLED[kind]
    where = place(
        authentication={"keysSecretRef": {"name": "clients"}, "region": "eu-west-1"},
        allowedOrigins=["https://shop.example.com"],
    )
    for one in objects(kind, where):
        if one["kind"] != "Deployment":
            continue
        pod = one["spec"]["template"]["spec"]
        keys = [volume for volume in pod["volumes"] if volume["name"] == "clients"]
        if not plays(one, role):
            assert keys == [], "nobody else gets clients' secrets"
            continue
        assert keys == [{"name": "clients", "secret": {"secretName": "clients", "optional": True}}]
        (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "clients"]
        task = task_of(one, sort)
        assert task.authentication == Authentication(
            folder=mount["mountPath"], secret="clients", region="eu-west-1"
        )
        assert mount["readOnly"] is True
        assert task.allowed_origins == ("https://shop.example.com",)
    for one in objects(kind, place()):
        if one["kind"] == "Deployment" and plays(one, role):
            assert task_of(one, sort).authentication is None


@pytest.mark.parametrize(
    ("cpu", "threads"), [("500m", "1"), ("2.5", "3"), ("4", "4"), ("1k", "1000")]
)
def test_a_training_has_a_thread_for_every_processor_that_it_asks_for(
    cpu: str, threads: str
) -> None:
    where = place(training={"resources": {"cpu": cpu}})

    (job,) = objects("SolutionVersion", where)

    (pod,) = pods_of([job])
    assert {"name": "OPENBLAS_NUM_THREADS", "value": threads} in pod["containers"][0]["env"]


@pytest.mark.parametrize("kind", DRIVERS)
def test_rendering_the_same_gives_the_same(kind: str) -> None:
    assert objects(kind, place()) == objects(kind, place())


@pytest.mark.parametrize("kind", DRIVERS)
def test_names_fit_however_long_a_resource_s_name_is(kind: str) -> None:
    for one in objects(kind, place(), Estate(LONG)):
        assert len(one["metadata"]["name"]) <= 63
        for value in one["metadata"]["labels"].values():
            assert len(value) <= 63


def test_objects_of_one_name_and_several_kinds_do_not_meet() -> None:
    everything = [
        (one["kind"], one["metadata"]["name"]) for kind in DRIVERS for one in objects(kind, place())
    ]
    assert len(everything) == len(set(everything))


def test_an_online_store_of_one_s_own_is_not_run_but_looked_after() -> None:
    own = {"url": "rediss://valkey:6380", "passwordSecretRef": {"name": "valkey"}}
    catalog, *others = objects("DatasetGroup", place(onlineStore=own))
    assert "StatefulSet" not in {one["kind"] for one in others}
    assert task_of(catalog, CatalogTask).online_store == OnlineStore(url=own["url"])
    assert task_of(objects("DatasetGroup", place())[0], CatalogTask).online_store is None


def test_a_job_queues_where_the_class_says() -> None:
    job = objects("SolutionVersion", place(training={"queueName": "team-a"}))[0]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize(
    ("throughput", "expected"), [(1, (2, 10)), (400, (2, 10)), (401, (3, 10)), (5000, (25, 25))]
)
def test_throughput_becomes_a_number_of_rankers(throughput: int, expected: tuple[int, int]) -> None:
    assert replicas(place(), throughput) == expected


def test_r4_an_import_tells_its_job_when_it_was_asked_for() -> None:
    estate = Estate()
    by_hand = task_of(objects("DatasetImportJob", place(), estate)[0], ImportTask)
    assert by_hand.asked == estate.job.created

    started = {"reco.dev/started-time": "2025-12-24T18:00:00Z"}
    estate.job = replace(estate.job, annotations=started)
    by_dataset = task_of(objects("DatasetImportJob", place(), estate)[0], ImportTask)
    assert by_dataset.asked == datetime(2025, 12, 24, 18, tzinfo=UTC)


def test_a_class_s_hyperparameters_stand_under_a_solution_s_own() -> None:
    where = place(recipeParameters={"aws-sims": {"min_cointeraction_count": "5"}})
    sims = {"recipe": "aws-sims"}
    config = {"solutionConfig": {"algorithmHyperParameters": {"popularity_discount_factor": "0.1"}}}
    said = objects("Solution", where, Estate(Solution=sims | config))[0]["data"]["hyperparameters"]
    assert said == '{"min_cointeraction_count":"5","popularity_discount_factor":"0.1"}'


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "domain": ("DatasetGroup", {"domain": "Ecommerce"}, "spec.domain"),
    "recipe": ("Solution", {"recipe": "aws-next-best-action"}, "it has aws-"),
    "hpo": ("Solution", {"performHPO": True}, "spec.performHPO"),
    "service": ("Solution", {"training": {"owner": "Service"}}, "use 'Operator'"),
    "config": (
        "Solution",
        {"solutionConfig": {"optimizationObjective": {"itemAttribute": "PRICE"}}},
        "it has algorithmHyperParameters",
    ),
    "hyperparameter": (
        "Solution",
        {"solutionConfig": {"algorithmHyperParameters": {"depth": "3"}}},
        "depth",
    ),
    "sync": (
        "Campaign",
        {"campaignConfig": {"syncWithLatestSolutionVersion": True}},
        "use spec.version.follow",
    ),
    "type": ("Dataset", {"type": "Actions"}, "it has Interactions, Items, Users"),
    "role": (
        "DatasetImportJob",
        {"roleARN": "arn:aws:iam::123456789012:role/personalize"},
        "leave them out",
    ),
}


@pytest.mark.parametrize(("kind", "spec", "text"), REFUSED.values(), ids=REFUSED)
def test_r11_what_the_engine_lacks_is_refused_with_what_it_has(
    kind: str, spec: dict[str, Any], text: str
) -> None:
    refused = Estate("movies", **{kind: spec}).rendered(kind, place())
    assert isinstance(refused, Unsupported)
    assert text in refused.message


def test_a_dataset_says_what_its_schema_lacks() -> None:
    bare = {"avro": {**INTERACTIONS, "fields": FIELDS}}
    refused = Estate(Schema=bare).rendered("Dataset", place())
    assert isinstance(refused, Unsupported)
    assert "TIMESTAMP (long)" in refused.message


def test_r4_what_a_training_starts_from_does_not_change_with_how_it_is_rendered() -> None:
    one = Estate().rendered("Solution", place())
    other = Estate().rendered("Solution", place(DeletionPolicy.DELETE, images={"engine": "b:2"}))
    changed = Estate("movies", Solution={"eventType": "watch"}).rendered("Solution", place())
    assert one.input == other.input
    assert one.input != changed.input


def test_a_class_that_names_no_image_runs_the_operator_s_own_release() -> None:
    pod = next(pods_of(objects("EventTracker", place())))
    assert pod["containers"][0]["image"] == f"ghcr.io/reco-dev/reco-engine:{version('reco')}"


def test_a_campaign_waits_for_a_version_with_a_model() -> None:
    estate = Estate()
    estate.version = replace(estate.version, status=resource("SolutionVersion", status=MADE).status)
    assert isinstance(estate.rendered("Campaign", place()), Waiting)
