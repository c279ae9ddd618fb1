"""The user class that replays as fast as it can: no tasks, no cookies, no redirects; a record, an answer, the next."""

import random
from collections.abc import Mapping
from typing import ClassVar

import gevent
from locust import User, task
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_STOPPING

from traffic.core.outcome import Rule
from traffic.user import BEFORE_INIT_S, Source, sources

from .engine import engine_of
from .seat import Seat


class ReplayUser(User):
    """A user that delivers the run's records, one at a time. `class Fast(ReplayUser): pass` will do.

    It does what a RecordUser does whose only task is `deliver_next`, at a tenth of the price. `rule` judges the answers
    (None: the rule of `--traffic-policy`); it and an own `wait_time` are called by the loop and must not wait.
    Timeouts are in seconds: `connection_timeout` until there is a connection, `network_timeout` until the answer is
    whole. `default_headers` are sent with every record. For https, `ca_file` names who is trusted beside the system's
    own, `client_certificate` is a PEM file or a pair of certificate and key; `insecure` verifies nothing.
    """

    abstract = True
    rule: Rule | None = None
    network_timeout: float = 60.0
    connection_timeout: float = 60.0
    default_headers: ClassVar[Mapping[str, str] | None] = None
    insecure: bool = False
    ca_file: str | None = None
    client_certificate: str | tuple[str, str] | None = None
    _seat: Seat | None = None

    def wait_time(self) -> float:
        """Seconds until the next record, evenly spread over `--traffic-wait`."""
        run = self._source().run
        return random.uniform(*run.wait) if run else 0.0  # noqa: S311 - spreads requests, keeps no secret

    @task
    def replay(self) -> None:
        """Deliver records until the run needs this user no more."""
        source = self._source()
        as_told = getattr(type(self), "wait_time", None) is ReplayUser.wait_time
        self._seat = Seat(engine_of(self.environment, source), self, waits_as_told=as_told)
        try:
            self._seat.sit()
        finally:
            self._seat = None
        raise StopUser

    def stop(self, force: bool = False) -> bool:
        """As Locust's: at once where no answer is awaited, else after that answer; `force` does not wait for it."""
        if force or self._seat is None:
            return bool(super().stop(force))
        self._state = LOCUST_STATE_STOPPING
        self._seat.retire()
        return False

    def _source(self) -> Source:
        while (source := sources.get(self.environment)) is None:
            if self._state == LOCUST_STATE_STOPPING:
                raise StopUser
            gevent.sleep(BEFORE_INIT_S)
        return source
