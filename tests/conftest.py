"""How the tests are spread over workers: a file stays together, for it shares its servers."""

import pytest

SHARES_NOTHING = frozenset({"test_seeds.py"})
"""Files whose tests may run anywhere, because they start nothing."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a file into one group for `--dist=loadgroup`."""
    for item in items:
        if item.path.name not in SHARES_NOTHING:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
