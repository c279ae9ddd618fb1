"""The master's side of the protocol: which worker holds what, until when.

The rules that this module guards:

- A worker's word counts under its present session only. What an ack of a former session says it *holds* is void;
  what it says it *saw* is booked all the same, because it is true.
- Who was never heard in a session of this master's has no part in the run: it is welcomed, and has its slice with
  its first hello, or its first ack in that session.
- A session lives for `lease_s` after its last ack was received. The worker counts the same time from when it sent
  that ack, which was earlier, so it has stopped handing out records by the time they are leased to another.
- Of a run that is resumed nothing is leased before the leases of the former master have lapsed, which may have been
  renewed until the moment it died.
- While a person pauses the run no answer has a lease, and each says so.
- A worker in trouble gets one record at a time, and none out of the others' slices for as long as one of these is well.
"""

from traffic.core.master.decisions import (
    AllSettled,
    Decision,
    LeaseReclaimed,
    OutcomesRecorded,
    Send,
    WorkerGone,
    WorkerJoined,
    WorkerTroubled,
)
from traffic.core.master.in_doubt import in_doubt_at_end, in_doubt_at_restart, mark_in_doubt
from traffic.core.master.run import Run
from traffic.core.master.session import Session
from traffic.core.master.stall import describe_trouble, stall_reason
from traffic.core.protocol import VERSION, Ack, Hello, LeaseTerms
from traffic.core.ranges import RangeSet
from traffic.core.record_state import RecordState
from traffic.core.wire import ProtocolError

# How long users may take to come, once a run or its first worker is there. Acks say how many there are.
USERS_S = 10.0


class LeaseCoordinator:
    """Takes the workers' messages and the passing of time (seconds on any one clock); returns decisions.

    `first_session` must be greater than any session number that an earlier master of the same workers gave out.
    """

    def __init__(self, terms: LeaseTerms, first_session: int) -> None:
        self.terms = terms
        self.run: Run | None = None
        self.sessions: dict[str, Session] = {}
        # Welcomed for an ack of a session that is over, and not heard since: it need not be a worker.
        self._unconfirmed: dict[str, Session] = {}
        self._next_session = first_session
        self._over = False
        # Whether a person pauses the run.
        self.paused = False
        # Until when users may still be on their way, and whether they have been there or are late.
        self._users_deadline, self._users_due = 0.0, False
        # A resumed run deals its slices when it may lease: to all who are there by then.
        self._leasing_from = 0.0
        self._assigned = True

    def number_sessions_from(self, first: int) -> None:
        """Give out no session number below `first`."""
        self._next_session = max(first, self._next_session)

    @property
    def next_session(self) -> int:
        """The number that the next session gets."""
        return self._next_session

    def resume(self, run: Run, held: dict[str, RangeSet], longest_lease_s: float, now: float) -> list[Decision]:
        """Go on with a run of a former master's; `held` is what its workers had in hand, by worker.

        Nothing is leased until their leases have lapsed: `longest_lease_s` is that of all masters of the run, this one
        included. Then those who are there have a slice each.
        """
        made: list[Decision] = []
        self.run, self._over, self._assigned = run, False, False
        self._users_deadline, self._users_due = now + USERS_S, False
        # One that was cut off when the run ended may still be at work on a record that was reopened since.
        self._leasing_from = now + longest_lease_s if held or run.ledger.prior_attempts.former else now
        for worker, positions in held.items():
            run.ledger.prior_attempts.note(worker, positions)
        if run.config.policy == "at-most-once":
            for worker, positions in held.items():
                made.append(OutcomesRecorded(worker, RangeSet(), in_doubt_at_restart(run.ledger, worker, positions)))
        made += self._welcome_all(now)
        return [*made, *self._end_if_settled()]

    def start(self, run: Run, workers: list[str], now: float) -> list[Decision]:
        """Begin `run`, one slice for each of `workers`; every worker that is connected is welcomed into it."""
        self.run, self._over = run, False
        self._users_deadline, self._users_due = now + USERS_S, False
        return [*self._assign(run, workers), *self._welcome_all(now)]

    def _assign(self, run: Run, workers: list[str]) -> list[Decision]:
        """Cut what is unassigned into slices, one for each of `workers`."""
        self._assigned = True
        before = {name: run.ledger.shares[name].slice for name in workers if name in run.ledger.shares}
        run.ledger.assign(workers)
        return [WorkerJoined(name, run.ledger.shares[name].slice - before.get(name, 0)) for name in workers]

    def _assign_when_due(self, now: float) -> list[Decision]:
        if self.run is None or self._assigned or self._over or now < self._leasing_from:
            return []
        return self._assign(self.run, list(self.sessions))

    def _welcome_all(self, now: float) -> list[Decision]:
        made: list[Decision] = []
        self._unconfirmed.clear()  # of another run, they are welcomed again
        for session in list(self.sessions.values()):
            made += self._open_session(session.worker, session.hello, now)
        return made

    def receive(self, worker: str, message: object, now: float) -> list[Decision]:
        """Take a message from a worker. ProtocolError where it is none that a worker sends."""
        if isinstance(message, Hello):
            return self._on_hello(worker, message, now)
        if isinstance(message, Ack):
            return self._on_ack(worker, message, now)
        raise ProtocolError(f"a worker does not send {type(message).__name__}")

    def expire(self, now: float) -> list[Decision]:
        """Give up the workers whose sessions have lapsed; deal the slices of a resumed run once that may be."""
        made: list[Decision] = []
        self._unconfirmed = {name: one for name, one in self._unconfirmed.items() if now < one.deadline}
        self._users_due |= now >= self._users_deadline
        for session in list(self.sessions.values()):
            if now >= session.deadline:
                reason = f"not heard from for {self.terms.lease_s:g} s"
                made += self.worker_lost(session.worker, reason)
        return [*made, *self._assign_when_due(now)]

    def worker_lost(self, worker: str, reason: str) -> list[Decision]:
        """Give up a worker: reclaim its leases, cut its remainder among the others. Nothing where it is unknown."""
        self.sessions.pop(worker, None)
        if self.run is None or worker not in self.run.ledger.assignment.remainders:
            return []
        return [*self._reclaim(worker, reason), *self._leave(worker, reason), *self._end_if_settled()]

    def stop(self) -> list[Decision]:
        """Hand out no more, and tell the workers so. What they hold comes back, or its outcome, in their next acks.

        A person's pause ends with it.
        """
        self._over, self.paused = True, False
        return self._notify_all()

    def pause(self) -> list[Decision]:
        """Have no further record handed out until `unpause`: a person wants it. Leases stay with their workers."""
        self.paused = not self.over
        return self._notify_all()

    def unpause(self) -> list[Decision]:
        """Have records handed out again."""
        self.paused = False
        return self._notify_all()

    @property
    def over(self) -> bool:
        """Whether there is no run that hands out records, paused or not."""
        return self.run is None or self._over

    @property
    def stalled(self) -> str:
        """Why the run can make no progress but for a person's pause; empty where it can."""
        if not self.sessions:
            return "no worker is there"
        if self.paused:
            return ""  # nothing is sent, so nobody knows of the API's troubles
        if self._users_due and not any(session.users for session in self.sessions.values()):
            return "no user is there"
        return stall_reason(self.run, self.sessions.values())

    @property
    def troubles(self) -> dict[str, str]:
        """Why workers get nothing done, or what they lack, by worker; nobody is named who lacks nothing."""
        return {session.worker: text for session in self.sessions.values() if (text := describe_trouble(session))}

    @property
    def nothing_leased(self) -> bool:
        """Whether no worker holds a record any more."""
        return self.run is None or self.run.ledger.counts[RecordState.LEASED] == 0

    def close(self) -> list[Decision]:
        """End the run for good: what a worker may have sent, and nobody knows more of, ends in doubt.

        A dead letter that was to be sent again, and was not, is what it had been.
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
        if session is None or message.hello > session.hello:
            # It holds nothing any more, so whatever it held before is lost to it.
            lost = self._reclaim(worker, "the worker began anew") if session else []
            return [*lost, *self._open_session(worker, message.hello, now)]
        if message.hello == session.hello and not session.received:
            return [self._welcome(session, seq=1)]
        return []

    def _on_ack(self, worker: str, ack: Ack, now: float) -> list[Decision]:
        session = self.sessions.get(worker) or self._unconfirmed.get(worker)
        if session is None or session.number != ack.session:
            return self._on_stale_ack(session, worker, ack, now)
        if ack.seq <= session.received:
            return []
        joined = self._admit(session)
        session.received = ack.seq
        session.deadline = now + self.terms.lease_s
        self._users_due |= ack.users > 0
        made = [*joined, *self._update_trouble(session, ack)]
        made += [*self._record_outcomes(worker, ack), *self._return_unheld(session, ack)]
        if ack.leaving:
            return [*made, *self._on_leaving(session, ack)]
        made += self._assign_when_due(now)
        made += self._grant(session, ack) or [self._ack_reply(session)]
        return [*made, *self._end_if_settled()]

    def _update_trouble(self, session: Session, ack: Ack) -> list[Decision]:
        before, after = describe_trouble(session), ack.trouble or ack.fault
        session.users, session.trouble, session.fault = ack.users, ack.trouble, ack.fault
        return [WorkerTroubled(session.worker, describe_trouble(session))] if bool(before) != bool(after) else []

    def _on_stale_ack(self, session: Session | None, worker: str, ack: Ack, now: float) -> list[Decision]:
        """An ack of a session that is over. Its outcomes are true; the worker itself is to begin anew."""
        made = self._record_outcomes(worker, ack, stale=True)
        if session is not None:
            made.append(self._welcome(session, seq=1))
        elif not ack.leaving:
            session = self._unconfirmed[worker] = self._new_session(worker, 0, now)
            made.append(self._welcome(session, session.next_seq()))
        return [*made, *self._end_if_settled()]

    def _on_leaving(self, session: Session, ack: Ack) -> list[Decision]:
        """Answer a worker that is going; once it holds nothing, let it go."""
        answer = self._ack_reply(session)
        if ack.holds:
            return [answer, *self._end_if_settled()]
        return [answer, *self.worker_lost(session.worker, "it left")]

    def _open_session(self, worker: str, hello: int, now: float) -> list[Decision]:
        session = self._new_session(worker, hello, now)
        return [*self._admit(session), self._welcome(session, session.next_seq())]

    def _new_session(self, worker: str, hello: int, now: float) -> Session:
        if not self.sessions:
            self._users_deadline, self._users_due = now + USERS_S, False
        session = Session(worker, self._next_session, hello, now + self.terms.lease_s)
        self._next_session += 1
        return session

    def _admit(self, session: Session) -> list[Decision]:
        """Have a worker that was heard take part; nothing where it does already."""
        worker = session.worker
        if self.sessions.get(worker) is session:
            return []
        self._unconfirmed.pop(worker, None)
        self.sessions[worker] = session
        new = self.run is not None and worker not in self.run.ledger.assignment.remainders
        if self.run is None or not new or not self._assigned or self._over:
            return []
        return [WorkerJoined(worker, self.run.ledger.join(worker))]

    def _welcome(self, session: Session, seq: int) -> Send:
        run = self.run.config if self.run is not None and not self._over else None
        return session.welcome(run, self.terms, seq)

    def _ack_reply(self, session: Session) -> Send:
        return session.ack_reply(over=self._over, paused=self.paused)

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
        """Take back what a lost worker had in hand, for another, or, where nothing may be sent twice, into doubt."""
        if self.run is None:
            return []
        made: list[Decision] = []
        for lease in self.run.ledger.leases.of(worker):
            positions = lease.open.copy()
            made.append(LeaseReclaimed(lease.number, worker, positions, reason))
            if self.run.config.policy == "at-least-once":
                self.run.ledger.reclaim(lease)
                continue
            why = f"worker lost with the record in hand: {reason}"
            made.append(OutcomesRecorded(worker, RangeSet(), mark_in_doubt(self.run.ledger, worker, positions, why)))
        return made

    def _leave(self, worker: str, reason: str) -> list[Decision]:
        assert self.run
        ledger = self.run.ledger
        successors = [name for name in ledger.assignment.remainders if name != worker and name in self.sessions]
        return [WorkerGone(worker, reason, ledger.leave(worker, successors), len(successors))]

    def _grant(self, session: Session, ack: Ack) -> list[Decision]:
        """The lease that an ack asks for; nothing where there is none to be had, or leasing would be wrong now."""
        if self.run is None or self._over or self.paused or not self._assigned:
            return []
        wants = ack.wants - session.in_transit(self.run, ack)
        if session.trouble:
            wants = min(wants, 1)
            if not self.run.ledger.assignment.remainders[session.worker] and self._somebody_is_well:
                return []
        return list(session.grant(self.run, wants, self.terms)) if wants > 0 else []

    @property
    def _somebody_is_well(self) -> bool:
        return any(session.users and not session.trouble for session in self.sessions.values())

    def _end_if_settled(self) -> list[Decision]:
        if self.run is None or self._over or self.run.ledger.unsettled:
            return []
        return [AllSettled(self.run.config.run), *self.stop()]
