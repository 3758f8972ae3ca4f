"""Secrets that are made for pods and never read: there, always the same, gone with their owner."""

import asyncio
from dataclasses import replace
from typing import Any

from reco.decide.model import Desired, Observed
from reco.decide.references import References
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.drivers import DRIVERS
from reco.engines.incluster.rendering import MADE, SECRETS, Rendered
from tests.support.situations import resource
from tests.unit.engines.incluster.test_deletion import CLASS, Kubernetes, looking, news_arrive
from tests.unit.engines.incluster.test_specs import place

GROUP = resource("DatasetGroup", "movies")
STORE = "/apis/apps/v1/namespaces/shop/statefulsets/movies-online-store"


def pod(name: str, waits_for: str) -> dict[str, Any]:
    waiting = {"reason": "CreateContainerConfigError", "message": waits_for}
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": name,
        "resourceVersion": "50",
        "creationTimestamp": "2026-01-02T00:00:00Z",
    }
    status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    return {"metadata": metadata, "status": status}


def story(*, pods: tuple[dict[str, Any], ...] = ()) -> tuple[Kubernetes, Observed, Desired]:
    """Make a group, let pods wait, look, and mend what differs."""
    api = Kubernetes()

    async def scenario() -> tuple[Observed, Desired]:
        async with looking(api) as engine:
            wanted = engine.desired(GROUP, References({}, engine_class=CLASS))
            assert isinstance(wanted, Desired)
            await engine.create("DatasetGroup", wanted, {})
            for one in pods:
                api.tell("/api/v1/namespaces/shop/pods", one)
            await news_arrive()
            found = await engine.observe(GROUP, wanted)
            assert isinstance(found, Observed)
            if found.fields[SECRETS] != MADE:
                await engine.update("DatasetGroup", found, {SECRETS: MADE}, wanted)
            return found, wanted

    return api, *asyncio.run(scenario())


def test_a_group_s_secrets_are_derived_and_go_with_what_uses_them() -> None:
    api, found, wanted = story()

    token, password = api.secrets
    credentials = Credentials(b"k" * 32)
    assert found.fields[SECRETS] == MADE
    told = credentials.catalog_token("shop", "shop_movies")
    assert token["stringData"] == {"token": told}
    assert [one["uid"] for one in token["metadata"]["ownerReferences"]] == [GROUP.uid]
    assert password["metadata"]["name"] == "movies-online-store"
    expected = credentials.store_password("shop", "movies-online-store")
    assert password["stringData"] == {"password": expected}
    assert [one["uid"] for one in password["metadata"]["ownerReferences"]] == [f"uid-{STORE}"]
    assert told not in repr(wanted)
    assert expected not in repr(wanted)


def test_a_catalog_is_told_of_another_secret_by_another_key() -> None:
    def told(key: bytes) -> str:
        where = replace(place(), credentials=Credentials(key))
        catalog = DRIVERS["DatasetGroup"].render(GROUP, References({}), where)
        assert isinstance(catalog, Rendered)
        env = catalog.objects[0]["spec"]["template"]["spec"]["containers"][0]["env"]
        [one] = [one["valueFrom"] for one in env if one["name"] == "RECO_CATALOG_TOKEN"]
        assert one == {"secretKeyRef": {"name": catalog.secrets[0].name, "key": "token"}}
        return str(catalog.secrets[0].name)

    first, same, other = told(b"k" * 32), told(b"k" * 32), told(b"l" * 32)
    assert first == same != other
    assert first.startswith("movies-catalog-")


def test_r9_a_secret_that_is_gone_is_made_again_the_same_and_no_other() -> None:
    quiet = pod("ranker", 'secret "of-the-user" not found')
    api, found, _ = story(pods=(quiet,))
    assert (found.fields[SECRETS], len(api.secrets)) == (MADE, 2)

    for name in [one["metadata"]["name"] for one in api.secrets]:
        api, found, _ = story(pods=(quiet, pod("any", f'secret "{name}" not found')))
        assert found.fields[SECRETS] == f"{name} is gone"
        assert api.secrets[2:] == api.secrets[:2]
