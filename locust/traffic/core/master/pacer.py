"""Deal the records of a paced run as their times come: to every worker that is heard of, in turns, and not far ahead.

A worker that had a slice of a schedule would have a part of the time for itself. So what comes due within `AHEAD_S` is
dealt in stripes, each of a moment's records, by smooth weighted round robin: a worker has as many turns as it has
users. What nobody has been leased yet is dealt again when its worker falls silent, is in trouble, or leaves.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from traffic.core.master.assignment import Assignment
from traffic.core.master.pace_monitor import PaceMonitor
from traffic.core.master.session import Session
from traffic.core.pace.profile import Profile
from traffic.core.pace.schedule import RateSchedule, Schedule
from traffic.core.pace.schedule_clock import ScheduleClock
from traffic.core.ranges import RangeSet

# How far ahead of the schedule records are dealt: an ack every quarter of a second, and a slow journal, fit in.
AHEAD_S = 1.5
# The clock begins so long before the first record is due, so that this one is leased in time.
LEAD_S = 1.0
# A worker that was not heard of for so long is dealt nothing, and what it was not leased goes to others.
SILENT_S = 1.0
# The records of so many seconds are a stripe, but at least one record.
STRIPE_S = 0.001


@dataclass(slots=True)
class Pacer:
    """Keeps the frontier: positions before it have been dealt, or wait because no worker could have them."""

    schedule: Schedule
    clock: ScheduleClock = field(default_factory=lambda: ScheduleClock(-LEAD_S))
    frontier: int = 0
    monitor: PaceMonitor = field(default_factory=PaceMonitor)
    # By worker, how far it is ahead of its share of the turns (smooth weighted round robin).
    _credit: dict[str, float] = field(default_factory=dict)
    # By worker in trouble, when it was dealt a record to probe the API with.
    _probed: dict[str, float] = field(default_factory=dict)

    @classmethod
    def resumed(cls, schedule: Schedule, pending: RangeSet, leased_to: int) -> "Pacer":
        """Return the pacer of a run that goes on, of which the positions before `leased_to` may have been leased.

        Its clock stands where that of the former master stood, or before: what had been dealt ahead keeps its time.
        What is pending from before, because it was waiting for another attempt or is to be sent again, is overdue.
        """
        first = next(iter(pending), (0, 0))[0]
        reached = min(leased_to, schedule.records - 1)
        second = max(float(schedule.due([first])[0]), float(schedule.due([reached])[0]) - AHEAD_S)
        return cls(schedule, ScheduleClock(second - LEAD_S), leased_to)

    def deal(self, assignment: Assignment, sessions: list[Session], now: float) -> dict[str, int]:
        """Deal what comes due soon. Returns how many positions more, or fewer, each worker has."""
        self.frontier = max(self.frontier, self.schedule.before(self.clock.read(now) + AHEAD_S))
        heard = [one for one in sessions if one.users > 0 and now - one.heard_at < SILENT_S]
        able = {one.worker: one.users for one in heard if not one.trouble}
        rested = {worker for worker in assignment.remainders if now - self._probed.get(worker, -SILENT_S) >= SILENT_S}
        changed: Counter[str] = Counter()
        returned = RangeSet()
        for worker in rested - able.keys():
            returned.update(assignment.remainders[worker])
            changed[worker] -= self._take_back(assignment, worker)
        waiting = assignment.unassigned.common(RangeSet([(0, self.frontier)] if self.frontier else []))
        for worker in [one.worker for one in heard if one.trouble and one.worker in rested]:
            # While others are able, what came back from a probe is theirs.
            probe = (waiting.minus(returned) if able else waiting).tail(1)
            if probe:
                self._probed[worker] = now
                waiting.subtract(probe)
                changed[worker] += self._give(assignment, worker, probe)
        for worker, positions in (self._stripes(waiting, able) if waiting and able else {}).items():
            changed[worker] += self._give(assignment, worker, positions)
        return {worker: size for worker, size in changed.items() if size}

    def change_rate(self, profile: Profile, now: float) -> float:
        """Follow another profile for what has not been dealt; return the second of the schedule in which it begins.

        ValueError if the profile ends, at a rate of 0, before the last record; then nothing has changed.
        """
        assert isinstance(self.schedule, RateSchedule)
        begin = max(0.0, self.clock.read(now) + AHEAD_S)
        if self.frontier:  # after a restart, the former master may have dealt further
            begin = max(begin, float(self.schedule.due([self.frontier - 1])[0]))
        return self.schedule.change(begin, profile)

    def allow_probes(self, open_positions: RangeSet) -> None:
        """Let a clock that stands still come to the time of the first record that is open, so that it can be tried."""
        first = next(iter(open_positions), None)
        if first is not None:
            self.clock.stand_at(float(self.schedule.due([first[0]])[0]))

    def allow_probe(self, assignment: Assignment, worker: str, leased: RangeSet) -> dict[str, int]:
        """Let a clock that stands still come to the time of a record that `worker` has, so that it can try the API.

        `leased` is what it was leased. If it has nothing, it is dealt a record that nobody was leased. Returns how many
        positions more, or fewer, each worker has.
        """
        has = leased.copy()
        has.update(assignment.remainders[worker])
        changed: Counter[str] = Counter()
        if not has:
            donor = next((name for name, remainder in assignment.remainders.items() if remainder), None)
            if assignment.unassigned:
                pool = assignment.unassigned
            elif donor is not None:
                pool = assignment.remainders[donor]
                changed[donor] -= 1
            else:
                return {}
            has = pool.head(1)
            pool.subtract(has)
            assignment.remainders[worker].update(has)
            changed[worker] += 1
        self.allow_probes(has)
        return dict(changed)

    @property
    def planned_s(self) -> float:
        """The second of the schedule in which the last record is due."""
        return round(float(self.schedule.due([self.schedule.records - 1])[0]), 3)

    def due(self, positions: RangeSet) -> bytes:
        """Return when positions are due, as a lease has it."""
        return self.schedule.due(positions.array()).astype("<f8").tobytes()

    def spacing(self, worker: str, sessions: list[Session], now: float) -> float:
        """Return the planned seconds between two records of a worker, at the present rate.

        If nothing is planned at present, because the schedule has a break or has ended, the rate is the average one:
        what is overdue then, or is sent again, must not go out in a burst.
        """
        rate, users = self.schedule.rate(self.clock.read(now)), {one.worker: one.users for one in sessions}
        if not rate and self.planned_s:
            rate = self.schedule.records / self.planned_s
        share = users.get(worker, 0) / max(1, sum(users.values()))
        return 1 / (rate * share) if rate * share > 0 else 0.0

    def _take_back(self, assignment: Assignment, worker: str) -> int:
        remainder = assignment.remainders[worker]
        assignment.unassigned.update(remainder)
        assignment.remainders[worker] = RangeSet()
        return remainder.count

    def _give(self, assignment: Assignment, worker: str, positions: RangeSet) -> int:
        assignment.unassigned.subtract(positions)
        assignment.remainders[worker].update(positions)
        return positions.count

    def _stripes(self, positions: RangeSet, able: dict[str, int]) -> dict[str, RangeSet]:
        """Cut positions into stripes, and give each to the worker whose turn it is."""
        places = positions.array()
        moments = np.floor(self.schedule.due(places) / STRIPE_S)
        ends = [*(np.flatnonzero(np.diff(moments)) + 1).tolist(), len(places)]
        dealt: dict[str, list[int]] = {}
        begin = 0
        for end in ends:
            dealt.setdefault(self._next(able, end - begin), []).extend(range(begin, end))
            begin = end
        return {worker: RangeSet.of_array(places[at]) for worker, at in dealt.items()}

    def _next(self, able: dict[str, int], size: int) -> str:
        """Return whose turn it is: the worker with the most credit. A stripe of `size` records costs so many turns."""
        total = sum(able.values())
        self._credit = {worker: self._credit.get(worker, 0.0) + size * users / total for worker, users in able.items()}
        chosen = max(self._credit, key=lambda worker: (self._credit[worker], worker))
        self._credit[chosen] -= size
        return chosen
