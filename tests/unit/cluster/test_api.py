"""Requests to the Kubernetes API, over real connections that end in every way."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from reco.cluster.api import KubernetesAPI
from reco.cluster.errors import StoreUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
EVENT = {"type": "ADDED", "object": {"metadata": {"name": "x"}}}


async def watched(handler: Handler) -> list[dict[str, Any]]:
    """Watch what a server answers with, to its end."""
    application = web.Application()
    application.router.add_get("/watched", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    api = KubernetesAPI(configuration, timeout=20)
    try:
        return [event async for event in api.watch("/watched", query={}, seconds=5)]
    finally:
        await api.close()
        await runner.cleanup()


def answering(*parts: bytes) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        return response

    return answer


def test_a_watch_takes_events_of_any_size() -> None:
    large = EVENT | {"object": {"metadata": {"name": "x"}, "data": {"a": "b" * 6_000_000}}}
    lines = [json.dumps(one).encode() + b"\n" for one in (EVENT, large)]

    assert asyncio.run(watched(answering(*lines))) == [EVENT, large]


def test_r10_a_watch_that_is_cut_off_within_an_event_breaks_off() -> None:
    line = json.dumps(EVENT).encode() + b"\n"

    with pytest.raises(StoreUnavailable, match="WATCH /watched"):
        asyncio.run(watched(answering(line, line[:20])))
