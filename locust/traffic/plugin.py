"""Attaches the traffic protocol to Locust: the options, and a master or a worker in the process that has one."""

import logging
import os
import sys
from typing import Any
from weakref import WeakKeyDictionary

from locust import events, task
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from traffic.channel.secret import SecretError, check_channel
from traffic.core.outcome import Answer, AtLeastOnce, AtMostOnce, Outcome
from traffic.environment import own_loopback, unknown
from traffic.locust_patches.install import patch_master, patch_process, patch_worker
from traffic.master.finish import refuse_to_start
from traffic.master.master import Master
from traffic.master.web import Web
from traffic.settings import OPTIONS, SettingsError, add_options
from traffic.terminal.live_line import clear_row_before_log
from traffic.terminal.status_pipe import report_log, report_parse_errors
from traffic.users.at_stub import only_at_stub
from traffic.users.record_user import RecordUser
from traffic.users.replay_user import ReplayUser
from traffic.users.source import sources
from traffic.worker.worker import Worker

__all__ = [
    "Answer",
    "AtLeastOnce",
    "AtMostOnce",
    "Outcome",
    "RecordUser",
    "ReplayUser",
    "master_of",
    "only_at_stub",
    "task",
]

_masters: "WeakKeyDictionary[Environment, Master]" = WeakKeyDictionary()


def master_of(environment: Environment) -> Master | None:
    """Return the master of this process, from Locust's `init` on; None in a worker."""
    return _masters.get(environment)


def _attach(environment: Environment, runner: Any, **_: Any) -> None:
    """Make this process a master or a worker of the traffic protocol."""
    if isinstance(runner, MasterRunner):
        assert environment.parsed_options is not None
        patch_master(environment, runner)
        report_log()
        _check_channel(environment.parsed_options, runner.master_bind_host)
        _warn(environment.parsed_options.host or "")
        try:
            master = _masters[environment] = Master(environment, runner)
        except SettingsError as error:
            refuse_to_start(error)
        if environment.web_ui is not None:
            Web(environment.web_ui, master)
    elif isinstance(runner, WorkerRunner):
        assert environment.parsed_options is not None
        _check_channel(environment.parsed_options)
        clear_row_before_log(headless=environment.parsed_options.headless)
        patch_worker(runner)
        sources[environment] = Worker(environment, runner)
    else:
        logging.getLogger(__name__).error(
            "records are handed out by a master to its workers, and this process is neither. "
            "Add --processes 4, or start one with --master and others with --worker."
        )
        sys.exit(1)


def _check_channel(options: Any, bind_host: str = "localhost") -> None:
    """End a process that must have a secret and has none; warn if its channel is open to other machines."""
    try:
        if warning := check_channel(os.environ, options.traffic_secret, bind_host):
            logging.getLogger(__name__).warning("%s", warning)
    except SecretError as error:
        refuse_to_start(error)


def _warn(host: str) -> None:
    """Warn at the master's start of settings that are probably mistakes."""
    logger = logging.getLogger(__name__)
    for line in unknown(os.environ, [option.name for option in OPTIONS]):
        logger.warning("%s", line)
    if (why := own_loopback(host, os.environ)) is not None:
        logger.warning("the host %s is not reached from here: %s.", host, why)


patch_process(refuse_to_start)
events.init_command_line_parser.add_listener(add_options)
events.init_command_line_parser.add_listener(report_parse_errors)
events.init.add_listener(_attach)
