"""What holds for every test: lanes, left-out markers, scaled timeouts, and the logs of a failed test's clusters."""

import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from support import lanes
from support.browser import heard
from support.cluster import Cluster
from support.deadlines import factor, stretched

# Under nohup, or in the background of a script, these are ignored, and the processes that tests start would inherit it:
# then nobody could interrupt them, which is what some tests are about.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

LOG_SHOWN = 6000
# Markers of tests that a run may leave out, and the command that runs them.
LEFT_OUT = {"slow": "make test-all", "thorough": "make test"}
left_out = pytest.StashKey[dict[str, int]]()
groups = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which a run leaves slow tests out."""
    told = "leave out the tests with this marker, and report how many"
    parser.addoption("--leave-out", action="append", default=[], choices=LEFT_OUT, help=told)


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing left out, and a place for the groups of tests that share a lane."""
    config.stash[left_out] = {}
    if not hasattr(config, "workerinput"):
        folder = TemporaryDirectory()
        config.add_cleanup(folder.cleanup)
        config.stash[groups] = Path(folder.name, "groups.json")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Name to a lane the file for its groups."""
    node.workerinput["groups"] = str(node.config.stash[groups])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.Lanes:
    """Deal out the tests by their groups."""
    return lanes.Lanes(config, log, config.stash[groups])


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Assign the tests to lanes if pytest-xdist runs several; then leave out what the options name."""
    for item in items:
        _stretch_timeout(item)
    if hasattr(config, "workerinput"):
        lanes.assign(items, Path(__file__).parent, Path(config.workerinput["groups"]))
    yield  # -k and -m choose
    for marker in config.getoption("--leave-out"):
        without = [item for item in items if item.get_closest_marker(marker)]
        items[:] = [item for item in items if not item.get_closest_marker(marker)]
        config.hook.pytest_deselected(items=without)
        config.stash[left_out][marker] = len(without)


def _stretch_timeout(item: pytest.Item) -> None:
    marker = item.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker else item.config.getini("timeout"))
    item.add_marker(pytest.mark.timeout(stretched(seconds)), append=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report from a lane to the process that started it how many tests were left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a lane has left out: every lane leaves out the same."""
    node.config.stash[left_out] = getattr(node, "workeroutput", {}).get("left_out", {})


def pytest_report_header() -> str:
    """Report by how much every deadline is stretched."""
    return f"deadlines: stretched by {factor():.1f}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Report how many tests were left out, and what runs them."""
    for marker, count in config.stash[left_out].items():
        terminalreporter.write_line(f"{count} {marker} tests were left out: `{LEFT_OUT[marker]}` runs them")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """If a test has failed, show what its clusters have logged: those of its fixtures, and its own."""
    report = yield
    if report.failed:
        for cluster in Cluster.told(item.funcargs.values()):  # type: ignore[attr-defined]
            for process in (cluster.master, *cluster.workers):
                report.sections.append((f"log of {cluster.folder.name}/{process.name}", process.log[-LOG_SHOWN:]))
        page = item.funcargs.get("page")  # type: ignore[attr-defined]
        if page is not None and (lines := heard.get(page)):
            report.sections.append(("what the browser said", "\n".join(lines)[-LOG_SHOWN:]))
    if call.when == "teardown":
        Cluster.made.clear()
    return report
