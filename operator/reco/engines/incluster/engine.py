"""The engine in the cluster: what specs come to as objects, and the calls that change them."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from reco.api.in_cluster import InClusterSettings
from reco.api.resource import Key, Resource
from reco.api.tenancy import Tenancy
from reco.decide import names
from reco.decide.model import (
    MOVING,
    Absent,
    Desired,
    EngineView,
    ErrorClass,
    Failure,
    Observed,
    State,
    Unsupported,
    Waiting,
)
from reco.decide.references import References, blocker, tags_of
from reco.engines.incluster import pods
from reco.engines.incluster.catalog import Catalogs
from reco.engines.incluster.cluster import LABEL_OWNER, Cluster
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.drivers import DRIVERS, Driver
from reco.engines.incluster.failures import classed
from reco.engines.incluster.judging import Judged, Seen
from reco.engines.incluster.known import Known
from reco.engines.incluster.objects import Manifest, key_of, manifest, reference, within
from reco.engines.incluster.place import ANNOTATION_TAGS, Place, owner_label
from reco.engines.incluster.records import OFFERED
from reco.engines.incluster.rendering import Rendered, manifests
from reco.engines.port import Capabilities, EngineError
from reco.workload.addresses import arn

PROGRESS_SECONDS: Final = 10.0
"""How often a Job that runs is asked how far it is."""
_FEATURES: Final = (*DRIVERS, "Dataset.import", "Dataset.import.source.persistentVolumeClaim")


class InClusterEngine:
    """One EngineClass of engine `InCluster`."""

    def __init__(
        self,
        engine_class: Resource,
        cluster: Cluster,
        *,
        cluster_id: str,
        time: Callable[[], float],
        credentials: Credentials,
    ) -> None:
        """Prepare; `run` starts to look.

        Args:
            engine_class: the class.
            cluster: its objects.
            cluster_id: marks what lies in storage as this cluster's.
            time: monotonic seconds.
            credentials: derives what is told to pods by Secrets.

        Raises:
            ValueError: if the class has no `spec.inCluster`.
        """
        settings = settings_of(engine_class)
        self._view = EngineView(
            class_name=engine_class.key.name,
            deletion_policy=engine_class.spec.deletion_policy,
            tenancy=engine_class.spec.tenancy or Tenancy(),
            changes_any_time=True,
            keeps_data=True,
        )
        self._cluster = cluster
        self._known = Known(
            Place(settings, self._view, cluster_id, credentials, cluster.watches),
            cluster,
            Catalogs(cluster, credentials, time),
            time,
        )
        self._owners: dict[str, Key] = {}
        self._seen: dict[str, Resource] = {}  # by id, as of the latest look
        self._moving: set[Key] = set()

    @property
    def view(self) -> EngineView:
        """What decisions need to know of this engine."""
        return self._view

    async def capabilities(self) -> Capabilities:
        """Wait until the cluster lets us look at its objects, and say what the engine offers."""
        await self._cluster.ready()
        return Capabilities(sorted(_FEATURES), sorted(OFFERED))

    # What is wanted

    def desired(
        self, resource: Resource, references: References
    ) -> Desired | Waiting | Unsupported:
        """Translate a spec into the objects that it is to have."""
        if resource.spec is None:
            return Unsupported(f"the spec can't be read: {resource.problem}")
        waiting = blocker(resource, references)
        if waiting is not None:
            return waiting
        driver = DRIVERS[resource.key.kind]
        rendered = driver.render(resource, references, self._known.place)
        if not isinstance(rendered, Rendered):
            return rendered
        fields = rendered.fields()
        return Desired(
            name=names.external_name(resource),
            fields=fields,
            mutable=frozenset() if rendered.fixed else frozenset(fields),
            tags=tags_of(resource, references),
            input=rendered.input,
            once={
                "id": driver.id_of(resource, references),
                "secrets": tuple(rendered.secrets),
            },
        )

    # What is there

    async def observe(
        self,
        resource: Resource,
        desired: Desired | Waiting | Unsupported,
        *,
        fresh: bool = False,
        tags: bool = False,
    ) -> Observed | Absent:
        """Look at a resource's objects; see `Engine.observe`."""
        del tags  # they stand on every object
        await self._cluster.ready()
        driver = DRIVERS[resource.key.kind]
        self._owners[owner_label(resource.key)] = resource.key
        wanted = desired if isinstance(desired, Desired) else None
        with classed(f"Get{resource.key.kind}"):
            objects = self._cluster.owned(resource.key.namespace, owner_label(resource.key))
            main = await self._main(driver, wanted, objects)
        seen = Seen(resource, wanted, main, objects, fresh)
        if main is None and not await self._can_tell(driver, seen):
            leftovers = [one for one in objects if one["kind"] != "Pod"]
            if resource.deleted is None or not leftovers:
                return Absent()
            seen = replace(seen, main=leftovers[0])
            judged: Judged | Absent = Judged()
        else:
            judged = await driver.judge(self._known, seen)
        if isinstance(judged, Absent):
            return judged
        if resource.deleted is not None and not driver.stops_first:
            # Nothing here has to be ready, or done, before it can be deleted.
            judged = replace(judged, state=State.ACTIVE)
        observed = self._observed(seen, judged)
        self._seen[observed.id] = resource
        if observed.state in MOVING or observed.update is not None:
            self._moving.add(resource.key)
        else:
            self._moving.discard(resource.key)
        return observed

    async def _main(
        self, driver: Driver, wanted: Desired | None, objects: Sequence[Manifest]
    ) -> Manifest | None:
        kind, role = driver.main
        for one in objects:
            if one["kind"] == kind and pods.plays(one, role):
                return one
        if wanted is None:
            return None
        # Somebody else's object may stand under the name, and the view shows only ours.
        return await self._cluster.find(key_of(next(iter(wanted.fields.values()))))

    async def _can_tell(self, driver: Driver, seen: Seen) -> bool:
        """Whether something may be there without a main object, and there is somebody to ask."""
        key = driver.beyond(seen)
        if key is None:
            return False
        with classed(f"Get{key.kind}"):
            return await self._cluster.find(key) is not None

    def _observed(self, seen: Seen, judged: Judged) -> Observed:
        resource, wanted, main = seen.resource, seen.desired, seen.main
        fields: dict[str, Any] = dict(judged.extra)
        live = {key_of(one): one for one in seen.objects}
        if main is not None:
            live.setdefault(key_of(main), main)
        if wanted is not None:
            for name, one in manifests(wanted.fields).items():
                found = live.get(key_of(one))
                fields[name] = within(one, found) if found is not None else None
            if main is None:
                # What was made is all there is: its Job is no longer needed.
                fields = dict(wanted.fields)
        annotations = (main["metadata"].get("annotations") or {}) if main is not None else None
        created = judged.created
        if created is None and main is not None:
            created = datetime.fromisoformat(main["metadata"]["creationTimestamp"])
        going = main is not None and main["metadata"].get("deletionTimestamp") is not None
        external = resource.status.external
        recorded = external.arn if external is not None else None
        return Observed(
            id=str(wanted.once["id"]) if wanted is not None else recorded or self._id(resource),
            name=names.external_name(resource),
            state=State.DELETING if going else judged.state,
            fields=fields,
            created=created or resource.created,
            doing=judged.doing,
            failure=judged.failure,
            refused=judged.refused,
            update=judged.update,
            tags=_read_tags(annotations) if annotations is not None else None,
            details=judged.details,
        )

    def _id(self, resource: Resource) -> str:
        return arn(DRIVERS[resource.key.kind].noun, names.external_name(resource))

    # What to do

    async def turn(self) -> None:
        """Return at once: the API server itself says when it is asked too much."""

    async def create(self, kind: str, desired: Desired, tags: Mapping[str, str]) -> str:
        """Make a resource's objects and return its id."""
        with classed(f"Create{kind}"):
            objects = list(manifests(desired.fields).values())
            await self._check_owner(kind, objects)
            for one in objects[1:]:
                await self._cluster.apply(_annotated(one, tags))
            await self._make_secrets(desired)
            # The object that stands for the whole comes last: it says that all is there.
            await self._cluster.apply(_annotated(objects[0], tags))
        return str(desired.once["id"])

    async def _check_owner(self, kind: str, objects: Sequence[Manifest]) -> None:
        for one in objects:
            found = await self._cluster.find(key_of(one))
            if found is not None and not _same_owner(found, one):
                raise _taken(kind, one)

    async def _make_secrets(self, desired: Desired) -> None:
        """Make those Secrets that are not there; one that is stays as it is.

        Each goes along with what owns it, so that nobody need be allowed to delete Secrets.
        """
        objects = manifests(desired.fields)
        main = next(iter(objects.values()))["metadata"]
        for secret in desired.once["secrets"]:
            owners = main.get("ownerReferences", [])
            if secret.goes_with is not None:
                owner = await self._cluster.find(key_of(objects[secret.goes_with]))
                if owner is None:
                    continue  # deleted since: whoever makes it anew makes its Secret, too
                owners = [reference(owner)]
            made = manifest(
                "Secret",
                main["namespace"],
                secret.name,
                main["labels"],
                stringData={secret.key: secret.value},
            )
            made["metadata"]["ownerReferences"] = owners
            await self._cluster.create_once(made)

    async def update(
        self, kind: str, observed: Observed, fields: Mapping[str, Any], desired: Desired
    ) -> None:
        """Apply those of a resource's objects that differ."""
        with classed(f"Update{kind}"):
            objects = list(manifests(fields).values())
            await self._check_owner(kind, objects)
            for one in objects:
                await self._cluster.apply(_annotated(one, observed.tags or {}))
            await self._make_secrets(desired)

    async def tag(
        self, kind: str, observed: Observed, set_: Mapping[str, str], remove: Sequence[str]
    ) -> None:
        """Set and remove tags: they are annotations of all objects."""
        tags = {**(observed.tags or {}), **set_}
        for key in remove:
            tags.pop(key, None)
        with classed(f"Tag{kind}"):
            for one in self._objects_of(self._seen[observed.id]):
                await self._cluster.annotate(key_of(one), _annotations(tags))

    async def stop(self, kind: str, observed: Observed) -> None:
        """Stop a Job that has not ended, by deleting it."""
        with classed(f"Stop{kind}"):
            for one in self._objects_of(self._seen[observed.id]):
                await self._cluster.delete(one)

    async def delete(self, kind: str, observed: Observed) -> None:
        """Delete a resource's objects, and before them what they keep in storage."""
        resource = self._seen[observed.id]
        driver = DRIVERS[kind]
        if driver.delete_before is not None and resource.deleted is not None:
            await driver.delete_before(self._known, resource, observed)
        with classed(f"Delete{kind}"):
            for one in sorted(self._objects_of(resource), key=driver.goes_last):
                await self._cluster.delete(one)

    def _objects_of(self, resource: Resource) -> list[Manifest]:
        """Return what was made for a resource; pods go with what made them."""
        owned = self._cluster.owned(resource.key.namespace, owner_label(resource.key))
        return [one for one in owned if one["kind"] != "Pod"]

    # Watching

    async def run(self, notify: Callable[[Key], None]) -> None:
        """Watch the objects until cancelled, and name each resource whose object changed."""

        def changed(one: Manifest) -> None:
            label = (one["metadata"].get("labels") or {}).get(LABEL_OWNER, "")
            key = self._owners.get(label)
            if key is not None:
                notify(key)

        async with asyncio.TaskGroup() as group:
            group.create_task(self._cluster.run(changed))
            group.create_task(self._follow(notify))

    async def _follow(self, notify: Callable[[Key], None]) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            for key in sorted(self._moving):
                notify(key)

    def forget(self, key: Key) -> None:
        """Stop watching for a resource that is gone."""
        self._owners.pop(owner_label(key), None)
        self._moving.discard(key)
        for id_ in [id_ for id_, one in self._seen.items() if one.key == key]:
            del self._seen[id_]


def settings_of(engine_class: Resource) -> InClusterSettings:
    """Return what an EngineClass says of the engine in the cluster.

    Raises:
        ValueError: if it says nothing, or nothing that can be read.
    """
    settings: InClusterSettings | None = getattr(engine_class.spec, "in_cluster", None)
    if settings is None:
        why = engine_class.problem or "it is left out"
        raise ValueError(f"spec.inCluster is needed, and can't be used: {why}")
    return settings


def _annotations(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags as annotations: whose it is under keys of their own, a user's as one."""
    owner = {key: tags[key] for key in names.OWNERSHIP_TAGS if key in tags}
    return owner | {ANNOTATION_TAGS: json.dumps(names.user_tags(tags), sort_keys=True)}


def _read_tags(annotations: Mapping[str, str]) -> dict[str, str]:
    owner = {key: annotations[key] for key in names.OWNERSHIP_TAGS if key in annotations}
    try:
        users = json.loads(annotations.get(ANNOTATION_TAGS, "{}"))
    except ValueError:
        users = {}  # somebody wrote it by hand: as good as no tags
    return {**owner, **{str(key): str(value) for key, value in users.items()}}


def _annotated(one: Manifest, tags: Mapping[str, str]) -> Manifest:
    metadata = one["metadata"]
    annotations = {**(metadata.get("annotations") or {}), **_annotations(tags)}
    return {**one, "metadata": {**metadata, "annotations": annotations}}


def _same_owner(found: Manifest, wanted: Manifest) -> bool:
    def owner(one: Manifest) -> object:
        return (one["metadata"].get("labels") or {}).get(LABEL_OWNER)

    return owner(found) == owner(wanted)


def _taken(kind: str, one: Manifest) -> EngineError:
    key = key_of(one)
    return EngineError(
        Failure(
            ErrorClass.EXISTS,
            f"{key.kind} {key.namespace}/{key.name} exists already and is not this resource's:"
            " delete or rename what it belongs to, or give this resource another name",
            f"Create{kind}",
        )
    )
