"""Create, describe, list and delete: one mechanism for all kinds, driven by their rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reco.emulator import paging, settling, training
from reco.emulator.errors import ServiceError, already_exists, in_use, invalid, limit_exceeded
from reco.emulator.errors import not_found as no_such
from reco.emulator.kinds import GOING, IN_PROGRESS, KINDS, Hold, Kind
from reco.emulator.model import answer_shape, project
from reco.emulator.store import Resource, Step
from reco.emulator.world import Call

References = Mapping[str, Resource]
"""The resources that a create request names, by the request's members."""

Attributes = dict[str, Any]

_MAX_TAGS = 50


def find_references(kind: Kind, call: Call) -> dict[str, Resource]:
    """Find what the request names, or refuse it."""
    return {
        reference.member: existing(KINDS[reference.kind], call, call.parameters[reference.member])
        for reference in kind.references
    }


def place_by_name(kind: Kind, call: Call, _: References) -> str:
    """Give the ARN's suffix of a kind whose names are unique in account and region."""
    return str(call.parameters[kind.name_member])


def echo(_kind: Kind, call: Call, _: References) -> Attributes:
    """Show what was sent."""
    return {name: value for name, value in call.parameters.items() if name != "tags"}


@dataclass(frozen=True, slots=True)
class Rules:
    """How the creation of a kind differs from the generic one.

    ``refer`` finds what the request names, ``place`` gives the ARN's suffix and refuses a place
    that is taken, ``attributes`` makes the last checks and gives what Describe will show,
    ``answer`` names the attributes that the answer shows beside the ARN, ``phases`` gives labels
    of durations and ``created`` starts whatever a creation starts.
    """

    refer: Callable[[Kind, Call], dict[str, Resource]] = find_references
    place: Callable[[Kind, Call, References], str] = place_by_name
    attributes: Callable[[Kind, Call, References], Attributes] = echo
    answer: tuple[str, ...] = ()
    phases: Callable[[Kind, Attributes], tuple[str, ...]] = lambda kind, _: (kind.name,)
    created: Callable[[Call, Resource], None] = lambda _call, _resource: None


def existing(kind: Kind, call: Call, arn: str) -> Resource:
    """Find a resource of the caller's or refuse the call in the kind's own words."""
    resource = call.get(kind.name, arn)
    if resource is None:
        raise no_such(kind.missing.format(arn=arn))
    return resource


def create(kind: Kind, rules: Rules, call: Call) -> dict[str, Any]:
    """Create a resource: references, name, states, quotas and the kind's own checks, in order.

    A taken name is told before the quotas, so that a caller whose first answer was lost learns
    that its resource exists even where the quota is used up.
    """
    references = rules.refer(kind, call)
    arn = call.arn(kind.noun, rules.place(kind, call, references))
    store = call.world.store
    if store.get(arn) is not None:
        raise already_exists(f"Another resource with Arn {arn} already exists.")
    for reference in references.values():
        require_active(reference)
    parent = references[kind.parent.member] if kind.parent else None
    group = None if parent is None else parent.dataset_group or parent.arn
    _check_quotas(kind, call, group)
    tags = {tag["tagKey"]: tag["tagValue"] for tag in call.parameters.get("tags", ())}
    _check_tag_count(len(tags))
    attributes = rules.attributes(kind, call, references)
    resource = Resource(
        arn=arn,
        kind=kind.name,
        account=call.account,
        region=call.region,
        name=str(attributes.get(kind.name_member, "")),
        created=call.now,
        updated=call.now,
        status="CREATE PENDING" if kind.has_status else None,
        parent=parent.arn if parent else None,
        dataset_group=group,
        attributes=attributes,
    )
    if kind.has_status:
        phase = call.world.settings.phase(*rules.phases(kind, attributes))
        if phase.pending < phase.total:
            resource.plan.append(Step(call.now + phase.pending, "CREATE IN_PROGRESS"))
        resource.plan.append(
            Step(call.now + phase.total, "CREATE FAILED", reason=call.failure)
            if call.failure
            else Step(call.now + phase.total, "ACTIVE")
        )
    store.put(resource)
    store.tag(arn, tags)
    rules.created(call, resource)
    settling.settle(call.world, call.now)
    shown = {name: attributes[name] for name in rules.answer if attributes.get(name)}
    return {kind.arn_member: arn, **shown}


def describe(kind: Kind, call: Call) -> dict[str, Any]:
    """Show a resource with the members of the Describe answer's shape."""
    resource = existing(kind, call, call.parameters[kind.arn_member])
    values = _values(kind, resource)
    if kind.name == "Solution":
        latest = training.newest(call.world, resource.arn)
        if latest is not None:
            values["latestSolutionVersion"] = _values(KINDS["SolutionVersion"], latest)
    shape = answer_shape(f"Describe{kind.name}", kind.member)
    return {kind.member: project(shape, values)}


def list_all(kind: Kind, call: Call) -> dict[str, Any]:
    """List summaries: in ARN order, or the most recently updated first under a given parent."""
    parent = kind.parent and call.parameters.get(kind.parent.member)
    size = min(call.world.settings.page_size, call.parameters.get("maxResults", paging.LONGEST))
    found = call.world.store.page(
        kind.name,
        {"account": call.account, "region": call.region, **({"parent": parent} if parent else {})},
        newest_first=bool(parent),
        after=paging.start(call.parameters, *((float, str) if parent else (str,))),
        created_until=call.now - call.list_lag,
        limit=size + 1,
    )
    chosen, token = paging.cut(
        found, size, lambda one: [-one.updated, one.arn] if parent else [one.arn]
    )
    shape = answer_shape(f"List{kind.name}s", kind.list_member)
    return {kind.list_member: [project(shape, _values(kind, one)) for one in chosen], **token}


def delete(kind: Kind, call: Call) -> dict[str, Any]:
    """Start a deletion, unless something still needs the resource or it is changing."""
    resource = existing(kind, call, call.parameters[kind.arn_member])
    require_settled(resource)
    for hold in kind.holds:
        if _is_held(hold, call, resource):
            raise in_use(hold.text.format(arn=resource.arn))
    if kind.has_status:
        phase = call.world.settings.phase(f"{kind.name}Delete")
        resource.status = "DELETE PENDING"
        resource.updated = call.now
        resource.plan = [Step(call.now + phase.total, settling.GONE)]
        if phase.pending < phase.total:
            resource.plan.insert(0, Step(call.now + phase.pending, "DELETE IN_PROGRESS"))
        call.world.store.put(resource)
        settling.settle(call.world, call.now)
    else:
        settling.vanish(call.world, resource)
    return {}


def require_active(resource: Resource) -> None:
    """Refuse to build on something that is not ACTIVE (yet, or ever)."""
    if resource.status in {None, "ACTIVE"}:
        return
    words = {
        "DatasetGroup": "dataset group",
        "DatasetImportJob": "dataset import job",
        "SolutionVersion": "solution",
        "EventTracker": "event tracker",
    }.get(resource.kind, resource.kind.lower())
    text = f"The given {words} must be in the ACTIVE state: {resource.arn}"
    transitional = resource.status in IN_PROGRESS | GOING
    raise in_use(text) if transitional else invalid(text)


def require_settled(resource: Resource) -> None:
    """Refuse to change or delete what is being created, updated or deleted."""
    update = settling.latest_update(resource)
    changing = resource.status in IN_PROGRESS | GOING
    if changing or (update and update["status"] not in settling.ENDED):
        status = resource.status if changing else update and update["status"]
        raise in_use(f"Resource {resource.arn} is in {status} state. Please try again later.")


def _values(kind: Kind, resource: Resource) -> Attributes:
    return {
        kind.name_member: resource.name,
        kind.arn_member: resource.arn,
        "status": resource.status,
        "creationDateTime": resource.created,
        "lastUpdatedDateTime": resource.updated,
        **resource.attributes,
    }


def _is_held(hold: Hold, call: Call, resource: Resource) -> bool:
    wanted = getattr(resource, hold.via)
    holders = call.world.store.states(hold.kind, **{hold.by: wanted})
    return bool(holders.keys() & IN_PROGRESS if hold.in_progress else holders)


def _check_quotas(kind: Kind, call: Call, group: str | None) -> None:
    for quota in kind.quotas:
        limit = call.quotas.get(kind.name, quota.limit)
        here = {"account": call.account, "region": call.region}
        scope = {"dataset_group": group} if quota.scope == "dataset_group" else here
        states = call.world.store.states(kind.name, **scope)
        counted = {
            status: number
            for status, number in states.items()
            if (status in IN_PROGRESS if quota.in_progress else status != "CREATE FAILED")
        }
        if sum(counted.values()) >= limit:
            all_active = counted.keys() <= {None, "ACTIVE"}
            raise limit_exceeded(quota.text(limit, all_active=all_active))


def _check_tag_count(count: int) -> None:
    if count > _MAX_TAGS:
        raise ServiceError(
            "TooManyTagsException", f"A resource cannot have more than {_MAX_TAGS} tags."
        )


def taggable(call: Call) -> Resource:
    """Find the resource that a tag operation names."""
    arn = call.parameters["resourceArn"]
    resource = call.world.store.get(arn)
    if resource is None or not call.here(resource):
        raise no_such(f"Resource Arn {arn} does not exist.")
    if not KINDS[resource.kind].taggable:
        raise invalid(f"Resource Arn {arn} is of a type that cannot be tagged.")
    return resource


def list_tags(call: Call) -> dict[str, Any]:
    """Show the tags of a resource; Describe never does."""
    tags = call.world.store.tags(taggable(call).arn)
    return {"tags": [{"tagKey": key, "tagValue": tags[key]} for key in tags]}


def tag(call: Call) -> dict[str, Any]:
    """Add or replace tags of a resource."""
    resource = taggable(call)
    new = {one["tagKey"]: one["tagValue"] for one in call.parameters["tags"]}
    _check_tag_count(len({**call.world.store.tags(resource.arn), **new}))
    call.world.store.tag(resource.arn, new)
    return {}


def untag(call: Call) -> dict[str, Any]:
    """Remove tags of a resource; those it doesn't have are no matter."""
    call.world.store.untag(taggable(call).arn, call.parameters["tagKeys"])
    return {}
