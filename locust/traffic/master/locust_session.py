"""Start Locust's own test again for a run, stop it, and end the process.

`locust_patches` cures what Locust does wrong on the way; this module decides when.
"""

from collections.abc import Callable, Iterable
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import MasterRunner

from traffic.clock import now_s
from traffic.locust_patches import states
from traffic.locust_patches.ending import await_no_workers, end_process, end_ramp_up, lost_its_test, repeat_stop
from traffic.locust_patches.frames import limit_frame_size
from traffic.locust_patches.membership import (
    allow_reconnect,
    forget_missing_workers,
    note_returning_workers,
    request_registration,
)
from traffic.locust_patches.rebalancing import rebalance_beside_messages

# The workers send their last statistics when their users have ended; give them time to arrive.
LAST_STATISTICS_S = 1.0
# Seconds after which "stop" is sent again: Locust sends it once, and a worker may miss it.
STOP_AGAIN_S = 3.0
# Seconds after which a worker that sends us messages, and that Locust does not list, is asked to register again.
UNLISTED_S = 1.0


class LocustSession:
    """Locust's test for a run. It may start several times, because Locust ends it when the last worker is gone."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self.environment, self.runner = environment, runner
        self._starter: gevent.Greenlet[..., Any] | None = None
        self._ending_until = 0.0
        self._wound_up = False
        self._stop_again_at = 0.0
        self._unlisted: dict[str, float] = {}
        self._server: object = None
        self.allow_reconnect()
        self._returning = note_returning_workers(runner)
        self._rebalancer = rebalance_beside_messages(runner)

    @property
    def headless(self) -> bool:
        """Whether there is no web UI, so that the process ends with the run."""
        return self.environment.web_ui is None

    @property
    def ending(self) -> bool:
        """Whether a test has ended, and its last statistics, or its workers, have yet to come back."""
        latest = max([self._ending_until, *self._returning.values()])
        return now_s() < latest or self.runner.state in states.ENDING

    @property
    def missing(self) -> list[str]:
        """The workers that have sent Locust no heartbeat for some seconds."""
        return [client.id for client in self.runner.clients.all if client.state == states.MISSING]

    def allow_reconnect(self) -> None:
        """Prepare the master's socket, if Locust has made a new one since the last call."""
        if self._server is not self.runner.server:
            self._server = self.runner.server
            allow_reconnect(self.runner.server)
            limit_frame_size(self.runner.server)

    def worker_states(self) -> dict[str, str]:
        """Return the state of each connected worker, in Locust's words."""
        return {client.id: client.state for client in self.runner.clients.all}

    def present(self) -> list[str]:
        """Return the workers that can have a slice of a run, in the order in which they came."""
        workers = [client.id for client in self.runner.clients.all if client.state != states.MISSING]
        return sorted(workers, key=self.runner.get_worker_index)

    @property
    def idle(self) -> bool:
        """Whether no test runs in Locust."""
        return self.runner.state in states.IDLE

    def prepare_resume(self, users: int, rate: float) -> None:
        """Prepare Locust for the test of a run that an earlier process began.

        If Locust starts the test by itself, have it wait for one worker only, because others may never come back. If it
        does not, `restart_test` starts the test with this many users.
        """
        options = self.environment.parsed_options
        assert options is not None
        if self.headless or options.autostart:
            options.expect_workers = min(options.expect_workers, 1)
        else:
            self.runner.target_user_count = users or options.num_users or 1
            self.runner.spawn_rate = rate or options.spawn_rate or 1.0

    def rebalance_users(self) -> None:
        """Rebalance the users if workers have come or gone since the last time."""
        self._rebalancer.rebalance()

    def started(self) -> None:
        """Remember the greenlet that starts the users. Call it from Locust's test_start."""
        self._starter, self._wound_up = gevent.getcurrent(), False

    def stopped(self) -> None:
        """Forget that greenlet, and end a start of our own. Call it from Locust's test_stopping."""
        self._starter = None
        self._rebalancer.end()

    def restart_test(self) -> bool:
        """Start the test again if Locust lost it, for want of workers or in a restart; return whether it started."""
        if self._starter is not None or not lost_its_test(self.runner):
            return False
        self._starter = self._rebalancer.start()
        return True

    def stop(self) -> None:
        """End the test, and a headless process with it. This waits: do not call it from a message handler."""
        end_ramp_up(self.runner, self._starter)
        self._starter = None
        self.runner.stop()
        self.wind_up()

    def stop_again(self, now: float) -> None:
        """Send "stop" again, now and then, to workers that run on after it, and forget those that died meanwhile."""
        if self._wound_up and self.runner.state == states.STOPPING and self.missing:
            forget_missing_workers(self.runner)  # Locust learns seconds after the end that a worker is gone
        if self.runner.state != states.STOPPING:
            self._stop_again_at = now + self.environment.stop_timeout + STOP_AGAIN_S
        elif now >= self._stop_again_at:
            self._stop_again_at = now + STOP_AGAIN_S
            repeat_stop(self.runner)

    def wind_up(self) -> None:
        """Clean up after the test was stopped; end a headless process."""
        self._ending_until, self._wound_up = now_s() + LAST_STATISTICS_S, True
        forget_missing_workers(self.runner)
        if self.headless:
            await_no_workers(self.environment)
            gevent.sleep(LAST_STATISTICS_S)
            self.runner.quit()
        else:
            self._quit_if_asked()

    def _quit_if_asked(self) -> None:
        """End the process as `--autoquit` says, which Locust heeds only if a run's time is up."""
        options = self.environment.parsed_options
        if options is not None and options.autostart and options.autoquit >= 0:
            gevent.sleep(max(LAST_STATISTICS_S, options.autoquit))
            self.runner.quit()
            if self.environment.web_ui is not None:
                self.environment.web_ui.stop()

    def end_process(self, exit_code: int) -> None:
        """End a headless process whose start was called off."""
        end_process(self.environment, self.runner, exit_code)

    def ask_to_register(self, speaking: Iterable[str], run: str, now: float) -> None:
        """Ask workers that send us messages, and that Locust does not list, to register with Locust.

        `run` is what the running test delivers; a worker with users of another test ends them first.
        """
        absent = [worker for worker in speaking if worker not in self.runner.clients]
        self._unlisted = {worker: self._unlisted.get(worker, now) for worker in absent}
        for worker, since in self._unlisted.items():
            if now - since >= UNLISTED_S:
                self._unlisted[worker] = now
                request_registration(self.runner, worker, run)


def spawn_watched(act: Callable[[], None], on_crash: Callable[["gevent.Greenlet[..., Any]"], None]) -> None:
    """Run `act` in a greenlet of its own; if it fails, call `on_crash`."""
    gevent.spawn(act).link_exception(on_crash)
