"""Makes the requests that deliver records, whichever kind of user sends them: one list of headers for both.

From the weakest to the strongest: ours, those of a record that is a whole request, those of the user class, those of
the options, those of the header file. The host, the framing and the key are the run's, and nobody else sets them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from traffic.core.headers import FRAMING, JSON_CONTENT, KEY, OURS, USER_AGENT, WORKER, Field, merged
from traffic.core.protocol import RunConfig
from traffic.core.reading import REQUESTS
from traffic.core.request_record import fields_of, method_and_path, split
from traffic.core.trace import HEADER, OF_A_TRACE, new_span, traceparent
from traffic.core.worker.record import key_of
from traffic.http.http1 import request_bytes, request_prefix
from traffic.http.resolver import Target

OURS_BY_DEFAULT = (USER_AGENT, JSON_CONTENT)
HOST = b"Host: "
# Methods whose requests say how long their body is even if there is none (RFC 9110 8.6).
_WITH_BODY = (b"POST ", b"PUT ", b"PATCH ")


@dataclass(frozen=True, slots=True)
class Parts:
    """A record as it is sent, for clients that make the bytes themselves. `name` is what it is counted as."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    name: str


class RequestMaker:
    """Makes one run's requests for one worker. `own` are the headers of the user class, `told` those of the options.

    ValueError if one of them cannot be sent, or may not be set.
    """

    def __init__(
        self, run: RunConfig, target: Target, worker: str, own: Mapping[str, str], told: Iterable[Field] = ()
    ) -> None:
        refused = (OURS | FRAMING) & {name.lower() for name in own}
        if refused:
            raise ValueError(
                f"the replay user sets {', '.join(sorted(refused))} itself: leave it out of default_headers"
            )
        credentials = [("Authorization", target.credentials)] if target.credentials else []
        self._trace = run.trace
        over = merged(credentials, own.items(), told)
        self._over = [one for one in over if not self._trace or one[0].lower() not in OF_A_TRACE]
        self._run, self._worker, self._key = run, worker, key_of(run.run, "")
        self._whole, self._base = run.records == REQUESTS, target.base.encode("ascii")
        last = [(WORKER, worker), (KEY, self._key)]
        if self._whole:
            # What stands behind the first line; the record's own fields come between the host and the rest.
            head = request_prefix("GET", "/", target.host, [*self._over, *last]).partition(b"\r\n")[2]
            host, _, self._prefix = head.partition(b"\r\n")
            self._host = b" HTTP/1.1\r\n" + host + b"\r\n"
            self._replaced = frozenset(name.lower().encode("latin-1") for name, _ in self._over)
            if self._trace:
                self._replaced |= {name.encode() for name in OF_A_TRACE}
        else:
            headers = [*merged(OURS_BY_DEFAULT, self._over), *last]
            self._prefix = request_prefix(run.method, target.base + run.path, target.host, headers)

    def request(self, index: int, record: bytes, span: int = 0) -> bytes:
        """Return the bytes that send a record; `index` is its place in the file.

        `span` is the attempt's id in the record's trace, if the run is traced; 0: any.
        """
        if self._whole:
            return self.whole(index, record, span)[0]
        return request_bytes(self._prefix, index, record, self._traced(index, span) if self._trace else b"")

    def _traced(self, index: int, span: int) -> bytes:
        """Return the header of the trace that an attempt at a record belongs to, with its line break."""
        return f"{HEADER}: {traceparent(f'{self._key}{index}', span or new_span())}\r\n".encode()

    def whole(self, index: int, record: bytes, span: int = 0) -> tuple[bytes, bytes]:
        """Return the bytes that send a whole request, and those by which its name and method are known."""
        # As `request_record.split`, with fewer copies: this is done for each record.
        name_end = record.index(b"\r\n")
        line_end = record.index(b"\r\n", name_end + 2)
        head_end = record.index(b"\r\n\r\n", line_end)
        line, fields, body = (
            record[name_end + 2 : line_end],
            record[line_end + 2 : head_end + 2],
            record[head_end + 4 :],
        )
        counted = record[: record.index(b" ", name_end)]
        if self._base:
            method, _, path = line.partition(b" ")
            line = method + b" " + self._base + path
        if self._replaced:
            fields = _without(fields, self._replaced)
        # With the host that was recorded, which comes first among its fields, or the run's.
        host = b" HTTP/1.1\r\n" if fields.startswith(HOST) else self._host
        head = b"%b%b%b%b%d\r\n" % (line, host, fields, self._prefix, index)
        if self._trace:
            head += self._traced(index, span)
        if body or line.startswith(_WITH_BODY):
            return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body), counted
        return head + b"\r\n", counted

    def parts(self, index: int, record: bytes, span: int = 0) -> Parts:
        """Return a record as a client of Locust's needs it."""
        last = [(WORKER, self._worker), (KEY, f"{self._key}{index}")]
        if self._trace:
            last.append((HEADER, traceparent(f"{self._key}{index}", span or new_span())))
        if not self._whole:
            headers = merged([JSON_CONTENT], self._over, last)
            return Parts(self._run.method, self._run.path, _joined(headers), record, self._run.path)
        name, line, fields, body = split(record)
        method, path = method_and_path(line)
        kept = [one for one in fields_of(fields) if not self._trace or one[0].lower() not in OF_A_TRACE]
        headers = merged(kept, self._over, last)
        return Parts(method, path, _joined(headers), body, name.decode("utf-8", "replace"))

    def counted_as(self, record: bytes) -> tuple[str, str]:
        """Return the name and the method that the statistics have a record under."""
        if not self._whole:
            return self._run.path, self._run.method
        name, line, _, _ = split(record)
        return name.decode("utf-8", "replace"), method_and_path(line)[0]


def _without(fields: bytes, names: frozenset[bytes]) -> bytes:
    """Return a head's fields without those of some names, which are in lower case."""
    kept = [line for line in fields.split(b"\r\n") if line and line.partition(b":")[0].lower() not in names]
    return b"".join(line + b"\r\n" for line in kept)


def _joined(fields: Iterable[Field]) -> dict[str, str]:
    """Return fields by name, with the values of several of one name as a list (RFC 9110 5.3)."""
    made: dict[str, str] = {}
    for name, value in fields:
        made[name] = f"{made[name]}, {value}" if name in made else value
    return made
