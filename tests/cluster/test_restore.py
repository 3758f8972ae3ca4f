"""A backup drill: the cluster is lost and comes back from a backup, on an etcd that is empty.

The engine has lost nothing. So a restore must cost nothing: no training, no import, no rollout.
Garbage collection works in the new cluster before the operator does, as after a real disaster.
"""

import copy
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.control_plane import ControlPlane
from reco.api.kinds import KINDS
from tests.cluster.conftest import CRDS
from tests.cluster.emulated import carried_out
from tests.cluster.estate import Estate
from tests.cluster.operators import OperatorThread
from tests.cluster.watching import Object, Watcher, says

RUNS = ("DatasetImportJob", "SolutionVersion")
BY_VELERO = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""Metadata that Velero does not bring back; it leaves out the status, too."""
NO_HARM = {"TagResource", "UntagResource"}
"""Mutating calls that cost nothing and change no recommendation."""


def velero(saved: list[Object]) -> list[Object]:
    """Return objects as Velero restores them."""
    restored = copy.deepcopy(saved)
    for body in restored:
        body.pop("status", None)
        for name in BY_VELERO & body["metadata"].keys():
            del body["metadata"][name]
    return restored


def as_printed(saved: list[Object]) -> list[Object]:
    """Return objects as `kubectl get -o yaml` printed them: UIDs and owners of before."""
    return saved


WAYS = pytest.mark.parametrize("way", [velero, as_printed])


@pytest.fixture(scope="module")
def other_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A second cluster, on an etcd of its own; nothing of ours in it but the CRDs."""
    directory = tmp_path_factory.mktemp("other-plane")
    with ControlPlane(directory) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(CRDS))
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        plane.start_controller_manager(["namespace-controller", "garbage-collector-controller"])
        yield plane
    shutil.rmtree(directory / "etcd")


@dataclass(frozen=True)
class Lost:
    """What is known of an estate whose cluster is lost."""

    saved: list[Object]
    """The backup."""
    cluster_id: str
    serves: str
    """The ARN of the version that the campaign served."""
    made: set[tuple[str, str]]
    """Kind and name of each run."""
    mark: int
    """The newest call that the engine had received."""


def far_from_now() -> str:
    """Return a daily schedule with a time that no test lives to see."""
    time = datetime.now(UTC) + timedelta(hours=12)
    return f"{time.minute} {time.hour} * * *"


def run_again(estate: Estate, kind: str, name: str, run: str, token: str) -> str:
    """Ask for a run, wait until it has ended well, and return its name."""
    before = {item["metadata"]["name"] for item in estate.watch.all(run)}

    def good(watch: Watcher) -> list[str]:
        return [
            item["metadata"]["name"]
            for item in watch.all(run)
            if item["metadata"]["name"] not in before and says(item, "Ready").startswith("True")
        ]

    estate.annotate(kind, name, f"reco.dev/run-now={token}")
    estate.watch.until(lambda watch: bool(good(watch)), f"{kind} {name} has another good run")
    return good(estate.watch)[0]


def serves(estate: Estate) -> str:
    """Return the ARN of the version that the campaign serves in the engine."""
    arn = estate.client().list_campaigns()["campaigns"][0]["campaignArn"]
    return str(estate.client().describe_campaign(campaignArn=arn)["campaign"]["solutionVersionArn"])


def runs_in(estate: Estate) -> set[tuple[str, str]]:
    return {(kind, item["metadata"]["name"]) for kind in RUNS for item in estate.watch.all(kind)}


def backed_up(estate: Estate) -> list[Object]:
    """Return what `kubectl get -o yaml` prints of the estate, runs before what made them."""
    plurals = [kind.plural for kind in KINDS.values() if kind.namespaced]
    printed = estate.kubectl("get", ",".join(reversed(plurals)), "-o", "yaml")
    engine_class = estate.kubectl("get", "engineclass", estate.namespace, "-o", "yaml")
    return [*yaml.safe_load(printed)["items"], yaml.safe_load(engine_class)]


def in_sync(item: Object) -> bool:
    return says(item, "Ready").startswith("True") and says(item, "Synced").startswith("True")


def serves_version(watch: Watcher, version: str) -> bool:
    """Whether a version is the Solution's latest, and what the campaign serves."""
    solution, campaign = watch.get("Solution", "for-you"), watch.get("Campaign", "for-you")
    if solution is None or campaign is None:
        return False
    serving = campaign["status"]["serving"]["current"]
    return bool(serving == solution["status"]["training"]["latest"] == version)


@pytest.fixture
def lost(estate: Estate) -> Lost:
    """An estate at work: several imports and trained versions, the newest of which serves."""
    schedule = {"training": {"full": {"schedule": far_from_now()}}}
    with OperatorThread(estate.plane.kubeconfig, namespaces=(estate.namespace,)):
        estate.apply(
            [
                estate.engine_class(),
                *estate.data(),
                estate.solution(**schedule),
                estate.campaign(version={"follow": "Latest"}),
                estate.tracker(),
            ]
        )
        estate.watch.ready("Campaign", "for-you", timeout=60)
        estate.watch.ready("EventTracker", "movies")
        run_again(estate, "Dataset", "movies-interactions", "DatasetImportJob", "second")
        run_again(estate, "Solution", "for-you", "SolutionVersion", "second")
        newest = run_again(estate, "Solution", "for-you", "SolutionVersion", "third")
        estate.watch.until(
            lambda watch: (
                serves_version(watch, newest) and all(in_sync(item) for item in watch.all())
            ),
            "all is in sync, and the newest version serves",
        )
    return Lost(
        saved=backed_up(estate),
        cluster_id=estate.plane.cluster_id,
        serves=serves(estate),
        made=runs_in(estate),
        mark=estate.emulator.mark(),
    )


@pytest.fixture
def restore(
    estate: Estate, lost: Lost, other_plane: ControlPlane, tmp_path: Path
) -> Iterator[Callable[[Any], Estate]]:
    """Bring the estate back in the other cluster, one way or the other; no operator runs yet."""
    with ExitStack() as stack:

        def restore_(way: Callable[[list[Object]], list[Object]]) -> Estate:
            other_plane.kubectl("create", "namespace", estate.namespace)
            file = tmp_path / "backup.yaml"
            file.write_text(yaml.safe_dump_all(way(lost.saved)))
            other_plane.kubectl("create", "-f", str(file))
            watch = stack.enter_context(Watcher(other_plane, estate.namespace))
            restored = replace(estate, plane=other_plane, watch=watch, _clients={})
            stack.callback(restored.close)
            return restored

        yield restore_


def harm(estate: Estate, lost: Lost) -> list[str]:
    """Return the calls since the loss that cost something or change what is recommended."""
    calls = estate.emulator.calls(estate.region, after=lost.mark, mutating=True)
    return [name for name in carried_out(calls) if name not in NO_HARM]


def owned(estate: Estate, run: Object) -> bool:
    """Whether a run is owned by what made it, under the UID that this has now."""
    kind = {"DatasetImportJob": "Dataset", "SolutionVersion": "Solution"}[run["kind"]]
    uids = {item["metadata"]["uid"] for item in estate.watch.all(kind)}
    owners = {one["uid"] for one in run["metadata"].get("ownerReferences", ())}
    return len(owners) == 1 and owners <= uids and "deletionTimestamp" not in run["metadata"]


def settled(estate: Estate, lost: Lost) -> bool:
    runs = [item for kind in RUNS for item in estate.watch.all(kind)]
    return (
        runs_in(estate) == lost.made
        and all(owned(estate, run) for run in runs)
        and all(says(item, "Ready").startswith("True") for item in estate.watch.all())
    )


@WAYS
def test_a_restore_costs_nothing_and_rolls_nothing_back(
    lost: Lost,
    restore: Callable[[Any], Estate],
    way: Callable[[list[Object]], list[Object]],
) -> None:
    assert len(lost.made) == 5, "two imports, three versions"
    estate = restore(way)
    watch, plane = estate.watch, estate.plane
    assert plane.cluster_id != lost.cluster_id
    if way is as_printed:
        watch.until(
            lambda _: all(
                "deletionTimestamp" in item["metadata"] for kind in RUNS for item in watch.all(kind)
            ),
            "what names owners of before is deleted by garbage collection",
        )

    settings: dict[str, Any] = {
        "namespaces": (estate.namespace,),
        "cluster_id": lost.cluster_id,
    }
    with OperatorThread(plane.kubeconfig, **settings):
        watch.until(lambda _: settled(estate, lost), "all is there again and Ready", timeout=60)
        # Once more for everything, now that there is a status of all.
        for item in watch.all():
            name = item["metadata"]["name"]
            estate.annotate(item["kind"], name, "reco.dev/reconcile-requested-at=restored")
        watch.until(
            lambda _: all(
                item["status"].get("lastHandledReconcileAt") == "restored" for item in watch.all()
            ),
            "everything was looked at again",
        )
        assert settled(estate, lost)
        assert harm(estate, lost) == []
        assert serves(estate) == lost.serves
        shown = {
            (item.get("status", {}).get("serving") or {}).get("current")
            for item in watch.history("Campaign", "for-you")
        }
        assert len(shown - {None}) == 1, "one version was ever shown to serve"

    tomorrow = timedelta(hours=13)
    with OperatorThread(plane.kubeconfig, now=lambda: datetime.now(UTC) + tomorrow, **settings):
        watch.until(
            lambda _: runs_in(estate) - lost.made and serves(estate) != lost.serves,
            "the schedule goes on, and the campaign follows",
        )
        watch.ready("Campaign", "for-you")
        assert sorted(harm(estate, lost)) == ["CreateSolutionVersion", "UpdateCampaign"]

        for kind in ("Campaign", "Solution"):
            plane.kubectl("delete", kind, "for-you", "-n", estate.namespace)
        assert watch.all("SolutionVersion") == []
        assert "solutions" not in estate.external()
