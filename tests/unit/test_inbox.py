"""The inbox reads the workers' messages in a greenlet of its own, and reports if it does not."""

from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from traffic.master import inbox
from traffic.master.inbox import Inbox

AFTER_S = 10.0


@pytest.fixture
def time(monkeypatch):
    """A clock for the test to move."""
    made = [100.0]
    monkeypatch.setattr(inbox, "now_s", lambda: made[0])
    return made


def an_inbox(read: Any = lambda _: None) -> Inbox:
    return Inbox(SimpleNamespace(register_message=lambda *_: None), read, lambda _: None)  # type: ignore[arg-type]


def test_an_inbox_that_goes_round_is_well_and_one_that_stands_still_is_not(time):
    made = an_inbox()
    assert made.ill(AFTER_S) == "", "it has not begun: the master looks for a run to go on with"
    greenlet = gevent.spawn(made.serve)
    gevent.sleep(0)
    time[0] += AFTER_S
    assert made.ill(AFTER_S) == ""
    time[0] += 1
    assert made.ill(AFTER_S) == "the workers' messages have not been read for 11 s"
    greenlet.kill()


def test_an_inbox_whose_reader_died_is_not_well(time):
    def fails(_: object) -> None:
        raise RuntimeError

    made = an_inbox(fails)
    made._on_message(None, "a message")  # type: ignore[arg-type]
    greenlet = gevent.Greenlet(made.serve)
    greenlet.link_exception(lambda _: None)
    greenlet.start()
    greenlet.join()
    assert greenlet.exception is not None
    time[0] += AFTER_S + 1
    assert made.ill(AFTER_S)
