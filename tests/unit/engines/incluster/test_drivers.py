"""What a resource in the cluster is said to be, from its objects and its group's catalog."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from typing_extensions import override

from reco.api.in_cluster import InClusterSettings
from reco.api.resource import Resource
from reco.cluster.errors import StoreNotFound, StoreUnavailable
from reco.decide.model import Absent, EngineView, State
from reco.engines.incluster.catalog import KEPT_SECONDS, Catalogs
from reco.engines.incluster.cluster import Cluster
from reco.engines.incluster.drivers import DRIVERS
from reco.engines.incluster.judging import Judged, Seen
from reco.engines.incluster.known import Known
from reco.engines.incluster.place import Place
from reco.engines.port import EngineError
from reco.workload.storage import VersionManifest
from tests.support.situations import NOW, condition, resource

SETTINGS = {"storage": {"s3": {"bucket": "reco"}}}


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


def known(api: Answers) -> Known:
    place = Place(InClusterSettings.model_validate(SETTINGS), EngineView("in-cluster"), "cluster-1")
    return Known(place, Cluster(api, "in-cluster"), Catalogs(api, lambda: 0.0), lambda: 0.0)


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
        path = "/api/v1/namespaces/shop/services/http:movies-catalog:80/proxy/source?location=s3"
        answers = {path: {"digest": "old"}}
        api = Restarting(answers)
        catalogs = Catalogs(api, lambda: 0.0)

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
        proxy = "/api/v1/namespaces/shop/services/http:group-{}-catalog:80/proxy"
        numbers = range(5)
        answers: dict[str, dict[str, Any]] = {}
        for number in numbers:
            answers[f"{proxy.format(number)}/versions"] = {"versions": []}
            answers[f"{proxy.format(number)}/source?location=s3"] = {"digest": "1"}
        clock = [0.0]
        catalogs = Catalogs(Answers(answers), lambda: clock[0])
        for number in numbers:
            clock[0] += KEPT_SECONDS / 2
            await catalogs.versions("shop", f"shop_group-{number}")
            await catalogs.source("shop", f"shop_group-{number}", "s3", fresh=False)
        return len(catalogs._versions._kept), len(catalogs._sources._kept)

    assert asyncio.run(story()) == (2, 2)


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
    path = "/api/v1/namespaces/shop/services/http:movies-catalog:80/proxy/versions"
    versions = [trained("shop_sol-1", "aws-sims"), trained("shop_sol-2", "aws-popularity-count")]
    main = {"kind": "ConfigMap", "data": {"group": "shop_movies", "recipe": "aws-sims"}}

    found = judged(resource("Solution", "sol"), main, api=Answers({path: {"versions": versions}}))

    assert [one.name for one in found.details["versions"]] == ["shop_sol-1"]


def test_r10_a_version_whose_manifest_is_damaged_says_so_instead_of_being_gone() -> None:
    path = "/api/v1/namespaces/shop/services/http:movies-catalog:80/proxy/versions"
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
