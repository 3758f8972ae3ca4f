"""What a resource in the cluster is said to be, from its objects and its group's catalog."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from reco.api.in_cluster import InClusterSettings
from reco.api.resource import Resource
from reco.cluster.errors import StoreForbidden, StoreNotFound, StoreUnavailable
from reco.decide.model import Absent, EngineView, ErrorClass, State
from reco.engines.incluster.catalog import KEPT_SECONDS, Catalogs
from reco.engines.incluster.cluster import API, LABEL_OWNER, Cluster
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.drivers import DRIVERS
from reco.engines.incluster.judging import Judged, Seen
from reco.engines.incluster.known import Known
from reco.engines.incluster.place import Place
from reco.engines.port import EngineError
from reco.workload.addresses import TOKEN_HEADER
from reco.workload.results import Outcome, Result
from reco.workload.storage import VersionManifest
from tests.support.situations import NOW, condition, resource

SETTINGS: dict[str, Any] = {"storage": {"s3": {"bucket": "reco"}}}
CREDENTIALS = Credentials(b"k" * 32)
PODS = "/api/v1/namespaces/shop/pods"
PROXY = f"{PODS}/http:movies-catalog-1:8080/proxy"


class Answers:
    """Answers requests by path."""

    def __init__(self, answers: Mapping[str, dict[str, Any]]) -> None:
        self._answers = answers

    async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        assert method == "GET"
        return self._answers[path]

    async def text(self, path: str, **_: Any) -> str:
        raise StoreNotFound(path)

    async def watch(self, path: str, **_: Any) -> AsyncIterator[dict[str, Any]]:
        raise StoreUnavailable(path)
        yield {}


def known(api: Answers, **settings: Any) -> Known:
    read = InClusterSettings.model_validate(SETTINGS | settings)
    place = Place(read, EngineView("in-cluster"), "cluster-1", CREDENTIALS)
    cluster = with_catalogs(api, "movies")
    return Known(place, cluster, Catalogs(cluster, CREDENTIALS, lambda: 0.0), lambda: 0.0)


def catalog_pod(group: str, number: int = 1, *, ready: bool = True) -> dict[str, Any]:
    """Return a pod of a group's catalog; a higher number is a younger one."""
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "kind": "Pod",
        "metadata": {
            "namespace": "shop",
            "name": f"{group}-catalog-{number}",
            "uid": f"{group}-{number}",
            "resourceVersion": "1",
            "creationTimestamp": (NOW + timedelta(minutes=number)).isoformat(),
            "labels": {"app.kubernetes.io/name": "reco-catalog", LABEL_OWNER: group},
        },
        "status": {"phase": "Running", "conditions": conditions},
    }


def with_catalogs(api: API, *groups: str) -> Cluster:
    """Return a view of the catalogs of groups, each with a pod that is ready."""
    cluster = Cluster(api, "in-cluster")
    for group in groups:
        pod = catalog_pod(group)
        metadata = {**pod["metadata"], "name": f"{group}-catalog"}
        cluster._take({"kind": "Deployment", "metadata": metadata})
        cluster._take(pod)
    return cluster


def looked(
    of: Resource, main: dict[str, Any], *objects: dict[str, Any], api: Answers
) -> Judged | Absent:
    async def judge() -> Judged | Absent:
        return await DRIVERS[of.key.kind].judge(known(api), Seen(of, None, main, objects))

    return asyncio.run(judge())


def judged(of: Resource, main: dict[str, Any], *objects: dict[str, Any], api: Answers) -> Judged:
    found = looked(of, main, *objects, api=api)
    assert isinstance(found, Judged)
    return found


def test_a_person_s_request_to_look_at_a_source_outlives_a_catalog_that_does_not_answer() -> None:
    class Restarting(Answers):
        broken = False

        @override
        async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
            if self.broken:
                raise StoreUnavailable(path)
            return await super().request(method, path)

    async def story() -> list[object]:
        path = f"{PROXY}/source?location=s3"
        answers = {path: {"digest": "old"}}
        api = Restarting(answers)
        catalogs = known(api).catalogs

        async def look(*, fresh: bool) -> object:
            return (await catalogs.source("shop", "shop_movies", "s3", fresh=fresh))["source"]

        seen = [await look(fresh=False)]
        answers[path] = {"digest": "new"}
        seen.append(await look(fresh=False))
        api.broken = True
        with pytest.raises(EngineError):
            await look(fresh=True)
        api.broken = False
        return [*seen, await look(fresh=False)]

    assert asyncio.run(story()) == ["old", "old", "new"]


def test_answers_of_groups_that_nobody_asks_about_any_more_are_forgotten() -> None:
    async def story() -> tuple[int, int]:
        proxy = f"{PODS}/http:group-{{}}-catalog-1:8080/proxy"
        numbers = range(5)
        answers: dict[str, dict[str, Any]] = {}
        for number in numbers:
            answers[f"{proxy.format(number)}/versions"] = {"versions": []}
            answers[f"{proxy.format(number)}/source?location=s3"] = {"digest": "1"}
        clock = [0.0]
        cluster = with_catalogs(Answers(answers), *(f"group-{number}" for number in numbers))
        catalogs = Catalogs(cluster, CREDENTIALS, lambda: clock[0])
        for number in numbers:
            clock[0] += KEPT_SECONDS / 2
            await catalogs.versions("shop", f"shop_group-{number}")
            await catalogs.source("shop", f"shop_group-{number}", "s3", fresh=False)
        return len(catalogs._versions._kept), len(catalogs._sources._kept)

    assert asyncio.run(story()) == (2, 2)


class Sent(Answers):
    """Remembers what catalogs were sent, and lets one request fail."""

    def __init__(self, *, failing: Exception | None = None) -> None:
        super().__init__({})
        self.sent: list[tuple[str, Mapping[str, str]]] = []
        self.failing = failing

    @override
    async def request(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        self.sent.append((path, more["headers"]))
        if self.failing is not None:
            raise self.failing
        return {"versions": []}


def asked(api: Sent, *pods: dict[str, Any]) -> str:
    """Ask a catalog that has these pods; return which pod was asked."""
    cluster = with_catalogs(api, "movies")
    cluster._remove(catalog_pod("movies"))
    for pod in pods:
        cluster._take(pod)
    catalogs = Catalogs(cluster, CREDENTIALS, lambda: 0.0)
    asyncio.run(catalogs.versions("shop", "shop_movies"))
    return api.sent[-1][0].partition("http:")[2].partition(":")[0]


def test_a_catalog_is_sent_the_token_of_its_group_alone() -> None:
    api = Sent()

    asked(api, catalog_pod("movies", 2))

    token = CREDENTIALS.catalog_token("shop", "shop_movies")
    assert api.sent[0][1] == {TOKEN_HEADER: token}
    others = [("shop", "shop_books"), ("evil", "shop_movies")]
    assert token not in {CREDENTIALS.catalog_token(*other) for other in others}
    assert token != Credentials(b"l" * 32).catalog_token("shop", "shop_movies")
    assert token == Credentials(b"k" * 32).catalog_token("shop", "shop_movies")
    assert "kkk" not in repr(CREDENTIALS)


def test_a_catalog_s_ready_pod_is_asked_else_one_that_runs() -> None:
    old, young = catalog_pod("movies", 2), catalog_pod("movies", 3, ready=False)
    starting = {**catalog_pod("movies", 4), "status": {"phase": "Pending"}}

    assert asked(Sent(), old, young, starting) == "movies-catalog-2"
    assert asked(Sent(), young, starting) == "movies-catalog-3"
    with pytest.raises(EngineError, match="no pod of catalog shop/movies-catalog runs"):
        asked(Sent(), starting)


def test_r14_a_pod_of_another_namespace_or_role_is_never_asked() -> None:
    theirs, other = catalog_pod("movies", 8), catalog_pod("movies", 9)
    theirs["metadata"]["namespace"] = "evil"
    other["metadata"]["labels"]["app.kubernetes.io/name"] = "reco-ranker"

    assert asked(Sent(), theirs, other, catalog_pod("movies", 2)) == "movies-catalog-2"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (StoreNotFound("GET: HTTP 404 NotFound: pods not found"), "pods not found"),
        (StoreForbidden(f"GET: HTTP 401 : the token in {TOKEN_HEADER}"), "delete Secret and pod"),
    ],
)
def test_what_a_catalog_can_t_tell_is_not_gone_and_no_denial(answer: Exception, text: str) -> None:
    with pytest.raises(EngineError, match=text) as raised:
        asked(Sent(failing=answer), catalog_pod("movies", 2))

    assert raised.value.error_class is ErrorClass.TRANSIENT


def trained(version: str, recipe: str) -> dict[str, Any]:
    return VersionManifest(
        solution="shop_sol",
        version=version,
        recipe=recipe,
        mode="Full",
        created=NOW,
        artifact="0" * 64,
        size=1,
        metrics={},
        training_seconds=1.0,
    ).model_dump(mode="json")


def test_a_solution_made_anew_takes_up_no_version_of_another_recipe() -> None:
    versions = [trained("shop_sol-1", "aws-sims"), trained("shop_sol-2", "aws-popularity-count")]

    found = solution(versions, {"snapshots": []})

    assert [one.name for one in found.details["versions"]] == ["shop_sol-1"]


def solution(versions: list[dict[str, Any]], data: dict[str, Any]) -> Judged:
    main = {"kind": "ConfigMap", "data": {"group": "shop_movies", "recipe": "aws-sims"}}
    answers = {f"{PROXY}/versions": {"versions": versions}, f"{PROXY}/snapshots": data}
    return judged(resource("Solution", "sol"), main, api=Answers(answers))


def test_r4_a_solution_tells_how_much_data_counts_however_it_came() -> None:
    snapshots = [
        {"type": type_, "job": job, "rows": rows}
        for type_, job, rows in (
            ("Interactions", "old", 500),
            ("Interactions", "new", 900),
            ("Interactions", "more", 50),
            ("Items", "new", 7),
        )
    ]
    current = {"Interactions": ["new", "more"], "Items": ["new"]}
    streamed = {
        "Interactions": {"rows": 60, "last": 1_800_000_000, "complete": True},
        "Items": {"rows": 3, "last": 5, "complete": True},
    }

    found = solution([], {"snapshots": snapshots, "current": current, "streamed": streamed})

    assert found.details["imported"] == {"Interactions": 950, "Items": 7}
    told = {"rows": 60, "last": 1_800_000_000, "records": {"Items": 3}}
    assert found.details["streamed"] == told


@pytest.mark.parametrize("streamed", [None, {"Interactions": {"rows": 9, "complete": False}}])
def test_r4_what_was_streamed_is_not_told_in_part(streamed: object) -> None:
    assert "streamed" not in solution([], {"snapshots": [], "streamed": streamed}).details


def test_r4_an_update_without_a_base_is_not_refused_but_says_what_it_needs() -> None:
    left = Result(outcome=Outcome.INVALID_SETTINGS, message="gone", details={"needs": "Full"})
    failed = {"type": "Failed", "status": "True", "message": "Pod failed by a rule"}
    main = {"kind": "Job", "spec": {}, "status": {"conditions": [failed]}}
    terminated = {"exitCode": 1, "message": left.encode().decode()}
    pod = {
        "kind": "Pod",
        "metadata": {"creationTimestamp": NOW.isoformat()},
        "status": {"containerStatuses": [{"state": {"terminated": terminated}}]},
    }

    found = judged(resource("SolutionVersion"), main, main, pod, api=Answers({}))

    assert (found.failure, found.refused) == ("BaseGone: gone", False)
    assert found.details == {"needs": "Full"}


def test_r10_a_version_whose_manifest_is_damaged_says_so_instead_of_being_gone() -> None:
    path = f"{PROXY}/versions"
    place = "groups/shop_movies/versions/shop_sol/shop_thing"
    damaged = f"s3://reco/{place}/manifest.json is no VersionManifest, the file was damaged"
    other = f"s3://reco/{place}-2/manifest.json is no VersionManifest, the file was damaged"
    arn = "arn:reco:personalize:::solution-version/shop_movies/shop_sol/shop_thing"
    version = resource("SolutionVersion", status={"external": {"name": "thing", "arn": arn}})
    complete = {"type": "Complete", "status": "True"}
    job = {
        "kind": "Job",
        "spec": {},
        "status": {"conditions": [complete], "completionTime": NOW.isoformat()},
    }

    found = judged(version, job, job, api=Answers({path: {"versions": [], "damaged": [damaged]}}))

    assert found.state is State.FAILED
    assert str(found.failure).startswith(damaged)
    elsewhere = Answers({path: {"versions": [], "damaged": [other]}})
    assert isinstance(looked(version, job, job, api=elsewhere), Absent)


def test_r10_why_an_import_failed_is_told_when_its_pod_is_gone() -> None:
    failed = {"type": "Failed", "status": "True", "message": "Pod failed by a rule"}
    main = {"kind": "Job", "spec": {}, "status": {"conditions": [failed]}}
    told = [
        condition("Succeeded", "False", "ExternalFailure", "InvalidData: 3 rows are at fault"),
        condition("Stalled", "True", "ExternalFailure", "InvalidData: 3 rows are at fault"),
    ]
    before, after = (
        resource("DatasetImportJob"),
        resource("DatasetImportJob", status={"conditions": told}),
    )

    assert judged(before, main, api=Answers({})).failure == "Pod failed by a rule"
    assert judged(after, main, api=Answers({})).failure == "InvalidData: 3 rows are at fault"


@pytest.mark.parametrize(
    ("kind", "role"),
    [("Campaign", "ranker"), ("EventTracker", "collector"), ("DatasetGroup", "runtime")],
)
def test_r10_what_no_client_can_sign_in_to_names_the_secret(kind: str, role: str) -> None:
    told = "AccessDenied: no client can sign in: the Secret clients has no entry, or is not there"

    class Unready(Answers):
        @override
        async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
            raise StoreUnavailable(f"GET {path}: HTTP 503: {told}")

    labels = {"app.kubernetes.io/name": f"reco-{role}"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}},
    }
    main = {
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": labels},
        "spec": spec,
        "status": {},
    }
    pod = {
        "kind": "Pod",
        "metadata": {"name": "p", "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
        },
    }

    async def judge() -> Judged | Absent:
        here = known(Unready({}), authentication={"keysSecretRef": {"name": "clients"}})
        seen = Seen(resource(kind), None, main, (main, pod))
        return await DRIVERS[kind].judge(here, seen)

    found = asyncio.run(judge())
    assert isinstance(found, Judged)
    assert found.doing == f"the {role} is not ready: {told}"
