"""The master adapter: Locust's events and the workers' messages go to the core, its decisions become acts.

Locust's receive loop only ever puts a message into the inbox; one greenlet of our own reads it. The core is not
entered from two greenlets at once, because nothing in it yields.
"""

import argparse
import logging
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gevent
from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import MasterRunner

from traffic import console
from traffic.clock import now_s
from traffic.core.custody import Custody
from traffic.core.dataset import Dataset, DatasetError
from traffic.core.decisions import AllSettled, Booked, Decision, Send
from traffic.core.order import Order
from traffic.core.patience import Verdict
from traffic.core.protocol import FROM_WORKER, ProtocolError, RunTerms, Terms
from traffic.core.report import all_delivered
from traffic.core.run import Run
from traffic.delivery import Delivery
from traffic.locust_test import LocustTest, watched
from traffic.settings import Settings, SettingsError, read_host
from traffic.state import StateError, StateFolder

logger = logging.getLogger(__name__)

EXIT_DELIVERED, EXIT_BROKEN, EXIT_NOT_ALL, EXIT_REFUSED = 0, 2, 3, 4
TICK_S = 0.25
PROGRESS_EVERY_S = 5.0
# Messages that are read before Locust's own greenlets get their turn.
BURST = 50
# Beyond the stop timeout: for the workers' last acks to arrive.
LAST_ACKS_S = 3.0

RefusedError = (SettingsError, DatasetError, StateError)


class Master:
    """What a run needs of the master process. `delivery` is the present or the latest run, None before the first."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self.environment, self.runner = environment, runner
        self.delivery: Delivery | None = None
        self.test = LocustTest(environment, runner)
        self._custody = Custody(Terms(), first_session=time.time_ns() // 1_000_000)
        self._inbox: Queue[Any] = Queue()
        self._checked: tuple[Settings, Dataset] | None = None
        self._progress_due = 0.0
        for kind in FROM_WORKER:
            runner.register_message(kind.type, self._on_message)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.quitting.add_listener(self._on_quitting)
        watched(self._serve, self._on_crash)

    def check(self, options: argparse.Namespace) -> None:
        """Read the options and open the file, as a start would; what was opened serves the next start.

        SettingsError, DatasetError or StateError where the run would be refused.
        """
        settings = Settings.read(options)
        read_host(options, self._class_host())
        StateFolder(settings.state_dir).prepare()
        # In a thread, so that the workers' heartbeats are answered while a large file is read.
        dataset = gevent.get_hub().threadpool.apply(_open, (settings.file,))
        if isinstance(dataset, DatasetError):
            raise dataset
        if self._checked is not None:
            self._checked[1].close()
        self._checked = (settings, dataset)

    def _class_host(self) -> str | None:
        return next((user.host for user in self.environment.user_classes if user.host), None)

    # A run begins.

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        self.test.started()
        if self.delivery is not None and self.delivery.live:
            return  # a run that had lost its last worker, and with it Locust's test, goes on
        try:
            if self._checked is None:
                self.check(self._options())
        except RefusedError as error:
            self._refuse(error)
        assert self._checked
        settings, dataset = self._checked
        self._checked = None
        self._begin(settings, dataset)

    def _options(self) -> argparse.Namespace:
        options = self.environment.parsed_options
        assert isinstance(options, argparse.Namespace)
        return options

    def _refuse(self, error: Exception) -> None:
        """Call the start off; a headless process ends."""
        logger.error("refused to start: %s", error)
        if self.test.headless:
            self.test.end_process(EXIT_REFUSED)
            # Nothing is left to do for the greenlet that starts the test; an error would be told again, as a crash.
            raise gevent.GreenletExit
        raise StopTest(str(error)) from error

    def _begin(self, settings: Settings, dataset: Dataset) -> None:
        terms = RunTerms(
            run=f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}",
            method=settings.method,
            path=settings.path,
            wait=settings.wait,
            max_attempts=settings.max_attempts,
            policy=settings.policy,
        )
        if self.delivery is not None:
            self.delivery.close()
        run = Run.of(terms, dataset, Order(dataset.records, settings.seed, settings.order))
        host = read_host(argparse.Namespace(host=self.environment.host), self._class_host())
        if self.environment.host:
            self.environment.host = host  # a slash at its end would make users send nothing, and say nothing
        self.delivery = Delivery(run, settings, host)
        self._options().traffic_run = terms.run
        logger.info(
            "run %s: %d records of %s, order %s, seed %d",
            terms.run,
            run.ledger.records,
            settings.file,
            settings.order,
            settings.seed,
        )
        self._carry_out(self._custody.start(run, self.test.present(), now_s()))

    # Messages.

    def _on_message(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._inbox.put_nowait(msg)

    def _serve(self) -> None:
        ticked, read = 0.0, 0
        while True:
            if now_s() - ticked >= TICK_S:
                ticked = now_s()
                self._tick(ticked)
            try:
                message = self._inbox.get(timeout=TICK_S)
            except Empty:
                continue
            self._read(message)
            read += 1
            if read % BURST == 0:
                gevent.sleep(0)

    def _read(self, message: Any) -> None:
        kind = next(kind for kind in FROM_WORKER if kind.type == message.type)
        try:
            decisions = self._custody.receive(message.node_id, kind.from_wire(message.data), now_s())
        except ProtocolError as error:
            logger.warning("dropped a %s message from %s: %s", message.type, message.node_id, error)
            return
        except DatasetError as error:
            self._fail(str(error))
            return
        self._carry_out(decisions)

    def _tick(self, now: float) -> None:
        self._carry_out(self._custody.expire(now))
        # A worker that Locust reports missing keeps its leases until they lapse, at most 2 s later: it may be alive,
        # and would go on handing out records that are another's by then. One that never spoke to us holds nothing.
        for worker in self.test.missing:
            if worker not in self._custody.sessions:
                self._carry_out(self._custody.worker_lost(worker, "Locust reports it missing"))
        self.test.tend_socket()
        self.test.stop_again(now)
        self.test.ask_to_register(self._custody.sessions, now)
        if self.delivery is not None and self.delivery.live:
            self._watch(self.delivery, now)

    def _watch(self, delivery: Delivery, now: float) -> None:
        """Look how the run goes: tell, pause, give up, or bring Locust's test back where it ended without us."""
        delivery.look(now)
        stalled = self._custody.stalled
        if delivery.weigh(stalled, now) is Verdict.GIVEN_UP:
            self._fail(f"{stalled}; given up after {delivery.patience.give_up_s:g} s without progress")
            return
        if now >= self._progress_due:
            self._progress_due = now + PROGRESS_EVERY_S
            logger.info("%s", console.progress_line(delivery.account(self.test.worker_states())))
        if delivery.state != "stopping" and self.test.bring_back():
            logger.info("run %s goes on: a worker is back", delivery.run.terms.run)

    def _carry_out(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            if isinstance(decision, Send):
                self.runner.send_message(decision.message.type, decision.message.to_wire(), decision.worker)
            elif not isinstance(decision, Booked):
                logger.info("%s", decision)
                if isinstance(decision, AllSettled):
                    watched(self._complete, self._on_crash)

    # A run ends.

    def _complete(self) -> None:
        """Every record is settled: write the report, then stop Locust's test."""
        self._finish("completed")
        self.test.stop()

    def _on_test_stopping(self, environment: Environment, **_: Any) -> None:
        """Somebody stopped the test, or its time was up: take back what can be had, then report.

        Locust stops the test, too, when its last worker is gone: then the run waits for another.
        """
        self.test.stopped()
        if self.runner.worker_count:
            self.stop_run()

    def stop_run(self) -> None:
        """Hand out no more, wait for the workers' last acks, and report; nothing where no run is live."""
        if self._hand_out_no_more():
            watched(self._wind_up, self._on_crash)

    def _wind_up(self) -> None:
        self._finish_after_last_acks("stopped")
        self.test.wind_up()

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        """The process ends: nothing comes after this, so wait here for the last acks."""
        if self._hand_out_no_more():
            self._finish_after_last_acks("stopped")

    def _hand_out_no_more(self) -> bool:
        """Tell the workers that the live run is over; whether there is one."""
        if self.delivery is None or not self.delivery.live:
            return False
        self.delivery.state = "stopping"
        self._carry_out(self._custody.stop())
        return True

    def _finish_after_last_acks(self, state: str, reason: str = "") -> None:
        deadline = now_s() + self.environment.stop_timeout + LAST_ACKS_S
        while not self._custody.settled_or_back and now_s() < deadline:
            gevent.sleep(0.05)
        self._finish(state, reason)

    def _finish(self, state: str, reason: str = "") -> None:
        """Close the ledger and write the report; nothing where that has been done."""
        delivery = self.delivery
        if delivery is None or not delivery.live:
            return
        self._carry_out(self._custody.close())
        report = delivery.finish(state, reason, self.test.worker_states())
        self.environment.process_exit_code = EXIT_DELIVERED if all_delivered(report) else EXIT_NOT_ALL

    def _fail(self, reason: str) -> None:
        """End the run because it cannot go on; not here, where the workers' messages are read."""
        if self.delivery is None or self.delivery.state == "stopping":
            return
        logger.error("the run cannot go on: %s", reason)
        self._hand_out_no_more()

        def end() -> None:
            self._finish_after_last_acks("failed", reason)
            self.test.stop()

        watched(end, self._on_crash)

    def _on_crash(self, greenlet: "gevent.Greenlet[..., Any]") -> None:
        """A fault of our own: say so, and do not leave a run hanging that nobody serves."""
        logger.critical("the master's side of the traffic protocol broke: %r", greenlet.exception)
        self.environment.process_exit_code = EXIT_BROKEN
        gevent.spawn(self.runner.quit)


def _open(file: Path) -> Dataset | DatasetError:
    """Open a dataset in a thread; an error raised there would be printed with its trace before it arrives."""
    try:
        return Dataset.open(file)
    except DatasetError as error:
        return error
