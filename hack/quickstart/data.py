"""The quickstart's data: in S3 as Personalize wants it, and what people are shown of it."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from hack.datasets import Dataset
from hack.s3 import S3Server


@dataclass(frozen=True, slots=True)
class Data:
    """What is shown of a data set: titles of items, and a user to ask for."""

    titles: Mapping[str, str]
    user: str

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Choose the user in the middle of the field: enough history, not an outlier."""
        counts = Counter(map(str, dataset.interactions.user_ids))
        by_count = sorted(counts, key=lambda user: (counts[user], user))
        return cls(dataset.titles, by_count[len(by_count) // 2])

    def title(self, item: str) -> str:
        """Return an item's title, or its id."""
        return self.titles.get(item, item)


def upload(s3: S3Server, bucket: str, dataset: Dataset) -> None:
    """Put a data set into S3."""
    s3.create_bucket(bucket)
    data = dataset.interactions
    types = data.event_types if data.event_types is not None else ["watch"] * len(data.item_ids)
    rows = zip(data.user_ids, data.item_ids, types, data.timestamps, strict=True)
    header = ("USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP")
    s3.upload(bucket, "interactions/interactions.csv", table(header, rows))
    genres = dataset.items.categories["GENRES"]
    items = zip(dataset.items.ids, genres, strict=True)
    s3.upload(bucket, "items/items.csv", table(("ITEM_ID", "GENRES"), items))


def table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """Return rows as CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
