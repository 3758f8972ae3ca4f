"""The emulator's real trainer, with the recipes and a worker process of its own."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

import pytest

from reco.emulator.ports import Columns, Event, TrainingJob, TrainingResult
from reco.emulator.trainer import RecipeTrainer


def job(
    arn: str, users: int, recipe: str = "aws-user-personalization", each: int = 30
) -> TrainingJob:
    count = users * each
    return TrainingJob(
        arn=arn,
        recipe=recipe,
        interactions={
            "USER_ID": [str(n // each) for n in range(count)],
            "ITEM_ID": [str((n // each * 7 + n % each * 3) % 60) for n in range(count)],
            "TIMESTAMP": [1_600_000_000 + n % each * 60 for n in range(count)],
            "EVENT_TYPE": ["watch"] * count,
            "EVENT_VALUE": [None] * count,
        },
        items={"ITEM_ID": ["60", "61"], "GENRES": ["Drama", None]},
        categories=("GENRES",),
    )


def wait(trainer: RecipeTrainer, arn: str) -> TrainingResult:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        result = trainer.result(arn)
        if result is not None:
            return result
        time.sleep(0.05)  # the end of another process has no event to wait for here
    raise AssertionError(f"{arn} was not trained within 60 s")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def trainer(folder: Path) -> Iterator[RecipeTrainer]:
    trainer = RecipeTrainer(folder)
    yield trainer
    trainer.close()


def test_a_training_ends_with_metrics_and_a_model_that_outlive_the_process(
    trainer: RecipeTrainer, folder: Path
) -> None:
    trainer.start(job("good", users=40))
    trainer.start(job("few-users", users=20, each=60))
    trainer.start(job("few-rows", users=30, each=3))
    good = wait(trainer, "good")
    assert good.failure_reason is None
    assert "normalized_discounted_cumulative_gain_at_25" in good.metrics
    reason = wait(trainer, "few-users").failure_reason
    assert reason == "Dataset has fewer than 25 users with at least 2 interactions each"
    assert "1000 interactions" in (wait(trainer, "few-rows").failure_reason or "")

    again = RecipeTrainer(folder)
    assert again.knows("good")
    assert again.result("good") == good
    model = again.model("good")
    before = model.recommend(user="3", item=None, count=5, events=[], exploration={})
    assert len(before) == 5
    event = Event(before[0].item_id, "watch", None, 1_700_000_000)
    after = model.recommend(user="3", item=None, count=5, events=[event], exploration={})
    assert before[0].item_id not in {one.item_id for one in after}
    ranked = model.rank(user="3", items=["nobody-knows", "1", "2"], events=[])
    assert [one.score is None for one in ranked] == [False, False, True]
    again.discard("good")
    assert not again.knows("good")
    assert list(folder.glob("*.model")) == []
    again.close()


def test_a_refresh_keeps_what_was_learned_and_takes_in_what_is_new(trainer: RecipeTrainer) -> None:
    old = job("trained", users=40)
    trainer.start(old)
    metrics = wait(trainer, "trained").metrics
    items: Columns = {"ITEM_ID": ["60", "61", "new"], "GENRES": ["Drama", None, "Drama"]}
    trainer.start(replace(old, arn="refreshed", base="trained", items=items))
    assert wait(trainer, "refreshed").metrics == metrics

    def answer(arn: str) -> dict[str, float]:
        found = trainer.model(arn).recommend(
            user="3", item=None, count=100, events=[], exploration={}
        )
        return {one.item_id: one.score for one in found if one.score is not None}

    before, after = answer("trained"), answer("refreshed")
    assert after.keys() - before.keys() == {"new"}
    assert [item for item in after if item != "new"] == list(before)
    trainer.discard("trained")
    trainer.discard("refreshed")


def test_popularity_does_not_listen_to_events(trainer: RecipeTrainer) -> None:
    trainer.start(job("popular", users=40, recipe="aws-popularity-count"))
    wait(trainer, "popular")
    model = trainer.model("popular")
    before = model.recommend(user="3", item=None, count=5, events=[], exploration={})
    event = Event(before[0].item_id, "watch", None, 1_700_000_000)
    assert model.recommend(user="3", item=None, count=5, events=[event], exploration={}) == before
    assert all(one.score is None for one in before)
    trainer.discard("popular")


def test_hyperparameters_are_checked_by_the_recipe(trainer: RecipeTrainer) -> None:
    trainer.check("aws-user-personalization", {"hidden_dimension": "64"})
    with pytest.raises(ValueError, match="hidden_dimension"):
        trainer.check("aws-user-personalization", {"hidden_dimension": "7"})
    wrong = {"name": "min_cointeraction_count", "minValue": 3, "maxValue": 11}
    ranges = {"algorithmHyperParameterRanges": {"integerHyperParameterRanges": [wrong]}}
    with pytest.raises(ValueError, match="min_cointeraction_count: '11' is not allowed"):
        trainer.check("aws-sims", {}, ranges)


def test_hyperparameters_that_rank_best_are_looked_for_and_told(trainer: RecipeTrainer) -> None:
    one = {"name": "popularity_discount_factor", "minValue": 0.1, "maxValue": 0.2}
    hpo = {
        "algorithmHyperParameterRanges": {"continuousHyperParameterRanges": [one]},
        "hpoResourceConfig": {"maxNumberOfTrainingJobs": "2"},
    }
    trainer.start(replace(job("tuned", users=40, recipe="aws-sims"), hpo=hpo))
    tuned = wait(trainer, "tuned").tuned
    assert tuned.keys() == {"popularity_discount_factor"}
    assert 0.1 <= float(tuned["popularity_discount_factor"]) <= 0.2
    trainer.discard("tuned")


def worker_of(trainer: RecipeTrainer) -> Any:
    assert trainer._pool is not None
    (worker,) = trainer._pool._processes.values()
    return worker


def test_a_worker_that_died_fails_its_training_and_is_replaced(tmp_path: Path) -> None:
    trainer = RecipeTrainer(tmp_path)
    trainer.start(job("lost", users=40))
    os.kill(worker_of(trainer).pid, signal.SIGKILL)
    assert wait(trainer, "lost").failure_reason == "The training failed with an internal error."
    trainer.start(job("next", users=40, recipe="aws-popularity-count"))
    assert wait(trainer, "next").failure_reason is None
    trainer.close()


def test_a_training_that_is_cut_off_leaves_nothing_and_starts_again(tmp_path: Path) -> None:
    trainer = RecipeTrainer(tmp_path)
    trainer.start(job("cut", users=40, recipe="aws-popularity-count"))
    worker = worker_of(trainer)
    trainer.close()
    # Not by joining it: the pool's own thread does, and one of the two learns nothing.
    assert connection.wait([worker.sentinel], timeout=20), "the worker has ended"
    assert list(tmp_path.iterdir()) == []

    again = RecipeTrainer(tmp_path)
    assert not again.knows("cut")
    again.start(job("cut", users=40, recipe="aws-popularity-count"))
    assert wait(again, "cut").failure_reason is None
    again.close()
