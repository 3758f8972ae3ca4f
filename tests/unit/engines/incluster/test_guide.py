"""docs/in-cluster.md quotes the numbers of the code."""

import re
from pathlib import Path

import pytest

from reco.api.in_cluster import Resources, ServingPlacement
from reco.engines.incluster import groups, records, serving, tasks
from reco.jobs import training
from reco.recipes import RECIPES, predict

PAGE = (Path(__file__).parents[4] / "docs" / "in-cluster.md").read_text()
SHAPES = {
    "610, 9,700, 100,000": (610, 9_700, 100_000),
    "6,100, 30,700, 1 million": (6_100, 30_700, 1_000_000),
    "61,000, 97,000, 10 million": (61_000, 97_000, 10_000_000),
}
COLUMNS = [{"linear"}, {"related"}, {"popularity", "trending", "topics"}, {"factors"}]


def row(beginning: str) -> list[str]:
    [line] = re.findall(rf"^\| {re.escape(beginning)}[^|]*\|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in line.split("|")]


@pytest.mark.parametrize("shape", SHAPES)
def test_predicted_memory_is_what_a_training_would_be_refused_by(shape: str) -> None:
    users, items, interactions = SHAPES[shape]
    quoted = [int(cell.replace(",", "")) for cell in row(shape)]
    for families, cell in zip(COLUMNS, quoted, strict=True):
        found = {
            predict(name, users=users, items=items, interactions=interactions) + training._READING
            for name, recipe in RECIPES.items()
            if recipe.family in families
        }
        assert {bytes_ >> 20 for bytes_ in found} == {cell}


@pytest.mark.parametrize(
    ("what", "default"),
    [
        ("an import", tasks._IMPORT),
        ("a training", tasks._TRAIN),
        ("a ranker", serving._RANKER),
        ("collectors (2)", serving._EVENTS),
        ("runtime (2)", groups._SMALL),
        ("a managed online store", groups._STORE),
    ],
)
def test_resources_are_those_that_pods_get(what: str, default: Resources) -> None:
    quoted = row(what)[0].replace(" MiB", "Mi").replace(" GiB", "Gi")
    assert quoted.startswith(f"{default.cpu} CPU, {default.memory}")


def test_the_capacity_of_a_ranker_is_the_settings_default() -> None:
    assert f": {ServingPlacement().requests_per_second_per_replica} requests a second" in PAGE


def test_every_feature_of_a_solution_that_is_refused_is_named() -> None:
    refused = row("Solution ")[0]
    for name, _, _ in records._LACKS:
        assert f"`{name}`" in refused
    for name in records._CONFIG_HAS:
        assert f"`{name}`" in refused
