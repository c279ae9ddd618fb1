"""What holds for every test."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster

# Under nohup, or in the background of a script, these are ignored, and the processes that tests start would inherit it:
# then nobody could interrupt them, which is what some tests are about.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

LOG_SHOWN = 6000
LONG = ("chaos", "integration", "browser")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where pytest-xdist deals out files, let it begin with the long ones; else it keeps the random order."""
    if hasattr(config, "workerinput"):
        folder = Path(__file__).parent
        items.sort(key=lambda item: item.path.relative_to(folder).parts[0] not in LONG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where a test has failed, show what its clusters have said: those of its fixtures, and its own."""
    report = yield
    if report.failed:
        for cluster in Cluster.told(item.funcargs.values()):  # type: ignore[attr-defined]
            for process in (cluster.master, *cluster.workers):
                report.sections.append((f"log of {cluster.folder.name}/{process.name}", process.log[-LOG_SHOWN:]))
    if call.when == "teardown":
        Cluster.made.clear()
    return report
