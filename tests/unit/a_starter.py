"""A master's start around a folder of its own: a traffic file, a state folder, and the options that Locust has."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from traffic.core.master.decisions import Leased, OutcomesRecorded
from traffic.core.ranges import RangeSet
from traffic.dataset.dataset import Dataset
from traffic.master.active_run import ActiveRun
from traffic.master.start import RunStarter
from traffic.runs.journal import Journal
from traffic.runs.state_dir import StateFolder
from traffic.settings import OPTIONS
from unit.test_journal import METADATA

RUN = METADATA.run


class Bench:
    """A folder with a traffic file and a state folder; `starter` makes a RunStarter, with or without a form."""

    def __init__(self, tmp_path: Path) -> None:
        self.file = tmp_path / "traffic.json"
        self.file.write_text(json.dumps([{"n": n} for n in range(10)]))
        with closing(Dataset.open(self.file)) as dataset:
            self.digest = dataset.digest
        self.folder = StateFolder(tmp_path / "state")
        self.open: list[Callable[[], None]] = []

    def options(self, **said: str) -> argparse.Namespace:
        given = {option.name: option.default for option in OPTIONS}
        given |= {"traffic_file": str(self.file), "traffic_state_dir": str(self.folder.path), "traffic_seed": "5"}
        return argparse.Namespace(**{**given, "host": METADATA.host, "autostart": False, **said})

    def starter(self, *, form: bool = True, **said: str) -> RunStarter:
        environment: Any = SimpleNamespace(
            parsed_options=self.options(**said), web_ui=object() if form else None, user_classes=[], shape_class=None
        )
        return RunStarter(environment)

    def leave(self, state: str = "running", **changed: Any) -> Path:
        """The journal of a run that an earlier master began: of ten records, one is delivered and two are leased."""
        path = self.folder.journal_path(RUN)
        said: dict[str, Any] = {"file": str(self.file), "records": 10, "digest": self.digest, "state": state} | changed
        metadata = replace(METADATA, **said)
        with closing(Journal.create(path, metadata)) as journal:
            journal.write([Leased(1, "a", RangeSet([(0, 3)])), OutcomesRecorded("a", RangeSet([(0, 1)]), (), 1, 0)])
        return path

    def begin(self, starter: RunStarter, first_session: int = 1) -> ActiveRun:
        return self.keep(starter.begin(starter.claim(), first_session))

    def resume(self, starter: RunStarter, first_session: int = 1) -> ActiveRun:
        return self.keep(starter.resume(starter.claim(), first_session))

    def keep(self, active_run: ActiveRun) -> ActiveRun:
        self.open += [active_run.close, active_run.journal.close]
        return active_run


@contextmanager
def a_bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose runs are closed at the end."""
    made = Bench(tmp_path)
    yield made
    for close in made.open:
        close()
