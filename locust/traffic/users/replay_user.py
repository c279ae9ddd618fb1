"""The user class on our own HTTP client: with tasks, or as fast as it can without."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from locust.contrib.fasthttp import FastHttpSession
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_STOPPING

from traffic.core.outcome import Answer
from traffic.core.worker.feed import Record
from traffic.settings.request_options import RequestOptions
from traffic.users.base import RecordUserBase
from traffic.users.continuous_sender import ContinuousSender
from traffic.users.dispatcher import dispatcher_of
from traffic.users.task_sender import TaskSender
from traffic.users.tls_options import tls_of


class ReplayUser(RecordUserBase):
    """A user that delivers the run's records, one at a time. `class Fast(ReplayUser): pass` will do.

    Without tasks of its own it takes record after record, driven by the loop: the fastest way. With tasks it calls
    `deliver_next` where they say so, as a RecordUser does.

    `rule` (None: the rule of `--traffic-policy`) is called by the loop and must not wait; nor must a `wait_time` of the
    class's own, if it has no tasks. Timeouts are in seconds: `connection_timeout` until there is a connection,
    `network_timeout` until the answer is whole (None: `--traffic-timeout`). `default_headers` are sent with every
    request. For https, `ca_file` has the certificates to trust instead of the system's, `client_certificate` is a PEM
    file or a pair of certificate and key; `insecure` verifies nothing.
    """

    abstract = True
    # Less than Locust's 60, so that a run whose API is gone pauses, and says so, soon.
    connection_timeout: float = 10.0
    default_headers: ClassVar[Mapping[str, str] | None] = None
    insecure: bool = False
    ca_file: str | None = None
    client_certificate: str | tuple[str, str] | None = None
    # Whether the host may be http+unix://; the master checks the host before there are users.
    over_unix_sockets: ClassVar[bool] = True
    _continuous_sender: ContinuousSender | None = None
    _task_sender: TaskSender | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Give a class that has no tasks of its own the task `replay`."""
        super().__init_subclass__(**options)
        cls.tasks = [own for own in cls.tasks if own is not replay] or [replay]

    @cached_property
    def client(self) -> FastHttpSession:
        """The client of Locust's FastHttpUser, with its cookies and redirects, for requests other than records.

        ValueError if the host is a Unix socket, which that client does not know.
        """
        if str(self.host).startswith("http+unix://"):
            raise ValueError(f"self.client cannot reach {self.host}: over a Unix socket go records alone")
        return FastHttpSession(
            base_url=self.host,
            request_event=self.environment.events.request,
            user=self,
            insecure=self.insecure or RequestOptions.read(self.environment.parsed_options).insecure,
            ssl_context_factory=self._tls_context,
            network_timeout=self.answer_timeout,
            connection_timeout=self.connection_timeout,
            headers=dict(self.default_headers or {}),
            max_retries=0,
        )

    def _tls_context(self) -> Any:
        return tls_of(self, RequestOptions.read(self.environment.parsed_options))

    def deliver(self, record: Record) -> Answer:
        """Send a record, as RecordUserBase describes, over this user's own connection."""
        if self._task_sender is None:
            sender = self._task_sender = TaskSender(dispatcher_of(self.environment, self._source()), self)
            # Locust's `run` is final. A raw link closes it before greenlets that wait for this user continue.
            assert self._greenlet is not None, "a user that delivers has been started"
            self._greenlet.rawlink(lambda _: sender.close())
        self._in_hand = None  # from here on the sender has it
        return self._task_sender.deliver(record)

    def stop(self, force: bool = False) -> bool:
        """Stop as Locust does: at once if no answer is awaited, else after it; `force` does not wait for it."""
        if force or self._continuous_sender is None:
            return bool(super().stop(force))
        self._state = LOCUST_STATE_STOPPING
        self._continuous_sender.finish_current()
        return False

    def _replay(self) -> None:
        waits_by_run = getattr(type(self), "wait_time", None) is RecordUserBase.wait_time
        self._continuous_sender = ContinuousSender(
            dispatcher_of(self.environment, self._source()), self, waits_by_run=waits_by_run
        )
        try:
            self._continuous_sender.run()
        finally:
            self._continuous_sender = None


def replay(user: ReplayUser) -> None:
    """The task of a ReplayUser that has no other: deliver records until the run needs this user no more."""
    user._replay()
    raise StopUser
