"""Cures of how Locust ends a test or its process, and of what its master does when it lost a test."""

import signal
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner

from traffic.locust_patches import states

_ENDED_BY_SIGTERM = 128 + signal.SIGTERM


def lost_its_test(runner: MasterRunner) -> bool:
    """Return whether Locust ended a test because the last worker was gone, and a worker is there now.

    Headless, Locust would hang then, with its records undelivered. The caller starts the test again; its statistics
    begin again, too. Needed for Locust 2.47.
    """
    # Without users the test has never been started: a headless Locust is about to start it.
    return runner.state in states.IDLE and bool(runner.target_user_count and runner.worker_count)


def end_ramp_up(runner: MasterRunner, starter: "gevent.Greenlet[..., Any] | None") -> None:
    """End the greenlet that starts the users, before the test is stopped.

    Otherwise a stop during a ramp-up is followed by more users, in a run that is over. Needed for Locust 2.47.
    """
    if runner.state == states.SPAWNING and starter is not None:
        starter.kill(block=True)


def repeat_stop(runner: MasterRunner) -> None:
    """Send "stop" again to each worker whose users run on after it.

    Locust sends it once. A worker that misses it runs on, and the master waits for over a minute.
    Needed for Locust 2.47.
    """
    for client in [*runner.clients.running, *runner.clients.spawning]:
        runner.server.send_to_client(Message("stop", None, client.id))


def await_no_workers(environment: Environment) -> None:
    """Have a headless Locust that has not begun its test stop waiting for workers: the run is over.

    Otherwise the process never ends. Needed for Locust 2.47.
    """
    assert environment.parsed_options is not None
    environment.parsed_options.expect_workers = 0


def end_process(environment: Environment, runner: MasterRunner, exit_code: int) -> None:
    """End a headless process whose start was called off by StopTest.

    Otherwise it waits for a test that never starts, and no exit code is ever seen. Needed for Locust 2.47.
    """
    environment.process_exit_code = exit_code
    gevent.spawn(runner.quit)


class Sigterm:
    """Whether a SIGTERM `came`. The process ends then, if not by Locust's handler, by this one."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self.came = False
        self._environment, self._runner, self._quitting = environment, runner, False
        environment.events.quitting.add_listener(self._on_quitting)
        gevent.signal_handler(signal.SIGTERM, self._handle)

    def _on_quitting(self, **_: Any) -> None:
        self._quitting = True
        gevent.sleep(0)  # Locust's handler was called before ours

    def _handle(self) -> None:
        self.came = True
        gevent.sleep(0)  # ours was called before Locust's
        if not self._quitting:
            self._runner.quit()
            code = self._environment.process_exit_code
            _throw_in_main(SystemExit(_ENDED_BY_SIGTERM if code is None else code))


def note_sigterm(environment: Environment, runner: MasterRunner) -> Sigterm:
    """Note that a SIGTERM comes, and have it end the process in order at any time.

    Call it after the other listeners of `quitting` are added, which would be called before it otherwise. Locust's own
    handler says to nobody that a signal was the reason, and there is none while a headless Locust waits for its workers
    or follows a shape. Needed for Locust 2.47.
    """
    return Sigterm(environment, runner)


def finish_before_quit(runner: MasterRunner, finish: Callable[[], bool]) -> None:
    """Have the master call `finish`, which may wait for the workers, before it stops reading their messages.

    `finish` returns whether the workers are to end, too. Otherwise they wait for the next master.
    When the time of a headless test is up, Locust reads on for half a second. The outcome of every request that takes
    longer would be unknown. Needed for Locust 2.47.
    """
    quit_at_once = runner.quit

    def finish_and_quit() -> None:
        runner.stop(send_stop_to_client=False)
        if not finish():
            for worker in [client.id for client in runner.clients.all]:
                del runner.clients[worker]
        quit_at_once()

    runner.quit = finish_and_quit  # type: ignore[method-assign]


def interrupt_main_greenlet() -> None:
    """Raise the KeyboardInterrupt of a Ctrl-C in the main greenlet, which ends the process in order.

    Locust leaves SIGINT to Python, which raises it in whichever greenlet is running: that one breaks in mid-work, be it
    the one that reads the workers' messages, or a user in mid-request. Needed for Locust 2.47.
    """
    gevent.signal_handler(signal.SIGINT, _throw_in_main, KeyboardInterrupt)


def _throw_in_main(error: BaseException | type[BaseException]) -> None:
    hub = gevent.get_hub()
    hub.loop.run_callback(hub.parent.throw, error)
