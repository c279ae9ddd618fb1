"""A made-up API: it answers, fails, is slow, or stores a record and loses the answer. It keeps the books that count."""

import random
from collections import Counter
from dataclasses import dataclass, field

from traffic.core.outcome import Answer

NOT_NOW = 503
TIMEOUT_S = 2.0


@dataclass
class Weather:
    """How likely (0 to 1) each misfortune is, and how long an answer takes at most, in seconds."""

    refuse: float = 0.0
    fail: float = 0.0
    reject: float = 0.0
    lose_before: float = 0.0
    lose_after: float = 0.0
    slow_s: float = 0.05


@dataclass
class Api:
    """Honours the key: a record is stored once, however often it comes.

    `posts` counts what arrived, by key; `acted_on` those of them that were not answered 503, by which an API says
    that it did nothing. `mute`: it takes requests, and neither acts on them nor answers.
    """

    chance: random.Random
    weather: Weather = field(default_factory=Weather)
    stored: set[str] = field(default_factory=set)
    posts: Counter[str] = field(default_factory=Counter)
    acted_on: Counter[str] = field(default_factory=Counter)
    mute: bool = False

    def post(self, key: str) -> tuple[Answer, float]:
        """Take one request; what the sender will see, and after how many seconds."""
        if self.mute:
            answer = Answer(0, "timed out", waited=TIMEOUT_S)
            return self._take(key, answer, arrives=True, stores=False), TIMEOUT_S
        after = self.chance.uniform(0.001, self.weather.slow_s)
        fate, w = self.chance.random(), self.weather
        for answer, arrives, stores, share in (
            (Answer(0, "refused", sent=False), False, False, w.refuse),
            (Answer(0, "lost"), False, False, w.lose_before),
            (Answer(0, "lost"), True, True, w.lose_after),
            (Answer(NOT_NOW, "HTTP 503", retry_after=self.chance.choice([None, 0.5])), True, False, w.fail),
            (Answer(404, "HTTP 404"), True, False, w.reject),
        ):
            if fate < share:
                return self._take(key, answer, arrives=arrives, stores=stores), after
            fate -= share
        return self._take(key, Answer(201, "HTTP 201"), arrives=True, stores=True), after

    def _take(self, key: str, answer: Answer, *, arrives: bool, stores: bool) -> Answer:
        if arrives:
            self.posts[key] += 1
            self.acted_on[key] += answer.status != NOT_NOW
        if stores:
            self.stored.add(key)
        return answer
