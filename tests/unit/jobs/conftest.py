"""A dataset group whose storage is a real folder or bucket, and Jobs run on it by the command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reco.cli.main import main
from reco.storage import ObjectStore, open_storage
from reco.workload.results import Result
from reco.workload.storage import Owner, Places
from reco.workload.tasks import Field_, Group, Storage, Task

OWNER = Owner(cluster="c", namespace="shop", name="movies", uid="1")
PLACES = Places("shop_movies")
INTERACTIONS = (
    Field_(name="USER_ID", types=("string",)),
    Field_(name="ITEM_ID", types=("string",)),
    Field_(name="TIMESTAMP", types=("long",)),
    Field_(name="EVENT_TYPE", types=("string", "null")),
    Field_(name="EVENT_VALUE", types=("null", "float")),
)
ITEMS = (
    Field_(name="ITEM_ID", types=("string",)),
    Field_(name="GENRES", types=("string", "null"), categorical=True),
    Field_(name="CREATION_TIMESTAMP", types=("long", "null")),
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    return tmp_path / "sources"


@pytest.fixture
def group(volume: Storage) -> Group:
    return Group(name="shop_movies", storage=volume, owner=OWNER)


@pytest.fixture
def store(group: Group) -> ObjectStore:
    return open_storage(group.storage)


class Jobs:
    """Runs `reco job` in this process."""

    def __init__(
        self, log: Path, monkeypatch: pytest.MonkeyPatch, output: Callable[[], Any]
    ) -> None:
        self._log = log
        self._monkeypatch = monkeypatch
        self._output = output
        self.lines: list[dict[str, Any]] = []

    def __call__(self, name: str, task: Task) -> Result:
        self._monkeypatch.setenv("RECO_TASK", task.environment())
        self._monkeypatch.setenv("RECO_TERMINATION_LOG", str(self._log))
        code = main(["job", name])
        self.lines = [json.loads(line) for line in self._output().out.splitlines()]
        assert len(self._log.read_bytes()) <= 4096
        result = Result.decode(self._log.read_text())
        assert result is not None
        assert code == result.exit_code
        return result


@pytest.fixture
def job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Jobs:
    return Jobs(tmp_path / "termination-log", monkeypatch, capsys.readouterr)
