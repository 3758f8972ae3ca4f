"""All that can be set of the operator: environment variables and flags come from these fields.

`workers` is RECO_WORKERS and `--workers`; a flag wins over the environment.
"""

import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from reco.decide.model import Timing
from reco.loop.lease import LeaseTiming
from reco.loop.queue import Backoff


class Settings(BaseSettings):
    """Settings of `reco operate`."""

    model_config = SettingsConfigDict(
        env_prefix="RECO_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    kubeconfig: Path | None = None
    """Kubeconfig file; left out, the pod's service account is used."""
    namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces to watch, separated by commas; left out, all of them."""
    identity: str = Field(default_factory=socket.gethostname, min_length=1)
    """Name of this replica in the lease and in Events; a pod's host name is its own name."""
    cluster_id: str | None = Field(default=None, min_length=1, max_length=64)
    """Marks external objects as this cluster's; left out, the UID of namespace kube-system. Set it
    before moving resources to another cluster, to the old cluster's id."""

    workers: PositiveInt = 8
    """Resources looked at at the same time. They mostly wait for the network."""
    resync: PositiveFloat = 900.0
    """Seconds after which a resource is looked at though nothing happened: finds drift."""
    relist: PositiveFloat = 300.0
    """Seconds between two complete lists of a kind: finds what a broken watch missed."""
    settle: NonNegativeFloat = 180.0
    """Seconds for which an engine's lists may lag behind a call whose outcome is unknown."""
    backoff_base: PositiveFloat = 1.0
    """Seconds to wait after a first failure; doubles with every further one."""
    backoff_cap: PositiveFloat = 300.0
    """Seconds to wait at most after a failure."""
    poll_fast: PositiveFloat = 15.0
    """Seconds between two looks at an engine while something moves; trainings take an hour."""
    poll_slow: PositiveFloat = 300.0
    """Seconds between two looks at an engine when nothing moves."""
    sweep: PositiveFloat = 21_600.0
    """Seconds between two complete readings of an engine's details and tags."""
    request_timeout: PositiveFloat = 30.0
    """Seconds for one request to the Kubernetes API."""

    lease: bool = True
    """Elect a leader, so that a second replica may wait to take over."""
    lease_namespace: str = "default"
    """Namespace of the lease; in a cluster, the operator's own."""
    lease_name: str = "reco-operator"
    """Name of the lease."""
    key_secret: str = "reco-operator-key"  # noqa: S105 - the name, not the secret
    """Name of the Secret in the lease's namespace that holds the operator's own key; it is made if
    there is none. From it the operator derives what it and pods of the engine have to agree on."""
    lease_duration: PositiveFloat = 15.0
    """Seconds after which an unrenewed lease may be taken."""
    lease_renew_deadline: PositiveFloat = 10.0
    """Seconds for which the leader tries to renew before it stops; less than the duration."""
    lease_retry: PositiveFloat = 2.0
    """Seconds between two attempts to acquire or renew."""

    listen: str = "127.0.0.1:8080"
    """HOST:PORT of /metrics, /healthz and /readyz; port 0 takes a free one."""
    stuck_after: PositiveFloat = 600.0
    """Seconds after which a key that waits, or is worked on, means that the operator is stuck."""
    stale_after: PositiveFloat = 1200.0
    """Seconds without news of a kind after which the watch counts as dead; some relists long."""
    shutdown_grace: NonNegativeFloat = 20.0
    """Seconds for workers to finish at shutdown; less than the pod's terminationGracePeriod."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe messages to log."""

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was given, before validation
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"must be HOST:PORT, not {value!r}")
        return value

    @property
    def timing(self) -> Timing:
        """Periods of the decisions."""
        return Timing(resync=self.resync, settle=self.settle)

    @property
    def lease_timing(self) -> LeaseTiming:
        """Durations of the election.

        Raises:
            ValueError: if they would let two replicas lead.
        """
        return LeaseTiming(self.lease_duration, self.lease_renew_deadline, self.lease_retry)

    @property
    def backoff(self) -> Backoff:
        """How failing keys are retried."""
        return Backoff(self.backoff_base, self.backoff_cap)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
