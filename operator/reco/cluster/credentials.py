"""Credentials of the Kubernetes API: loaded at the start, before they expire, and when refused.

A kubeconfig of EKS or GKE names a program that hands out tokens for minutes. The `kubernetes`
package runs it once, and goes on without credentials when it fails; here it is run again in time,
and its failure is an error with its own words.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import load_incluster_config
from kubernetes.aio.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger
from typing_extensions import override

logger = logging.getLogger(__name__)

_PLUGIN_SECONDS: Final = 60.0
_EARLY: Final = timedelta(seconds=60)
_EARLY_SHARE: Final = 0.2
"""Credentials are loaded anew in the last minute, or fifth, of their time: whichever is shorter."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API, and until when."""

    configuration: Configuration
    expires: datetime | None = None
    """When the credentials end, where that is known."""


async def load_access(kubeconfig: Path | None) -> Access:
    """Return how to reach the API: by a kubeconfig, or as a pod by its service account.

    Raises:
        ValueError: if neither says how, or a credential plugin fails.
    """
    configuration = Configuration()
    expires = None
    try:
        if kubeconfig is None:
            load_incluster_config(  # type: ignore[no-untyped-call]  # has no types
                client_configuration=configuration
            )
        else:
            loader = _Loader(_read(kubeconfig))
            await loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
            expires = loader.expires
    except (ConfigException, OSError, yaml.YAMLError) as error:
        where = "the pod's service account" if kubeconfig is None else kubeconfig
        raise ValueError(
            f"can't tell from {where} how to reach the Kubernetes API: {error};"
            " outside a cluster, name a kubeconfig (--kubeconfig or RECO_KUBECONFIG)"
        ) from error
    return Access(configuration, expires)


def _read(kubeconfig: Path) -> Any:  # noqa: ANN401 - the package's own, without types
    found = KubeConfigMerger(str(kubeconfig)).config  # type: ignore[no-untyped-call]
    if found is None:
        raise ConfigException("there is no such file")
    return found


class _Loader(KubeConfigLoader):
    """The package's loader, in which a plugin's failure is one, and its expiry is kept."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401 - the package's own, without types
        super().__init__(config_dict=config, config_base_path=None)  # type: ignore[no-untyped-call]
        self.expires: datetime | None = None

    @override
    async def load_from_exec_plugin(self) -> bool:
        plugin: Any = self._user
        status = await _run_plugin(plugin["exec"].value)
        if status.get("expirationTimestamp"):
            self.expires = datetime.fromisoformat(status["expirationTimestamp"])
        if status.get("token"):
            self.token = f"Bearer {status['token']}"
            return True
        for attribute, name in (
            ("cert_file", "clientCertificateData"),
            ("key_file", "clientKeyData"),
        ):
            content: Any = FileOrData(  # type: ignore[no-untyped-call]  # has no types
                status, None, data_key_name=name, base64_file_content=False
            )
            setattr(self, attribute, content.as_file())
        if not self.cert_file or not self.key_file:
            raise ConfigException("the credential plugin gave neither a token nor a certificate")
        return True


async def _run_plugin(plugin: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a client-go credential plugin and return its status.

    Raises:
        ConfigException: with the plugin's own words, if it gives no credentials.
    """
    command = [str(plugin["command"]), *(plugin.get("args") or ())]
    name = f"credential plugin {command[0]}"
    info = {
        "apiVersion": plugin["apiVersion"],
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    more = {one["name"]: one["value"] for one in plugin.get("env") or ()}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **more, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        hint = plugin.get("installHint")
        raise ConfigException(f"{name} can't be run: {error}. {hint or ''}".strip()) from error
    try:
        async with asyncio.timeout(_PLUGIN_SECONDS):
            output, words = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ConfigException(f"{name} did not end within {_PLUGIN_SECONDS:g} s") from None
    said = words.decode(errors="replace").strip()
    if process.returncode != 0:
        raise ConfigException(f"{name} failed with exit code {process.returncode}: {said}")
    try:
        answer = json.loads(output)
        status = answer["status"]
        found = answer["apiVersion"]
    except (ValueError, KeyError, TypeError):
        raise ConfigException(f"{name} gave no ExecCredential: {said or 'no JSON'}") from None
    if found != plugin["apiVersion"] or not isinstance(status, Mapping):
        raise ConfigException(f"{name} gave {found}, not {plugin['apiVersion']} as configured")
    return status


class Credentials:
    """What one client of the API connects with; for use in one event loop.

    Args:
        load: loads them anew; raises ValueError if it can't.
        access: what was loaded at the start.
        now: the time in UTC.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Access]],
        access: Access,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._load = load
        self._now = now
        self._loading: asyncio.Task[None] | None = None
        self._take(access)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets an error once credentials are refused or at an end, and no others can be had."""
        self.failed.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _take(self, access: Access) -> None:
        self._access = access
        self._renew_at = renew_at(access, self._now())

    async def current(self) -> Configuration:
        """Return what to connect with, loaded anew if it is about to expire.

        Raises:
            ValueError: if it has expired, and can't be loaded anew.
        """
        if self._renew_at is not None and self._now() >= self._renew_at:
            try:
                await self._reload()
            except ValueError as error:
                expires = self._access.expires
                if expires is None or self._now() >= expires:
                    raise self._fail(error) from error
                logger.warning("credentials expire at %s and are not renewed: %s", expires, error)
                self._renew_at = self._now() + (expires - self._now()) / 2
        return self._access.configuration

    async def refused(self, configuration: Configuration) -> Configuration:
        """Return what to connect with after the API did not know what was used.

        Raises:
            ValueError: if no other can be loaded.
        """
        if configuration is self._access.configuration:
            try:
                await self._reload()
            except ValueError as error:
                raise self._fail(error) from error
        return self._access.configuration

    async def _reload(self) -> None:
        """Load once, however many wait for it."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load_anew())
            self._loading.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._loading)

    async def _load_anew(self) -> None:
        try:
            self._take(await self._load())
        finally:
            self._loading = None

    def _fail(self, error: ValueError) -> ValueError:
        if not self.failed.done():
            self.failed.set_exception(error)
        return error


def renew_at(access: Access, now: datetime) -> datetime | None:
    """Return when to load credentials anew; None where they don't say when they end."""
    if access.expires is None or access.expires <= now:
        return None  # what has ended already is refused soon enough
    return access.expires - min(_EARLY, (access.expires - now) * _EARLY_SHARE)
