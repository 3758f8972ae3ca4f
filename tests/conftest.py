"""How the tests are spread over workers: what shares servers stays together."""

from pathlib import Path

import pytest

PODS = Path(__file__).parent / "e2e"
"""All tests here share one node."""

SHARES_NOTHING = frozenset({"test_seeds.py"})
"""Files whose tests may run anywhere, because they start nothing."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a file, or of the node, into one group for `--dist=loadgroup`."""
    for item in items:
        if item.path.name not in SHARES_NOTHING:
            shared = PODS if item.path.is_relative_to(PODS) else item.path
            item.add_marker(pytest.mark.xdist_group(str(shared)))
