"""Connect Locust to the core: pass it messages and events, and carry out its decisions.

One greenlet reads the messages, from the inbox. Two greenlets are never in the core at once, because nothing in it
yields. Decisions go through the outbox, which keeps their order and writes the journal first. `start`, `watch`, `pause`
and `finish` have what a run needs from its start to its end.
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
from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.decisions import AllSettled, Decision, LeaseReclaimed, Send, is_shown
from traffic.core.protocol import FROM_WORKER
from traffic.core.ranges import RangeSet
from traffic.core.wire import ProtocolError
from traffic.dataset.dataset import DatasetError
from traffic.errors import RefusedError
from traffic.locust_patches.ending import finish_before_quit, note_sigterm
from traffic.locust_patches.frames import drops, loop
from traffic.master.active_run import ActiveRun
from traffic.master.api_holds import HoldFollower
from traffic.master.file_loading import BackgroundLoader, reading_line
from traffic.master.finish import EXIT_BROKEN, EXIT_REFUSED, RunFinisher
from traffic.master.for_a_person import ForAPerson
from traffic.master.inbox import Inbox
from traffic.master.locust_session import LocustSession, spawn_watched
from traffic.master.outbox import Outbox
from traffic.master.run_acts import RunActs
from traffic.master.run_events import RunEventRecorder
from traffic.master.start import PreparedStart, RunStarter
from traffic.master.storms import StormFollower
from traffic.master.watch import USERS_START, RunWatcher
from traffic.settings import read_lease, read_suspends
from traffic.terminal import plain
from traffic.terminal.live_line import LiveLine

logger = logging.getLogger(__name__)

# Reading a message takes milliseconds: if none was read for this long, something is wrong.
UNREAD_S = 10.0


class Master:
    """Leads the runs of one master process. `active_run` is the present or the latest run, None before the first.

    SettingsError if an option that counts before any run cannot be used.
    """

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        self.environment, self.runner = environment, runner
        self.active_run: ActiveRun | None = None
        self.locust_session = LocustSession(environment, runner)
        assert environment.parsed_options is not None
        terms = LeaseTerms.of(read_lease(environment.parsed_options))
        self._coordinator = LeaseCoordinator(terms, first_session=time.time_ns() // 1_000_000)
        self._outbox = Outbox(self._act)
        self._acts = RunActs(lambda: self.active_run, self._coordinator, self._outbox)
        self._starter = RunStarter(environment)
        self.run_events = RunEventRecorder()
        # Set when an interrupted run is resumed, or there is none. `refusal` says why the latest start was refused.
        self._ready = Event()
        self.refusal: Exception | None = None
        self._broken = False
        self._suspends = read_suspends(environment.parsed_options, unattended=self._starter.unattended)
        self._live_line = LiveLine(self._live_status, headless=self.locust_session.headless)
        self._finisher = RunFinisher(
            self.locust_session,
            self._coordinator,
            self._outbox,
            self._starter,
            self.run_events,
            self._live_line,
            self._on_crash,
        )
        acts_on = self._coordinator, self._outbox, self._finisher
        for_a_person = ForAPerson(*acts_on, headless=self.locust_session.headless)
        self._holds = HoldFollower(self._coordinator, self._outbox, for_a_person)
        self._storms = StormFollower(self._coordinator, for_a_person)
        self._watcher = RunWatcher(runner, self.locust_session, *acts_on)
        self._inbox = Inbox(runner, self._read, self._tick)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.quitting.add_listener(self._on_quitting)
        self._sigterm = note_sigterm(environment, runner)  # after that: it has to know first that the process ends
        finish_before_quit(runner, self._finish_before_quit)
        spawn_watched(self._outbox.serve, self._on_crash)
        spawn_watched(self._serve, self._on_crash)

    @property
    def loader(self) -> BackgroundLoader:
        """The loader of traffic files."""
        return self._starter.loader

    @property
    def ill(self) -> str:
        """Why the workers' messages are not read; empty if they are."""
        broken = "the master's side of the protocol broke; its log says why" if self._broken else ""
        return broken or loop.ill(UNREAD_S) or self._inbox.ill(UNREAD_S)

    def check(self, options: argparse.Namespace) -> PreparedStart:
        """Read the options and open the file, as a start would; the next start of Locust's test claims the result.

        RefusedError if the start would be refused.
        """
        self._ready.wait()
        prepared = self._starter.check(options)
        self.refusal = None
        return prepared

    # A run begins.

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        self._ready.wait()
        self.locust_session.started()
        if self.active_run is not None and self.active_run.live:
            return  # the run goes on: it was resumed, or had lost its last worker and with it Locust's test
        if self.active_run is not None and self.locust_session.headless:
            raise gevent.GreenletExit  # the run was over before Locust began, and the process is about to end
        try:
            if self._starter.unattended and self.refusal is not None:
                raise self.refusal
            self._begin(self._starter.claim())
        except RefusedError as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """Log that the start is refused, and stop Locust's start; end a headless process."""
        logger.error("refused to start: %s", error, extra=plain.refusal(error))
        self.run_events.refused(error)
        self.refusal = error
        if self.locust_session.headless:
            self.locust_session.end_process(EXIT_REFUSED)
            # This ends the greenlet that starts the test; an error would be logged again, as a crash.
            raise gevent.GreenletExit
        raise StopTest(str(error)) from error

    def _begin(self, prepared: PreparedStart) -> None:
        """Begin the run of a prepared start, or resume it, and report to whoever waits for it."""
        try:
            if prepared.to_resume is None:
                self._begin_new(prepared)
            else:
                self._resume(prepared, prepared.to_resume.held)
        except BaseException as error:
            prepared.call_off(error)
            raise
        assert self.active_run is not None
        prepared.begun.set(self.active_run)

    def _begin_new(self, prepared: PreparedStart) -> None:
        self._activate(active_run := self._starter.begin(prepared, self._coordinator.next_session))
        run, metadata = active_run.run, active_run.metadata
        line = "run %s: %d records of %s, order %s, seed %d"
        logger.info(line, metadata.run, metadata.records, metadata.file, metadata.order, metadata.seed)
        self._coordinator.schedule.hold = USERS_START
        self._outbox.put(self._coordinator.start(run, self.locust_session.present(), now_s()))

    def _resume(self, prepared: PreparedStart, held: dict[str, RangeSet]) -> None:
        """Resume a run of which workers hold the positions `held`."""
        active_run = self._starter.resume(prepared, self._coordinator.next_session)
        metadata, in_hand = active_run.metadata, sum(positions.count for positions in held.values())
        self._coordinator.number_sessions_from(metadata.first_session)
        line = "run %s is resumed: %d of %d records of %s are settled, %d were in hand when it was cut off"
        logger.warning(line, metadata.run, active_run.settled, metadata.records, metadata.file, in_hand)
        if resent := metadata.resumed[-1].resent_dead_letters:
            logger.warning(
                "of run %s, %d that were dead letters are sent again, with the same keys", metadata.run, resent
            )
        self._activate(active_run)
        self._coordinator.schedule.hold = USERS_START
        self._outbox.put(self._coordinator.resume(active_run.run, held, metadata.lease_s, now_s()))
        self._holds.restore(active_run)
        self._acts.restore(active_run, headless=self.locust_session.headless)

    def _activate(self, active_run: ActiveRun) -> None:
        """Make this the present run, and close the one before."""
        if self.active_run is not None:
            self.active_run.close()
            if self.active_run.metadata.run != active_run.metadata.run:
                self.active_run.discard_journal()
        self.active_run, self.refusal = active_run, None
        self.run_events.update(active_run)
        self._outbox.journal, self._outbox.results = active_run.journal, active_run.results
        self._outbox.put(active_run.sample(now_s()))
        if active_run.metadata.host != self._starter.host_of_class:
            self.environment.host = active_run.metadata.host
        options = self._starter.options
        options.traffic_run = active_run.metadata.run
        # Reset what belongs to one start only: the form would offer these values again.
        options.traffic_resume = options.traffic_resend = options.traffic_other_host = options.traffic_again = ""

    def _resume_interrupted(self) -> None:
        """Resume a run that was cut off, or that the options name, before any message is read."""
        try:
            prepared = self._starter.find_interrupted()
            if prepared is None:
                return
            self._begin(prepared)
        except RefusedError as error:
            self.refusal = error
            self.run_events.refused(error)
            if not self._starter.unattended:
                logger.error("refused to resume: %s", error)  # noqa: TRY400 - the reason is all there is to say
        else:
            assert self.active_run
            self.locust_session.prepare_resume(self.active_run.metadata.users, self.active_run.metadata.spawn_rate)

    # Messages.

    def _serve(self) -> None:
        self._resume_interrupted()
        self._ready.set()
        self._inbox.serve()

    def _read(self, message: Any) -> None:
        if self._outbox.trouble:
            return  # it cannot be answered; as if it were lost, the worker will send it again
        kind = next(kind for kind in FROM_WORKER if kind.type == message.type)
        try:
            decisions = self._coordinator.receive(message.node_id, kind.from_wire(message.data), now_s())
        except ProtocolError as error:
            drops.drop(message.node_id, f"{message.type}: {error}")
            return
        except DatasetError as error:
            self._finisher.fail(self.active_run, str(error))
            return
        decisions += self._follow_api()
        self._outbox.put(decisions)

    def _follow_api(self) -> list[Decision]:
        """Note in the journal what the API wants. Returns what is to be put after the decisions of the moment."""
        if self.active_run is None or not self.active_run.live:
            return []
        return [*self._holds.follow(self.active_run), *self._storms.follow(self.active_run)]

    def _tick(self, now: float) -> None:
        if self._outbox.trouble:
            self._coordinator.excuse_silence(now)  # `_read` reads nothing meanwhile
        decisions = self._coordinator.expire(now)
        decisions += self._follow_api()
        self._outbox.put(decisions)
        # A worker that Locust reports missing keeps its leases until they expire, at most 2 s later: it may be alive,
        # and would go on sending records that are leased to another by then. A worker without a session holds none.
        for worker in self.locust_session.missing:
            if worker not in self._coordinator.sessions:
                self._outbox.put(self._coordinator.worker_lost(worker, "Locust reports it missing"))
        drops.report()
        self.locust_session.allow_reconnect()
        self.locust_session.stop_again(now)
        self.locust_session.rebalance_users()
        run = self.active_run.metadata.run if self.active_run is not None and not self.locust_session.idle else ""
        self.locust_session.ask_to_register(self._coordinator.sessions, run, now)
        if self.active_run is not None and self.active_run.live:
            self._watcher.watch(self.active_run, now)
        self.run_events.update(self.active_run)

    def _act(self, decision: Decision) -> None:
        if isinstance(decision, Send):
            message = self._coordinator.stamped(decision.worker, decision.message, now_s())
            self.runner.send_message(message.type, message.to_wire(), decision.worker)
        elif is_shown(decision):
            logger.info("%s", decision)
            self.run_events.event_log.note_decision(decision)
            if isinstance(decision, LeaseReclaimed) and self.active_run is not None:
                self.active_run.reclaimed += 1
            if isinstance(decision, AllSettled) and self.active_run is not None:
                self._finisher.complete(self.active_run)

    def _live_status(self) -> dict[str, Any] | None:
        """Return what the live line shows; None if there is nothing to show."""
        if self.active_run is not None and self.active_run.live:
            return self.active_run.status(self.locust_session.worker_states())
        if (reading := self.loader.status) is not None:
            return {"state": "reading", "reason": reading_line(reading).removeprefix("reading ")}
        return None

    # What a person, or a locustfile's own code, wants of the run; ActRefusedError if that is not possible now.

    def pause(self) -> None:
        """Have no further record handed out until `unpause`."""
        self._acts.pause()

    def unpause(self) -> None:
        """Have records handed out again, if a person has paused the run."""
        self._acts.unpause()

    def change_rate(self, rate: str) -> float:
        """Have what is not dealt yet sent at another rate; return the second of the schedule in which that begins.

        ValueError, whose text begins with "must", if that is no rate.
        """
        return self._acts.change_rate(rate)

    def await_noted(self, within_s: float) -> bool:
        """Wait until what was changed last is in the journal; return whether it is within that time."""
        return self._outbox.await_noted(within_s)

    # A run ends.

    def _on_test_stopping(self, environment: Environment, **_: Any) -> None:
        """Stop the run, because a person stopped the test or its time was up.

        Locust also stops the test when its last worker is gone: then the run waits for another worker.
        """
        self.locust_session.stopped()
        if self.runner.worker_count:
            self.stop_run()

    def stop_run(self) -> None:
        """Hand out no more, wait for the workers' last acks, and report. Do nothing if no run is live."""
        self._finisher.stop(self.active_run)

    def _finish_before_quit(self) -> bool:
        """End the run because the process ends, or suspend it; return whether the workers end, too."""
        suspend = self._sigterm.came and self._suspends
        return self._finisher.quit(self.active_run, broken=self._broken, suspend=suspend)

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        self._finish_before_quit()
        self._live_line.end()

    def _on_crash(self, greenlet: "gevent.Greenlet[..., Any]") -> None:
        """Log a fault of our own and end the process: nobody would serve the run any more."""
        logger.critical("the master's side of the traffic protocol broke: %r", greenlet.exception)
        self._broken = True
        self.environment.process_exit_code = EXIT_BROKEN
        gevent.spawn(self.runner.quit)
