"""The state file: whose it is, what it refuses, and that its cost grows no faster than it does."""

import socket
import sqlite3
from pathlib import Path

import pytest

from reco.cli.main import main
from reco.emulator.core import Emulator
from reco.emulator.state import StateError
from reco.emulator.store import Store
from reco.emulator.testing import simulated
from reco.emulator.world import Settings

REGION = "eu-west-1"


def test_a_second_emulator_on_the_same_state_is_refused_until_the_first_ends(
    tmp_path: Path,
) -> None:
    state = str(tmp_path / "state.db")
    first = simulated(state=state)
    with pytest.raises(StateError, match=r"state.db is in use by another emulator"):
        simulated(state=state)
    first.emulator.close()
    simulated(state=state).emulator.close()


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    Store(str(state)).close()
    other = sqlite3.connect(state)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StateError, match=r"state.db is of version 99.*reads version 1 only"):
        Store(str(state))


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    Store(str(state)).close()
    content = bytearray(state.read_bytes())
    content[4096:20_000] = b"\xff" * (20_000 - 4096)
    state.write_bytes(content)
    with pytest.raises(StateError, match=r"state.db is damaged"):
        Store(str(state))


def test_the_command_says_which_state_it_cannot_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "notes.txt"
    state.write_text("no state at all, but somebody's notes " * 20)
    assert main(["emulate", "--listen", "127.0.0.1:0", "--state", str(state)]) == 2
    assert "notes.txt cannot be used: file is not a database" in capsys.readouterr().err
    assert state.read_text().startswith("no state at all")


def test_the_command_says_which_address_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["emulate", "--listen", address]) == 2
    assert f"cannot listen on {address}" in capsys.readouterr().err


def groups(count: int) -> Emulator:
    emulator = simulated(settings=Settings(quotas={"DatasetGroup": count})).emulator
    for number in range(count):
        emulator.call(
            "personalize", "CreateDatasetGroup", {"name": f"g-{number:05}"}, region=REGION
        )
    return emulator


def work_to_settle_and_list(emulator: Emulator) -> int:
    """Count the thousands of steps of SQLite's machine, which don't depend on the day's load."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    emulator._world.store._db.set_progress_handler(count, 1000)
    emulator.advance(30)
    token: dict[str, str] = {}
    while True:
        answer = emulator.call("personalize", "ListDatasetGroups", token, region=REGION)
        if "nextToken" not in answer:
            return steps
        token = {"nextToken": answer["nextToken"]}


def test_four_times_the_resources_are_at_most_about_four_times_the_work() -> None:
    few, many = groups(300), groups(1200)
    assert work_to_settle_and_list(many) < 6 * work_to_settle_and_list(few)
    few.close()
    many.close()
