"""Imports and trains with every recipe by the command, in one process; runs inside the image."""

import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reco.cli.main import main
from reco.recipes import RECIPES
from reco.workload.storage import Owner
from reco.workload.tasks import Field_, Group, ImportTask, Storage, Task, TrainTask

ROOT = Path("/tmp")
GROUP = Group(
    name="shop_movies",
    storage=Storage(path=str(ROOT / "storage")),
    owner=Owner(cluster="c", namespace="shop", name="movies", uid="1"),
)


def reco(job: str, task: Task) -> None:
    os.environ |= {"RECO_TASK": task.environment(), "RECO_TERMINATION_LOG": str(ROOT / "said")}
    assert main(["job", job]) == 0


def imported(type_: str, source: Path, *fields: Field_) -> ImportTask:
    return ImportTask(
        group=GROUP,
        job=type_.lower(),
        type=type_,
        mode="Full",
        fields=fields,
        source=f"file://{source}",
        sources_path=str(ROOT),
    )


def text(name: str) -> Field_:
    return Field_(name=name, types=("string",), categorical=not name.endswith("_ID"))


def run() -> None:
    """Import all types of data, CSV and Parquet, and train every recipe of them."""
    drawn = random.Random(7)
    users, items = [f"u{n}" for n in range(60)], [f"i{n}" for n in range(40)]
    (ROOT / "storage").mkdir()
    events = [f"{drawn.choice(users)},{drawn.choice(items)},{time}" for time in range(1500)]
    file = ROOT / "interactions.csv"
    file.write_text("\n".join(["USER_ID,ITEM_ID,TIMESTAMP", *events]))
    time = Field_(name="TIMESTAMP", types=("long",))
    reco("import", imported("Interactions", file, text("USER_ID"), text("ITEM_ID"), time))
    for type_, ids in (("Users", users), ("Items", items)):
        file = ROOT / f"{type_}.parquet"
        name = f"{type_.upper().removesuffix('S')}_ID"
        topics = [drawn.choice(("jazz", "news")) for _ in ids]
        pq.write_table(pa.table({name: ids, "TOPICS": topics}), file)
        reco("import", imported(type_, file, text(name), text("TOPICS")))
    for recipe in RECIPES:
        reco("train", TrainTask(group=GROUP, solution=recipe, version="v1", recipe=recipe))


if __name__ == "__main__":
    run()
