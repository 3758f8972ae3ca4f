"""What a user asks for, and how they change their mind, all of it drawn by a seed."""

import copy
import random
from typing import Any

from reco.api.resource import Key
from reco.api.vocabulary import (
    ANNOTATION_DEFAULT_CLASS,
    ANNOTATION_PAUSED,
    ANNOTATION_RECONCILE,
    ANNOTATION_RUN_NOW,
    API_VERSION,
)
from reco.cluster.errors import StoreError
from tests.simulation.memory_store import key_of
from tests.simulation.world import ACCOUNT, REGION, World

Manifest = dict[str, Any]

CLASS = "personalize"
OTHER_CLASS = "second"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/personalize"
SCHEMAS: dict[str, list[tuple[str, Any]]] = {
    "interactions": [("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long")],
    "items": [("ITEM_ID", "string"), ("GENRES", ["null", "string"])],
    "items-more": [
        ("ITEM_ID", "string"),
        ("GENRES", ["null", "string"]),
        ("COLOUR", ["null", "string"]),
    ],
}
GOOD_DATA = {
    "Interactions": b"USER_ID,ITEM_ID,TIMESTAMP\nu1,i1,1\nu2,i2,2\n",
    "Items": b"ITEM_ID,GENRES\ni1,Drama\n",
}
SCHEDULES = ("*/20 * * * *", "7 * * * *", "0 */2 * * *")
RECIPES = ("aws-sims", "aws-user-personalization", "aws-popularity-count")


def manifest(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> Manifest:
    """Return a manifest."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


class User:
    """Somebody with manifests in Git, who applies, edits and deletes them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(world.rng.getrandbits(64))
        self.wanted: dict[Key, Manifest] = {}
        """What should be there."""
        self.namespaces: list[str] = []
        self.classes: list[str] = []
        self.edited: dict[Key, float] = {}
        """When a user last changed or deleted something."""
        self._token = 0

    # --- drawing -----------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw an estate."""
        rng = self.rng
        spec: dict[str, Any] = {
            "engine": "Personalize",
            "personalize": {"region": REGION, "roleARN": ROLE},
        }
        self._maybe(spec, "deletionPolicy", 0.7, ("Delete", "Delete", "Retain"))
        if rng.random() < 0.3:
            spec["personalize"]["tags"] = {"team": "reco"}
        class_ = manifest("EngineClass", "", CLASS, spec)
        class_["metadata"]["annotations"] = {ANNOTATION_DEFAULT_CLASS: "true"}
        self._want(class_)
        if rng.random() < 0.3:
            other = copy.deepcopy(spec)
            other["personalize"]["tags"] = {"team": "other"}
            self._maybe(other, "deletionPolicy", 0.5, ("Delete", "Retain"))
            self._want(manifest("EngineClass", "", OTHER_CLASS, other))
        self.classes = [key.name for key in self.wanted]
        self.namespaces = ["shop", "films"][: rng.choice((1, 1, 2))]
        for namespace in self.namespaces:
            for name in ("interactions", "items"):
                self._want(self._schema(namespace, name))
            for number in range(rng.choice((1, 1, 2))):
                self._draw_group(namespace, f"g{number}")

    def _draw_group(self, namespace: str, group: str) -> None:
        rng = self.rng
        chosen = {"engineClassName": rng.choice(self.classes)} if rng.random() < 0.5 else {}
        spec = self._shared(chosen)
        self._want(manifest("DatasetGroup", namespace, group, spec))
        types = ["Interactions", "Items"][: rng.choice((1, 1, 2))]
        for type_ in types:
            location = f"s3://data/{namespace}/{group}/{type_.lower()}/"
            self.world.bucket.objects[f"{location}1.csv"] = GOOD_DATA[type_]
            if rng.random() < 0.1:
                self.world.bucket.objects[f"{location}1.csv"] = b"NONSENSE\n1\n"
            import_: dict[str, Any] = {"source": {"s3": location}}
            if rng.random() < 0.3:
                import_["schedule"] = rng.choice(SCHEDULES)
                import_["onlyIfNewer"] = rng.random() < 0.5
            ref = {"datasetGroupRef": {"name": group}, "schemaRef": {"name": type_.lower()}}
            self._want(
                manifest(
                    "Dataset",
                    namespace,
                    f"{group}-{type_.lower()}",
                    self._shared({**ref, "type": type_, "import": import_}),
                )
            )
        for number in range(rng.choice((1, 1, 2))):
            self._draw_solution(namespace, group, f"{group}-s{number}")
        if rng.random() < 0.6:
            self._want(
                manifest(
                    "EventTracker",
                    namespace,
                    f"{group}-events",
                    self._shared({"datasetGroupRef": {"name": group}}),
                )
            )

    def _draw_solution(self, namespace: str, group: str, name: str) -> None:
        rng = self.rng
        training: dict[str, Any] = {}
        if rng.random() < 0.5:
            training["full"] = {"schedule": rng.choice(SCHEDULES)}
            if rng.random() < 0.2:
                training["full"]["timeZone"] = "Europe/Paris"
            training["onlyIfNewData"] = rng.random() < 0.2
            self._maybe(training, "startingDeadlineSeconds", 0.3, (120, 600))
        elif rng.random() < 0.15:
            training["owner"] = rng.choice(("Service", "None"))
        spec: dict[str, Any] = {
            "datasetGroupRef": {"name": group},
            "recipe": rng.choice(RECIPES),
            "training": training,
        }
        if rng.random() < 0.08:
            spec["recipe"] = "aws-no-such-recipe"
        if rng.random() < 0.05:
            spec["solutionConfig"] = {"algorithmHyperParameters": {"refused": "1"}}
        self._maybe(spec, "successfulVersionsHistoryLimit", 0.5, (1, 2))
        self._want(manifest("Solution", namespace, name, self._shared(spec)))
        if rng.random() < 0.2:
            self._want(
                manifest(
                    "SolutionVersion",
                    namespace,
                    f"{name}-by-hand",
                    self._shared({"solutionRef": {"name": name}}),
                )
            )
        for number in range(rng.choice((0, 1, 1, 2))):
            campaign: dict[str, Any] = {"solutionRef": {"name": name}}
            chance = rng.random()
            if chance < 0.15:
                campaign["version"] = {"name": f"{name}-by-hand"}
            elif chance < 0.25:
                campaign["campaignConfig"] = {"syncWithLatestSolutionVersion": True}
            self._want(manifest("Campaign", namespace, f"{name}-c{number}", self._shared(campaign)))

    def _schema(self, namespace: str, name: str) -> Manifest:
        fields = [{"name": column, "type": type_} for column, type_ in SCHEMAS[name]]
        avro = {"type": "record", "name": name.title().replace("-", ""), "fields": fields}
        return manifest("Schema", namespace, name, self._shared({"avro": avro}))

    def _shared(self, spec: dict[str, Any]) -> dict[str, Any]:
        self._maybe(spec, "deletionPolicy", 0.5, ("Delete", "Delete", "Retain"))
        self._maybe(spec, "driftPolicy", 0.2, ("Warn", "Ignore", "Correct"))
        self._maybe(spec, "adoptionPolicy", 0.05, ("Never", "Adopt"))
        self._maybe(spec, "tags", 0.2, ({"env": "test"}, {"env": "prod", "cost": "1"}))
        self._maybe(spec, "managementPolicy", 0.03, ("Observe",))
        return _allowed(spec)

    def _maybe(self, into: dict[str, Any], name: str, chance: float, values: Any) -> None:
        if self.rng.random() < chance:
            into[name] = copy.deepcopy(self.rng.choice(values))

    def _want(self, wanted: Manifest) -> None:
        self.wanted[key_of(wanted)] = wanted

    # --- acting ------------------------------------------------------------------------------

    def apply(self, key: Key) -> bool:
        """Apply one manifest, as `kubectl apply` does; False if it can't be applied now."""
        server = self.world.server
        wanted = self.wanted[key]
        found = server.get(key)
        if key.namespace and key.namespace not in server.terminating:
            server.create_namespace(key.namespace)
        try:
            if found is None:
                server.create(wanted)
            else:
                if found["metadata"].get("deletionTimestamp"):
                    return False
                spec = {**dict.fromkeys(found["spec"]), **wanted["spec"]}
                annotations = wanted["metadata"].get("annotations") or {}
                old = found["metadata"].get("annotations") or {}
                server.update(
                    key,
                    {
                        "spec": _replacing(found["spec"], spec),
                        "metadata": {"annotations": {**dict.fromkeys(old), **annotations}},
                    },
                )
        except StoreError as error:
            self.world.trace(f"user: {key} can't be applied: {error}")
            return False
        self.touched(key)
        return True

    def touched(self, key: Key) -> None:
        """Remember that a user has just changed something."""
        self.edited[key] = self.world.loop.time()

    def apply_all(self) -> None:
        """Apply everything, in any order."""
        keys = list(self.wanted)
        self.rng.shuffle(keys)
        for key in keys:
            self.apply(key)

    def act(self) -> None:
        """Do one thing a user may do."""
        rng = self.rng
        acts = (
            (self._edit, 8),
            (self._annotate, 4),
            (self._delete, 3),
            (self._delete_and_want_no_more, 2),
            (self._delete_namespace, 0.4),
            (self._new_data, 3),
            (self._by_hand, 1),
            (self.apply_all, 3),
        )
        rng.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()

    def _edit(self) -> None:
        if not self.wanted:
            return
        key = self.rng.choice(sorted(self.wanted))
        spec = self.wanted[key]["spec"]
        self._edit_shared(key.kind, spec)
        edit = getattr(self, f"_edit_{key.kind}", None)
        if edit is not None and self.rng.random() < 0.7:
            edit(key, spec)
        self.apply(key)

    def _edit_shared(self, kind: str, spec: dict[str, Any]) -> None:
        rng = self.rng
        if kind == "EngineClass":
            spec["deletionPolicy"] = rng.choice(("Delete", "Retain"))
            return
        match rng.randrange(6):
            case 0:
                spec["tags"] = rng.choice(({"env": "a"}, {"env": "b", "x": "y"}, {}))
            case 1:
                spec["suspend"] = rng.random() < 0.3
            case 2:
                spec["deletionPolicy"] = rng.choice(("Delete", "Delete", "Retain"))
            case 3:
                spec["driftPolicy"] = rng.choice(("Correct", "Correct", "Warn", "Ignore"))
            case 4:
                spec["managementPolicy"] = rng.choice(("Manage", "Manage", "Observe"))
            case _:
                pass
        _allowed(spec)

    def _edit_Campaign(self, key: Key, spec: dict[str, Any]) -> None:  # noqa: N802 - a kind
        rng, solution = self.rng, spec["solutionRef"]["name"]
        match rng.randrange(5):
            case 0 | 1:
                spec["minProvisionedTPS"] = rng.randrange(1, 9)
            case 2:
                spec["desiredState"] = rng.choice(("Running", "Running", "Stopped"))
            case 3:
                spec.pop("campaignConfig", None)
                versions = [
                    other.name
                    for other in sorted(self.world.server.objects)
                    if other.kind == "SolutionVersion"
                    and other.namespace == key.namespace
                    and other.name.startswith(solution)
                ]
                pinned = rng.random() < 0.5 and versions
                spec["version"] = {"name": rng.choice(versions)} if pinned else {"follow": "Latest"}
            case _:
                if "name" not in spec.get("version", {}):
                    spec["campaignConfig"] = {
                        "syncWithLatestSolutionVersion": rng.random() < 0.4,
                        "enableMetadataWithRecommendations": rng.random() < 0.5,
                    }

    def _edit_Solution(self, _key: Key, spec: dict[str, Any]) -> None:  # noqa: N802 - a kind
        rng = self.rng
        training = spec["training"]
        if spec["recipe"] == "aws-no-such-recipe" and rng.random() < 0.5:
            return
        match rng.randrange(3):
            case 0 if training.get("owner", "Operator") == "Operator":
                training["full"] = {
                    "schedule": rng.choice(SCHEDULES),
                    "suspend": rng.random() < 0.2,
                }
            case 1:
                spec["successfulVersionsHistoryLimit"] = rng.randrange(1, 4)
            case _ if training.get("owner", "Operator") != "Operator":
                training["owner"] = rng.choice(("Service", "None", "Operator"))
            case _:
                pass

    def _edit_Dataset(self, key: Key, spec: dict[str, Any]) -> None:  # noqa: N802 - a kind
        rng = self.rng
        match rng.randrange(3):
            case 0:
                source = f"s3://data/{key.namespace}/{key.name}/{rng.randrange(3)}/"
                self.world.bucket.objects[f"{source}1.csv"] = GOOD_DATA[spec["type"]]
                spec["import"] = {**spec.get("import", {}), "source": {"s3": source}}
            case 1 if spec["type"] == "Items":
                more = self._schema(key.namespace, "items-more")
                self.wanted.setdefault(key_of(more), more)
                self.apply(key_of(more))
                spec["schemaRef"] = {"name": "items-more"}
            case _ if "import" in spec:
                spec["import"]["suspend"] = rng.random() < 0.3
            case _:
                pass

    def _annotate(self) -> None:
        if not self.wanted:
            return
        rng = self.rng
        key = rng.choice(sorted(self.wanted))
        annotations = self.wanted[key]["metadata"].setdefault("annotations", {})
        self._token += 1
        match rng.randrange(4):
            case 0:
                annotations[ANNOTATION_PAUSED] = rng.choice(("true", "false"))
            case 1:
                annotations.pop(ANNOTATION_PAUSED, None)
                annotations[ANNOTATION_RECONCILE] = f"token-{self._token}"
            case _:
                key = rng.choice(
                    [k for k in sorted(self.wanted) if k.kind in {"Dataset", "Solution"}] or [key]
                )
                annotations = self.wanted[key]["metadata"].setdefault("annotations", {})
                annotations[ANNOTATION_RUN_NOW] = f"token-{self._token}"
        self.apply(key)

    def _delete(self) -> None:
        """Delete something that exists; what is wanted comes again with the next apply."""
        keys = [key for key in sorted(self.world.server.objects) if key.kind != "EngineClass"]
        if keys:
            self.delete(self.rng.choice(keys))

    def _delete_and_want_no_more(self) -> None:
        keys = [key for key in sorted(self.wanted) if key.kind != "EngineClass"]
        if keys:
            key = self.rng.choice(keys)
            del self.wanted[key]
            self.delete(key)

    def delete(self, key: Key) -> None:
        """Delete an object, if it is there."""
        if self.world.server.get(key) is not None:
            self.touched(key)
            self.world.server.delete(key)

    def _delete_namespace(self) -> None:
        if self.namespaces:
            namespace = self.rng.choice(self.namespaces)
            if namespace in self.world.server.namespaces:
                self.world.trace(f"user: deletes namespace {namespace}")
                for key in self.world.server.objects:
                    if key.namespace == namespace:
                        self.touched(key)
                self.world.server.delete_namespace(namespace)

    def _new_data(self) -> None:
        location = self.rng.choice(sorted(self.world.bucket.objects))
        good = GOOD_DATA["Items" if "items" in location else "Interactions"]
        self._token += 1
        row = b"u%d,i%d,%d\n" if "items" not in location else b"i%d,Drama\n"
        values = (self._token,) * row.count(b"%d")
        self.world.bucket.objects[location] = good + row % values
        if self.rng.random() < 0.1:
            self.world.bucket.objects[location] = b"NONSENSE,%d\n" % self._token
        self.world.trace(f"user: new data at {location}")

    def _by_hand(self) -> None:
        """Make a version or an import by hand, which nobody keeps in Git."""
        solutions = [key for key in sorted(self.wanted) if key.kind == "Solution"]
        if not solutions:
            return
        solution = self.rng.choice(solutions)
        self._token += 1
        made = manifest(
            "SolutionVersion",
            solution.namespace,
            f"{solution.name}-hand-{self._token}",
            self._shared({"solutionRef": {"name": solution.name}}),
        )
        self._want(made)
        self.apply(key_of(made))

    # --- in the end --------------------------------------------------------------------------

    def set_schedules(self, expression: str | None) -> None:
        """Let every Solution that the operator trains be trained by a schedule, or by none."""
        for key, wanted in self.wanted.items():
            training = wanted["spec"].get("training", {}) if key.kind == "Solution" else {}
            if key.kind != "Solution" or training.get("owner", "Operator") != "Operator":
                continue
            training.pop("onlyIfNewData", None)
            training.pop("full", None)
            training.pop("startingDeadlineSeconds", None)
            if expression is not None:
                training["full"] = {"schedule": expression}
            self.apply(key)

    def settle_down(self) -> None:
        """Want nothing more of schedules, pauses and bad data; apply everything once more."""
        for key, wanted in self.wanted.items():
            spec = wanted["spec"]
            if key.kind == "Solution" and "full" in spec["training"]:
                spec["training"]["full"]["suspend"] = True
            if key.kind == "Solution" and spec["training"].get("owner") == "Service":
                spec["training"]["owner"] = "None"  # the service trains when it likes
            if key.kind == "Dataset" and "schedule" in spec.get("import", {}):
                spec["import"].pop("schedule")
                spec["import"].pop("onlyIfNewer", None)
            spec.pop("suspend", None)
            annotations = wanted["metadata"].get("annotations", {})
            annotations.pop(ANNOTATION_PAUSED, None)
        self.apply_all()


def _allowed(spec: dict[str, Any]) -> dict[str, Any]:
    """Take out of a spec what the CRD refuses in one that only observes."""
    if spec.get("managementPolicy") == "Observe" and spec.get("deletionPolicy") == "Delete":
        del spec["deletionPolicy"]
    return spec


def _replacing(old: Any, new: Any) -> Any:
    """Return the merge patch that makes `old` be `new`."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {
        name: _replacing(old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())
    }
