"""Remember that the API refuses nearly everything that a worker sends, until a person has decided what is to be done.

Guarded here: a status with which a person has let the run go on does not stop it again.
"""

from collections.abc import Iterable


class Storm:
    """The storm of one run. `status` is that of the answers, and `worker` who has met it first; 0 and empty: none."""

    def __init__(self) -> None:
        self.status, self.worker = 0, ""
        self._accepted: set[int] = set()

    def restore(self, statuses: Iterable[int]) -> None:
        """Note the storms that a former master of the run has met: a person has decided on each, or is about to."""
        self._accepted.update(statuses)

    def note(self, status: int, worker: str) -> None:
        """Note that a worker has stopped because of a status. Only the first counts, and none that is accepted."""
        if status and not self.status and status not in self._accepted:
            self.status, self.worker = status, worker

    def accept(self) -> None:
        """Note that the run goes on in spite of it."""
        if self.status:
            self._accepted.add(self.status)
        self.status, self.worker = 0, ""
