"""A pod that can't start says why where Kubernetes looks for it, not in a traceback."""

import pytest

from reco.workload.results import LOG_VARIABLE, Outcome, Result
from reco.workload.tasks import S3, CatalogTask, Storage
from tests.serving.stack import Stack

NO_ENDPOINT = Storage(s3=S3(bucket="data", endpoint_url="nonsense"))


@pytest.mark.parametrize(
    ("role", "outcome", "text"),
    [
        ("ranker", Outcome.INVALID_SETTINGS, "there is no recipe 'nonsense'"),
        ("catalog", Outcome.NOT_FOUND, "nonsense is no S3 endpoint"),
        ("consumer", Outcome.NOT_FOUND, "nonsense is no S3 endpoint"),
    ],
)
def test_what_keeps_a_pod_from_starting_is_its_termination_message(
    stack: Stack, role: str, outcome: Outcome, text: str
) -> None:
    group = stack.group.model_copy(update={"storage": NO_ENDPOINT})
    task = {
        "ranker": stack.ranker("nonsense", artifact="0" * 64),
        "catalog": CatalogTask(group=group),
        "consumer": stack.consumer(group=group),
    }[role]
    left = stack.folder / "termination-log"
    stack.environment[LOG_VARIABLE] = str(left)
    pod = stack.launch(role, task)

    assert pod.wait(timeout=60) == 1

    result = Result.decode(left.read_text())
    assert result is not None
    assert result.outcome is outcome
    assert text in result.message
    assert "Traceback" not in pod.log.read_text()


def test_r14_a_catalog_without_a_token_does_not_start(stack: Stack) -> None:
    (stack.folder / "storage").mkdir(exist_ok=True)
    left = stack.folder / "termination-log"
    stack.environment[LOG_VARIABLE] = str(left)
    pod = stack.launch("catalog", CatalogTask(group=stack.group))

    assert pod.wait(timeout=60) == 1

    result = Result.decode(left.read_text())
    assert result is not None
    assert result.outcome is Outcome.INVALID_SETTINGS
    assert "answers nobody without a token" in result.message
