"""Tenants of one engine: what one has is not read, taken or deleted by another without a word."""

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from reco.api.resource import Key
from reco.api.vocabulary import ANNOTATION_ADOPT_FROM, ANNOTATION_RELEASE_TO
from tests.simulation.estate import CLASS, Manifest, manifest
from tests.simulation.memory_store import key_of
from tests.simulation.staged import NAMESPACE, Stage, estate, key

OTHER = "evil"
WHILE = 1.5 * 3600.0
OBSERVE = {"managementPolicy": "Observe"}
GROUP = key("DatasetGroup", "movies")
TRACKER = key("EventTracker", "events")


def of(kind: str, name: str, namespace: str = OTHER, **spec: Any) -> Manifest:
    return manifest(kind, namespace, name, spec)


def annotated(one: Manifest, **annotations: str) -> Manifest:
    names = {"adopt_from": ANNOTATION_ADOPT_FROM, "release_to": ANNOTATION_RELEASE_TO}
    one["metadata"]["annotations"] = {names[name]: text for name, text in annotations.items()}
    return one


def annotate(stage: Stage, of_: Key, name: str, value: str | None) -> None:
    stage.world.server.update(of_, {"metadata": {"annotations": {name: value}}})


def id_of(stage: Stage, of_: Key) -> str:
    return f"{stage.world.cluster}/{of_.namespace}/{of_.name}"


def status(stage: Stage, of_: Key) -> dict[str, Any]:
    body = stage.world.server.get(of_)
    assert body is not None, f"{of_} is gone"
    found: dict[str, Any] = body["status"]
    return found


def ready(stage: Stage, of_: Key) -> str:
    found = {one["type"]: one for one in status(stage, of_).get("conditions", ())}["Ready"]
    return f"{found['status']}/{found['reason']}: {found['message']}"


def owner(stage: Stage, kind: str) -> str:
    """Return `namespace/name` of the owner that the tags of a kind's only object name."""
    (one,) = stage.world.external(kind)
    tags = stage.world.tags(one.arn)
    return f"{tags.get('reco.dev/namespace')}/{tags.get('reco.dev/name')}"


def allow(stage: Stage, **tenancy: Any) -> None:
    """Let the class say this of tenancy, and nothing else."""
    tenancy = dict.fromkeys(("namespaces", "externalNames", "adoption")) | tenancy
    stage.world.server.update(key("EngineClass", CLASS), {"spec": {"tenancy": tenancy}})


def capacity(stage: Stage) -> int:
    return int(stage.world.external("Campaign")[0].attributes["minProvisionedTPS"])


async def settled(stage: Stage, *kinds: str) -> None:
    """Apply the estate, or some kinds of it, and let it come to be; then another tenant comes."""
    wanted = [one for one in estate(stage) if not kinds or one["kind"] in kinds]
    stage.want(*wanted)
    for one in wanted:
        assert stage.user.apply(key_of(one))
    stage.world.start("a")
    await stage.settled()
    stage.world.server.create_namespace(OTHER)


async def changes_while_applied(stage: Stage, *wanted: Manifest) -> Mapping[str, int]:
    """Apply another tenant's manifests; return what the operator changed in the engine then."""
    since = len(stage.world.calls)
    for one in wanted:
        stage.world.server.create(one)
    await asyncio.sleep(WHILE)
    calls = [one for one in stage.world.calls[since:] if one.mutating and one.error is None]
    return {call.operation: calls.count(call) for call in calls}


async def deleted(stage: Stage, *keys: Key) -> None:
    for one in keys:
        stage.world.server.delete(one)
    await asyncio.sleep(WHILE)
    assert not [str(one) for one in keys if stage.world.server.get(one)]


# --- taking ------------------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", ["nothing", "the name"])
def test_what_another_has_marked_is_neither_taken_nor_deleted(allowed: str) -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        if allowed == "the name":
            allow(
                stage,
                externalNames=[{"namespaces": [OTHER], "patterns": ["shop_*"]}],
                adoption=[{"namespaces": [OTHER], "adopt": True}],
            )
        thieves = [
            annotated(
                of(
                    kind,
                    f"mine-{victim}",
                    externalName=f"{NAMESPACE}_{victim}",
                    deletionPolicy="Delete",
                    adoptionPolicy=policy,
                    **spec,
                ),
                adopt_from=f"{stage.world.cluster}/{NAMESPACE}/{victim}",
            )
            for kind, victim, policy, spec in (
                ("DatasetGroup", "movies", "AdoptOrCreate", {"engineClassName": CLASS}),
                (
                    "Solution",
                    "for-you",
                    "Adopt",
                    {
                        "datasetGroupRef": {"name": "mine-movies"},
                        "recipe": "aws-sims",
                        "training": {"owner": "None"},
                    },
                ),
            )
        ]
        before = stage.ending.externals()

        assert await changes_while_applied(stage, *thieves) == {}
        for one in thieves:
            told = ready(stage, key_of(one))
            assert told.startswith(("False/NotPermitted", "False/OwnedElsewhere", "False/Await"))
            assert ANNOTATION_ADOPT_FROM not in told
        told = ready(stage, key_of(thieves[0]))
        assert "ask" in told
        await deleted(stage, *map(key_of, thieves))

        assert stage.ending.externals() == before
        assert owner(stage, "Solution") == "shop/for-you"

    Stage().play(scenario)


@pytest.mark.parametrize("policy", ["Adopt", "AdoptOrCreate"])
@pytest.mark.parametrize("allowed", ["nothing", "the name"])
def test_what_takes_no_marks_is_whose_resource_holds_it(policy: str, allowed: str) -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass", "DatasetGroup", "Schema")
        if allowed == "the name":
            allow(
                stage,
                externalNames=[{"namespaces": [OTHER], "patterns": ["shop_*"]}],
                adoption=[{"namespaces": [OTHER], "adopt": True}],
            )
        thief = of(
            "Schema",
            "mine",
            engineClassName=CLASS,
            externalName="shop_interactions",
            adoptionPolicy=policy,
            deletionPolicy="Delete",
            avro=stage.user.wanted[key("Schema", "interactions")]["spec"]["avro"],
        )

        assert await changes_while_applied(stage, thief) == {}
        reason = "NotPermitted" if allowed == "nothing" else "OwnedElsewhere"
        assert ready(stage, key_of(thief)).startswith(f"False/{reason}")
        await deleted(stage, key_of(thief))

        assert [one.name for one in stage.world.external("Schema")] == ["shop_interactions"]

    Stage().play(scenario)


def test_an_unmarked_object_is_adopted_where_the_class_lets() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass")
        stage.world.execute("somebody", "CreateDatasetGroup", {"name": "live-movies"})
        names = [{"namespaces": [OTHER], "patterns": ["live-*"]}]
        mine = of(
            "DatasetGroup",
            "mine",
            engineClassName=CLASS,
            externalName="live-movies",
            adoptionPolicy="Adopt",
        )

        assert await changes_while_applied(stage, mine) == {}
        assert ready(stage, key_of(mine)).startswith("False/NotPermitted")
        allow(stage, externalNames=names)
        await asyncio.sleep(WHILE)
        assert ready(stage, key_of(mine)).startswith("False/NameConflict")
        assert "ask whoever administers" in ready(stage, key_of(mine))
        allow(stage, externalNames=names, adoption=[{"namespaces": ["*"], "adopt": True}])
        await asyncio.sleep(WHILE)

        assert ready(stage, key_of(mine)).startswith("True/InSync")
        assert owner(stage, "DatasetGroup") == "evil/mine"

    Stage().play(scenario)


# --- watching ----------------------------------------------------------------------------------


def watchers(stage: Stage) -> list[Manifest]:
    """Return another tenant's resources that only watch the estate, and a campaign built on it."""
    version = stage.world.external("SolutionVersion")[0].name
    group: dict[str, Any] = {"datasetGroupRef": {"name": "g"}}
    return [
        of("DatasetGroup", "g", engineClassName=CLASS, externalName="shop_movies", **OBSERVE),
        of("EventTracker", "t", **group, externalName="shop_events", **OBSERVE),
        of("Solution", "s", **group, recipe="aws-sims", externalName="shop_for-you", **OBSERVE),
        of("SolutionVersion", "v", solutionRef={"name": "s"}, externalName=version, **OBSERVE),
        of("Campaign", "c", solutionRef={"name": "s"}, version={"name": "v"}),
    ]


def test_what_others_own_is_neither_shown_nor_built_on() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        theirs = watchers(stage)

        assert await changes_while_applied(stage, *theirs) == {}
        for one in theirs:
            assert ready(stage, key_of(one)).startswith("False/")
            assert "external" not in status(stage, key_of(one))
        assert "trackingID" not in status(stage, Key("EventTracker", OTHER, "t"))

    Stage().play(scenario)


def test_the_class_may_let_a_namespace_observe_and_take_that_back() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        theirs = watchers(stage)
        campaign, tracker = key_of(theirs[-1]), key_of(theirs[1])
        allow(stage, adoption=[{"namespaces": [OTHER], "observe": True}])

        assert await changes_while_applied(stage, *theirs) == {"CreateCampaign": 1}
        assert ready(stage, campaign).startswith("True/")
        assert status(stage, tracker)["trackingID"]

        allow(stage)
        since = len(stage.world.calls)
        await asyncio.sleep(WHILE)
        assert not any(call.mutating for call in stage.world.calls[since:])
        assert ready(stage, tracker).startswith("False/NotPermitted")
        assert "trackingID" not in status(stage, tracker)
        stage.world.server.update(campaign, {"spec": {"minProvisionedTPS": 7}})
        await asyncio.sleep(WHILE)
        assert stage.carried_out(since).keys().isdisjoint({"UpdateCampaign", "DeleteCampaign"})
        assert status(stage, campaign)["external"]["name"] == "evil_c"

        await deleted(stage, campaign)
        assert [one.name for one in stage.world.external("Campaign")] == ["shop_for-you"]

    Stage().play(scenario)


# --- who may use a class -----------------------------------------------------------------------


def test_a_namespace_that_loses_the_class_keeps_all_it_has() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        before = stage.ending.externals()
        since = len(stage.world.calls)
        allow(stage, namespaces={"from": "Names", "names": [OTHER]})
        await asyncio.sleep(WHILE)
        campaign = key("Campaign", "for-you")
        assert ready(stage, campaign).startswith("False/NotPermitted")
        assert "ask whoever administers EngineClass" in ready(stage, campaign)
        shown = {one["type"]: one["status"] for one in status(stage, campaign)["conditions"]}
        assert shown["Available"] == "True"
        stage.edit(campaign, minProvisionedTPS=3)
        await asyncio.sleep(WHILE)
        assert not any(call.mutating for call in stage.world.calls[since:])
        assert stage.ending.externals() == before

        stage.delete(campaign)
        await stage.gone(campaign)
        assert not stage.world.external("Campaign"), "what is provably ours is deleted as asked"

        allow(stage)
        await stage.settled()

    Stage().play(scenario)


def test_namespaces_are_chosen_by_their_labels() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass", "DatasetGroup")
        expression = {"key": "env", "operator": "NotIn", "values": ["test"]}
        selector = {"matchLabels": {"team": "media"}, "matchExpressions": [expression]}
        allow(stage, namespaces={"from": "Selector", "selector": selector})
        await asyncio.sleep(WHILE)
        assert ready(stage, GROUP).startswith("False/NotPermitted")
        labels = stage.world.server.namespace_labels
        labels[NAMESPACE] = {"team": "media", "env": "test"}
        await asyncio.sleep(WHILE)
        assert ready(stage, GROUP).startswith("False/NotPermitted")
        labels[NAMESPACE] = {"team": "media"}
        await stage.settled()
        assert ready(stage, GROUP).startswith("True/InSync")

    Stage().play(scenario)


# --- handing over ------------------------------------------------------------------------------


def test_an_owner_hands_its_object_over_and_gets_it_back() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass", "DatasetGroup")
        stage.user.wanted.clear()
        allow(stage, externalNames=[{"namespaces": [OTHER], "patterns": ["shop_movies"]}])
        mine = annotated(
            of(
                "DatasetGroup",
                "mine",
                engineClassName=CLASS,
                externalName="shop_movies",
                tags={"who": "evil"},
            ),
            adopt_from=id_of(stage, GROUP),
        )
        taker = key_of(mine)
        assert await changes_while_applied(stage, mine) == {}
        assert ready(stage, taker).startswith("False/OwnedElsewhere")
        assert "ask the owner of DatasetGroup shop/movies" in ready(stage, taker)

        annotate(stage, GROUP, ANNOTATION_RELEASE_TO, id_of(stage, taker))
        await asyncio.sleep(600)
        assert owner(stage, "DatasetGroup") == "evil/mine"
        assert ready(stage, taker).startswith("True/InSync")
        assert ready(stage, GROUP).startswith("False/OwnedElsewhere")
        assert "was handed over to" in ready(stage, GROUP)

        # Nothing that is left over from the first time takes it again, or fights for it.
        since = len(stage.world.calls)
        stage.world.server.update(GROUP, {"spec": {"tags": {"who": "shop"}}})
        await asyncio.sleep(WHILE)
        annotate(stage, GROUP, ANNOTATION_RELEASE_TO, None)
        await asyncio.sleep(WHILE)
        assert not any(call.mutating for call in stage.world.calls[since:])

        annotate(stage, GROUP, ANNOTATION_ADOPT_FROM, id_of(stage, taker))
        await asyncio.sleep(WHILE)
        assert owner(stage, "DatasetGroup") == "evil/mine"
        annotate(stage, taker, ANNOTATION_RELEASE_TO, id_of(stage, GROUP))
        await asyncio.sleep(600)
        assert owner(stage, "DatasetGroup") == "shop/movies"
        assert ready(stage, GROUP).startswith("True/InSync")
        annotate(stage, taker, ANNOTATION_RELEASE_TO, None)
        await asyncio.sleep(WHILE)
        assert owner(stage, "DatasetGroup") == "shop/movies"

        stage.world.server.update(taker, {"spec": {"deletionPolicy": "Delete"}})
        await deleted(stage, taker)
        assert [one.name for one in stage.world.external("DatasetGroup")] == ["shop_movies"]

    Stage().play(scenario)


def test_what_is_released_is_left_alone_until_it_is_taken() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass", "DatasetGroup")
        stage.user.wanted.clear()
        annotate(stage, GROUP, ANNOTATION_RELEASE_TO, f"{stage.world.cluster}/bank/later")
        since = len(stage.world.calls)
        stage.world.server.update(GROUP, {"spec": {"tags": {"new": "one"}}})
        await asyncio.sleep(WHILE)
        shown = {one["type"]: one for one in status(stage, GROUP)["conditions"]}
        assert shown["Ready"]["status"] == "True"
        assert "bank/later, which has not taken it yet" in shown["Paused"]["message"]
        await deleted(stage, GROUP)

        assert not any(call.mutating for call in stage.world.calls[since:])
        assert owner(stage, "DatasetGroup") == "shop/movies"

    Stage().play(scenario)


def test_what_takes_no_marks_is_handed_over_and_back_by_what_is_on_record() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass", "DatasetGroup", "Schema")
        schema = key("Schema", "interactions")
        avro = stage.user.wanted[schema]["spec"]["avro"]
        stage.user.wanted.clear()
        allow(stage, externalNames=[{"namespaces": [OTHER], "patterns": ["shop_interactions"]}])
        mine = annotated(
            of(
                "Schema",
                "mine",
                engineClassName=CLASS,
                externalName="shop_interactions",
                deletionPolicy="Delete",
                avro=avro,
            ),
            adopt_from=id_of(stage, schema),
        )
        taker = key_of(mine)
        assert await changes_while_applied(stage, mine) == {}
        assert ready(stage, taker).startswith("False/OwnedElsewhere")
        annotate(stage, schema, ANNOTATION_RELEASE_TO, id_of(stage, taker))
        await asyncio.sleep(WHILE)
        assert ready(stage, taker).startswith("True/InSync")
        assert "was handed over to" in ready(stage, schema)
        annotate(stage, schema, ANNOTATION_RELEASE_TO, None)
        await asyncio.sleep(WHILE)
        assert ready(stage, schema).startswith("False/OwnedElsewhere"), "it has forgotten it"

        annotate(stage, taker, ANNOTATION_RELEASE_TO, id_of(stage, schema))
        annotate(stage, schema, ANNOTATION_ADOPT_FROM, id_of(stage, taker))
        await asyncio.sleep(WHILE)
        assert ready(stage, schema).startswith("True/InSync")
        await deleted(stage, taker)
        assert [one.name for one in stage.world.external("Schema")] == ["shop_interactions"]

    Stage().play(scenario)


def test_what_is_part_of_a_group_goes_along_when_that_is_handed_over() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        stage.user.wanted.clear()
        allow(stage, externalNames=[{"namespaces": [OTHER], "patterns": ["shop_*"]}])
        group = annotated(
            of("DatasetGroup", "g", engineClassName=CLASS, externalName="shop_movies"),
            adopt_from=id_of(stage, GROUP),
        )
        solution = annotated(
            of(
                "Solution",
                "s",
                datasetGroupRef={"name": "g"},
                recipe="aws-sims",
                externalName="shop_for-you",
                training={"owner": "Operator"},
            ),
            adopt_from=id_of(stage, key("Solution", "for-you")),
        )
        for victim, taker in ((GROUP, group), (key("Solution", "for-you"), solution)):
            annotate(stage, victim, ANNOTATION_RELEASE_TO, id_of(stage, key_of(taker)))
        before = stage.ending.externals()
        trained = len(stage.world.external("SolutionVersion"))

        changed = await changes_while_applied(stage, group, solution)
        assert changed.keys() <= {"TagResource", "UpdateSolution"}
        for taker in (group, solution):
            assert ready(stage, key_of(taker)).startswith("True/InSync"), ready(
                stage, key_of(taker)
            )
        versions = [one for one in stage.world.server.objects if one.kind == "SolutionVersion"]
        adopted = [one for one in versions if one.namespace == OTHER]
        assert len(adopted) == trained
        assert {ready(stage, one)[:12] for one in adopted} == {"True/Trained"}

        # The former owner neither builds on it nor takes it along.
        since = len(stage.world.calls)
        annotate(stage, key("Dataset", "interactions"), "reco.dev/run-now", "again")
        annotate(stage, key("Solution", "for-you"), "reco.dev/run-now", "again")
        await asyncio.sleep(WHILE)
        assert not any(call.mutating for call in stage.world.calls[since:])
        mine = [one for one in stage.world.server.objects if one.namespace == NAMESPACE]
        for one in mine:
            if one.kind in {"Campaign", "EventTracker", "Schema"}:  # were not handed over
                stage.world.server.update(one, {"spec": {"deletionPolicy": "Retain"}})
            stage.world.server.delete(one)
        await asyncio.sleep(WHILE)
        assert not [one for one in stage.world.server.objects if one.namespace == NAMESPACE]
        assert stage.ending.externals() == before

    Stage().play(scenario)


@pytest.mark.parametrize("said", [True, False])
def test_what_a_dead_cluster_left_is_taken_over_by_word_of_the_class(*, said: bool) -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass")
        marks = {"cluster": "dead", "namespace": OTHER, "name": "movies", "uid": "x"}
        stage.world.execute(
            "somebody",
            "CreateDatasetGroup",
            {
                "name": "evil_movies",
                "tags": [{"tagKey": f"reco.dev/{k}", "tagValue": v} for k, v in marks.items()],
            },
        )
        mine = annotated(
            of("DatasetGroup", "movies", engineClassName=CLASS), adopt_from="dead/evil/movies"
        )
        if said:
            allow(stage, adoption=[{"namespaces": [OTHER], "fromClusters": ["dead"]}])
        await changes_while_applied(stage, mine)

        told = ready(stage, key_of(mine))
        (one,) = stage.world.external("DatasetGroup")
        cluster = stage.world.tags(one.arn)["reco.dev/cluster"]
        if said:
            assert (cluster, told[:4]) == (stage.world.cluster, "True")
        else:
            assert (cluster, told[:20]) == ("dead", "False/OwnedElsewhere")
            assert "ask whoever administers the class" in told

    Stage().play(scenario)


# --- what proves that something is ours --------------------------------------------------------


def test_a_mistyped_adoption_is_corrected_and_deletes_nothing() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage, "EngineClass", "DatasetGroup")
        allow(
            stage,
            externalNames=[{"namespaces": [NAMESPACE], "patterns": ["live-*"]}],
            adoption=[{"namespaces": [NAMESPACE], "adopt": True}],
        )
        somebody = stage.world.external("DatasetGroup")[0].arn
        for name, recipe in (("live-a", "aws-sims"), ("live-b", "aws-popularity-count")):
            stage.world.execute(
                "somebody",
                "CreateSolution",
                {
                    "name": name,
                    "datasetGroupArn": somebody,
                    "recipeArn": f"arn:aws:personalize:::recipe/{recipe}",
                    "performAutoTraining": False,
                },
            )
        mistyped = of(
            "Solution",
            "s",
            NAMESPACE,
            datasetGroupRef={"name": "movies"},
            recipe="aws-popularity-count",
            externalName="live-a",
            adoptionPolicy="Adopt",
            deletionPolicy="Delete",
            training={"owner": "None"},
        )
        wanted = key_of(mistyped)
        assert await changes_while_applied(stage, mistyped) == {}
        assert ready(stage, wanted).startswith("False/OutOfSync")
        assert "set spec.externalName" in ready(stage, wanted).lower().replace(
            "externalname", "externalName"
        )
        await deleted(stage, wanted)
        assert len(stage.world.external("Solution")) == 2, "it was never this one's"

        await changes_while_applied(stage, mistyped)
        stage.world.server.update(wanted, {"spec": {"externalName": "live-b"}})
        await asyncio.sleep(WHILE)
        assert ready(stage, wanted).startswith("True/InSync")
        await deleted(stage, wanted)
        assert [one.name for one in stage.world.external("Solution")] == ["live-a"]

    Stage().play(scenario)


@pytest.mark.parametrize(("policy", "shown"), [("Ignore", None), ("Warn", "True/Drifted")])
def test_the_policy_on_drift_holds_from_the_first_look(policy: str, shown: str | None) -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        campaign = key("Campaign", "for-you")
        mine = stage.user.wanted[campaign]
        stage.edit(campaign, deletionPolicy="Retain", minProvisionedTPS=4)
        await stage.settled()
        stage.delete(campaign)
        await stage.gone(campaign)
        mine["spec"] |= {"driftPolicy": policy, "minProvisionedTPS": 1}
        since = len(stage.world.calls)
        stage.want(mine)
        assert stage.user.apply(campaign)
        await asyncio.sleep(WHILE)

        assert capacity(stage) == 4
        assert stage.carried_out(since).keys() & {"UpdateCampaign", "TagResource"} == {
            "TagResource"
        }
        assert ready(stage, campaign).startswith("True/InSync")
        conditions = {
            one["type"]: f"{one['status']}/{one['reason']}"
            for one in status(stage, campaign)["conditions"]
        }
        assert conditions.get("Drifted") == shown
        stage.edit(campaign, minProvisionedTPS=2)
        await asyncio.sleep(WHILE)
        assert capacity(stage) == 2, "the spec is a wish"

    Stage().play(scenario)


def test_an_estate_without_status_is_taken_up_again_for_nothing() -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        before = stage.ending.externals()
        since = len(stage.world.calls)
        server = stage.world.server
        for of_, body in sorted(server.objects.items()):
            if of_.kind != "EngineClass" and of_.namespace == NAMESPACE:
                server.objects[of_] = {**body, "status": {"observedGeneration": -1}}
        for process in list(stage.world.processes.values()):
            process.kill("it is restored")
        stage.world.start("b")
        await stage.settled()
        carried_out = stage.carried_out(since)

        assert not [name for name in carried_out if name.startswith(("Create", "Del", "Update"))]
        assert stage.ending.externals() == before

    Stage().play(scenario)


# --- tenants who lie ---------------------------------------------------------------------------


LIES: dict[str, dict[str, Any]] = {
    "DatasetGroup": {"engineClassName": CLASS},
    "Schema": {"engineClassName": CLASS},
    "Dataset": {"type": "Interactions", "schemaRef": "schema", "datasetGroupRef": "datasetgroup"},
    "Solution": {
        "recipe": "aws-sims",
        "training": {"owner": "Operator"},
        "datasetGroupRef": "datasetgroup",
    },
    "SolutionVersion": {"solutionRef": "solution"},
    "Campaign": {"solutionRef": "solution"},
    "EventTracker": {"datasetGroupRef": "datasetgroup"},
    "DatasetImportJob": {"datasetRef": "dataset", "source": {"s3": "s3://data/movies/"}},
}


def lies(stage: Stage, rng: random.Random) -> list[Manifest]:
    """Return what a tenant may try to get at the estate by: names, annotations, policies."""
    avro = stage.user.wanted[key("Schema", "interactions")]["spec"]["avro"]
    made = []
    for kind, said in LIES.items():
        for number in range(3):
            spec: dict[str, Any] = {
                field: {"name": f"{value}-{rng.randrange(3)}"} if field.endswith("Ref") else value
                for field, value in said.items()
            }
            if kind == "Schema":
                spec["avro"] = avro
            victim = rng.choice([one.name for one in stage.world.external(kind)])
            spec["adoptionPolicy"] = rng.choice(["AdoptOrCreate", "Adopt", "Never"])
            spec["driftPolicy"] = rng.choice(["Correct", "Warn", "Ignore"])
            if rng.random() < 0.3:
                spec["managementPolicy"] = "Observe"
            else:
                spec["deletionPolicy"] = "Delete"
            if rng.random() < 0.8:
                spec["externalName"] = victim
            if kind == "Campaign" and rng.random() < 0.3:
                spec["desiredState"] = "Stopped"
            owner_ = f"{stage.world.cluster}/{NAMESPACE}/{victim.removeprefix('shop_')}"
            annotations = {"adopt_from": owner_}
            if rng.random() < 0.3:
                annotations["release_to"] = owner_
            made.append(annotated(of(kind, f"{kind.lower()}-{number}", **spec), **annotations))
    return made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("names_allowed", [False, True])
def test_r14_whatever_a_tenant_says_it_gets_nothing_of_others(
    seed: int, *, names_allowed: bool
) -> None:
    async def scenario(stage: Stage) -> None:
        await settled(stage)
        if names_allowed:
            allow(
                stage,
                externalNames=[{"namespaces": [OTHER], "patterns": ["*"]}],
                adoption=[{"namespaces": [OTHER], "adopt": True, "fromClusters": ["dead"]}],
            )
        rng = random.Random(seed)
        theirs = {one: stage.world.tags(one) for one in sorted(stage.ending.externals())}
        tracking = status(stage, TRACKER)["trackingID"]
        served = status(stage, key("Campaign", "for-you"))
        await changes_while_applied(stage, *lies(stage, rng))

        liars = [one for one in stage.world.server.objects if one.namespace == OTHER]
        told = {one: json.dumps(status(stage, one)) for one in liars}
        assert not [one for one, text in told.items() if tracking in text]
        assert not [one for one, text in told.items() if any(f'"{id_}"' in text for id_ in theirs)]
        rng.shuffle(liars)
        for one in liars:
            stage.world.server.delete(one)
            await asyncio.sleep(rng.choice([0, 30, 600]))
        await asyncio.sleep(WHILE)

        assert {one: stage.world.tags(one) for one in theirs} == theirs
        assert stage.ending.externals() >= theirs.keys()
        now = status(stage, key("Campaign", "for-you"))
        assert now["external"] == served["external"]
        assert ready(stage, key("Campaign", "for-you")).startswith("True/")
        await stage.settled()

    Stage(seed + 1).play(scenario)
