"""Credentials that end: loaded anew in time, when refused, and told of when there are none."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from reco.cluster.api import KubernetesAPI
from reco.cluster.credentials import Access, Credentials, load_access, renew_at
from reco.cluster.errors import StoreForbidden

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Issuer:
    """Hands out tokens by number; the server knows the newest alone."""

    def __init__(self, lifetime: timedelta | None = None) -> None:
        self.now = NOW
        self.lifetime = lifetime
        self.loads = 0
        self.valid = 1
        self.problem: str | None = None
        self.host = ""
        self.refusals = 0

    async def load(self) -> Access:
        await asyncio.sleep(0)
        if self.problem is not None:
            raise ValueError(self.problem)
        self.loads += 1
        configuration = Configuration(host=self.host)
        configuration.api_key["BearerToken"] = f"Bearer {max(self.loads, self.valid)}"
        return Access(configuration, self.now + self.lifetime if self.lifetime else None)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.valid}":
            self.refusals += 1
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response({"seen": await request.text()})


def serve(
    issuer: Issuer, act: Callable[[KubernetesAPI, Credentials], Coroutine[Any, Any, None]]
) -> None:
    """Talk to a server that knows the issuer's tokens."""

    async def main() -> None:
        application = web.Application()
        application.router.add_route("*", "/it", issuer.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        issuer.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
        access = await issuer.load()
        credentials = Credentials(issuer.load, access, lambda: issuer.now)
        api = KubernetesAPI(access.configuration, credentials=credentials)
        try:
            await act(api, credentials)
        finally:
            await api.close()
            await runner.cleanup()

    asyncio.run(main())


def test_a_refused_token_is_replaced_once_and_the_requests_sent_again() -> None:
    issuer = Issuer()

    async def act(api: KubernetesAPI, _: Credentials) -> None:
        issuer.valid = 2
        posts = [api.request("POST", "/it", body={"number": number}) for number in range(5)]
        answers = await asyncio.gather(*posts)
        assert [json.loads(one["seen"])["number"] for one in answers] == [0, 1, 2, 3, 4]
        assert issuer.loads == 2
        await api.request("GET", "/it")
        assert issuer.refusals <= 5

    serve(issuer, act)


def test_a_token_is_replaced_before_it_expires() -> None:
    issuer = Issuer(timedelta(minutes=15))

    async def act(api: KubernetesAPI, _: Credentials) -> None:
        for minute in (1, 13):
            issuer.now = NOW + timedelta(minutes=minute)
            await api.request("GET", "/it")
        assert issuer.loads == 1
        issuer.now, issuer.valid = NOW + timedelta(minutes=14, seconds=1), 2
        await api.request("GET", "/it")
        assert (issuer.loads, issuer.refusals) == (2, 0)

    serve(issuer, act)


def test_a_plugin_may_fail_while_the_token_still_counts() -> None:
    issuer = Issuer(timedelta(minutes=15))

    async def act(api: KubernetesAPI, credentials: Credentials) -> None:
        issuer.problem = "the plugin says no"
        issuer.now = NOW + timedelta(minutes=14, seconds=1)
        await api.request("GET", "/it")
        assert not credentials.failed.done()
        issuer.now = NOW + timedelta(minutes=15)
        with pytest.raises(StoreForbidden, match="the plugin says no"):
            await api.request("GET", "/it")
        with pytest.raises(ValueError, match="the plugin says no"):
            credentials.failed.result()

    serve(issuer, act)


def test_a_refused_token_without_another_ends_with_the_plugins_words() -> None:
    issuer = Issuer()

    async def act(api: KubernetesAPI, credentials: Credentials) -> None:
        issuer.problem, issuer.valid = "the plugin says no", 2
        with pytest.raises(StoreForbidden, match="the plugin says no"):
            await api.request("GET", "/it")
        assert isinstance(credentials.failed.exception(), ValueError)

    serve(issuer, act)


def test_a_token_that_is_refused_though_it_is_new_is_no_endless_loop() -> None:
    issuer = Issuer()

    async def act(api: KubernetesAPI, credentials: Credentials) -> None:
        issuer.valid = -1
        with pytest.raises(StoreForbidden, match="401"):
            await api.request("GET", "/it")
        assert (issuer.loads, issuer.refusals) == (2, 2)
        assert not credentials.failed.done()

    serve(issuer, act)


@pytest.mark.parametrize(
    ("lifetime", "early"),
    [(900, 60), (60, 12), (5, 1), (0, None), (-5, None), (None, None)],
)
def test_it_is_renewed_in_its_last_minute_or_fifth(lifetime: int | None, early: int | None) -> None:
    expires = NOW + timedelta(seconds=lifetime) if lifetime is not None else None
    wanted = expires - timedelta(seconds=early) if expires and early is not None else None
    assert renew_at(Access(Configuration(), expires), NOW) == wanted


def kubeconfig(folder: Path, script: str, **more: Any) -> Path:
    """Write a kubeconfig whose credentials come from a shell script."""
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", script],
        "interactiveMode": "Never",
        **more,
    }
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "it", "user": {"exec": plugin}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    path.write_text(json.dumps(content))
    return path


def credential(**status: Any) -> str:
    """Return what a plugin prints."""
    api_version = "client.authentication.k8s.io/v1"
    return json.dumps({"apiVersion": api_version, "kind": "ExecCredential", "status": status})


def test_a_plugins_token_and_expiry_are_taken(tmp_path: Path) -> None:
    answer = credential(token="t1", expirationTimestamp="2026-03-02T12:15:00Z")
    path = kubeconfig(tmp_path, f"echo '{answer}'")
    access = asyncio.run(load_access(path))
    assert access.configuration.api_key["BearerToken"] == "Bearer t1"
    assert access.expires == NOW + timedelta(minutes=15)


def test_a_plugin_is_told_what_is_asked_for(tmp_path: Path) -> None:
    wanted = """test "$WHO" = reco && printf %s "$KUBERNETES_EXEC_INFO" | grep -q ExecCredential"""
    answer = credential(token="t1")
    env = [{"name": "WHO", "value": "reco"}]
    access = asyncio.run(load_access(kubeconfig(tmp_path, f"{wanted} && echo '{answer}'", env=env)))
    assert access.expires is None


FAILURES = {
    "echo 'sso session has expired' >&2; exit 3": "exit code 3: sso session has expired",
    "echo hello": "gave no ExecCredential",
    'echo \'{"status": {}, "apiVersion": "v0"}\'': "gave v0, not client.authentication.k8s.io/v1",
    f"echo '{credential()}'": "neither a token nor a certificate",
}


@pytest.mark.parametrize("script", FAILURES)
def test_a_failing_plugin_is_an_error_with_its_words(tmp_path: Path, script: str) -> None:
    with pytest.raises(ValueError, match=FAILURES[script]):
        asyncio.run(load_access(kubeconfig(tmp_path, script)))


def test_a_plugin_that_is_not_installed_says_how_to_get_it(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "", command="/no/such/plugin", installHint="Install it like so")
    with pytest.raises(ValueError, match=r"/no/such/plugin.*Install it like so"):
        asyncio.run(load_access(path))


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no such file"):
        asyncio.run(load_access(tmp_path / "nothing"))
