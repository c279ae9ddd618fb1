"""Connect Locust to the core: messages and events go in, decisions come out and are carried out.

Messages come through the inbox, which one greenlet reads. The core is never entered by two greenlets at once, because
nothing in it yields. Decisions go through the outbox, which keeps their order and writes the journal first. `pause`
and `finish` say how a person pauses a run and how it ends.
"""

import argparse
import logging
import time
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import MasterRunner

from traffic.clock import now_s
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import AllSettled, Decision, Leased, LeaseReclaimed, OutcomesRecorded, Send
from traffic.core.master.stall import StallState
from traffic.core.protocol import FROM_WORKER, LeaseTerms
from traffic.core.ranges import RangeSet
from traffic.core.wire import ProtocolError
from traffic.dataset.dataset import DatasetError
from traffic.environment import with_proxy
from traffic.errors import RefusedError
from traffic.locust_patches.frames import drops, loop
from traffic.master.active_run import ActiveRun
from traffic.master.file_loading import BackgroundLoader, reading_line
from traffic.master.finish import EXIT_BROKEN, EXIT_REFUSED, RunFinisher
from traffic.master.inbox import Inbox
from traffic.master.locust_session import LocustSession, watched
from traffic.master.outbox import Outbox
from traffic.master.pause import RunPauser
from traffic.master.run_events import RunEventRecorder
from traffic.master.start import PreparedStart, RunStarter
from traffic.settings import read_lease
from traffic.terminal import plain
from traffic.terminal.live_line import LiveLine

logger = logging.getLogger(__name__)

PROGRESS_EVERY_S = 5.0
# Reading takes milliseconds. After this long without it something is wrong.
UNREAD_S = 10.0


class Master:
    """What a run needs of the master process. `delivery` is the present or the latest run, None before the first.

    SettingsError if an option that counts before any run cannot be used.
    """

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self.environment, self.runner = environment, runner
        self.delivery: ActiveRun | None = None
        self.test = LocustSession(environment, runner)
        assert environment.parsed_options is not None
        terms = LeaseTerms.of(read_lease(environment.parsed_options))
        self._coordinator = LeaseCoordinator(terms, first_session=time.time_ns() // 1_000_000)
        self._outbox = Outbox(self._act)
        self._pausing = RunPauser(self._coordinator, self._outbox)
        self._starts = RunStarter(environment)
        self.story = RunEventRecorder()
        # Set once it is known whether a run is to be resumed; `refusal` says why one cannot be.
        self._looked = Event()
        self.refusal: Exception | None = None
        self._broken = False
        self._progress_due = 0.0
        self._live = LiveLine(self._look, headless=self.test.headless)
        self._ending = RunFinisher(
            self.test, self._coordinator, self._outbox, self._starts, self.story, self._live, self._on_crash
        )
        self._inbox = Inbox(runner, self._read, self._tick)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.quitting.add_listener(self._on_quitting)
        watched(self._outbox.serve, self._on_crash)
        watched(self._serve, self._on_crash)

    @property
    def reading(self) -> BackgroundLoader:
        """What reads the traffic files."""
        return self._starts.reading

    @property
    def ill(self) -> str:
        """Why the workers' messages are not read; empty if they are."""
        broken = "the master's side of the protocol broke; its log says why" if self._broken else ""
        return broken or loop.ill(UNREAD_S) or self._inbox.ill(UNREAD_S)

    def check(self, options: argparse.Namespace) -> None:
        """Read the options and open the file, as a start would; what was opened serves the next start.

        One of RefusedError where the start would be refused.
        """
        self._looked.wait()
        self._starts.check(options)
        self.refusal = None

    # A run begins.

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        self._looked.wait()
        self.test.started()
        if self.delivery is not None and self.delivery.live:
            return  # a run that had lost its last worker, and with it Locust's test, or was resumed, goes on
        if self.delivery is not None and self.test.headless:
            raise gevent.GreenletExit  # its run was over before Locust began, and the process is about to end
        try:
            if self._starts.unattended and self.refusal is not None:
                raise self.refusal
            checked = self._starts.take()
            try:
                self._begin(checked)
            except BaseException:
                checked.close()
                raise
        except RefusedError as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """Call the start off; a headless process ends."""
        logger.error("refused to start: %s", error)
        self.story.refused(error)
        self.refusal = error
        if self.test.headless:
            self.test.end_process(EXIT_REFUSED)
            # Nothing is left to do for the greenlet that starts the test; an error would be told again, as a crash.
            raise gevent.GreenletExit
        raise StopTest(str(error)) from error

    def _begin(self, checked: PreparedStart) -> None:
        if checked.to_resume is not None:
            self._take_up(checked, checked.to_resume.held)
            return
        self._deliver(delivery := self._starts.begin(checked, self._coordinator.next_session))
        run, facts = delivery.run, delivery.facts
        line = "run %s: %d records of %s, order %s, seed %d"
        logger.info(line, facts.run, facts.records, facts.file, facts.order, facts.seed)
        self._outbox.put(self._coordinator.start(run, self.test.present(), now_s()))

    def _take_up(self, checked: PreparedStart, held: dict[str, RangeSet]) -> None:
        """Go on with a run of which workers had `held` in hand."""
        delivery = self._starts.resume(checked, self._coordinator.next_session)
        facts, in_hand = delivery.facts, sum(positions.count for positions in held.values())
        self._coordinator.number_sessions_from(facts.first_session)
        line = "run %s is resumed: %d of %d records of %s are settled, %d were in hand when it was cut off"
        logger.warning(line, facts.run, delivery.settled, facts.records, facts.file, in_hand)
        if again := facts.resumed[-1].resent_dead_letters:
            logger.warning("of run %s, %d that were dead letters are sent again, with the same keys", facts.run, again)
        self._deliver(delivery)
        self._outbox.put(self._coordinator.resume(delivery.run, held, facts.lease_s, now_s()))
        self._pausing.take_up(delivery, headless=self.test.headless)

    def _deliver(self, delivery: ActiveRun) -> None:
        """Make this the present run, and let go of the one before."""
        if self.delivery is not None:
            self.delivery.close()
            if self.delivery.facts.run != delivery.facts.run:
                self.delivery.discard_journal()
        self.delivery, self.refusal = delivery, None
        self.story.see(delivery)
        self._outbox.journal = delivery.journal
        if delivery.facts.host != self._starts.host_of_class:
            self.environment.host = delivery.facts.host
        options = self._starts.options
        options.traffic_run = delivery.facts.run
        # The form would ask for these again at the next start.
        options.traffic_resume = options.traffic_resend = options.traffic_other_host = options.traffic_again = ""

    def _look_for_a_run(self) -> None:
        """Take up a run that was cut off, or that the options name, before anything else is done."""
        try:
            checked = self._starts.find()
            if checked is None:
                return
            assert checked.to_resume is not None
            try:
                self._take_up(checked, checked.to_resume.held)
            except BaseException:
                checked.close()
                raise
        except RefusedError as error:
            self.refusal = error
            self.story.refused(error)
            if not self._starts.unattended:
                logger.error("refused to resume: %s", error)  # noqa: TRY400 - it is told to people
        else:
            assert self.delivery
            self.test.take_up(self.delivery.facts.users, self.delivery.facts.spawn_rate)

    # Messages.

    def _serve(self) -> None:
        self._look_for_a_run()
        self._looked.set()
        self._inbox.serve()

    def _read(self, message: Any) -> None:
        if self._outbox.trouble:
            return  # it could not be answered; it is as good as lost on its way, and will be said again
        kind = next(kind for kind in FROM_WORKER if kind.type == message.type)
        try:
            decisions = self._coordinator.receive(message.node_id, kind.from_wire(message.data), now_s())
        except ProtocolError as error:
            drops.drop(message.node_id, f"{message.type}: {error}")
            return
        except DatasetError as error:
            self._ending.fail(self.delivery, str(error))
            return
        self._outbox.put(decisions)

    def _tick(self, now: float) -> None:
        self._outbox.put(self._coordinator.expire(now))
        # A worker that Locust reports missing keeps its leases until they lapse, at most 2 s later: it may be alive,
        # and would go on handing out records that are another's by then. One that never spoke to us holds nothing.
        for worker in self.test.missing:
            if worker not in self._coordinator.sessions:
                self._outbox.put(self._coordinator.worker_lost(worker, "Locust reports it missing"))
        drops.tell()
        self.test.allow_reconnect()
        self.test.stop_again(now)
        self.test.rebalance_users()
        run = self.delivery.facts.run if self.delivery is not None and not self.test.idle else ""
        self.test.ask_to_register(self._coordinator.sessions, run, now)
        if self.delivery is not None and self.delivery.live:
            self._watch(self.delivery, now)
        self.story.see(self.delivery)

    def _watch(self, delivery: ActiveRun, now: float) -> None:
        """Look how the run goes: tell, pause, give up, or bring Locust's test back where it ended without us."""
        delivery.look(now)
        delivery.had_worker |= bool(self._coordinator.sessions)
        delivery.troubles = self._coordinator.troubles
        if (facts := delivery.note_users(self.runner.target_user_count, self.runner.spawn_rate)) is not None:
            self._outbox.note(facts)
        stalled = self._outbox.trouble or with_proxy(self._coordinator.stalled, delivery.facts.host)
        if delivery.update_state(stalled, now) is StallState.EXPIRED:
            reason = f"{stalled}; given up after {delivery.stall.give_up_s:g} s without progress"
            self._ending.fail(delivery, reason)
            return
        if now >= self._progress_due:
            self._progress_due = now + PROGRESS_EVERY_S
            line = plain.progress_line(delivery.account(self.test.worker_states()))
            logger.info("%s", line, extra=plain.ON_LIVE_LINE)
        if delivery.state != "stopping" and self.test.restart_test():
            what = "waits, paused, with its users" if delivery.paused_by_person else "goes on"
            logger.info("run %s %s: a worker is there", delivery.run.config.run, what)

    def _act(self, decision: Decision) -> None:
        if isinstance(decision, Send):
            self.runner.send_message(decision.message.type, decision.message.to_wire(), decision.worker)
        elif not isinstance(decision, OutcomesRecorded | Leased) and getattr(decision, "reported", True):
            logger.info("%s", decision)
            self.story.chronicle.note_decision(decision)
            if isinstance(decision, LeaseReclaimed) and self.delivery is not None:
                self.delivery.reclaimed += 1
            if isinstance(decision, AllSettled) and self.delivery is not None:
                self._ending.complete(self.delivery)

    def _look(self) -> dict[str, Any] | None:
        """What the live line is about; None where nothing goes on."""
        if self.delivery is not None and self.delivery.live:
            return self.delivery.account(self.test.worker_states())
        if (reading := self.reading.status) is not None:
            return {"state": "reading", "reason": reading_line(reading).removeprefix("reading ")}
        return None

    # A person pauses a run.

    def pause(self) -> None:
        """Have no further record handed out until `go_on`; ActRefusedError where no run could be paused."""
        self._pausing.pause(self.delivery)

    def go_on(self) -> None:
        """Have records handed out again; ActRefusedError where no person has paused the run."""
        self._pausing.go_on(self.delivery)

    # A run ends.

    def _on_test_stopping(self, environment: Environment, **_: Any) -> None:
        """Somebody stopped the test, or its time was up: take back what can be had, then report.

        Locust stops the test, too, when its last worker is gone: then the run waits for another.
        """
        self.test.stopped()
        if self.runner.worker_count:
            self.stop_run()

    def stop_run(self) -> None:
        """Hand out no more, wait for the workers' last acks, and report; nothing where no run is live."""
        self._ending.stop(self.delivery)

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        self._ending.quit(self.delivery, broken=self._broken)
        self._live.end()

    def _on_crash(self, greenlet: "gevent.Greenlet[..., Any]") -> None:
        """A fault of our own: say so, and do not leave a run hanging that nobody serves."""
        logger.critical("the master's side of the traffic protocol broke: %r", greenlet.exception)
        self._broken = True
        self.environment.process_exit_code = EXIT_BROKEN
        gevent.spawn(self.runner.quit)
