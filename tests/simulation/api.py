"""A made-up API: it answers, fails, is slow, or stores a record and loses the answer. Its own counts are the truth."""

import random
from collections import Counter
from dataclasses import dataclass, field

from traffic.core.outcome import Answer

NOT_NOW = 503
TIMEOUT_S = 2.0


@dataclass
class Behaviour:
    """How likely (0 to 1) each failure is, and how long an answer takes at most, in seconds."""

    refuse: float = 0.0
    fail: float = 0.0
    reject: float = 0.0
    lose_before: float = 0.0
    lose_after: float = 0.0
    slow_s: float = 0.05


@dataclass
class Quota:
    """How many requests the API takes in so many seconds. `says`: it says how long to wait."""

    count: int
    seconds: float
    says: bool = True
    begun: float = float("-inf")
    taken: int = 0

    def wait(self, now: float) -> float | None:
        """Count a request; return how long to wait if it is one too many, else None."""
        if now >= self.begun + self.seconds:
            self.begun, self.taken = now, 0
        self.taken += 1
        return None if self.taken <= self.count else self.begun + self.seconds - now


@dataclass
class Api:
    """Honours the key: a record is stored once, however often it arrives.

    `posts` counts what arrived, by key; `acted_on` leaves out what was answered 503, because an API says by it that it
    did nothing. `silent`: it accepts requests, and neither acts on them nor answers.
    """

    chance: random.Random
    behaviour: Behaviour = field(default_factory=Behaviour)
    stored: set[str] = field(default_factory=set)
    posts: Counter[str] = field(default_factory=Counter)
    acted_on: Counter[str] = field(default_factory=Counter)
    silent: bool = False
    quota: Quota | None = None
    refused: int = 0  # by the quota

    def post(self, key: str, now: float) -> tuple[Answer, float]:
        """Receive a request. Returns the answer that its sender gets, and after how many seconds."""
        if self.silent:
            answer = Answer(0, "timed out", waited=TIMEOUT_S)
            return self._receive(key, answer, arrives=True, stores=False), TIMEOUT_S
        if self.quota is not None and (wait := self.quota.wait(now)) is not None:
            self.refused += 1
            answer = Answer(429, "HTTP 429", retry_after=wait if self.quota.says else None)
            return self._receive(key, answer, arrives=True, stores=False), 0.001
        after = self.chance.uniform(0.001, self.behaviour.slow_s)
        drawn, w = self.chance.random(), self.behaviour
        for answer, arrives, stores, share in (
            (Answer(0, "refused", sent=False), False, False, w.refuse),
            (Answer(0, "lost"), False, False, w.lose_before),
            (Answer(0, "lost"), True, True, w.lose_after),
            (Answer(NOT_NOW, "HTTP 503", retry_after=self.chance.choice([None, 0.5])), True, False, w.fail),
            (Answer(404, "HTTP 404"), True, False, w.reject),
        ):
            if drawn < share:
                return self._receive(key, answer, arrives=arrives, stores=stores), after
            drawn -= share
        return self._receive(key, Answer(201, "HTTP 201"), arrives=True, stores=True), after

    def _receive(self, key: str, answer: Answer, *, arrives: bool, stores: bool) -> Answer:
        if arrives:
            self.posts[key] += 1
            self.acted_on[key] += answer.status not in (NOT_NOW, 429)
        if stores:
            self.stored.add(key)
        return answer
