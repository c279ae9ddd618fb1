"""An API in the test's own process that notes what it is sent, byte for byte, in the order of its arrival."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Post:
    """One POST as it came in."""

    key: str
    content_type: str
    body: bytes

    @property
    def index(self) -> int:
        """The record's index, by its key."""
        return int(self.key.rpartition("-")[2])


class Recorder(ThreadingHTTPServer):
    """Answers 201 to every POST and 200 to every GET but the audit; counts them all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[Post] = []
        self.requests = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_GET(self) -> None:
        self._count()
        self._answer(404 if self.path.startswith("/audit") else 200, b"[]")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        post = Post(self.headers["Idempotency-Key"], self.headers["Content-Type"], body)
        self._count()
        with self.server.lock:
            self.server.posts.append(post)
        self._answer(201, b"{}")

    def _count(self) -> None:
        with self.server.lock:
            self.server.requests += 1

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        pass


@contextlib.contextmanager
def recording() -> Iterator[Recorder]:
    """Run a recorder for the length of a block."""
    with Recorder() as recorder:
        thread = threading.Thread(target=recorder.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()
