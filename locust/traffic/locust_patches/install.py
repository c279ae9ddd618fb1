"""Applies the cures that need only the process or its runner. Add a new cure of that kind here."""

from collections.abc import Callable
from typing import NoReturn

from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from traffic.errors import RefusedError
from traffic.locust_patches.channel import close_channel
from traffic.locust_patches.connecting import report_missing_master
from traffic.locust_patches.defaults import (
    enable_rebalancing,
    keep_missing_workers,
    set_stop_timeout,
    wait_for_lost_master,
)
from traffic.locust_patches.ending import interrupt_main_greenlet
from traffic.locust_patches.frames import drop_odd_frames
from traffic.locust_patches.membership import count_workers_once, ignore_unknown_workers
from traffic.locust_patches.parser import make_parser_once
from traffic.locust_patches.worker_tests import stop_early_start


def patch_process(refuse: Callable[[RefusedError], NoReturn]) -> None:
    """Change Locust in this process; call it before Locust makes a runner. A second call changes nothing.

    `refuse` ends a process whose secret cannot be used, or does not fit.
    """
    make_parser_once()
    close_channel(refuse)
    drop_odd_frames()
    report_missing_master()


def patch_master(environment: Environment, runner: MasterRunner) -> None:
    """Change the settings and the runner of a master, before anything else of ours is made."""
    interrupt_main_greenlet()
    enable_rebalancing(environment)
    set_stop_timeout(environment)
    keep_missing_workers()
    ignore_unknown_workers(runner)
    count_workers_once(runner)


def patch_worker(runner: WorkerRunner) -> None:
    """Change the settings and the runner of a worker, before anything else of ours is made."""
    interrupt_main_greenlet()
    wait_for_lost_master()
    stop_early_start(runner)
