"""Says within seconds that nobody answers a worker. Locust tries for five minutes, and says nothing in the first half.

A worker connects while Locust makes its runner, before `init`, and no object of ours is there: so that is wrapped.
"""

import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import WorkerRunner

logger = logging.getLogger(__name__)

# Together under five seconds: a master that was started at the same time needs one or two.
PATIENCE_S, PROBE_S = 3.0, 1.0
# A worker that Locust has taken in, and whose hello the master does not answer.
HELLO_PATIENCE_S = 5.0


def report_missing_master() -> None:
    """Have every worker of this process log, after `PATIENCE_S`, what it found where its master should be.

    Locust says nothing for half a minute, and then only what it tries: a wrong `--master-host` looks like a slow start.
    A second call does nothing. Needed for Locust 2.47.
    """
    begin = WorkerRunner.__init__
    if getattr(begin, "attended", False):
        return

    def attended(runner: WorkerRunner, environment: Environment, master_host: str, master_port: int) -> None:
        gevent.spawn_later(PATIENCE_S, _say_if_alone, runner, master_host, master_port)
        begin(runner, environment, master_host, master_port)

    attended.attended = True  # type: ignore[attr-defined]
    WorkerRunner.__init__ = attended  # type: ignore[assignment, method-assign]


def report_silent_master(runner: Any, is_answered: Callable[[], bool]) -> None:
    """Say so if the master takes the worker in and then does not answer it."""

    def look() -> None:
        if not is_answered():
            logger.warning(
                "the master at %s:%d has not answered this worker's hello for %g s: it reads a large file, or its "
                "locustfile is none of this project's (from traffic import ...). The worker goes on asking",
                *(runner.master_host, runner.master_port, HELLO_PATIENCE_S),
            )

    gevent.spawn_later(HELLO_PATIENCE_S, look)


def _say_if_alone(runner: WorkerRunner, host: str, port: int) -> None:
    if not getattr(runner, "connected", False):  # it is set once the name of the master has been looked up
        line = "no master has answered this worker at %s:%d for %g s: %s. It goes on trying, for five minutes"
        logger.warning(line, host, port, PATIENCE_S, why_no_master(host, port))


def why_no_master(host: str, port: int) -> str:
    """Look whether anything listens there, and say what to check."""
    check = "check --master-host and --master-port"
    try:
        with gevent.Timeout(PROBE_S, TimeoutError("no answer")), socket.create_connection((host, port), PROBE_S):
            return f"something listens there that is no master of Locust, or one that is busy; {check}"
    except socket.gaierror as error:
        return f"the name is not known ({error.strerror or error}); {check}"
    except TimeoutError:
        return f"nothing answers there (a firewall, or a machine that is off); {check}"
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        remedy = "start the master, or " if error.errno == errno.ECONNREFUSED else ""
        return f"it cannot be reached ({reason}); {remedy}{check}"
