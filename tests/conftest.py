"""What holds for every test."""

import signal
from pathlib import Path

import pytest

# Under nohup, or in the background of a script, these are ignored, and the processes that tests start would inherit it:
# then nobody could interrupt them, which is what some tests are about.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

LONG = ("chaos", "integration", "browser")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where pytest-xdist deals out files, let it begin with the long ones; else it keeps the random order."""
    if hasattr(config, "workerinput"):
        folder = Path(__file__).parent
        items.sort(key=lambda item: item.path.relative_to(folder).parts[0] not in LONG)
