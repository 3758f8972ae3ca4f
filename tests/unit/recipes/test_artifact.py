import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack.datasets import Dataset
from reco.recipes import ArtifactError, Interactions, Model, load, save, train

TRAIN_AND_SAVE_ALL = """
import sys
from pathlib import Path
from hack.datasets import synthetic
from reco.recipes import RECIPES, save, train
data = synthetic(3, users=150, items=600, ratings=12_000)
for recipe in RECIPES:
    model = train(recipe, data.interactions, items=data.items, users=data.users, threads=2)
    save(model, Path(sys.argv[1]) / recipe)
"""


@pytest.fixture(scope="session")
def trained_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of every recipe's artefact, trained by another process."""
    directory = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-c", TRAIN_AND_SAVE_ALL, str(directory)], check=True)
    return directory


@pytest.fixture(scope="session")
def artifact(model_of: Callable[[str], Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "model"
    save(model_of("aws-user-personalization-v2"), path)
    return path


def test_a_loaded_model_answers_as_the_saved_one(model: Model, tmp_path: Path) -> None:
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    history = model.history_of("u0003")
    assert loaded.history_of("u0003") == history
    assert loaded.recipe == model.recipe
    assert loaded.recommend(
        user_history=history, item_id="i00001", count=600, exploration_weight=0.5, seed=4
    ) == model.recommend(
        user_history=history, item_id="i00001", count=600, exploration_weight=0.5, seed=4
    )
    candidates = ["i00001", "i00002", "unheard-of"]
    assert loaded.rank(candidates=candidates, user_history=history) == model.rank(
        candidates=candidates, user_history=history
    )


def test_the_same_data_gives_the_same_bytes_in_another_process(
    model: Model, recipe: str, trained_elsewhere: Path, tmp_path: Path
) -> None:
    save(model, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == (trained_elsewhere / recipe).read_bytes()


def test_saving_a_loaded_model_gives_the_same_bytes(model: Model, tmp_path: Path) -> None:
    save(model, tmp_path / "first")
    save(load(tmp_path / "first"), tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_saving_replaces_an_older_model_and_leaves_nothing_else(
    model_of: Callable[[str], Model], tmp_path: Path
) -> None:
    path = tmp_path / "model"
    save(model_of("aws-user-personalization-v2"), path)
    save(model_of("aws-popularity-count"), path)
    assert load(path).recipe == "aws-popularity-count"
    assert list(tmp_path.iterdir()) == [path]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_one_wrong_byte_anywhere_is_refused(
    artifact: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(artifact.read_bytes())
    at = data.draw(st.integers(0, 90) | st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    with pytest.raises(ArtifactError, match=str(broken)):
        load(broken)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(artifact: Path, tmp_path: Path, share: float) -> None:
    content = artifact.read_bytes()
    broken = tmp_path / "broken"
    broken.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArtifactError, match=r"not a model file|corrupt or truncated"):
        load(broken)


def test_a_newer_format_is_refused_with_what_to_do(artifact: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.write_bytes(artifact.read_bytes().replace(b"reco-model 3 ", b"reco-model 4 ", 1))
    with pytest.raises(ArtifactError, match=r"format version 4 is unknown.*train again"):
        load(newer)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nowhere: cannot be read: No such file"):
        load(tmp_path / "nowhere")


def test_ids_of_any_script_survive(dataset: Dataset, tmp_path: Path) -> None:
    data = dataset.interactions
    renamed = [f"фильм-{item}-映画" for item in data.item_ids.tolist()]
    model = train(
        "aws-popularity-count",
        Interactions.of(data.user_ids.tolist(), renamed, data.timestamps.tolist()),
    )
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").recommend() == model.recommend()
