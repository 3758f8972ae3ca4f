"""Which pods may talk to which: every pod of the engine is closed but for what it needs."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reco.engines.incluster.drivers import DRIVERS
from tests.unit.engines.incluster.test_specs import Estate, objects, place

OWN_STORE = {"onlineStore": {"url": "redis://valkey:6379"}}
STORES = pytest.mark.parametrize("settings", [{}, OWN_STORE], ids=["managed", "own"])
Labels = Mapping[str, str]


def templates(settings: dict[str, Any], name: str = "movies") -> dict[str, Labels]:
    """Return the labels of all pods of a group with everything below it, by role."""
    return {
        one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]: one["spec"][
            "template"
        ]["metadata"]["labels"]
        for kind in DRIVERS
        for one in objects(kind, place(**settings), Estate(name))
        if "template" in one.get("spec", {})
    }


def policies(settings: dict[str, Any]) -> list[dict[str, Any]]:
    made = objects("DatasetGroup", place(**settings))
    return [one["spec"] for one in made if one["kind"] == "NetworkPolicy"]


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Match labels as Kubernetes does; an expression that is unknown here is an error."""
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        return False
    for one in selector.get("matchExpressions", ()):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    return True


def rules(settings: dict[str, Any], labels: Labels, direction: str) -> Iterator[dict[str, Any]]:
    """Give what the policies that select a pod allow in a direction."""
    for one in policies(settings):
        if selects(one["podSelector"], labels) and direction in one["policyTypes"]:
            yield from one.get(direction.lower(), ())


def peers(settings: dict[str, Any], labels: Labels, direction: str, key: str) -> dict[int, Any]:
    """Return by port the roles that may be talked to, or None for anybody; port 0 is any."""
    found: dict[int, Any] = {}
    for rule in rules(settings, labels, direction):
        chosen = [one["podSelector"] for one in rule.get(key, ()) if "podSelector" in one]
        roles = sorted(
            role
            for role, other in templates(settings).items()
            if any(selects(selector, other) for selector in chosen)
        )
        for port in rule.get("ports", [{"port": 0}]):
            found[port["port"]] = roles if key in rule else None
    return found


ROLES = ("catalog", "collector", "consumer", "import", "ranker", "runtime", "train")


@STORES
def test_r14_every_pod_is_closed_in_both_directions_by_default(settings: dict[str, Any]) -> None:
    managed = () if settings else ("online-store",)
    found = templates(settings)
    assert sorted(found) == sorted(f"reco-{role}" for role in (*ROLES, *managed))

    for role, labels in found.items():
        closing = [
            one
            for one in policies(settings)
            if selects(one["podSelector"], labels)
            and not one.get("ingress")
            and not one.get("egress")
            and sorted(one["policyTypes"]) == ["Egress", "Ingress"]
        ]
        assert closing, role


@STORES
def test_r14_what_may_be_reached_is_what_serves(settings: dict[str, Any]) -> None:
    users = ["reco-collector", "reco-consumer", "reco-ranker"]
    for role, labels in templates(settings).items():
        allowed = peers(settings, labels, "Ingress", "from")
        if role in {"reco-import", "reco-train"}:
            assert allowed == {}, role
        elif role == "reco-online-store":
            assert allowed == {6379: users}
        else:
            assert None in [rule.get("from") for rule in rules(settings, labels, "Ingress")], role
            assert allowed.keys() == {8080}, role


def test_r14_a_class_says_who_is_served() -> None:
    shop = {"namespaceSelector": {"matchLabels": {"team": "shop"}}}
    outside = {"ipBlock": {"cidr": "10.0.0.0/8"}}
    settings = {"clients": [shop, outside]}
    found = templates(settings)

    def let_in(role: str) -> list[Any]:
        return [one.get("from") for one in rules(settings, found[f"reco-{role}"], "Ingress")]

    for role in ("runtime", "collector", "consumer"):
        assert let_in(role) == [[shop, outside]]
    assert [shop, outside] in let_in("ranker")
    allowed = peers(settings, found["reco-ranker"], "Ingress", "from")
    assert allowed == {8080: ["reco-runtime"]}
    assert let_in("catalog") == [None]


def test_who_talks_to_known_pods_alone_reaches_no_other() -> None:
    dns = {53: None, 5353: None}
    found = templates({})

    def reached(role: str) -> dict[int, Any]:
        return peers({}, found[role], "Egress", "to")

    assert reached("reco-online-store") == {}
    assert reached("reco-runtime") == {8080: ["reco-ranker"]} | dns
    assert reached("reco-collector") == {6379: ["reco-online-store"]} | dns
    for role in ("catalog", "consumer", "import", "ranker", "train"):
        assert reached(f"reco-{role}") == {0: None}, role
    own = templates(OWN_STORE)
    assert peers(OWN_STORE, own["reco-collector"], "Egress", "to") == {0: None}


def test_r14_pods_of_another_group_are_selected_by_none_of_its_rules() -> None:
    for labels in templates({}, "books").values():
        for one in policies({}):
            assert not selects(one["podSelector"], labels)
        for ingress in (rule for one in policies({}) for rule in one.get("ingress", ())):
            assert not any(selects(peer["podSelector"], labels) for peer in ingress.get("from", ()))


def test_r5_what_closes_a_store_stays_with_it() -> None:
    made = objects("DatasetGroup", place())
    kept = {one["metadata"]["name"] for one in made if "ownerReferences" not in one["metadata"]}
    assert kept == {"movies-online-store", "movies-closed"}
