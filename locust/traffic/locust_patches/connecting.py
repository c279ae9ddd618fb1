"""Report within seconds that no master answers a worker.

A worker connects while Locust makes its runner, before `init`, when no object of ours exists. So the constructor of
the runner is wrapped.
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

from traffic.channel.refusals import refusals

logger = logging.getLogger(__name__)

# Together under five seconds; a master that was started at the same time needs one or two.
SILENT_CONNECT_S, PROBE_S = 3.0, 1.0
# How long the master may take to answer the hello of a worker that Locust lists.
SILENT_HELLO_S = 5.0


def report_missing_master() -> None:
    """Have every worker of this process log, after `SILENT_CONNECT_S`, what answers where its master should be.

    Locust says nothing for half a minute, and then only what it tries: a wrong `--master-host` looks like a slow start.
    A second call does nothing. Needed for Locust 2.47.
    """
    connect = WorkerRunner.__init__
    if getattr(connect, "reporting", False):
        return

    def reporting(runner: WorkerRunner, environment: Environment, master_host: str, master_port: int) -> None:
        gevent.spawn_later(SILENT_CONNECT_S, _report_if_alone, runner, master_host, master_port)
        connect(runner, environment, master_host, master_port)

    reporting.reporting = True  # type: ignore[attr-defined]
    WorkerRunner.__init__ = reporting  # type: ignore[assignment, method-assign]


def report_silent_master(runner: Any, is_answered: Callable[[], bool]) -> None:
    """Log a warning if Locust's master lists the worker, and our part of the master does not answer it."""

    def check() -> None:
        if not is_answered():
            logger.warning(
                "the master at %s:%d has not answered this worker's hello for %g s: it reads a large file, or its "
                "locustfile does not import from traffic. The worker continues to ask",
                *(runner.master_host, runner.master_port, SILENT_HELLO_S),
            )

    gevent.spawn_later(SILENT_HELLO_S, check)


def _report_if_alone(runner: WorkerRunner, host: str, port: int) -> None:
    if not getattr(runner, "connected", False):  # set once the name of the master has been looked up
        line = "no master has answered this worker at %s:%d for %g s: %s. It continues to try, for five minutes"
        logger.warning(line, host, port, SILENT_CONNECT_S, refusals.latest or why_no_master(host, port))


def why_no_master(host: str, port: int) -> str:
    """Find out whether anything listens there; return that, and what to check."""
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
