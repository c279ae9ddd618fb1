"""An API in a thread that keeps every request's bytes as they came in, and answers as a test says.

The master's own question after a run, for an audit, is answered 404, and not kept.
"""

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

NO_AUDIT = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class RawRequest:
    """One request: its first line, its fields in their order as they stand, and its body."""

    line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def get(self, name: str) -> str | None:
        """The value of a field, whatever its case; None if it is absent."""
        return next((value for own, value in self.fields if own.lower() == name.lower()), None)

    def recorded(self) -> list[tuple[str, str]]:
        """The fields without those that are the run's own."""
        ours = {"host", "traffic-worker", "idempotency-key", "content-length"}
        return [(name, value) for name, value in self.fields if name.lower() not in ours]


@dataclass
class RawApi:
    """`answer` returns the bytes of the answer to a request."""

    url: str = ""
    answer: Callable[[RawRequest], bytes] = lambda _request: OK
    requests: list[RawRequest] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The keys of all requests, in the order of their arrival."""
        return [request.get("Idempotency-Key") or "" for request in self.requests]


@contextlib.contextmanager
def raw_api() -> Iterator[RawApi]:
    """Run one for the length of a block."""
    api = RawApi()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                while (request := _read(self.rfile)) is not None:
                    if request.line.startswith("GET /audit?run="):
                        self.wfile.write(NO_AUDIT)
                        continue
                    api.requests.append(request)
                    self.wfile.write(api.answer(request))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def _read(file: "socketserver._BufferedIOBase") -> RawRequest | None:  # type: ignore[name-defined]
    line = file.readline()
    if not line:
        return None
    fields = []
    while (one := file.readline()) not in (b"\r\n", b""):
        name, _, value = one.decode("latin-1").partition(":")
        fields.append((name, value.strip()))
    length = int(next((value for name, value in fields if name.lower() == "content-length"), "0"))
    return RawRequest(line.decode("latin-1").strip(), tuple(fields), file.read(length))
