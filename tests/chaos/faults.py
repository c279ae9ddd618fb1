"""What happens in a round, drawn from its seed."""

import random
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["kill", "freeze", "cut", "hole", "half", "term", "join", "api", "master", "all", "everything", "suspend"]
Store = Literal["sqlite", "mongodb"]
# cut: both ends are told. hole: neither is, bytes wait. half: the worker is told, the master is not.
KINDS: tuple[Kind, ...] = ("kill", "freeze", "cut", "hole", "half", "term", "join", "api")
_WEIGHTS = (3, 3, 2, 2, 1, 2, 2, 2)
# all: the master with every worker. everything: the stub and its mongod, too. suspend: the master, by SIGTERM.
DEADLY: tuple[Kind, ...] = ("master", "all", "everything", "suspend")
# Deaths of the master that its workers outlive.
ALONE: tuple[Kind, ...] = ("master", "suspend")
LASTING = ("freeze", "cut", "hole", "half", "api", *DEADLY)
# Within this many seconds, so that most faults come while a run is on.
FAULTS_S = 6.0

_MISBEHAVIOUR = (
    "none",
    "latency=0.01-0.2",
    "latency=long:0.02",
    "error=503@0.1, retry-after=1",
    "error=503@0.01, retry-after=1, latency=0-0.02",
    "error=503@0.05, error=500@0.05, error=429@0.05",
    "error-after=500@0.1, error-after=503@0.05",
    "close-after@0.05, reset-after@0.05, cut@0.05, latency=0-0.05",
    "close@0.1, reset@0.1",
    "error=503@0.3, reset-after@0.1, error=404@0.02",
)


# By these the API means one request and not all: the run must not wait for each of them.
_OF_ONE_REQUEST = ("error=503@0.1, retry-after=1", "error=503@0.05, error=500@0.05, error=429@0.05")


@dataclass(frozen=True, slots=True)
class Act:
    """One fault: `at` seconds after the first POST, or when `share` of the records has been sent."""

    kind: Kind
    at: float = 0.0
    worker: int = 0
    lasts: float = 0.0
    share: float | None = None

    def __str__(self) -> str:
        when = f"{self.share:.0%}" if self.share is not None else f"{self.at:.1f}"
        return f"{self.kind}@{when}" + (f"+{self.lasts:.1f}" if self.kind in LASTING else "")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A round: its size, the API's manners, and the faults in the order of their times."""

    seed: int
    records: int = 1000
    workers: int = 4
    users: int = 8
    wait: str = "0.01-0.05"
    misbehave: str = "none"
    policy: str = "at-least-once"
    max_attempts: int = 5
    acts: tuple[Act, ...] = field(default=())
    store: Store = "sqlite"
    deadline_s: float = 120.0
    lease_s: float = 5.0

    @property
    def retry_after(self) -> str:
        """What waits if the API asks to: the run, or each record."""
        return "record" if self.misbehave in _OF_ONE_REQUEST else "run"

    @classmethod
    def of(cls, seed: int, store: Store = "sqlite") -> "Scenario":
        """The round of a seed."""
        chance = random.Random(seed)
        acts = [_act(chance) for _ in range(chance.randint(1, 5))] + _deadly_acts(seed, store)
        return cls(
            seed,
            records=chance.randint(300, 900),
            workers=chance.randint(2, 4),
            users=chance.randint(4, 16),
            misbehave=chance.choice(_MISBEHAVIOUR),
            policy=chance.choices(("at-least-once", "at-most-once"), (5, 1))[0],
            max_attempts=chance.choice((2, 5, 5, 8)),
            acts=tuple(sorted(acts, key=lambda act: act.at)),
            store=store,
        )

    def __str__(self) -> str:
        policy = "" if self.policy == "at-least-once" else f" {self.policy}"
        acts = " ".join(map(str, self.acts)) or "no fault"
        store = "" if self.store == "sqlite" else f" {self.store}"
        return f"{self.records}r {self.workers}w {self.users}u{policy}{store} [{acts}] api: {self.misbehave}"


def _act(chance: random.Random) -> Act:
    kind = chance.choices(KINDS, _WEIGHTS)[0]
    at, worker = chance.uniform(0.0, FAULTS_S), chance.randrange(1 << 16)
    lasts = chance.uniform(0.5, 3.0) if kind == "api" else chance.uniform(1.0, 8.0)
    return Act(kind, at, worker, lasts if kind in LASTING else 0.0)


def _deadly_acts(seed: int, store: Store) -> list[Act]:
    """What is done to the master, drawn apart: so each seed's other acts are the same as without."""
    chance = random.Random(f"master {seed}")
    made = []
    for _ in range(chance.choices((0, 1, 2), (3, 4, 1))[0]):
        kind = chance.choices(DEADLY, (4, 2, 0, 3) if store == "sqlite" else (3, 1, 2, 2))[0]
        lasts = chance.uniform(0.0, 8.0) if kind in ALONE else chance.uniform(0.0, 3.0)
        made.append(Act(kind, chance.uniform(0.0, FAULTS_S), lasts=lasts))
    return made
