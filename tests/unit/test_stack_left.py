"""What `make replay` says when a second Ctrl-C leaves it without a report."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.stack import ROOT
from traffic.core.master.decisions import Leased, OutcomesRecorded
from traffic.core.ranges import RangeSet
from traffic.runs.journal import Journal
from traffic.runs.state_dir import StateFolder
from unit.test_journal import METADATA

sys.path.insert(0, str(ROOT / "scripts"))
try:
    import left  # noqa: F401 - the stack loads it when it is needed, which is too late here
    import stack
    import stack_config
finally:
    sys.path.remove(str(ROOT / "scripts"))


class AskedToStop(stack.Stack):
    """A stack that was asked to stop, and ended without a report."""

    def __init__(self, state: Path) -> None:
        super().__init__(stack_config.StackConfig.read({"STATE": str(state)}))
        self.asked = [2, 2]


def test_a_stop_before_anything_was_sent_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stack._explain(AskedToStop(tmp_path), 137, {}) == 130
    assert capfd.readouterr().err == "stopped before anything was sent\n"


def test_a_hurried_stop_says_what_was_sent_and_how_to_go_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = StateFolder(tmp_path)
    metadata = replace(METADATA, records=10)
    earlier = replace(metadata, state="stopped", terms=replace(metadata.terms, run="20990102-030405-abcd"))
    Journal.create(folder.journal_path(earlier.run), earlier).close()
    journal = Journal.create(folder.journal_path(metadata.run), metadata)
    journal.write([Leased(1, "a", RangeSet([(0, 7)])), OutcomesRecorded("a", RangeSet([(0, 5)]), (), 5, 0)])
    journal.close()
    assert stack._explain(AskedToStop(tmp_path), 137, {}) == 130
    assert capfd.readouterr().err == (
        f"stopped without a report: run {metadata.run} was cut off: of its 10 records, 5 delivered, 2 in the workers' "
        f"hands, which may have been sent, 3 not sent. Its journal has this: {journal.path}. The same command again "
        "goes on with it, by the same keys; with TRAFFIC_RESUME=no it begins a new run.\n"
    )


def test_a_hurried_stop_whose_journal_is_spoilt_says_that(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = StateFolder(tmp_path).journal_path(METADATA.run)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no journal")
    stack._explain(AskedToStop(tmp_path), 137, {})
    assert "stopped without a report: what was sent cannot be told: the journal" in capfd.readouterr().err
