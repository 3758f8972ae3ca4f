"""Who may talk to whom: NetworkPolicies of a dataset group, for all pods that work for it.

One policy closes every pod that carries the group's label, whatever its role and in both
directions, so that a role which is new is closed until a rule here opens it. The others each open
what some roles need. Ports are those of pods, for that is what most networks compare.

What can't be said is left open. The API server, which asks catalogs, has no address that is known
here: their port is open, and they want a token. So is what serves clients and Prometheus, unless
the class says where these are. Storage is named by a host, which policies can't name, and its port
is not the pod's where a Service stands before it: whoever reads or writes files may call anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reco.api.in_cluster import Peer
from reco.api.resource import Resource
from reco.engines.incluster import pods
from reco.engines.incluster.place import LABEL_GROUP, Place, owner_label, policy_name, store_name
from reco.workload.addresses import PORT, STORE_PORT

SERVING: Final = ("collector", "consumer", "ranker", "runtime")
"""Roles that answer clients at `PORT`, if only with health and metrics."""
USES_STORE: Final = ("collector", "consumer", "ranker")
USES_FILES: Final = ("catalog", "consumer", "import", "ranker", "train")
_DNS: Final = [
    {"port": port, "protocol": protocol} for port in (53, 5353) for protocol in ("UDP", "TCP")
]
"""Pods of OpenShift's DNS listen at 5353."""

Rule = Mapping[str, Any]


def policies(place: Place, group: Resource) -> list[dict[str, Any]]:
    """Return the policies of a group.

    What closes a managed store stays with it where the group is retained.
    """
    managed = place.settings.online_store.managed is not None
    dns: Rule = {"ports": _DNS}
    made = [
        _policy(place, group, policy_name(group, "closed"), (), holds_data=managed),
        _policy(place, group, policy_name(group, "catalog"), ("catalog",), ingress=[_ports(PORT)]),
        _policy(
            place,
            group,
            policy_name(group, "serving"),
            SERVING,
            ingress=[_clients(place) | _ports(PORT)],
        ),
        _policy(
            place,
            group,
            policy_name(group, "rankers"),
            ("ranker",),
            ingress=[{"from": [_pods(group, "runtime")], **_ports(PORT)}],
        ),
        _policy(
            place,
            group,
            policy_name(group, "outward"),
            # An online store of one's own is as unknown as storage is.
            USES_FILES if managed else (*USES_FILES, "collector"),
            egress=[{}],
        ),
        _policy(
            place,
            group,
            policy_name(group, "runtime"),
            ("runtime",),
            egress=[{"to": [_pods(group, "ranker")], **_ports(PORT)}, dns],
        ),
    ]
    if not managed:
        return made
    uses_store = [{"from": [_pods(group, *USES_STORE)], **_ports(STORE_PORT)}]
    reaches_store = [{"to": [_pods(group, "online-store")], **_ports(STORE_PORT)}, dns]
    return [
        *made,
        _policy(
            place,
            group,
            store_name(group),
            ("online-store",),
            holds_data=True,
            ingress=uses_store,
        ),
        _policy(
            place, group, policy_name(group, "collector"), ("collector",), egress=reaches_store
        ),
    ]


def _policy(
    place: Place,
    group: Resource,
    name: str,
    roles: Sequence[str],
    *,
    holds_data: bool = False,
    **rules: Sequence[Rule],
) -> dict[str, Any]:
    """Return a policy for pods of some roles, all of them if none is named; `rules` open them."""
    directions = [one.capitalize() for one in rules] or ["Ingress", "Egress"]
    return pods.named(
        place,
        group,
        "NetworkPolicy",
        name,
        "traffic",
        holds_data=holds_data,
        spec={
            "podSelector": _pods(group, *roles)["podSelector"],
            "policyTypes": directions,
            **rules,
        },
    )


def _clients(place: Place) -> dict[str, Any]:
    """Return who may be served, as part of a rule; nothing where it is anybody."""
    clients = place.settings.clients
    return {} if clients is None else {"from": [_peer(one) for one in clients]}


def _peer(client: Peer) -> dict[str, Any]:
    """Return a peer as the API server keeps it: a selector of all is an empty one."""
    return {
        name: {key: value for key, value in said.items() if value}
        for name, said in client.manifest().items()
    }


def _pods(group: Resource, *roles: str) -> dict[str, Any]:
    selector: dict[str, Any] = {"matchLabels": {LABEL_GROUP: owner_label(group.key)}}
    if roles:
        names = [f"reco-{role}" for role in roles]
        selector["matchExpressions"] = [
            {"key": "app.kubernetes.io/name", "operator": "In", "values": names}
        ]
    return {"podSelector": selector}


def _ports(number: int) -> dict[str, Any]:
    return {"ports": [{"port": number, "protocol": "TCP"}]}
