"""Settings of the engine `InCluster`: images, storage, online store, resources and placement.

An EngineClass is cluster-scoped and its dataset groups are not: Secrets, ConfigMaps and claims that
are named here are looked for in the namespace of each dataset group that uses the class.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import URL, ApiModel, Must, Name, ShortText, exactly_one, immutable, rules

Image = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512, pattern=r"^[a-z0-9][a-zA-Z0-9._:/@-]*$"),
    Must("must be a container image, such as 'ghcr.io/example/reco-engine:1.0'"),
]
Quantity = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=32,
        pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    ),
    Must("must be a quantity, such as '500m', '2' or '4Gi'"),
]
LabelValue = Annotated[
    str,
    StringConstraints(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"),
    Must("must be the value of a label: at most 63 letters, digits, '-', '_' and '.'"),
]
Bucket = Annotated[
    str,
    StringConstraints(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$"),
    Must("must be the name of a bucket, such as 'reco'"),
]
Prefix = Annotated[
    str,
    StringConstraints(max_length=512, pattern=r"^([a-zA-Z0-9!_.*()-]+/)*$"),
    Must("must be empty or end with '/', such as 'prod/'"),
]
CIDR = Annotated[
    str,
    StringConstraints(min_length=4, max_length=64, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"),
    Must("must be a block of addresses, such as '10.0.0.0/8'"),
]
StoreURL = Annotated[
    str,
    StringConstraints(
        min_length=8, max_length=512, pattern=r"^rediss?://[^\s/@]+(:[0-9]+)?(/[0-9]+)?$"
    ),
    Must(
        "must be a URL without a password, such as 'redis://host:6379/0' or 'rediss://host:6380':"
        " the password comes by passwordSecretRef"
    ),
]

Origin = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=256, pattern=r"^(\*|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)$"
    ),
    Must("must be '*' or an origin, such as 'https://shop.example.com', without a path"),
]
SigningRegion = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$"),
    Must("must be a region, such as 'eu-west-1'"),
]

_VOLUME = "grow the PersistentVolumeClaim itself, or make a new EngineClass"
_MOVES = "make a new EngineClass: what is stored stays where it is"


class PullPolicy(StrEnum):
    """When images are pulled."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class TolerationOperator(StrEnum):
    """How a toleration meets a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that don't put up with it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class SecretKey(ApiModel):
    """A key of a Secret."""

    name: Name
    """The Secret, in the namespace of the dataset group."""
    key: ShortText = "password"
    """The key in it."""


class SecretName(ApiModel):
    """A Secret."""

    name: Name
    """The Secret, in the namespace of the dataset group."""


class S3Endpoint(ApiModel):
    """An S3-compatible endpoint and who may use it."""

    endpoint_url: URL | None = Field(default=None, alias="endpointURL")
    """Left out: Amazon S3."""
    region: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """The region; left out, `us-east-1`."""
    credentials_secret_ref: SecretName | None = None
    """A Secret with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and if there is one
    `AWS_SESSION_TOKEN`. Left out: the identity of the pods, see `serviceAccountName`."""


class S3Storage(S3Endpoint):
    """Where the engine keeps its files, in S3."""

    bucket: Bucket = Field(json_schema_extra=immutable(_MOVES))
    """The bucket."""
    prefix: Prefix = Field(default="", json_schema_extra=immutable(_MOVES))
    """What all keys begin with."""


class Claim(ApiModel):
    """A PersistentVolumeClaim."""

    claim_name: Name = Field(json_schema_extra=immutable(_MOVES))
    """The claim, in the namespace of the dataset group. Pods on several nodes need one that many
    can mount (`ReadWriteMany`)."""


class StorageSettings(ApiModel):
    """Where data, events and models are kept."""

    model_config = ConfigDict(json_schema_extra=rules(exactly_one("s3", "persistentVolumeClaim")))

    s3: S3Storage | None = None
    """A bucket and a prefix in it."""
    persistent_volume_claim: Claim | None = None
    """A volume."""


class Resources(ApiModel):
    """What a container asks for and may use."""

    cpu: Quantity | None = None
    """Processors asked for."""
    memory: Quantity | None = None
    """Memory asked for."""
    cpu_limit: Quantity | None = None
    """Processors at most; left out, no limit, for throttling costs tail latency."""
    memory_limit: Quantity | None = None
    """Memory at most; left out, as much as is asked for."""


class Toleration(ApiModel):
    """A taint that pods put up with."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerationSeconds needs the effect 'NoExecute': others evict nothing",
            )
        )
    )

    key: Annotated[str, StringConstraints(max_length=316)] | None = None
    """The taint's key; left out with operator `Exists`, every taint."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """`Exists` or `Equal`."""
    value: LabelValue | None = None
    """The taint's value."""
    effect: TaintEffect | None = None
    """Left out: every effect."""
    toleration_seconds: int | None = Field(default=None, ge=0, le=2_592_000)
    """For how long, if the taint evicts; left out, for ever."""


class Placement(ApiModel):
    """Resources and nodes of one sort of pods."""

    resources: Resources = Resources()
    """What each container asks for and may use."""
    node_selector: Annotated[dict[ShortText, LabelValue], Field(max_length=32)] | None = None
    """Labels of the nodes to run on."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] | None = None
    """Taints to put up with."""
    priority_class_name: Name | None = None
    """The PriorityClass of the pods."""


class JobPlacement(Placement):
    """Resources and nodes of Jobs, and how they queue."""

    queue_name: LabelValue | None = None
    """The Kueue LocalQueue that admits the Jobs, passed on as a label."""
    deadline_seconds: int = Field(default=86_400, ge=60, le=2_592_000)
    """After how long a Job that has not ended is given up."""


class ServingPlacement(Placement):
    """Resources and nodes of rankers, and how many there are."""

    min_replicas: int = Field(default=2, ge=1, le=1000)
    """Rankers of one campaign at least; with one, a drained node interrupts its answers."""
    max_replicas: int = Field(default=10, ge=1, le=1000)
    """Rankers of one campaign at most, but never fewer than `minProvisionedTPS` asks for."""
    target_cpu_utilization: int = Field(default=70, ge=10, le=100, alias="targetCPUUtilization")
    """Percent of the CPU asked for at which rankers are added."""
    scale_down_seconds: int = Field(default=300, ge=0, le=3600)
    """For how long fewer rankers must have been enough before any is taken away."""
    progress_deadline_seconds: int = Field(default=600, ge=10, le=86_400)
    """For how long rankers of a new version, say, may not get ready before the campaign says that
    they fail; the old ones serve on, and the new ones go on trying."""
    requests_per_second_per_replica: int = Field(default=200, ge=1, le=100_000)
    """Measured capacity of one ranker, by which `minProvisionedTPS` becomes a number of them."""


class ManagedStore(ApiModel):
    """An online store that the operator runs: one Valkey server with an append-only file."""

    storage: Quantity = Field(default="2Gi", json_schema_extra=immutable(_VOLUME))
    """Size of its volume."""
    storage_class_name: Name | None = Field(default=None, json_schema_extra=immutable(_VOLUME))
    """The StorageClass of its volume; left out, the cluster's default."""
    resources: Resources = Resources()
    """What it asks for and may use."""
    max_memory: Quantity | None = None
    """Memory for data, after which writes are refused; left out, three quarters of the limit."""


class OnlineStoreSettings(ApiModel):
    """The Valkey or Redis server that holds users' latest events."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            exactly_one("managed", "url"),
            (
                "!has(self.passwordSecretRef) || has(self.url)",
                "passwordSecretRef must be left out unless there is a url",
            ),
        )
    )

    managed: ManagedStore | None = None
    """One for each dataset group, run by the operator."""
    url: StoreURL | None = None
    """One of your own. It must keep what it was told (`appendonly yes`) and refuse writes rather
    than drop keys when it is full (`maxmemory-policy noeviction`)."""
    password_secret_ref: SecretKey | None = None
    """Its password."""


class PeerLabels(ApiModel):
    """Which labels a peer must have."""

    match_labels: Annotated[dict[ShortText, LabelValue], Field(max_length=32)]
    """Labels with exactly these values; `{}` takes all."""


class AddressBlock(ApiModel):
    """Addresses outside the cluster."""

    cidr: CIDR
    """The addresses."""


class Peer(ApiModel):
    """Pods or addresses, as in a NetworkPolicy."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.ipBlock) != (has(self.namespaceSelector) || has(self.podSelector))",
                "must have either ipBlock, or namespaceSelector or podSelector or both of them",
            )
        )
    )

    namespace_selector: PeerLabels | None = None
    """Pods in namespaces with these labels; left out, in the dataset group's own."""
    pod_selector: PeerLabels | None = None
    """Pods with these labels; left out, all."""
    ip_block: AddressBlock | None = None
    """Whoever has such an address."""


class Authentication(ApiModel):
    """Who may call the runtime and events APIs: clients with a key pair, as for AWS.

    Requests are signed by Signature Version 4, which SDKs do with any key pair they are given.
    """

    keys_secret_ref: SecretName
    """A Secret of key pairs: the name of each entry is an access key id, its value JSON such as
    `{"secretKey": "...", "operations": ["GetRecommendations"], "campaigns": ["shop_for-you"]}`.
    Pods read it again when it changes. docs/serving.md has the whole form."""
    region: SigningRegion | None = None
    """The only region that signatures may be for; left out, any."""


class Images(ApiModel):
    """Container images."""

    engine: Image | None = None
    """What Jobs, rankers and collectors run. Left out: the image of the operator's own release, so
    that both are updated together; one of another release may not understand what it is told."""
    valkey: Image = "docker.io/valkey/valkey:8.1"
    """What managed online stores run."""
    pull_policy: PullPolicy | None = None
    """Left out: Kubernetes' default."""
    pull_secrets: Annotated[list[SecretName], Field(max_length=8)] | None = None
    """Secrets to pull images with."""


def _default_store() -> OnlineStoreSettings:
    return OnlineStoreSettings(managed=ManagedStore())


class InClusterSettings(ApiModel):
    """Where and with what the engine in the cluster works."""

    images: Images = Images()
    """Container images."""
    storage: StorageSettings
    """Where data, events and models are kept."""
    sources: S3Endpoint | None = None
    """The endpoint of bulk data given as `s3://`; left out, the one of `storage.s3`."""
    online_store: OnlineStoreSettings = Field(default_factory=_default_store)
    """The server that holds users' latest events; left out, a managed one."""
    clients: Annotated[list[Peer], Field(min_length=1, max_length=32)] | None = None
    """Who may reach campaigns, event trackers and the metrics of all pods: those who call, a
    gateway before them, Prometheus. NetworkPolicies let nobody else in. Left out: anybody."""
    authentication: Authentication | None = None
    """Who may call campaigns and event trackers; left out, whoever can reach them."""
    allowed_origins: Annotated[list[Origin], Field(max_length=32)] | None = None
    """Origins of web pages that may call from browsers (CORS); left out, none."""
    service_account_name: Name | None = None
    """The ServiceAccount of pods that read or write S3 by their own identity (IRSA, Pod Identity,
    Workload Identity), in the namespace of the dataset group. Left out: none, and no token."""
    training: JobPlacement = JobPlacement()
    """Trainings."""
    jobs: JobPlacement = JobPlacement()
    """Imports."""
    serving: ServingPlacement = ServingPlacement()
    """Rankers."""
    events: Placement = Placement()
    """Collectors and consumers of events, and the group's runtime and catalog."""
    recipe_parameters: (
        Annotated[
            dict[
                ShortText,
                Annotated[
                    dict[ShortText, Annotated[str, StringConstraints(max_length=1000)]],
                    Field(max_length=32),
                ],
            ],
            Field(max_length=32),
        ]
        | None
    ) = None
    """Hyperparameters by recipe, for solutions that say nothing else."""
