"""An estate as a user writes it, in a namespace, an EngineClass and a region of its own."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import boto3

from hack.control_plane import ControlPlane
from reco.api.vocabulary import API_VERSION
from tests.cluster.emulated import ACCOUNT, BUCKET, EmulatorProcess, carried_out
from tests.cluster.watching import Object, Watcher, condition

Manifest = dict[str, Any]

SCHEMA: Final = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
}
RECIPE: Final = "aws-user-personalization"


@dataclass(frozen=True, slots=True)
class Estate:
    """What one test has of the world: a user's tools, and a look behind the operator's back."""

    plane: ControlPlane
    namespace: str
    region: str
    emulator: EmulatorProcess
    s3_url: str
    watch: Watcher
    _clients: dict[str, Any] = field(default_factory=dict)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    # --- manifests --------------------------------------------------------------------------

    def manifest(self, kind: str, name: str, **spec: Any) -> Manifest:
        metadata = {"name": name} | ({"namespace": self.namespace} if kind != "EngineClass" else {})
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    def engine_class(self, **spec: Any) -> Manifest:
        """Return the class, named as the namespace; it deletes what it made."""
        settings = {
            "region": self.region,
            "roleARN": f"arn:aws:iam::{ACCOUNT}:role/personalize-s3",
            "endpointURL": self.emulator.url,
            "s3EndpointURL": self.s3_url,
            "requestsPerSecond": 100,
        }
        spec = {"engine": "Personalize", "deletionPolicy": "Delete", "personalize": settings} | spec
        return self.manifest("EngineClass", self.namespace, **spec)

    def data(self, source: str = "good.csv", **more: Any) -> list[Manifest]:
        """Return a group with a dataset that imports `source`."""
        return [
            self.manifest("DatasetGroup", "movies", engineClassName=self.namespace),
            self.manifest("Schema", "interactions", engineClassName=self.namespace, avro=SCHEMA),
            self.manifest(
                "Dataset",
                "movies-interactions",
                datasetGroupRef={"name": "movies"},
                type="Interactions",
                schemaRef={"name": "interactions"},
                **({"import": {"source": {"s3": f"s3://{BUCKET}/{source}"}}} | more),
            ),
        ]

    def solution(self, **more: Any) -> Manifest:
        spec = {"datasetGroupRef": {"name": "movies"}, "recipe": RECIPE} | more
        return self.manifest("Solution", "for-you", **spec)

    def campaign(self, **more: Any) -> Manifest:
        spec = {"solutionRef": {"name": "for-you"}, "minProvisionedTPS": 1} | more
        return self.manifest("Campaign", "for-you", **spec)

    def tracker(self) -> Manifest:
        return self.manifest("EventTracker", "movies", datasetGroupRef={"name": "movies"})

    def whole(self) -> list[Manifest]:
        """Return everything from the class to the campaign, in the order in which it is made."""
        return [
            self.engine_class(),
            *self.data(),
            self.solution(),
            self.campaign(),
            self.tracker(),
        ]

    # --- what a user does -------------------------------------------------------------------

    def apply(self, manifests: Iterable[Manifest]) -> None:
        for manifest in manifests:
            self.plane.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def delete(self, manifests: Iterable[Manifest]) -> None:
        """Delete without waiting, so that the order is the caller's."""
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            self.kubectl("delete", manifest["kind"], name, "--wait=false", "--ignore-not-found")

    def patch(self, kind: str, name: str, change: Mapping[str, Any]) -> None:
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(change))

    def annotate(self, kind: str, name: str, *values: str) -> None:
        self.kubectl("annotate", "--overwrite", kind, name, *values)

    def kubectl(self, *args: str) -> str:
        return self.plane.kubectl(*args, "-n", self.namespace)

    # --- what is there ----------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Object:
        found: Object = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def client(self, service: str = "personalize") -> Any:
        """Return a boto3 client of the region, as an application or an intruder has it."""
        if service not in self._clients:
            # A session of its own: the default one may have met other credentials before.
            self._clients[service] = boto3.Session().client(
                service,  # type: ignore[call-overload]  # any of the three
                region_name=self.region,
                endpoint_url=self.emulator.url,
            )
        return self._clients[service]

    def external(self) -> dict[str, list[str]]:
        """Return what exists in the region: names by the operation that lists them."""
        client = self.client()
        found = {
            "groups": client.list_dataset_groups()["datasetGroups"],
            "schemas": client.list_schemas()["schemas"],
            "datasets": client.list_datasets()["datasets"],
            "solutions": client.list_solutions()["solutions"],
            "campaigns": client.list_campaigns()["campaigns"],
            "trackers": client.list_event_trackers()["eventTrackers"],
        }
        return {what: [item["name"] for item in items] for what, items in found.items() if items}

    def mutations(self, after: int = 0) -> list[str]:
        """Return the changes that were carried out in the region, in order."""
        calls = self.emulator.calls(self.region, after=after, mutating=True)
        return [name for name in carried_out(calls) if not name.startswith(("Tag", "Put"))]

    def settled_events(self, kind: str | None = None) -> list[tuple[str, str, str]]:
        """Return the Events once they tell of every status: they are written right after it."""

        shown = {
            (f"{item['kind']}/{item['metadata']['name']}", condition(item, "Ready")["reason"])
            for item in self.watch.all()
            if item["kind"] != "EngineClass"
        }
        deadline = time.monotonic() + 30
        while untold := shown - {(about, reason) for about, reason, _ in self.events()}:
            assert time.monotonic() < deadline, f"no Event tells of {untold}"
            time.sleep(0.05)
        return self.events(kind)

    def events(self, kind: str | None = None) -> list[tuple[str, str, str]]:
        """Return Kubernetes Events as (kind/name, reason, note)."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        return [
            (f"{e['regarding']['kind']}/{e['regarding']['name']}", e["reason"], e["note"])
            for e in self.plane.get(path)["items"]
            if kind in {None, e["regarding"]["kind"]}
        ]
