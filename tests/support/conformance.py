"""The table that a run ends with: what each engine offers, and what it was shown to do."""

import io
from collections.abc import Iterable
from typing import Final

import pytest
from rich.console import Console
from rich.table import Table

SUITE: Final = "test_engines.py"
ENGINES: Final = ("personalize", "in-cluster")
"""As the suite is parametrised."""
OFFERS: Final = "offers"
"""Property of a test: the features and recipes that an engine's class says it offers."""


def table(reports: Iterable[pytest.TestReport]) -> str:
    """Return the table, a column for each engine; empty if the suite did not run."""
    rows: dict[str, dict[str, str]] = {}
    for report in reports:
        if SUITE not in report.nodeid:
            continue
        engine = next((one for one in ENGINES if f"[{one}" in report.nodeid), None)
        if engine is None:
            continue
        test = report.nodeid.rpartition("::")[2].replace(f"[{engine}-", "[").replace(engine, "")
        rows.setdefault(test.replace("[]", ""), {})[engine] = report.outcome
        for name, value in report.user_properties:
            if name == OFFERS:
                for offer in value if isinstance(value, list) else ():
                    rows.setdefault(str(offer), {})[engine] = "yes"
    if not rows:
        return ""
    shown = Table("feature, recipe or test", *ENGINES, title="Engines")
    for name, cells in sorted(rows.items(), key=lambda row: (row[0].startswith("test_"), row[0])):
        shown.add_row(name, *(cells.get(engine, "-") for engine in ENGINES))
    written = io.StringIO()
    Console(file=written, width=110, markup=False).print(shown)
    return written.getvalue()
