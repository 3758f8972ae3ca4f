"""How the tests are spread over workers, and what is said of them while they run."""

from pathlib import Path

import pytest

from tests.support import conformance

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


def pytest_configure(config: pytest.Config) -> None:
    """Name a failure at once, long before the summary of a run of many minutes."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config), "failures-at-once")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what both engines did, where their suite ran."""
    stats = terminalreporter.stats
    reports = [one for outcome in ("passed", "failed") for one in stats.get(outcome, ())]
    terminalreporter.write(conformance.table(reports))


class FailuresAtOnce:
    """Prints a line for each failure."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the test, when its failure is known."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and reporter is not None:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = crash.message.partition("\n")[0] if crash is not None else ""
            reporter.write(f"\nfailed: {report.nodeid}: {why[:200]}\n")
