"""What a training reads: the snapshots that count, and what was streamed since.

Streamed events and records are those that lie in storage when the reader is made. An event counts
once for each user that has its id. What an anonymous session did is its user's, once a later call
names one with it, and else nobody's who has a name: clients choose the ids of both. Of several rows
of one item or user the newest counts, streamed ones over imported ones, as in Amazon Personalize.
Interactions come in batches, so that memory holds one of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reco.jobs import snapshots
from reco.jobs.session_owners import SessionOwners
from reco.recipes import Interactions, Items, Users
from reco.storage import ObjectStore, offline_log, parquet
from reco.workload.storage import Places, SnapshotManifest, arrived, text_of

_INTERACTION: Final = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE")
_CREATED: Final = "CREATION_TIMESTAMP"
_LATEST: Final = (1 << 63) - 1  # of Avro's long


class History:
    """The data of a group as it is now."""

    def __init__(self, store: ObjectStore, places: Places) -> None:
        """Look at what there is.

        Raises:
            Corrupt: a manifest or what was streamed is damaged.
            StorageError: storage fails.
        """
        self._store = store
        self._places = places
        self._bulk = snapshots.current(store, places, "Interactions")
        self._events = offline_log.files(store, places.events)

    @property
    def imported(self) -> int:
        """How many interactions were imported; how many were streamed is known by reading them."""
        return sum(one.rows for one in self._bulk)

    def interactions(self, progress: Callable[[str, float], None]) -> Iterator[Interactions]:
        """Give all interactions, imported ones first.

        Raises:
            Corrupt: a file is damaged.
            StorageError: storage fails.
        """
        stage = "reading interactions"
        done, total = 0, self.imported or 1
        for manifest in self._bulk:
            for batch in snapshots.batches(self._store, self._places, manifest, _INTERACTION):
                yield _interactions(batch)
                done += batch.num_rows
                progress(stage, 0.8 * done / total)
        if not self._events:
            return
        at = 0
        first, owners = self._look_through(progress)
        for number, key in enumerate(self._events):
            for batch in parquet.batches(self._store, key, _INTERACTION):
                known = owners.named(batch, at)
                mask = pa.array(first[at : at + batch.num_rows])
                at += batch.num_rows
                yield _interactions(known.filter(pc.and_(mask, pc.is_valid(batch["ITEM_ID"]))))
            progress("reading events", 0.9 + 0.1 * (number + 1) / len(self._events))

    def items(self) -> Items | None:
        """Return the items data set; None if there is none."""
        table = self._rows("Items", "ITEM_ID")
        if table is None:
            return None
        created = table[_CREATED] if _CREATED in table.column_names else None
        known = created is not None and created.null_count == 0
        return Items(
            _strings(table["ITEM_ID"]),
            created.to_numpy() if created is not None and known else None,
            _categories(table, "ITEM_ID"),
        )

    def users(self) -> Users | None:
        """Return the users data set; None if there is none."""
        table = self._rows("Users", "USER_ID")
        if table is None:
            return None
        return Users(_strings(table["USER_ID"]), _categories(table, "USER_ID"))

    def _look_through(
        self, progress: Callable[[str, float], None]
    ) -> tuple[NDArray[np.bool_], SessionOwners]:
        """Return which rows of all event files, in order, are the first with their user and id.

        And whose sessions are.
        """
        hashes = [np.zeros(0, np.int64)]
        owners = SessionOwners()
        at = 0
        for number, key in enumerate(self._events):
            for batch in parquet.batches(self._store, key, ["EVENT_ID", "USER_ID", "SESSION_ID"]):
                users = batch["USER_ID"].to_pylist()
                ids = zip(users, batch["EVENT_ID"].to_pylist(), strict=True)
                hashes.append(np.fromiter(map(hash, ids), np.int64, len(users)))
                owners.look_at(users, batch["SESSION_ID"].to_pylist(), at)
                at += batch.num_rows
            progress("reading event ids", 0.8 + 0.1 * (number + 1) / len(self._events))
        _, first = np.unique(np.concatenate(hashes), return_index=True)
        mask = np.zeros(sum(map(len, hashes)), np.bool_)
        mask[first] = True
        return mask, owners

    def _rows(self, type_: str, key: str) -> pa.Table | None:
        """Return the newest row of each id: the id, creation times, and categorical columns."""
        bulk = snapshots.current(self._store, self._places, type_)
        names = [key, _CREATED, *dict.fromkeys(name for one in bulk for name in one.categorical)]
        tables = [
            pa.Table.from_batches([batch])
            for manifest in bulk
            for batch in snapshots.batches(self._store, self._places, manifest, names)
        ]
        records = self._records(type_, key, bulk)
        if records is not None:
            tables.append(records)
        if not tables:
            return None
        table = pa.concat_tables(tables, promote_options="default")
        ids = table[key].combine_chunks()
        codes = ids.dictionary_encode().indices.to_numpy()
        _, newest = np.unique(codes[::-1], return_index=True)
        return table.take(np.sort(len(codes) - 1 - newest))

    def _records(self, type_: str, key: str, bulk: Sequence[SnapshotManifest]) -> pa.Table | None:
        """Return rows of PutItems or PutUsers, oldest first, in the columns of the imports."""
        found: list[tuple[tuple[int, ...], int, str, Mapping[str, Any]]] = []
        for file in offline_log.files(self._store, self._places.records(type_)):
            for batch in parquet.batches(self._store, file):
                found.extend(
                    (
                        arrived(one["RECORD_ID"]),
                        one["TIMESTAMP"],
                        one["ID"],
                        json.loads(one["COLUMNS"]),
                    )
                    for one in batch.to_pylist()
                )
        if not found:
            return None
        found.sort(key=lambda one: one[0])
        categorical = dict.fromkeys(name for one in bulk for name in one.categorical)
        columns: dict[str, pa.Array] = {key: pa.array([one[2] for one in found], pa.string())}
        if any(_CREATED in one.columns for one in bulk):
            created = [_created(one[3].get(_CREATED), streamed=one[1]) for one in found]
            columns[_CREATED] = pa.array(created, pa.int64())
        for name in categorical:
            columns[name] = pa.array([text_of(one[3].get(name)) for one in found], pa.string())
        return pa.table(columns)


def _interactions(batch: pa.RecordBatch) -> Interactions:
    names = batch.schema.names
    return Interactions(
        user_ids=_strings(batch["USER_ID"]),
        item_ids=_strings(batch["ITEM_ID"]),
        timestamps=batch["TIMESTAMP"].to_numpy(),
        event_types=_strings(batch["EVENT_TYPE"]) if "EVENT_TYPE" in names else None,
        event_values=pc.coalesce(batch["EVENT_VALUE"].cast(pa.float64()), np.nan).to_numpy()
        if "EVENT_VALUE" in names
        else None,
    )


def _categories(table: pa.Table, key: str) -> dict[str, NDArray[np.str_]]:
    return {
        name: _strings(table[name]) for name in table.column_names if name not in {key, _CREATED}
    }


def _created(value: object, *, streamed: int) -> int:
    """Return an item's own time; without one that can be used, it is as old as its record.

    Nothing has checked what was streamed against the schema, and one row must not end a training.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return streamed
    try:
        time = int(value)
    except ValueError:
        return streamed
    return time if 0 <= time <= _LATEST else streamed


def _strings(column: pa.Array | pa.ChunkedArray) -> NDArray[np.str_]:
    """Return texts as numpy has them; a missing one is empty."""
    return np.asarray(pc.coalesce(column, "").to_pylist(), dtype=np.str_)
