"""An HTTP API in a process of its own that notes every POST, and answers as a test says, badly if it says so.

Started as a program it serves: the port stands in its first line of output, and each line of input is one command.
"""

import asyncio
import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from email.utils import formatdate
from typing import Any, Self

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Step:
    """What to do with one POST.

    `act` is "answer"; "hang" (read it, never answer); "close" (read it, then cut the connection); "cut" (cut the
    connection as soon as the head is there). `retry_after` is sent as it stands, `retry_date_s` as the HTTP date
    so many seconds from now. `delay` is in seconds. `body` is JSON text; `{n}` in it is the record's index.
    """

    status: int = 201
    act: str = "answer"
    delay: float = 0.0
    retry_after: str | None = None
    retry_date_s: float | None = None
    location: str | None = None
    body: str | None = None


@dataclass(frozen=True)
class Post:
    """One POST as it came in; `attempt` counts those of its record from 1. Times are of time.monotonic().

    `status` is 0 and `done` None where nothing was answered (yet); `not_before` is what Retry-After asked for.
    """

    index: int
    attempt: int
    key: str
    worker: str
    body: str
    at: float
    status: int
    done: float | None
    not_before: float | None
    traceparent: str


class FakeApi:
    """The API as a test uses it: sets the answers, and reads what was sent."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{self._read()}"

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the fake API has ended"
        return json.loads(line)

    def _ask(self, do: str, **what: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **what}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def script(self, steps: Mapping[int, Sequence[Step]]) -> None:
        """Answer record by record: the first attempt by the first step, and so on; what has no step, by the default."""
        self._ask("script", steps={index: [asdict(step) for step in its] for index, its in steps.items()})

    def always(self, step: Step, *, last: int = 0) -> None:
        """Set the default step; by its answer of number `last` each connection ends, and says so (0: it stays)."""
        self._ask("always", step=asdict(step), last=last)

    def limit(self, count: int, seconds: float, *, says: bool = True) -> None:
        """Take so many POSTs in so many seconds, and answer the others 429: with Retry-After, if it `says` that."""
        self._ask("limit", count=count, seconds=seconds, says=says)

    @property
    def count(self) -> int:
        """How many POSTs have come in."""
        return int(self._ask("count"))

    def posts(self, since: int = 0) -> list[Post]:
        """The POSTs in the order of their arrival, but for the first `since`."""
        return [Post(**post) for post in self._ask("posts", since=since)]

    def gets(self) -> list[str]:
        """The paths that were asked for by GET."""
        return list(self._ask("gets"))

    def forget(self) -> None:
        """Forget what was sent, and the script."""
        self._ask("forget")

    def refuse(self) -> None:
        """Close the listening socket and every connection: whoever comes is refused."""
        self._ask("refuse")

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._ask("accept")

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # then it is killed
            self._process.communicate("", DEADLINE_S)
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def fake_api() -> Iterator[FakeApi]:
    """Run one for the length of a block."""
    with FakeApi() as api:
        yield api


class _Serving:
    """The program's side."""

    def __init__(self) -> None:
        self.port = 0
        self.posts: list[dict[str, Any]] = []
        self.gets: list[str] = []
        self.attempts: dict[int, int] = {}
        self.steps: dict[int, list[Step]] = {}
        self.default = Step()
        self.quota: tuple[int, float, bool] | None = None
        self.window, self.taken = 0.0, 0
        self.last = 0  # the number of a connection's last answer; 0: it has none
        self.server: asyncio.Server | None = None
        self.connections: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=256)
        self.port = self.server.sockets[0].getsockname()[1]

    async def obey(self, do: str, **what: Any) -> Any:
        match do:
            case "script":
                self.steps = {int(index): [Step(**step) for step in its] for index, its in what["steps"].items()}
            case "always":
                self.default, self.last = Step(**what["step"]), what["last"]
            case "limit":
                self.quota = what["count"], what["seconds"], what["says"]
            case "count":
                return len(self.posts)
            case "posts" | "gets":
                return getattr(self, do)[what.get("since", 0) :]
            case "forget":
                self.posts, self.gets, self.attempts, self.steps = [], [], {}, {}
                self.default, self.last, self.quota = Step(), 0, None
            case "refuse" if self.server is not None:
                self.server.close()
                self.server = None
                for connection in list(self.connections):
                    connection.transport.abort()
            case "accept" if self.server is None:
                await self.listen()
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            number = 1
            while await self._exchange(reader, writer, last=number == self.last):
                number += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, last: bool) -> bool:
        """Serve one request, the `last` on its connection or not; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        if method == "GET":
            self.gets.append(path)
            return await _answer(writer, 404 if path.startswith("/audit") else 200, {}, last=last)
        index = int(headers["idempotency-key"].rpartition("-")[2])
        attempt = self.attempts[index] = self.attempts.get(index, 0) + 1
        mine = self.steps.get(index, [])
        step = self._over_quota() or (mine[attempt - 1] if attempt <= len(mine) else self.default)
        post = {"index": index, "attempt": attempt, "key": headers["idempotency-key"], "at": time.monotonic()}
        post |= {"worker": headers.get("traffic-worker", ""), "body": "", "status": 0, "done": None}
        post |= {"not_before": None, "traceparent": headers.get("traceparent", "")}
        self.posts.append(post)
        if step.act != "cut":
            post["body"] = (await reader.readexactly(int(headers.get("content-length", 0)))).decode("latin-1")
        return await self._act(step, post, reader, writer, last=last)

    def _over_quota(self) -> Step | None:
        """The answer to a POST that is one too many; None if it is not."""
        if self.quota is None:
            return None
        count, seconds, says = self.quota
        now = time.monotonic()
        if now >= self.window + seconds:
            self.window, self.taken = now, 0
        if self.taken < count:
            self.taken += 1
            return None
        return Step(429, retry_after=str(math.ceil(self.window + seconds - now)) if says else None)

    async def _act(
        self,
        step: Step,
        post: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        last: bool,
    ) -> bool:
        if step.delay:
            await asyncio.sleep(step.delay)
        if step.act == "hang":
            await reader.read(1)  # until the other side gives up
        if step.act != "answer":
            writer.transport.abort()
            return False
        post["status"], post["done"] = step.status, time.monotonic()
        extra = {"Location": step.location, "Retry-After": step.retry_after}
        if step.retry_after is not None:
            post["not_before"] = post["done"] + float(step.retry_after)
        if step.retry_date_s is not None:
            date = int(time.time() + step.retry_date_s)
            extra["Retry-After"] = formatdate(date, usegmt=True)
            post["not_before"] = post["done"] + date - time.time()
        headers = {name: value for name, value in extra.items() if value is not None}
        body = None if step.body is None else step.body.replace("{n}", str(post["index"]))
        return await _answer(writer, step.status, headers, body, last=last)


async def _answer(
    writer: asyncio.StreamWriter, status: int, extra: Mapping[str, str], text: str | None = None, *, last: bool
) -> bool:
    body = b"" if status in (204, 304) else b"{}" if text is None else text.encode()
    lines = [f"HTTP/1.1 {status} Scripted", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in extra.items()]
    lines += ["Connection: close"] * last
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    await writer.drain()
    return not last


async def _main() -> None:
    serving = _Serving()
    await serving.listen()
    print(serving.port, flush=True)  # noqa: T201 - the program's answer
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await serving.obey(**json.loads(line))), flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    asyncio.run(_main())
