"""Measure how long a worker's attempts take, told apart by request, status and error.

Guarded here: an attempt costs no more than a comparison and two appends, or a look-up if it is of another kind than
the one before; memory is bounded, whatever the API answers; a message that is lost loses nothing, because each has the
whole of what it names, since the run began on this worker.
"""

from collections import Counter
from dataclasses import dataclass, field

from traffic.core.outcome import Answer
from traffic.core.timings import MOST_ERRORS, MOST_KINDS, OTHER, Kind, KindTiming, Request, Timing

_NONE = Request("", "")


@dataclass(slots=True, eq=False)
class _Open:
    """Attempts of one kind: those that are counted, and the latest, in seconds, which are not yet."""

    kind: Kind
    timing: Timing = field(default_factory=Timing)
    service: list[float] = field(default_factory=list)
    response: list[float] = field(default_factory=list)

    def count(self) -> None:
        self.timing.service.add(self.service)
        self.timing.response.add(self.response)
        self.service.clear()
        self.response.clear()


class TimingLog:
    """Measures one run on one worker."""

    def __init__(self) -> None:
        self._open: dict[Kind, _Open] = {}
        # The same ones, by what is at hand as an attempt ends: its request, and its status or why it had no answer.
        self._found: dict[tuple[Request, int | str], _Open] = {}
        self._errors: Counter[Request] = Counter()
        self._request, self._status = _NONE, -1  # of the latest attempt
        self._now = _Open(Kind("", "", 0, ""))
        self._confirmed: dict[Kind, int] = {}  # how many attempts of a kind the master knows

    def note(self, request: Request, answer: Answer, sent: float, due: float, now: float) -> None:
        """Note an attempt that was `sent` then, and is over `now`; `due` is 0 if it never was."""
        if request is not self._request or answer.status != self._status or not self._status:
            self._turn_to(request, answer)
        self._now.service.append(now - sent)
        if due:
            self._now.response.append(now - due)

    def _turn_to(self, request: Request, answer: Answer) -> None:
        """Have the present attempt count as its kind."""
        self._request, self._status = request, answer.status
        key = request, answer.status or answer.reason
        found = self._found.get(key)
        if found is None:
            kind = self._admitted(request, Kind(*request, answer.status, "" if answer.status else answer.reason))
            found = self._open.setdefault(kind, _Open(kind))
            if len(self._found) < 2 * MOST_KINDS:
                self._found[key] = found
        self._now = found

    def _admitted(self, request: Request, kind: Kind) -> Kind:
        """Return the kind itself, or another one if there are too many."""
        if kind.error and self._errors[request] >= MOST_ERRORS:
            kind = kind._replace(error=OTHER)
        if len(self._open) >= MOST_KINDS:
            kind = Kind(OTHER, "", kind.status, OTHER if kind.error else "")
        self._errors[request] += bool(kind.error)
        return kind

    def unconfirmed(self) -> tuple[KindTiming, ...]:
        """Return each kind that the master does not know as it is."""
        made = []
        for one in self._open.values():
            if one.service:
                one.count()
            if one.timing.service.total != self._confirmed.get(one.kind):
                made.append(KindTiming(one.kind, Timing(one.timing.service.copy(), one.timing.response.copy())))
        return tuple(made)

    def confirm(self, told: tuple[KindTiming, ...]) -> None:
        """Note that the master has these, as they were."""
        for one in told:
            self._confirmed[one.kind] = one.timing.service.total

    def begin_session(self) -> None:
        """Tell everything again: a master that was restarted may lack the latest."""
        self._confirmed.clear()
