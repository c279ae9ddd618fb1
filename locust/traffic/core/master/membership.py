"""Know which workers take part, each by its present session, and whether they have users.

Guarded here: session numbers only grow, and a worker takes part only once it was heard in a session of this master. A
peer that was welcomed because it sent an ack of a session that is over is unconfirmed until then: it may be no worker.
"""

from traffic.core.master.session import Session
from traffic.core.master.stall import describe_trouble

# How long users may take to come, once a run or its first worker is there. Acks say how many there are.
USERS_S = 10.0


class Membership:
    """The sessions of the workers that take part, by worker. Times are seconds on any one clock.

    `next_session` is the number that the next session gets. It must be greater than any that an earlier master of the
    same workers gave out.
    """

    def __init__(self, next_session: int) -> None:
        self.sessions: dict[str, Session] = {}
        self.next_session = next_session
        self._unconfirmed: dict[str, Session] = {}
        # Until when users may still be on their way, and whether they have been there or are late.
        self._users_deadline, self._users_due = 0.0, False

    def find(self, worker: str) -> Session | None:
        """Return the session of a worker that takes part, or of an unconfirmed peer."""
        return self.sessions.get(worker) or self._unconfirmed.get(worker)

    def open(self, worker: str, now: float, lease_s: float) -> Session:
        """Number a new session, which lasts for `lease_s` from `now`. Its worker takes part once it is confirmed."""
        if not self.sessions:
            self.expect_users(now)
        session = Session(worker, self.next_session, now + lease_s)
        self.next_session += 1
        return session

    def open_unconfirmed(self, worker: str, now: float, lease_s: float) -> Session:
        """Open a session for a peer that may be no worker."""
        session = self._unconfirmed[worker] = self.open(worker, now, lease_s)
        return session

    def confirm(self, session: Session) -> bool:
        """Let the worker of `session` take part by it. Returns whether it did not by this session before."""
        if self.sessions.get(session.worker) is session:
            return False
        self._unconfirmed.pop(session.worker, None)
        self.sessions[session.worker] = session
        return True

    def remove(self, worker: str) -> None:
        """Let a worker take part no more. Does nothing if it does not."""
        self.sessions.pop(worker, None)

    def drop_unconfirmed(self) -> None:
        """Forget the unconfirmed peers: an ack of a session that is over will have them welcomed again."""
        self._unconfirmed.clear()

    def expired(self, now: float) -> list[Session]:
        """Return the sessions that have lapsed. Unconfirmed ones are forgotten then."""
        self._unconfirmed = {name: one for name, one in self._unconfirmed.items() if now < one.deadline}
        self._users_due |= now >= self._users_deadline
        return [session for session in self.sessions.values() if now >= session.deadline]

    def expect_users(self, now: float) -> None:
        """Allow users `USERS_S` from now to come."""
        self._users_deadline, self._users_due = now + USERS_S, False

    def note_users(self, session: Session, users: int) -> None:
        """Note how many users a worker has, as its ack says."""
        session.users = users
        self._users_due |= users > 0

    @property
    def lacks_users(self) -> bool:
        """Whether no worker has a user, although users have had time to come."""
        return self._users_due and not any(session.users for session in self.sessions.values())

    @property
    def records_per_s(self) -> float:
        """How many attempts a second all workers make together."""
        return sum(session.records_per_s for session in self.sessions.values())

    @property
    def somebody_is_well(self) -> bool:
        """Whether a worker with users is in no trouble."""
        return any(session.users and not session.trouble for session in self.sessions.values())

    @property
    def troubles(self) -> dict[str, str]:
        """Why workers get nothing done, or what they lack, by worker. A worker that lacks nothing is not in it."""
        return {session.worker: text for session in self.sessions.values() if (text := describe_trouble(session))}
