"""An alarm calls its act once, not before its time, and no longer at a time that was taken back."""

import gevent
from gevent.event import Event

from support.deadlines import stretched
from traffic.clock import now_s
from traffic.worker.alarm import Alarm


def test_it_calls_once_and_not_before_its_time() -> None:
    called, rang = [], Event()
    alarm = Alarm(lambda: (called.append(now_s()), rang.set()))
    for wanted in (0.02, 0.0001):
        began = now_s()
        alarm.set(wanted)
        assert rang.wait(stretched(10.0))
        rang.clear()
        assert called[-1] - began >= wanted
    assert len(called) == 2


def test_another_time_replaces_the_one_before() -> None:
    called, rang = [], Event()
    alarm = Alarm(lambda: (called.append(now_s()), rang.set()))
    began = now_s()
    alarm.set(0.001)
    alarm.set(0.05)
    assert rang.wait(stretched(10.0))
    assert called[0] - began >= 0.05
    gevent.sleep(0.01)
    assert len(called) == 1
