"""A file is read in a thread: the master's loop goes on meanwhile, and the log says how far it is."""

import json
import os

import gevent
import pytest

from traffic.dataset.dataset import DatasetError
from traffic.dataset.loader import DatasetLoader
from traffic.master.file_loading import BackgroundLoader, reading_line
from unit.traffic_file import written


def test_while_a_file_is_read_the_loop_goes_on_and_the_status_says_how_far(tmp_path, monkeypatch):
    path = written(tmp_path, json.dumps([{"n": at} for at in range(100)]))
    reading, seen = BackgroundLoader(), []
    wait, release = os.pipe()
    opened = DatasetLoader.open

    def slowly(self, schema):
        self.progress(40, 100)
        os.read(wait, 1)  # holds its thread up, and would hold up the loop if it were there
        return opened(self, schema)

    def watch():
        while reading.status is None or not reading.status["of"]:
            gevent.sleep(0)
        seen.append(reading_line(reading.status))
        os.write(release, b"x")

    monkeypatch.setattr(DatasetLoader, "open", slowly)
    watcher = gevent.spawn(watch)
    reading.open(path, tmp_path / "state", None).close()
    watcher.join()
    assert seen == [f"reading {path}: 40% of this pass"]
    assert reading.status is None
    for end in (wait, release):
        os.close(end)


def test_what_is_wrong_with_the_file_comes_out_of_the_thread(tmp_path):
    reading = BackgroundLoader()
    with pytest.raises(DatasetError, match="is a number"):
        reading.open(written(tmp_path, "[1]"), tmp_path / "state", None)
    assert reading.status is None
