"""Answer the workers' messages, and the passing of time, with decisions: the master's side of the protocol.

Guarded here:

- What a worker says it *holds* counts in its present session only. What it says it *saw* is recorded from any session,
  because it is true.
- A peer that was never heard in a session of this master has no part in the run. It is welcomed, and gets its slice
  with its first hello, or its first ack in that session.
- A session lasts `lease_s` from when its last ack was received. The worker counts the same time from when it sent that
  ack, which was earlier, so it has stopped handing out records before they are leased to another.
- After a restart nothing is leased until the leases of the former master have lapsed. These may have been renewed until
  the moment it died.
- While a person pauses the run, or the API has asked it to wait, no answer has a lease, and each answer says so.
- A worker in trouble gets one record at a time, and none of another worker's slice while a worker is well.
"""

from dataclasses import replace

from traffic.core.lease_terms import LeaseTerms
from traffic.core.master.api_hold import ApiHold
from traffic.core.master.api_wishes import follow_wishes, limits_of, note_wishes
from traffic.core.master.decisions import (
    AllSettled,
    Decision,
    OutcomesRecorded,
    Send,
    WorkerTroubled,
)
from traffic.core.master.in_doubt import in_doubt_at_end, in_doubt_at_restart
from traffic.core.master.membership import Membership
from traffic.core.master.run import Run
from traffic.core.master.schedule_keeper import ScheduleKeeper, stamped
from traffic.core.master.session import SendLimits, Session
from traffic.core.master.stall import describe_trouble, stall_reason
from traffic.core.protocol import VERSION, Ack, AckReply, Hello, LeaseGrant, Message, ResultBatch
from traffic.core.ranges import RangeSet
from traffic.core.record_state import RecordState
from traffic.core.wire import ProtocolError


class LeaseCoordinator:
    """Accepts the workers' messages and the passing of time (seconds on any one clock); returns decisions.

    `first_session` must be greater than any session number that an earlier master of the same workers gave out.
    `paused` says whether a person pauses the run.
    """

    def __init__(self, terms: LeaseTerms, first_session: int) -> None:
        self.terms = terms
        self.members = Membership(first_session)
        self.run: Run | None = None
        self.paused = False
        self.schedule = ScheduleKeeper()
        self._over = False
        # A resumed run is assigned once it may be leased: to all workers that are there by then.
        self._leasing_from = 0.0
        self._assigned = True

    def number_sessions_from(self, first: int) -> None:
        """Give out no session number below `first`."""
        self.members.next_session = max(first, self.members.next_session)

    @property
    def next_session(self) -> int:
        """The number that the next session gets."""
        return self.members.next_session

    @property
    def sessions(self) -> dict[str, Session]:
        """The present sessions of the workers that take part, by worker."""
        return self.members.sessions

    def resume(self, run: Run, held: dict[str, RangeSet], longest_lease_s: float, now: float) -> list[Decision]:
        """Go on with a run of a former master; `held` is what its workers had in hand, by worker.

        Nothing is leased until their leases have lapsed. `longest_lease_s` is the longest of all masters of the run,
        this one included. Then each worker that is there gets a slice.
        """
        made: list[Decision] = []
        self.run, self._over, self._assigned = run, False, False
        self.members.expect_users(now)
        # A worker that was cut off when the run ended may still be at work on a record that was reopened since.
        self._leasing_from = now + longest_lease_s if held or run.ledger.prior_attempts.former else now
        for worker, positions in held.items():
            run.ledger.prior_attempts.note(worker, positions)
        if run.config.policy == "at-most-once":
            for worker, positions in held.items():
                made.append(OutcomesRecorded(worker, RangeSet(), in_doubt_at_restart(run.ledger, worker, positions)))
        made += self._welcome_all(now)
        return [*made, *self._end_if_settled()]

    def start(self, run: Run, workers: list[str], now: float) -> list[Decision]:
        """Begin `run`: cut a slice for each of `workers`, and welcome every worker that is connected."""
        self.run, self._over = run, False
        self.schedule.begin(now)
        self.members.expect_users(now)
        return [*self._assign(run, workers), *self._welcome_all(now)]

    def _assign(self, run: Run, workers: list[str]) -> list[Decision]:
        """Cut what is unassigned into slices, one for each of `workers`."""
        self._assigned = True
        return list(run.assign(workers))

    def _assign_when_due(self, now: float) -> list[Decision]:
        if self.run is None or self._assigned or self._over or now < self._leasing_from:
            return []
        self.schedule.begin(now)
        return self._assign(self.run, list(self.sessions))

    def _welcome_all(self, now: float) -> list[Decision]:
        made: list[Decision] = []
        self.members.drop_unconfirmed()
        for session in list(self.sessions.values()):
            made += self._open_session(session.worker, now)
        return made

    def receive(self, worker: str, message: object, now: float) -> list[Decision]:
        """Answer a message from a worker. Raises ProtocolError if no worker sends such a message."""
        if isinstance(message, Hello):
            return self._on_hello(worker, message, now)
        if isinstance(message, Ack):
            return self._on_ack(worker, message, now)
        if isinstance(message, ResultBatch):
            return list(self.run.receive_results(worker, message)) if self.run is not None else []
        raise ProtocolError(f"a worker does not send {type(message).__name__}")

    def expire(self, now: float) -> list[Decision]:
        """Give up the workers whose sessions have lapsed. Assign the slices of a resumed run once it may be leased."""
        made: list[Decision] = []
        for session in self.members.expired(now):
            made += self.worker_lost(session.worker, f"not heard from for {self.terms.lease_s:g} s")
        made += self._follow_wishes(now)
        made += [*self._assign_when_due(now), *self._pace(now)]
        if self.run is not None and self.run.pacer is not None and not self._over:
            made += self.schedule.watch(self.run.pacer, list(self.sessions.values()), now)
        return made

    def worker_lost(self, worker: str, reason: str) -> list[Decision]:
        """Give up a worker: reclaim its leases, cut its remainder among the others. Does nothing if it is unknown."""
        self.members.remove(worker)
        if self.run is None or worker not in self.run.ledger.assignment.remainders:
            return []
        gone = [*self.run.reclaim(worker, reason), self.run.leave(worker, reason, self.sessions)]
        return [*gone, *self._end_if_settled()]

    def stop(self) -> list[Decision]:
        """Hand out no more, and notify the workers. Their next acks return what they hold, or report its outcome.

        A person's pause ends, too.
        """
        self._over, self.paused = True, False
        return self._notify_all()

    def pause(self) -> list[Decision]:
        """Let no further record be handed out until `unpause`, because a person wants it. Workers keep their leases."""
        self.paused = not self.over
        return self._notify_all()

    def unpause(self) -> list[Decision]:
        """Let records be handed out again, unless the API has asked to wait longer."""
        self.paused = False
        if self.run is not None:
            self.run.storm.accept()
        return self._notify_all()

    def restore_hold(self, seconds: float, status: int, now: float) -> list[Decision]:
        """Hold a resumed run that the API had asked to wait; `seconds` are left."""
        self.hold.restore(seconds, status, now)
        return self._notify_all()

    @property
    def hold(self) -> ApiHold:
        """Whether the API has asked the run to wait."""
        return self.run.hold if self.run is not None else ApiHold()

    @property
    def over(self) -> bool:
        """Whether there is no run that hands out records, paused or not."""
        return self.run is None or self._over

    @property
    def stalled(self) -> str:
        """Why the run can make no progress, apart from a person's pause; empty if it can."""
        if not self.sessions:
            return "no worker is there"
        if self.paused or self.hold.held:
            return ""  # nothing is sent, so nobody knows of the API's troubles
        if self.members.lacks_users:
            return "no user is there"
        return stall_reason(self.run, self.sessions.values())

    @property
    def troubles(self) -> dict[str, str]:
        """Why workers get nothing done, or what they lack, by worker."""
        return self.members.troubles

    @property
    def nothing_leased(self) -> bool:
        """Whether no worker holds a record any more."""
        return self.run is None or self.run.ledger.counts[RecordState.LEASED] == 0

    def excuse_silence(self, now: float) -> None:
        """Let no lease lapse for a silence that is the master's: it cannot answer now, so it reads no ack."""
        for session in self.sessions.values():
            session.deadline = max(session.deadline, now + self.terms.lease_s)

    def close(self) -> list[Decision]:
        """End the run for good. A record that a worker may have sent ends in doubt if no outcome was reported.

        A dead letter that was to be sent again, and was not, stays as it had been.
        """
        if self.run is None:
            return []
        letters = in_doubt_at_end(self.run.ledger) + self.run.ledger.return_former()
        self.run, self._over = None, True
        return [OutcomesRecorded("", RangeSet(), letters)] if letters else []

    def _on_hello(self, worker: str, message: Hello, now: float) -> list[Decision]:
        if message.version != VERSION:
            raise ProtocolError(
                f"worker {worker} speaks version {message.version} of the protocol, the master {VERSION}: "
                "run the same release on both"
            )
        session = self.sessions.get(worker)
        if session is None or message.hello >= session.number:
            # The worker holds nothing any more, so whatever it held before is lost.
            lost = self._reclaim(worker, "the worker began anew") if session else []
            return [*lost, *self._open_session(worker, now)]
        # Said before the present session began: if the welcome was lost, the worker waits for it; else it is old.
        return [] if session.received else [self._welcome(session, seq=1)]

    def _on_ack(self, worker: str, ack: Ack, now: float) -> list[Decision]:
        session = self.members.find(worker)
        if session is None or session.number != ack.session:
            return self._on_stale_ack(session, worker, ack, now)
        if ack.seq <= session.received:
            return []
        joined = self._admit(session)
        session.received = ack.seq
        session.deadline = now + self.terms.lease_s
        session.heard_at = now
        self.members.note_users(session, ack.users)
        session.busy, session.overdue = ack.busy, ack.overdue
        self._note_storm(session, ack)
        session.note_attempts(ack.attempts, now)
        made = [*joined, *self._update_trouble(session, ack), *self._note_wishes(session, ack, now)]
        made += [*self._record_outcomes(worker, ack), *self._return_unheld(session, ack)]
        if ack.leaving:
            return [*made, *self._on_leaving(session, ack)]
        made += self._assign_when_due(now)
        made += self._pace(now)
        made += self._grant(session, ack, now) or [self._ack_reply(session)]
        return [*made, *self._end_if_settled()]

    def _note_storm(self, session: Session, ack: Ack) -> None:
        """Pause the run if the API refuses nearly everything that a worker sends; a person lets it go on."""
        run = self.run
        if run is None or self._over or ack.run != run.config.run or session.worker not in run.ledger.ever_leased:
            return
        run.storm.note(ack.refused, session.worker)
        self.paused |= run.storm.status != 0

    def _note_wishes(self, session: Session, ack: Ack, now: float) -> list[Decision]:
        """Heed what the API has asked of a worker."""
        run = self.run
        if run is None or self._over or ack.run != run.config.run or session.worker not in run.ledger.ever_leased:
            return []
        changed, told = note_wishes(run, session, ack, self._present_rate(run, now), now)
        others = [one for one in self.sessions.values() if one is not session] if changed else []
        return [*told, *(self._ack_reply(one) for one in others)]

    def _follow_wishes(self, now: float) -> list[Decision]:
        """Let a worker try the API once it is time, and let the rate grow."""
        if self.run is None or self._over:
            return []
        changed, told = follow_wishes(self.run, self.sessions.values(), now, paused=self.paused)
        return [*told, *(self._notify_all() if changed else [])]

    def _present_rate(self, run: Run, now: float) -> float:
        """Return how many records a second the run sends: as planned or, without a plan, as its workers take them."""
        if run.pacer is not None:
            return run.pacer.schedule.rate(run.pacer.clock.read(now))
        return self.members.records_per_s

    def _update_trouble(self, session: Session, ack: Ack) -> list[Decision]:
        before, after = describe_trouble(session), ack.trouble or ack.fault
        session.trouble, session.fault = ack.trouble, ack.fault
        return [WorkerTroubled(session.worker, describe_trouble(session))] if bool(before) != bool(after) else []

    def _on_stale_ack(self, session: Session | None, worker: str, ack: Ack, now: float) -> list[Decision]:
        """Answer an ack of a session that is over: its outcomes are true, and its sender has to begin a new session."""
        made = self._record_outcomes(worker, ack, stale=True)
        if session is not None:
            made.append(self._welcome(session, seq=1))
        elif not ack.leaving:
            session = self.members.open_unconfirmed(worker, now, self.terms.lease_s)
            made.append(self._welcome(session, session.next_seq()))
        return [*made, *self._end_if_settled()]

    def _on_leaving(self, session: Session, ack: Ack) -> list[Decision]:
        """Answer a worker that is leaving; once it holds nothing, let it go."""
        answer = self._ack_reply(session)
        if ack.holds:
            return [answer, *self._end_if_settled()]
        return [answer, *self.worker_lost(session.worker, "it left")]

    def _open_session(self, worker: str, now: float) -> list[Decision]:
        session = self.members.open(worker, now, self.terms.lease_s)
        return [*self._admit(session), self._welcome(session, session.next_seq())]

    def _admit(self, session: Session) -> list[Decision]:
        """Let a worker that was heard in `session` take part. Does nothing if it does already."""
        if not self.members.confirm(session) or self.run is None or not self._assigned or self._over:
            return []
        return list(self.run.admit(session.worker))

    def _welcome(self, session: Session, seq: int) -> Send:
        run = self.run.config if self.run is not None and not self._over else None
        return session.welcome(run, self.terms, seq)

    def _ack_reply(self, session: Session) -> Send:
        paced = self.run is not None and self.run.pacer is not None
        stopped, limits = self.stops(session.worker), SendLimits()
        if self.run is not None:
            limits = limits_of(self.run, session, self.sessions.values())
        return session.ack_reply(over=self._over, paused=stopped, paced=paced, limits=limits)

    def stops(self, worker: str) -> bool:
        """Return whether a worker must hand out no record, because of a person or the API."""
        return self.paused or (self.hold.stops(worker) and not self._over)

    def _notify_all(self) -> list[Decision]:
        return [self._ack_reply(session) for session in self.sessions.values()]

    def _record_outcomes(self, worker: str, ack: Ack, *, stale: bool = False) -> list[Decision]:
        if self.run is None or ack.run != self.run.config.run:
            return []
        return list(self.run.record_outcomes(worker, ack, stale=stale))

    def _return_unheld(self, session: Session, ack: Ack) -> list[Decision]:
        if self.run is None or ack.run != self.run.config.run:
            return []
        return list(session.return_unheld(self.run, ack))

    def _reclaim(self, worker: str, reason: str) -> list[Decision]:
        return list(self.run.reclaim(worker, reason)) if self.run is not None else []

    def stamped(self, worker: str, message: Message, now: float) -> Message:
        """Return a message to a worker as it leaves at `now`: with the schedule's second, and which rows are kept."""
        made = stamped(message, self.run, now)
        if self.run is None or not isinstance(made, LeaseGrant | AckReply):
            return made
        number = self.run.results.confirmed(worker)
        return replace(made, results=number) if number else made

    def _pace(self, now: float) -> list[Decision]:
        """Deal what comes due in a paced run. Workers learn at once if the schedule stops, or goes on."""
        if self.run is None or self.run.pacer is None or self._over or not self._assigned:
            return []
        sessions = list(self.sessions.values())
        waits = "paused by a person" if self.paused else "held by the API" if self.hold.held else ""
        prober = "" if self.paused else self.hold.prober
        changed = self.schedule.keep(
            self.run, self.run.pacer, sessions, now, waits=waits, stalled=self.stalled, prober=prober
        )
        return self._notify_all() if changed else []

    def _grant(self, session: Session, ack: Ack, now: float) -> list[Decision]:
        """Grant the lease that an ack asks for. Returns nothing if no record is left, or none may be leased now."""
        if self.run is None or self._over or self.stops(session.worker) or not self._assigned:
            return []
        wants = ack.wants - session.in_transit(self.run, ack)
        if session.trouble:
            wants = min(wants, 1)
            if not self.run.ledger.assignment.remainders[session.worker] and self.members.somebody_is_well:
                return []
        spacing = self.run.pacer.spacing(session.worker, list(self.sessions.values()), now) if self.run.pacer else 0.0
        limits = limits_of(self.run, session, self.sessions.values())
        wants = min(wants, 1) if limits.probe else wants
        return list(session.grant(self.run, wants, self.terms, limits, spacing)) if wants > 0 else []

    def _end_if_settled(self) -> list[Decision]:
        if self.run is None or self._over or self.run.ledger.unsettled:
            return []
        return [AllSettled(self.run.config.run), *self.stop()]
