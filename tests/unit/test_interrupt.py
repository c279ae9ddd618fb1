"""A Ctrl-C ends the process through its main greenlet, and no other greenlet notices."""

import subprocess
import sys

PROGRAM = """
import os, signal, sys
from gevent import monkey
monkey.patch_all()
import gevent.event
from traffic.locust_patches.ending import interrupt_main_greenlet

if sys.argv[1] == "cured":
    interrupt_main_greenlet()

def work():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
    print("work done", flush=True)

try:
    worker = gevent.spawn(work)
    gevent.event.Event().wait(60)
except KeyboardInterrupt:
    print("main interrupted", flush=True)
"""


def run(how: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout.splitlines()


def test_a_greenlet_that_runs_at_a_ctrl_c_finishes_its_work() -> None:
    assert run("cured") == ["work done", "main interrupted"]


def test_without_the_cure_it_breaks_in_mid_work() -> None:
    assert "work done" not in run("plain")
