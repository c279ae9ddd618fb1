"""Dead letters one by one, as tests speak of them, and as the ledger and the journal have them."""

from traffic.core.master.decisions import OutcomesRecorded
from traffic.core.protocol import Failure
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetter, DeadLetterGroup


def buried(letter: DeadLetter) -> DeadLetterGroup:
    """One letter as the ledger takes it."""
    cause = Cause(letter.state, letter.attempts, letter.status, letter.reason, letter.worker)
    return DeadLetterGroup(RangeSet([(letter.position, letter.position + 1)]), cause)


def each(booked: OutcomesRecorded) -> list[DeadLetter]:
    """The letters of an entry, one by one."""
    return [letter for group in booked.letters for letter in group.letters()]


def failure(position: int, *, in_doubt: bool = False, attempts: int = 1, status: int = 404) -> Failure:
    """A worker's word on one record that it gave up."""
    return Failure(((position, position + 1),), in_doubt, attempts, status, f"HTTP {status}")


def failed(failures: tuple[Failure, ...]) -> list[int]:
    """Every position that an ack says was given up."""
    return [position for one in failures for position in RangeSet(one.positions).members()]
