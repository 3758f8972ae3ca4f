"""The CRDs on a real API server: what it accepts, refuses, fills in and shows.

A file of the corpus is a stream of manifests that are applied in turn, each an edit of the one
before. In `refused/` the last one must be refused, with the text that the first line names. Where a
line says so, the external object is made, or only found, after each manifest, as the operator would
record it.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.control_plane import ControlPlane
from hack.kube_access import KubectlError
from reco.api.kinds import KINDS, Kind
from reco.api.vocabulary import API_VERSION
from tests.unit.api.verdicts import manifests

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
PUBLISHED = [
    *sorted((ROOT / "examples").rglob("*.yaml")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "README.md",
]
EXPECTATION = "# refused: "
FOUND = {"external": {"name": "made"}}
MADE = {**FOUND, "applied": {"digest": "0", "generation": 1}}
STATUS = {"# made: true": MADE, "# found: true": FOUND}
SHARED_NAMESPACE = "default"  # every file of the corpus has a name of its own


def corpus(folder: str) -> list[Path]:
    return sorted((CORPUS / folder).glob("*.yaml"))


def apply(plane: ControlPlane, namespace: str, manifest: object) -> str:
    return plane.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(manifest))


def apply_in_turn(plane: ControlPlane, manifest: dict[str, Any], text: str) -> None:
    """Apply one manifest of a file of the corpus, and write the status that the file asks for."""
    apply(plane, SHARED_NAMESPACE, manifest)
    target = f"{manifest['kind']}/{manifest['metadata']['name']}"
    for line in STATUS.keys() & set(text.splitlines()):
        write_status(plane, SHARED_NAMESPACE, target, STATUS[line])


def campaign(name: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Campaign",
        "metadata": {"name": name},
        "spec": {"solutionRef": {"name": "movies"}, **spec},
    }


@pytest.mark.parametrize("path", corpus("accepted"), ids=lambda path: path.stem)
def test_a_good_manifest_and_each_edit_of_it_are_accepted(crds: ControlPlane, path: Path) -> None:
    text = path.read_text()
    for manifest in yaml.safe_load_all(text):
        apply_in_turn(crds, manifest, text)


@pytest.mark.parametrize("path", corpus("refused"), ids=lambda path: path.stem)
def test_a_bad_manifest_or_edit_is_refused_with_a_text_that_says_what_is_allowed(
    crds: ControlPlane, path: Path
) -> None:
    text = path.read_text()
    *before, bad = yaml.safe_load_all(text)
    for manifest in before:
        apply_in_turn(crds, manifest, text)

    with pytest.raises(KubectlError) as refusal:
        apply(crds, SHARED_NAMESPACE, bad)

    assert text.partition("\n")[0].removeprefix(EXPECTATION) in str(refusal.value)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_every_manifest_we_publish_is_accepted(
    crds: ControlPlane, namespace: str, path: Path
) -> None:
    for _, manifest in manifests(path):
        metadata = manifest["metadata"] | {"namespace": namespace}
        apply(crds, namespace, manifest | {"metadata": metadata})


def test_a_resource_nobody_has_looked_at_does_not_look_finished(
    crds: ControlPlane, namespace: str
) -> None:
    apply(crds, namespace, campaign("unseen"))

    shown = json.loads(crds.kubectl("-n", namespace, "get", "campaign", "unseen", "-o", "json"))

    assert shown["status"] == {"observedGeneration": -1}


def test_defaults_are_filled_in_by_the_api_server(crds: ControlPlane, namespace: str) -> None:
    apply(crds, namespace, campaign("plain"))

    shown = json.loads(crds.kubectl("-n", namespace, "get", "campaign", "plain", "-o", "json"))

    assert shown["spec"] == {
        "solutionRef": {"name": "movies"},
        "suspend": False,
        "managementPolicy": "Manage",
        "adoptionPolicy": "AdoptOrCreate",
        "driftPolicy": "Correct",
        "minProvisionedTPS": 1,
        "desiredState": "Running",
    }


def test_a_status_write_keeps_every_field_and_leaves_the_generation(
    crds: ControlPlane, namespace: str
) -> None:
    apply(crds, namespace, campaign("seen"))
    status = {
        "observedGeneration": 1,
        "engineClassName": "personalize",
        "external": {"name": f"{namespace}_seen", "region": "eu-west-1"},
        "serving": {"current": "movies-29384756"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "InSync",
                "message": "serves movies-29384756",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            },
            {
                "type": "Available",
                "status": "True",
                "reason": "InSync",
                "message": "",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            },
        ],
    }

    write_status(crds, namespace, "campaign/seen", status)

    shown = json.loads(crds.kubectl("-n", namespace, "get", "campaign", "seen", "-o", "json"))
    assert shown["status"] == status
    assert shown["metadata"]["generation"] == 1


def test_a_fixed_field_is_free_again_once_the_external_object_is_gone(
    crds: ControlPlane, namespace: str
) -> None:
    apply(crds, namespace, campaign("stopped", desiredState="Stopped"))
    write_status(crds, namespace, "campaign/stopped", MADE)
    other = campaign("stopped", solutionRef={"name": "books"})
    with pytest.raises(KubectlError, match=r"spec\.solutionRef: Forbidden: .* make a new Campaign"):
        apply(crds, namespace, other)

    write_status(crds, namespace, "campaign/stopped", {"external": None})

    apply(crds, namespace, other)


def test_a_manifest_cannot_talk_its_external_object_away(
    crds: ControlPlane, namespace: str
) -> None:
    apply(crds, namespace, campaign("made"))
    write_status(crds, namespace, "campaign/made", MADE)

    with pytest.raises(KubectlError, match=r"spec\.solutionRef: Forbidden"):
        crds.kubectl(
            *("-n", namespace, "patch", "campaign", "made", "--type=merge"),
            *("-p", '{"spec": {"solutionRef": {"name": "books"}}, "status": {"external": null}}'),
        )


def test_campaigns_show_what_a_person_asks_first(crds: ControlPlane, namespace: str) -> None:
    apply(crds, namespace, campaign("movies"))
    condition = {
        "status": "True",
        "reason": "InSync",
        "message": "serves-it",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    write_status(
        crds,
        namespace,
        "campaign/movies",
        {
            "engineClassName": "personalize",
            "external": {"name": "shop_movies"},
            "serving": {"current": "movies-29384756"},
            "conditions": [{"type": kind, **condition} for kind in ("Ready", "Available")],
        },
    )

    header, row = crds.kubectl("-n", namespace, "get", "campaigns").splitlines()
    wide_header, wide_row = crds.kubectl(
        "-n", namespace, "get", "campaigns", "-o", "wide"
    ).splitlines()

    assert " ".join(header.split()) == "NAME READY AVAILABLE VERSION ENGINE REASON AGE"
    assert " ".join(row.split()[:-1]) == "movies True True movies-29384756 personalize InSync"
    assert wide_header.split()[-2:] == ["EXTERNAL", "MESSAGE"]
    assert wide_row.split()[-2:] == ["shop_movies", "serves-it"]


def write_status(plane: ControlPlane, namespace: str, target: str, status: object) -> None:
    plane.kubectl(
        *("-n", namespace, "patch", target, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": status})),
    )


def test_get_reco_lists_every_kind(crds: ControlPlane) -> None:
    listed = crds.kubectl("api-resources", "--categories=reco", "-o", "name").split()

    assert sorted(listed) == sorted(f"{kind.plural}.reco.dev" for kind in KINDS.values())


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_short_name_stands_for_its_kind(
    crds: ControlPlane, namespace: str, kind: Kind
) -> None:
    for short in kind.short_names:
        named = crds.kubectl("-n", namespace, "get", short, "-o", "jsonpath={.kind}")
        assert named == "List"
        assert crds.kubectl("explain", short).splitlines()[1] == f"KIND:       {kind.name}"


def test_field_selectors_find_what_belongs_to_a_solution(
    crds: ControlPlane, namespace: str
) -> None:
    apply(crds, namespace, campaign("a"))
    apply(crds, namespace, campaign("b", solutionRef={"name": "books"}))

    found = crds.kubectl(
        *("-n", namespace, "get", "camp", "-o", "name"),
        *("--field-selector", "spec.solutionRef.name=books"),
    )

    assert found.split() == ["campaign.reco.dev/b"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_selectable_field_is_understood(
    crds: ControlPlane, namespace: str, kind: Kind
) -> None:
    for path in kind.selectable:
        crds.kubectl(
            *("-n", namespace, "get", kind.plural),
            *("--field-selector", f"{path.removeprefix('.')}=nothing"),
        )


def test_explain_says_what_a_field_means_and_takes(crds: ControlPlane) -> None:
    text = " ".join(crds.kubectl("explain", "campaign.spec.desiredState").split())

    assert "`Stopped` deletes the external campaign, which ends its bill" in text
    assert "ENUM: Running Stopped" in text


def test_server_side_apply_can_move_from_the_default_version_to_a_pinned_one(
    crds: ControlPlane, namespace: str
) -> None:
    for version in ({"follow": "Latest"}, {"name": "movies-29384756"}, {"follow": "Latest"}):
        crds.kubectl(
            *("-n", namespace, "apply", "--server-side", "-f", "-"),
            stdin=json.dumps(campaign("moved", version=version)),
        )

    shown = crds.kubectl("-n", namespace, "get", "camp", "moved", "-o", "jsonpath={.spec.version}")
    assert json.loads(shown) == {"follow": "Latest"}
