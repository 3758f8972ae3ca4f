"""An estate on real pods: the quickstart's manifests in a namespace, on either engine."""

import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from hack.images import Images, class_settings
from hack.node import NodeCluster
from hack.s3 import S3Server
from tests.cluster.watching import Watcher

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "quickstart"
BUCKET = "reco-quickstart"
RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 5}, read_timeout=10)
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Estate:
    """A namespace with an EngineClass of its own, and what a user and an application do there."""

    node: NodeCluster
    namespace: str
    engine_class: Manifest
    s3: S3Server
    watch: Watcher
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        name: str = self.engine_class["metadata"]["name"]
        return name

    def quickstart(self, bucket: str = BUCKET) -> list[Manifest]:
        """Return the quickstart's manifests but its class; they name no class themselves.

        Their data lies in `bucket`.
        """
        found: list[Manifest] = []
        for file in sorted(EXAMPLES.glob("*.yaml")):
            text = file.read_text().replace(f"s3://{BUCKET}/", f"s3://{bucket}/")
            found += yaml.safe_load_all(text)
        return [self.placed(one) for one in found if one["kind"] != "EngineClass"]

    def placed(self, manifest: Manifest) -> Manifest:
        """Return a manifest in this namespace, with this class where it may name one."""
        placed: Manifest = json.loads(json.dumps(manifest))
        placed["metadata"]["namespace"] = self.namespace
        if placed["kind"] in {"DatasetGroup", "Schema"}:
            placed["spec"]["engineClassName"] = self.class_name
        return placed

    def manifest(self, kind: str, name: str, **spec: Any) -> Manifest:
        return self.placed(
            {
                "apiVersion": "reco.dev/v1alpha1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": spec,
            }
        )

    def apply(self, *manifests: Manifest) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.node.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def patch(self, kind: str, name: str, patch: Manifest) -> None:
        """Merge a patch into one object's manifest."""
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(patch))

    def ask(self, kind: str, name: str, annotation: str) -> str:
        """Ask for something by an annotation with a value that it never had; return the value."""
        value = secrets.token_hex(6)
        self.kubectl("annotate", kind, name, "--overwrite", f"reco.dev/{annotation}={value}")
        return value

    def kubectl(self, *arguments: str, timeout: float = 60) -> str:
        return self.node.kubectl("-n", self.namespace, *arguments, timeout=timeout)

    def get(self, kind: str, name: str) -> Any:
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def items(self, kind: str, *arguments: str) -> list[Any]:
        found: list[Any] = json.loads(self.kubectl("get", kind, *arguments, "-o", "json"))["items"]
        return found

    def runtime(self, campaign: str = "movies-for-you") -> Any:
        """Return a client of the runtime API, as an application has it."""
        endpoint = self.get("campaign", campaign)["status"]["endpoint"]
        return self.client("personalize-runtime", self.node.reach(endpoint))

    def events(self) -> Any:
        """Return a client of the events API."""
        endpoint = self.get("eventtracker", "movies")["status"]["endpoint"]
        return self.client("personalize-events", self.node.reach(endpoint))

    def client(self, service: str, url: str) -> Any:
        if (key := f"{service} {url}") not in self._clients:
            self._clients[key] = boto3.client(
                service,  # type: ignore[call-overload]  # any of the two
                endpoint_url=url,
                region_name="eu-west-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=RETRIES,
            )
        return self._clients[key]

    def arn(self, campaign: str = "movies-for-you") -> str:
        arn: str = self.get("campaign", campaign)["status"]["external"]["arn"]
        return arn

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def within(seconds: float, what: Callable[[], Any], reason: str) -> Any:
    """Return what a call answers once that is true; its errors count as not yet."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = what()
            if last:
                return last
        except AssertionError as error:
            last = error
        time.sleep(0.2)
    raise AssertionError(f"{reason}: not within {seconds:g} s; last: {last!r}")


def in_cluster_class(name: str, images: Images, s3_host: str, **more: Any) -> Manifest:
    """Return the quickstart's class with images of here, few resources, and changes."""
    found: Manifest = yaml.safe_load((EXAMPLES / "in-cluster" / "10-engine-class.yaml").read_text())
    found["metadata"] = {"name": name}
    settings = found["spec"]["inCluster"]
    settings["images"] = class_settings(images)
    settings["storage"]["s3"] |= {"prefix": f"{name}/", "endpointURL": s3_host}
    settings["training"]["resources"] = {"cpu": "100m", "memory": "1Gi"}
    settings["jobs"] = {"resources": {"cpu": "100m", "memory": "512Mi"}}
    small = {"cpu": "50m", "memory": "256Mi"}
    settings["serving"] = {"minReplicas": 1, "maxReplicas": 3, "resources": small}
    settings["events"] = {"resources": {"cpu": "20m", "memory": "256Mi"}}
    settings |= more
    return found


def personalize_class(name: str, emulator: str, s3: S3Server) -> Manifest:
    """Return the quickstart's class with an emulator and an S3 that pods reach."""
    found: Manifest = yaml.safe_load((EXAMPLES / "10-engine-class.yaml").read_text())
    found["metadata"] = {"name": name}
    found["spec"]["personalize"] |= {"endpointURL": emulator, "s3EndpointURL": s3.url}
    return found


def watched(interactions: str) -> str:
    """Return interactions as a file for the quickstart's schema."""
    rows = [line.split(",") for line in interactions.splitlines()[1:]]
    table = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    table += [f"{user},{item},watch,{moment}" for user, item, moment in rows]
    return "\n".join(table)


def upload(s3: S3Server, interactions: str, bucket: str = BUCKET) -> None:
    """Put data into S3 where the quickstart's manifests look for it."""
    s3.create_bucket(bucket)
    s3.upload(bucket, "interactions/interactions.csv", watched(interactions))
    items = [
        "ITEM_ID,GENRES",
        *(f"i{number},{'Drama' if number % 2 else 'Action'}" for number in range(40)),
    ]
    s3.upload(bucket, "items/items.csv", "\n".join(items))


def names(items: Iterable[Any]) -> list[str]:
    """Return items as `Kind/name`, sorted."""
    return sorted(f"{one['kind']}/{one['metadata']['name']}" for one in items)
