"""Convert dead letters between single ones, as tests name them, and groups, as the ledger and the journal have them."""

from traffic.core.master.decisions import OutcomesRecorded
from traffic.core.protocol import Failure
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetter, DeadLetterGroup


def letter_group(letter: DeadLetter) -> DeadLetterGroup:
    """Return a group of one letter."""
    cause = Cause(letter.state, letter.attempts, letter.status, letter.reason, letter.worker)
    return DeadLetterGroup(RangeSet([(letter.position, letter.position + 1)]), cause)


def each_letter(recorded: OutcomesRecorded) -> list[DeadLetter]:
    """Return the letters of an entry, one by one."""
    return [letter for group in recorded.letters for letter in group.letters()]


def failure(position: int, *, in_doubt: bool = False, attempts: int = 1, status: int = 404) -> Failure:
    """Return a worker's report of one record that failed."""
    return Failure(((position, position + 1),), in_doubt, attempts, status, f"HTTP {status}")


def failed(failures: tuple[Failure, ...]) -> list[int]:
    """Return every position of an ack's failures."""
    return [position for one in failures for position in RangeSet(one.positions).members()]
