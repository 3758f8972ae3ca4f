"""What answers may tell of items beside their ids: columns of the group's Items dataset."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reco.workload.storage import text_of


class ItemColumns:
    """Texts of items by column; names of columns in upper case."""

    def __init__(self, names: Iterable[str], rows: Mapping[str, Mapping[str, str]]) -> None:
        self.names = tuple(sorted(names))
        self._rows = rows

    def of(self, item_id: str, columns: Sequence[str]) -> dict[str, str]:
        """Return an item's values of these columns, named in lower case; none that are unknown."""
        row = self._rows.get(item_id, {})
        return {name.lower(): row[name] for name in columns if name in row}


def texts(row: Mapping[str, Any]) -> dict[str, str]:
    """Return values as answers tell them: always as texts, and none that is null."""
    told = {name: text_of(value) for name, value in row.items()}
    return {name: text for name, text in told.items() if text is not None}
