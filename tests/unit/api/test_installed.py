"""What CRDs that are installed lack is found, and named."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from reco.api.crds import crd
from reco.api.installed import describe, lacking
from reco.api.kinds import KINDS
from reco.api.vocabulary import GROUP, VERSION


def published() -> dict[str, Any]:
    """Return what an API server with our own CRDs publishes."""
    schemas = {
        f"dev.reco.{VERSION}.{name}": {
            **copy.deepcopy(crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]),
            "x-kubernetes-group-version-kind": [{"group": GROUP, "kind": name, "version": VERSION}],
        }
        for name, kind in KINDS.items()
    }
    return {"components": {"schemas": schemas}}


def part(document: dict[str, Any], kind: str, *path: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][f"dev.reco.{VERSION}.{kind}"]
    for name in path:
        found = found["properties"][name]
    return found


def test_our_own_lack_nothing() -> None:
    assert lacking(published()) == {}
    assert describe({}) is None


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, tuple[Change, dict[str, list[str]]]] = {
    "a field of the status": (
        lambda one: part(one, "SolutionVersion", "status")["properties"].pop("intent"),
        {"SolutionVersion": ["status.intent"]},
    ),
    "a field within a field": (
        lambda one: part(one, "Campaign", "status", "intent")["properties"].pop("name"),
        {"Campaign": ["status.intent.name"]},
    ),
    "a field of list entries": (
        lambda one: part(one, "Campaign", "status", "conditions")["items"]["properties"].pop(
            "reason"
        ),
        {"Campaign": ["status.conditions[].reason"]},
    ),
    "a word of an enum": (
        lambda one: part(one, "Campaign", "spec", "desiredState")["enum"].remove("Stopped"),
        {"Campaign": ["spec.desiredState: Stopped"]},
    ),
    "a longer text": (
        lambda one: part(one, "DatasetGroup", "status", "lastHandledReconcileAt").update(
            maxLength=64
        ),
        {"DatasetGroup": ["status.lastHandledReconcileAt: maxLength 64, needs 256"]},
    ),
    "another type": (
        lambda one: part(one, "Campaign", "spec", "minProvisionedTPS").update(type="string"),
        {"Campaign": ["spec.minProvisionedTPS"]},
    ),
    "a kind": (
        lambda one: one["components"]["schemas"].pop(f"dev.reco.{VERSION}.EventTracker"),
        {"EventTracker": ["the whole kind"]},
    ),
    "nothing that matters: theirs have more": (
        lambda one: part(one, "Campaign", "spec")["properties"].update(new={"type": "string"}),
        {},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_older_ones_lack(what: str) -> None:
    change, expected = CHANGES[what]
    document = published()
    change(document)
    assert lacking(document) == expected


def test_what_is_lacking_is_told_in_one_line() -> None:
    text = describe({"SolutionVersion": ["status.intent"], "Campaign": ["spec.a", "spec.b"]})
    assert text == (
        "the installed CRDs are older than this operator and lack Campaign: spec.a, spec.b;"
        " SolutionVersion: status.intent; install its CRDs"
    )
