"""A process that has imported Locust, and forks into Locust processes on request.

To import Locust takes 0.7 to 1.0 s of a core, and the tests start it hundreds of times. A process that is forked from
one with the imports done begins at once, and is the same otherwise: arguments, environment, folder, output, exit code.

The tests speak to it over its stdin and stdout, in JSON lines: `{"id", "argv", "env", "cwd", "log"}` starts a process,
`{"id", "pid"}` says that it runs, `{"id", "status"}` how it ended, as `os.waitpid` has it. It ends its children, and
itself, when its stdin is closed.
"""

import json
import os
import random
import signal
import sys
from typing import Any, NoReturn

import gevent
import numpy.ma  # noqa: F401 - NumPy imports it at the first `unique`, which is in mid-run
from gevent import monkey
from locust.main import main as locust_main

# What a locustfile of ours imports. Not `traffic.plugin`, which changes Locust: a plain Locust is to be plain.
import traffic.master.master
import traffic.master.web
import traffic.users.replay_user
import traffic.worker.worker  # noqa: F401

# Locust has patched these. What is patched makes a hub of gevent's, and a child is to have its own.
_fork, _waitpid = monkey.get_original("os", ["fork", "waitpid"])
(_select,) = monkey.get_original("select", ["select"])
(_signal,) = monkey.get_original("signal", ["signal"])


def _serve() -> dict[str, Any]:
    """Start what is asked for; return only in a child, with what it is to be."""
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    running: dict[int, int] = {}
    asked = b""
    while True:
        ready, _, _ = _select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _report_ended(running)
        if 0 not in ready:
            continue
        data = os.read(0, 1 << 16)
        if not data:
            _end(running)
        *lines, asked = (asked + data).split(b"\n")
        for line in lines:
            what = json.loads(line)
            pid = _fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                _signal(signal.SIGCHLD, signal.SIG_DFL)
                return dict(what)
            running[pid] = what["id"]
            _say({"id": what["id"], "pid": pid})


def _report_ended(running: dict[int, int]) -> None:
    while running:
        pid, status = _waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _say({"id": running.pop(pid), "status": status})


def _say(what: dict[str, int]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _end(running: dict[int, int]) -> NoReturn:
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _become(what: dict[str, Any]) -> None:
    """Make this child a process like one that `python -m locust` would have started."""
    log = os.open(what["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, to in ((null, 0), (log, 1), (log, 2)):
        os.dup2(fd, to)
    os.closerange(3, 256)
    _renew_loop()
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode, 1, closefd=False) for fd, mode in enumerate("rww"))
    os.chdir(what["cwd"])
    own, its = (env.get("PYTHONPATH", "").split(os.pathsep) for env in (os.environ, what["env"]))
    os.environ.clear()
    os.environ.update(what["env"])
    sys.path[:] = [what["cwd"], *filter(None, its), *(path for path in sys.path if path not in own)]
    sys.argv[:] = ["locust", *what["argv"]]
    random.seed()  # else all children have the numbers of the process that they were forked from


def _renew_loop() -> None:
    """Give this child an event loop of its own, which knows the time.

    Locust's import has made the loop, so it comes with the fork. libev opens new file descriptors when it next runs,
    and closes the old numbers: nobody else must have got them by then. And its clock stood still since the import: a
    timer that is set by it would be over at once.
    """
    gevent.reinit()
    gevent.sleep(0)


if __name__ == "__main__":
    _become(_serve())
    locust_main()
