"""Write a row for each attempt of a run, and keep the rows in numbered batches until the master has them.

Guarded here: rows never hold up a record, and memory is bounded. If the master confirms no batch for so long that there
is no room, later rows are dropped, and counted: `made` counts every row, kept or not.
"""

import base64
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from traffic.core.excerpt import text_of
from traffic.core.outcome import Answer, Outcome
from traffic.core.outcome_rules import parsed_body
from traffic.core.pointer import found_at, read_pointer
from traffic.core.protocol import ResultBatch, RunConfig
from traffic.core.reading import REQUESTS
from traffic.core.request_record import body_of, method_and_path, split
from traffic.core.results import ALL, BATCH_BYTES, FAILURES, OFF, cell
from traffic.core.timings import Request
from traffic.core.trace import trace_id
from traffic.core.worker.record import Record, Wire, key_of

MOST_UNCONFIRMED = 4
# So many bytes of rows may wait for a batch; later ones are dropped.
MOST_WAITING = 16 * BATCH_BYTES
# A batch that is not confirmed for so long is sent again; in seconds.
AGAIN_S = 2.0
_MS = 1000.0
_NO_WIRE = Wire()


@dataclass(slots=True)
class _Sent:
    batch: ResultBatch
    at: float


class ResultLog:
    """The rows of one run on one worker. `compress` makes the bytes of a batch. Times are by the worker's clock.

    `wall_s` is what the clock of the wall is ahead of that; the adapter sets it.
    """

    def __init__(self, run: RunConfig, worker: str, compress: Callable[[bytes], bytes]) -> None:
        self._run, self._worker, self._compress = run, cell(worker), compress
        self.wall_s = 0.0
        self.made = self.dropped = 0
        self._waiting: list[str] = []
        self._bytes = 0
        self._number = 0
        self._unconfirmed: deque[_Sent] = deque()
        self._resend = False
        self._key, self._whole = key_of(run.run, ""), run.records == REQUESTS
        self._plain = run.answers == OFF and not run.keep and not run.trace
        self._where: dict[Request, str] = {}
        self._second, self._prefix = -1, ""

    @property
    def all_confirmed(self) -> bool:
        """Whether the master has every row that was not dropped."""
        return not (self._waiting or self._unconfirmed)

    def note(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> None:
        """Write the row of an attempt that is over `now`, if the run wants one of such an outcome."""
        if self._run.results == FAILURES and outcome is Outcome.DELIVERED:
            return
        self.made += 1
        if self._bytes >= MOST_WAITING:
            self.dropped += 1
            return
        row = self._row(record, answer, outcome, now)
        self._waiting.append(row)
        self._bytes += len(row)

    def _row(self, record: Record, answer: Answer, outcome: Outcome, now: float) -> str:
        sent, due, index = record.sent, record.due, record.index
        connect_s, first_byte_at, received, content = record.wire or _NO_WIRE
        connect = "" if connect_s is None else f"{_MS * connect_s:.3f}" if connect_s else "0.000"
        first_byte = f"{_MS * (first_byte_at - sent):.3f}" if first_byte_at else ""
        service = f"{_MS * (now - sent):.3f}"
        if due:
            times = f"{self._time(due)},{self._time(sent)},{_MS * (sent - due):.3f},{_MS * (now - due):.3f},{service}"
        else:
            times = f",{self._time(sent)},,{service},{service}"
        if self._whole:
            where, length = self._of_request(record), len(body_of(record.body))
        else:
            where, length = self._where.get(record.request) or self._known(record.request), len(record.body)
        status, error = (answer.status, "") if answer.status else ("", cell(answer.reason))
        row = (
            f"{index},{self._key}{index},{record.attempts},{self._worker},{where},{times},{connect},{first_byte},"
            f"{status},{outcome._value_},{length},{received},{error}"
        )
        return f"{row}\r\n" if self._plain else f"{row}{self._more(record, outcome, content)}\r\n"

    def _more(self, record: Record, outcome: Outcome, content: bytes) -> str:
        """Return the cells that not every run has."""
        made = ""
        if self._run.answers != OFF:
            made += self._answer(content if self._run.answers == ALL or outcome is not Outcome.DELIVERED else b"")
        if self._run.keep:
            made += f",{self._kept(content)}"
        if self._run.trace:
            made += f",{trace_id(record.key)}"
        return made

    def _known(self, request: Request) -> str:
        """Return the cells of name, method and path of records that are bodies, and remember them."""
        made = f"{cell(request.name)},{cell(self._run.method)},{cell(self._run.path)}"
        self._where[request] = made
        return made

    @staticmethod
    def _of_request(record: Record) -> str:
        """Return the cells of name, method and path of a whole request."""
        _, line, _, _ = split(record.body)
        method, path = method_and_path(line)
        return f"{cell(record.request.name)},{cell(method)},{cell(path)}"

    def _time(self, at: float) -> str:
        """Return a time as ISO 8601 in UTC, to a microsecond."""
        wall = at + self.wall_s
        second = int(wall)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._prefix}{int((wall - second) * 1e6):06d}Z"

    def _answer(self, content: bytes) -> str:
        """Return the cells of the beginning of an answer: as text, or in base64 if it is none."""
        content = content[: self._run.answer_size]
        text = text_of(content, cut=len(content) == self._run.answer_size)
        return f",{cell(text)}," if text is not None else f",,{base64.b64encode(content).decode()}"

    def _kept(self, content: bytes) -> str:
        """Return the cell of the member that is kept of an answer; empty if the answer has none."""
        value = found_at(parsed_body(content), read_pointer(self._run.keep[1:])) if content else None
        if value is None:
            return ""
        return cell(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    # Batches.

    def batches(self, now: float, *, everything: bool) -> list[ResultBatch]:
        """Return what to send now: batches that the master may lack, and new ones.

        `everything`: all rows go, in a small batch, too, because an ack with their outcomes comes next.
        """
        made: list[ResultBatch] = []
        if self._unconfirmed and (self._resend or now - self._unconfirmed[0].at >= AGAIN_S):
            for sent in self._unconfirmed:
                sent.at = now
                made.append(sent.batch)
        self._resend = False
        while self._waiting and len(self._unconfirmed) < MOST_UNCONFIRMED:
            if self._bytes < BATCH_BYTES and not everything:
                break
            batch = self._next_batch()
            self._unconfirmed.append(_Sent(batch, now))
            made.append(batch)
        return made

    def _next_batch(self) -> ResultBatch:
        count = size = 0
        while count < len(self._waiting) and size < BATCH_BYTES:
            size += len(self._waiting[count])
            count += 1
        rows, self._waiting = self._waiting[:count], self._waiting[count:]
        self._bytes -= size
        self._number += 1
        data = self._compress("".join(rows).encode(errors="backslashreplace"))
        return ResultBatch(self._run.run, self._number, count, data)

    def confirm(self, number: int) -> None:
        """Note that the master has all batches up to this one."""
        while self._unconfirmed and self._unconfirmed[0].batch.number <= number:
            self._unconfirmed.popleft()

    def begin_session(self) -> None:
        """Send again what is not confirmed: another master may lack it."""
        self._resend = True


NewResultLog = Callable[[RunConfig], ResultLog]
"""Makes the log of a run that wants rows."""
