"""A worker's health check: has the master answered lately?"""

import logging
import os
import time

import pytest

from traffic.__main__ import main
from traffic.worker import health


@pytest.fixture(autouse=True)
def mark(monkeypatch, tmp_path):
    """The file that is named, and no mark left yet."""
    path = tmp_path / "answered"
    monkeypatch.setenv("TRAFFIC_HEALTH_FILE", str(path))
    monkeypatch.setattr(health, "_last", -health.EVERY_S)
    return path


def test_a_worker_whose_master_has_answered_is_healthy(mark):
    health.touch()
    assert health.check() is None


def test_a_worker_whose_master_has_never_answered_is_not(mark):
    assert health.check() == f"the master has never answered this worker ({mark} is not there)"


@pytest.mark.parametrize(("age", "healthy"), [(0, True), (9, True), (11, False), (3600, False), (-3600, True)])
def test_an_old_mark_means_that_the_master_is_silent(mark, monkeypatch, age, healthy):
    health.touch()
    at = mark.stat().st_mtime
    monkeypatch.setattr(time, "time", lambda: at + age)
    assert health.check() == (None if healthy else f"the master has not answered for {age} s")


def test_the_mark_is_left_once_a_second_at_most(mark, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    health.touch()
    mark.unlink()
    now[0] += 0.9
    health.touch()
    assert not mark.exists()
    now[0] += 0.1
    health.touch()
    assert mark.exists()


def test_the_first_mark_is_left_at_once_also_on_a_machine_that_has_just_started(mark, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    health.touch()
    assert mark.exists()


def test_without_a_file_nothing_is_left_and_nobody_is_healthy(monkeypatch):
    for name in ("", None):
        monkeypatch.delenv("TRAFFIC_HEALTH_FILE") if name is None else monkeypatch.setenv("TRAFFIC_HEALTH_FILE", name)
        health.touch()
        assert health.check() == "TRAFFIC_HEALTH_FILE names no file"


def test_a_health_file_that_cannot_be_touched_is_logged(mark, monkeypatch, caplog):
    monkeypatch.setenv("TRAFFIC_HEALTH_FILE", str(mark / "nowhere"))
    with caplog.at_level(logging.WARNING):
        health.touch()
    assert "cannot be touched" in caplog.text


def test_a_mark_that_cannot_be_looked_at_is_no_health(mark, monkeypatch):
    mark.write_text("")
    monkeypatch.setenv("TRAFFIC_HEALTH_FILE", str(mark / "inside-a-file"))
    assert str(health.check()).startswith("TRAFFIC_HEALTH_FILE cannot be read (")


def test_the_command_says_it_with_its_exit_code(mark, capsys):
    assert main(["health"]) == 1
    assert "the master has never answered this worker" in capsys.readouterr().err
    health.touch()
    assert main(["health"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [[], ["help"], ["health", "now"]])
def test_any_other_command_is_told_how_to_ask(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: traffic ")


def test_a_mark_of_another_process_counts_as_well(mark):
    mark.touch()
    os.utime(mark)
    assert health.check() is None
