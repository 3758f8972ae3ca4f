"""Where the engine works: the settings of its class, and what follows from them for every pod."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from reco.api.in_cluster import InClusterSettings, Placement, Resources, S3Endpoint
from reco.api.resource import Key, Resource
from reco.api.vocabulary import (
    ANNOTATION_ADOPT_FROM,
    GROUP,
    AdoptionPolicy,
    DeletionPolicy,
)
from reco.decide import deletion, handover, names, runs
from reco.decide.model import EngineView, Identity
from reco.decide.references import References
from reco.engines.incluster.cluster import LABEL_CLASS, LABEL_OWNER
from reco.engines.incluster.credentials import Credentials, fingerprint
from reco.engines.incluster.objects import quantity
from reco.workload import addresses
from reco.workload.storage import Owner
from reco.workload.tasks import (
    PASSWORD_VARIABLE,
    S3,
    SOURCE_PREFIX,
    SOURCES,
    TOKEN_VARIABLE,
    Authentication,
    Group,
    OnlineStore,
    Storage,
)

LABEL_GROUP = f"{GROUP}/dataset-group"
"""On pods: the label of the DatasetGroup that they work for, whatever they were made for."""
ANNOTATION_TAGS = f"{GROUP}/tags"
"""A user's tags, as JSON: their keys need not be keys of annotations."""
RELEASED_IMAGE = "ghcr.io/reco-dev/reco-engine"
STORAGE_PATH = "/storage"
CLIENTS_PATH = "/etc/reco/clients"
_STATEFUL_SET = 52
"""Letters of a StatefulSet's name: its pods have a label of it and eleven more."""
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True, slots=True)
class Place:
    """One EngineClass's settings, and the names and environment that come from them."""

    settings: InClusterSettings
    view: EngineView
    cluster: str
    """The cluster id, for the mark of ownership in storage."""
    credentials: Credentials
    """What is derived for each group."""
    watches: Callable[[str], bool] = lambda _namespace: True
    """Whether the operator sees the resources of a namespace."""

    def labels(self, resource: Resource, role: str) -> dict[str, str]:
        """Return the labels of a resource's objects."""
        return {
            "app.kubernetes.io/managed-by": "reco-operator",
            "app.kubernetes.io/name": f"reco-{role}",
            "app.kubernetes.io/instance": owner_label(resource.key),
            LABEL_CLASS: self.view.class_name,
            LABEL_OWNER: owner_label(resource.key),
        }

    def pod_labels(self, resource: Resource, role: str, group: Resource) -> dict[str, str]:
        """Return the labels of a resource's pods."""
        return self.labels(resource, role) | {LABEL_GROUP: owner_label(group.key)}

    def owned(self, resource: Resource, *, holds_data: bool = False) -> list[dict[str, Any]]:
        """Return the owner references of a resource's objects: Kubernetes deletes what has one.

        What holds data has none, for a policy that turns to `Retain` right before the deletion must
        count. Nor have the objects of a resource to be retained that are all there is of it, such
        as a campaign's; a solution's or a version's are not: what they stand for is in storage.
        """
        if holds_data:
            return []
        is_all = not resource.kind.retained_by_default
        if is_all and deletion.policy(resource, self.view) is DeletionPolicy.RETAIN:
            return []
        return [runs.owner_reference(resource)]

    def group(self, group: Resource) -> Group:
        """Return what pods are told of their dataset group."""
        storage = self.settings.storage
        s3 = storage.s3
        return Group(
            name=names.external_name(group),
            storage=Storage(
                s3=S3(
                    bucket=s3.bucket,
                    prefix=s3.prefix,
                    endpoint_url=s3.endpoint_url,
                    region=s3.region,
                )
                if s3 is not None
                else None,
                path=STORAGE_PATH if s3 is None else None,
            ),
            owner=Owner(
                cluster=self.cluster,
                namespace=group.key.namespace,
                name=group.key.name,
                uid=group.uid,
            ),
        )

    def claimant(self, group: Resource, references: References) -> Group:
        """Return the same for pods that claim what the group keeps: also what they may adopt."""
        policy = group.spec.adoption_policy if group.spec is not None else None
        named = names.owner_key(group.annotations.get(ANNOTATION_ADOPT_FROM), group.key.kind)
        adopt_from = handover.released_to_group(
            group,
            references.releasing,
            self.view,
            Identity(self.cluster),
            hidden=named is not None
            and references.releasing is None
            and not self.watches(named.namespace),
        )
        return self.group(group).model_copy(
            update={
                "adopt_own": policy is not AdoptionPolicy.NEVER,
                "adopt_from": adopt_from,
            }
        )

    @property
    def engine_image(self) -> str:
        """The image of Jobs, rankers and collectors."""
        return self.settings.images.engine or f"{RELEASED_IMAGE}:{version('reco')}"

    def pulled(self, image: str) -> dict[str, Any]:
        """Return what a container says of its image."""
        return _given({"image": image, "imagePullPolicy": self.settings.images.pull_policy})

    @property
    def source_endpoint(self) -> S3Endpoint | None:
        """The endpoint that bulk data is read from."""
        return self.settings.sources or self.settings.storage.s3

    def sources(self) -> S3:
        """Return what pods are told of that endpoint."""
        endpoint = self.source_endpoint
        if endpoint is None:
            return S3()
        return S3(endpoint_url=endpoint.endpoint_url, region=endpoint.region)

    def online_store(self, group: Resource) -> OnlineStore:
        """Return the address of a group's online store."""
        url = self.settings.online_store.url
        if url is None:
            host = f"{store_name(group)}.{group.key.namespace}.svc"
            url = f"redis://{host}:6379/0"
        return OnlineStore(url=url)

    def storage_environment(self) -> list[dict[str, Any]]:
        """Return the variables by which a pod may use the storage."""
        return _credentials(self.settings.storage.s3)

    def source_environment(self) -> list[dict[str, Any]]:
        """Return the variables by which a pod may read sources where they are apart."""
        if self.settings.sources is None:
            return []
        return [
            {**variable, "name": f"{SOURCE_PREFIX}{variable['name']}"}
            for variable in _credentials(self.settings.sources)
        ]

    def store_environment(self, group: Resource) -> list[dict[str, Any]]:
        """Return the variable by which a pod may use the online store."""
        store = self.settings.online_store
        if store.managed is not None:
            return [_secret(PASSWORD_VARIABLE, store_name(group), "password")]
        if store.password_secret_ref is not None:
            reference = store.password_secret_ref
            return [_secret(PASSWORD_VARIABLE, reference.name, reference.key)]
        return []

    def token_secret(self, group: Resource) -> str:
        """Return the name of the Secret with the token of a group's catalog.

        Another token, as after the operator's key was lost, is another Secret: one that exists is
        never changed, and pods that are told of another one are replaced.
        """
        token = self.credentials.catalog_token(group.key.namespace, names.external_name(group))
        return f"{catalog_name(group)}-{fingerprint(token)}"

    def token_environment(self, group: Resource) -> list[dict[str, Any]]:
        """Return the variable by which a catalog knows whom to answer."""
        return [_secret(TOKEN_VARIABLE, self.token_secret(group), "token")]

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Origins of web pages that may call from browsers."""
        return tuple(self.settings.allowed_origins or ())

    def authentication(self) -> Authentication | None:
        """Return what pods that clients call are told of who may."""
        wanted = self.settings.authentication
        if wanted is None:
            return None
        return Authentication(
            folder=CLIENTS_PATH, secret=wanted.keys_secret_ref.name, region=wanted.region
        )

    def client_keys(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return the volume with clients' keys, and its mount.

        It is optional to Kubernetes, so that a pod without its Secret can say so, and lets nobody
        in; otherwise it would wait without a word.
        """
        wanted = self.settings.authentication
        if wanted is None:
            return []
        secret = {"secretName": wanted.keys_secret_ref.name, "optional": True}
        mount = {"name": "clients", "mountPath": CLIENTS_PATH, "readOnly": True}
        return [({"name": "clients", "secret": secret}, mount)]

    def volumes(self, claim: str | None = None) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return volumes and their mounts: the storage's, and a source's where one is named."""
        storage = self.settings.storage.persistent_volume_claim
        found = [("storage", STORAGE_PATH, storage.claim_name, False)] if storage else []
        if claim is not None:
            found.append(("sources", SOURCES, claim, True))
        return [
            (
                {
                    "name": name,
                    "persistentVolumeClaim": {"claimName": claim_name}
                    | ({"readOnly": True} if read_only else {}),
                },
                {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {}),
            )
            for name, path, claim_name, read_only in found
        ]


def owner_label(key: Key) -> str:
    """Return the label by which a resource's objects are found: it fits whatever the name."""
    digest = hashlib.sha256(f"{key.namespace}/{key.name}".encode()).hexdigest()[:16]
    return f"{key.kind.lower()}-{digest}"


def store_name(group: Resource) -> str:
    """Return the name of a group's managed online store."""
    return addresses.service_of(
        names.external_name(group), group.key.namespace, "online-store", _STATEFUL_SET
    )


def catalog_name(group: Resource) -> str:
    """Return the name of a group's catalog."""
    return addresses.catalog_service(names.external_name(group), group.key.namespace)


def runtime_name(group: Resource) -> str:
    """Return the name of a group's runtime, which answers for all its campaigns."""
    return addresses.service_of(names.external_name(group), group.key.namespace, "runtime")


def policy_name(group: Resource, what: str) -> str:
    """Return the name of one of a group's network policies."""
    return addresses.service_of(names.external_name(group), group.key.namespace, what)


def group_of(lineage: Sequence[Resource]) -> Resource:
    """Return the DatasetGroup at the end of a lineage.

    Raises:
        ValueError: if there is none: whoever renders waits for it first.
    """
    for resource in lineage:
        if resource.key.kind == "DatasetGroup":
            return resource
    raise ValueError("no DatasetGroup among the parents")


def address(service: str, namespace: str) -> str:
    """Return the URL of a Service in the cluster."""
    return f"http://{service}.{namespace}.svc"


def resources(wanted: Resources, default: Resources) -> dict[str, Any]:
    """Return a container's resources; what a setting leaves out is the role's default."""
    memory = wanted.memory or default.memory
    requests = {"cpu": wanted.cpu or default.cpu, "memory": memory}
    limits = {
        "cpu": wanted.cpu_limit or default.cpu_limit,
        "memory": wanted.memory_limit or wanted.memory or default.memory_limit or memory,
    }
    return {"requests": _given(requests), "limits": _given(limits)}


def memory_limit(rendered: Mapping[str, Any]) -> int | None:
    """Return the bytes that a container with these resources may use."""
    number = quantity(rendered["limits"].get("memory", ""))
    return int(number) if number is not None else None


def placed(placement: Placement) -> dict[str, Any]:
    """Return where pods run, as fields of their spec."""
    return _given(
        {
            "nodeSelector": dict(placement.node_selector) if placement.node_selector else None,
            "tolerations": [one.manifest() for one in placement.tolerations or ()] or None,
            "priorityClassName": placement.priority_class_name,
        }
    )


def _credentials(endpoint: S3Endpoint | None) -> list[dict[str, Any]]:
    if endpoint is None or endpoint.credentials_secret_ref is None:
        return []
    secret = endpoint.credentials_secret_ref.name
    return [_secret(name, secret, name, optional="TOKEN" in name) for name in _CREDENTIALS]


def _secret(variable: str, name: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    reference: dict[str, Any] = {"name": name, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
