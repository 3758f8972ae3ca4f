"""The quickstart's movies in the cluster: what tests do with them, and wait for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.s3 import S3Server
from tests.cluster.emulated import interactions
from tests.cluster.watching import condition, says
from tests.e2e.estate import Estate, Manifest, watched, within

MOVIES = "movies-for-you"
SOURCE = "interactions/interactions.csv"
PATIENCE = 240


def settled(estate: Estate) -> None:
    """Wait until the campaign is in sync, and no pod of an older version is left."""
    estate.watch.ready("Campaign", MOVIES, timeout=PATIENCE)
    estate.watch.shows("Campaign", MOVIES, "Synced", "True/InSync", timeout=PATIENCE)


def serving(estate: Estate) -> dict[str, str]:
    found: dict[str, str] = estate.get("campaign", MOVIES)["status"]["serving"]
    return found


def never_down(estate: Estate, since: int) -> None:
    """Assert that the campaign was Ready and Available all the time since an event."""
    history = estate.watch.history("Campaign", MOVIES, since)
    for type_ in ("Ready", "Available"):
        shown = [says(item, type_) for item in history]
        assert not [one for one in shown if not one.startswith("True/")], shown


def told(estate: Estate, kind: str, name: str, text: str, *, timeout: float = 30) -> None:
    """Wait until some condition of a resource says a text."""

    def is_told(_: object) -> bool:
        status = (estate.watch.get(kind, name) or {}).get("status", {})
        return any(text in one["message"] for one in status.get("conditions", ()))

    estate.watch.until(is_told, f"{kind} {name} says {text!r}", timeout=timeout)


def recommended(estate: Estate, user: str) -> set[str]:
    answer = estate.runtime().get_recommendations(
        campaignArn=estate.arn(), userId=user, numResults=25
    )
    return {item["itemId"] for item in answer["itemList"]}


def put(estate: Estate, content: str) -> None:
    """Put interactions into the bucket, which has the namespace's name."""
    estate.s3.upload(estate.namespace, SOURCE, content)


def looked_at(estate: Estate, ask: str = "reconcile-requested-at") -> None:
    """Have the dataset look at its source, or import it, and wait until that is noticed."""
    value = estate.ask("dataset", "movies-interactions", ask)

    def noticed() -> bool:
        status = estate.get("dataset", "movies-interactions")["status"]
        return value in {status.get("lastHandledReconcileAt"), status["import"].get("lastRunNow")}

    within(30, noticed, f"{ask} is noticed")


def last_import(estate: Estate, text: str) -> str:
    return estate.watch.shows(
        "Dataset", "movies-interactions", "LastImportSucceeded", text, timeout=90
    )


def imports(estate: Estate) -> set[str]:
    return {one["metadata"]["name"] for one in estate.watch.all("DatasetImportJob")}


def refused(estate: Estate, *reasons: str, ask: str = "reconcile-requested-at") -> None:
    """Assert that the source is refused for these reasons, and read once for having been asked."""
    known = imports(estate)
    looked_at(estate, ask)
    estate.watch.until(lambda _: imports(estate) - known, "the source is read", timeout=30)

    def told(_: object) -> bool:
        found = condition(estate.watch.get("Dataset", "movies-interactions"), "LastImportSucceeded")
        return found.get("status") == "False" and all(one in found["message"] for one in reasons)

    estate.watch.until(told, f"it says {reasons}", timeout=90)
    assert len(imports(estate) - known) == 1, "the same source was read again"


def retrained(estate: Estate) -> None:
    """Train a version of new data, and wait until it serves."""
    before, known = serving(estate)["current"], last_good_import(estate)
    put(estate, watched(interactions(1500, seed=len(estate.watch.seen))))
    looked_at(estate)
    within(90, lambda: last_good_import(estate) != known, "new data is imported")
    estate.ask("solution", MOVIES, "run-now")
    within(PATIENCE, lambda: serving(estate)["current"] != before, "the new version serves")


def last_good_import(estate: Estate) -> str:
    name: str = estate.get("dataset", "movies-interactions")["status"]["import"][
        "lastSuccessfulJob"
    ]
    return name


def all_trained(estate: Estate) -> None:
    """Wait until nothing trains, or is about to.

    New data alone may have begun a training, where the last had failed; what was asked for follows.
    """

    def nothing_trains() -> bool:
        [solution] = [
            one for one in estate.watch.all("Solution") if one["metadata"]["name"] == MOVIES
        ]
        asked = solution["metadata"].get("annotations", {}).get("reco.dev/run-now")
        begun = solution["status"].get("training", {}).get("lastRunNow")
        versions = estate.watch.all("SolutionVersion")
        return asked == begun and all(
            says(one, "Succeeded").startswith(("True/", "False/")) for one in versions
        )

    within(PATIENCE, nothing_trains, "no training is under way")


def training(estate: Estate) -> str:
    """Begin a training, when none is under way, and return the version's name."""
    all_trained(estate)
    known = {one["metadata"]["name"] for one in estate.watch.all("SolutionVersion")}
    estate.ask("solution", MOVIES, "run-now")

    def begun() -> set[str]:
        return {one["metadata"]["name"] for one in estate.watch.all("SolutionVersion")} - known

    [version] = within(30, begun, "a training begins")
    within(30, lambda: estate.items("jobs", *job_of(version)), "it has a Job")
    return str(version)


def job_of(version: str) -> tuple[str, str]:
    return ("--field-selector", f"metadata.name={version}-train")


def trains(estate: Estate, version: str) -> str:
    """Wait until a version's Job has a pod that trains, and return the pod."""

    def running() -> list[str]:
        pods = estate.items("pods", "-l", f"job-name={version}-train")
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]

    [pod] = within(60, running, "it runs")
    # Before it speaks it may not have begun to listen for signals, either.
    within(60, lambda: "TrainTask" in estate.kubectl("logs", pod), "it trains")
    return str(pod)


def one_model_each(estate: Estate, storage: S3Server, version: str) -> None:
    """Assert that a version has one manifest, and that no model is there but of good versions."""

    def keys(end: str) -> list[str]:
        listed = storage.client().list_objects_v2(Bucket=estate.namespace)["Contents"]
        return [one["Key"] for one in listed if one["Key"].endswith(end)]

    def is_so() -> bool:
        models = {
            one["status"]["artifact"]
            for one in estate.watch.all("SolutionVersion")
            if says(one, "Succeeded").startswith("True/")
        }
        found = {Path(key).stem for key in keys(".model")}
        assert found == models, f"models {found}, of versions {models}"
        return True

    assert len(keys(f"{version}/manifest.json")) == 1
    # A version beyond the limit may be about to go: its model goes before it.
    within(60, is_so, "there are models but of good versions")


def failure_of(estate: Estate, version: str) -> str:
    estate.watch.until(
        lambda seen: says(seen.get("SolutionVersion", version), "Succeeded").startswith("False/"),
        f"{version} fails",
        timeout=120,
    )
    text = condition(estate.watch.get("SolutionVersion", version), "Succeeded")["message"]
    told(estate, "Solution", MOVIES, f"{version}: {text}")
    return text


@contextmanager
def class_with(estate: Estate, **changes: Manifest) -> Iterator[None]:
    """Change settings of the class, and put them back."""
    before = estate.engine_class["spec"]["inCluster"]
    undone = {
        part: {name: before[part].get(name) for name in changed}
        for part, changed in changes.items()
    }
    estate.patch("engineclass", estate.class_name, {"spec": {"inCluster": changes}})
    try:
        yield
    finally:
        estate.patch("engineclass", estate.class_name, {"spec": {"inCluster": undone}})
