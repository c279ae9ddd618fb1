"""Run the whole stack as plain processes: the API stub on SQLite, Locust's master, and its workers.

    stack.py local     with the web UI, until it is stopped
    stack.py replay    one run to its end; its report is the last line on stdout

The environment says what to start: WORKERS, USERS, SPAWN_RATE, FILE, HOST (another API: then no stub is started),
STATE, API_PORT, WEB_PORT, MASTER_PORT. TRAFFIC_* and STUB_* reach Locust and the stub as they are. Everything listens
on 127.0.0.1. Exit codes: 0 all delivered, 3 not all, 4 refused to start, 5 a check failed, 6 suspended; anything else
is a crash.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from log_filter import LogFilter
from processes import TICK_S, Child, say
from screen import LiveLine, live_line, report_on_screen
from stack_config import HERE, CannotStartError, StackConfig, check_ports

from traffic.channel.new_secret import make_secret
from traffic.environment import SECRET, SECRET_FILE
from traffic.ownership import ForeignError, claim

STATUS_VARIABLE = "TRAFFIC_STATUS_FD"  # traffic.terminal.status_pipe

EXIT_CRASHED, EXIT_REFUSED, EXIT_SUSPENDED = 1, 4, 6
READY_S = 30.0
# The master waits for its users (10 s) and for the workers' last acks and statistics; the stub for its requests.
LOCUST_GRACE_S, STUB_GRACE_S = 30.0, 25.0
_open = build_opener(ProxyHandler({})).open  # no proxy stands between us and ourselves


class FailedError(Exception):
    """A part of the stack did not start; the text says which, and why."""


@contextlib.contextmanager
def sole_user(state: Path) -> Iterator[None]:
    """Keep other stacks out of the state folder. CannotStartError if one is in it, it is not ours, or not writable."""
    try:
        claim(state)  # before anything of the stack is in it, by which Locust's master would not know it as new
        lock = (state / "stack.lock").open("wb")
    except ForeignError as error:
        raise CannotStartError(str(error)) from None
    except OSError as error:
        remedy = "Choose another: STATE=..."
        raise CannotStartError(f"the state folder {state} cannot be written ({error.strerror}). {remedy}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = f"another stack uses the state folder {state}. Choose another: STATE={state.name}-2"
            raise CannotStartError(message) from None
        yield


class Stack:
    """The running processes. A signal calls `stop`, which ends them in order; another Ctrl-C ends them at once.

    Other signals may well come twice: make hands SIGTERM on, and a terminal that is closed sends SIGHUP twice.
    """

    def __init__(self, config: StackConfig) -> None:
        self.config = config
        self.asked: list[int] = []
        self.stub: Child | None = None
        self.locust: Child | None = None
        self.log_filter: LogFilter | None = None
        self.live: LiveLine | None = None
        self.code: int | None = None

    def stop(self, number: int, _frame: object) -> None:
        """Handle a signal."""
        self.asked.append(number)
        if len(self.asked) == 1:
            again = "once more" if number == signal.SIGINT else "Ctrl-C"
            say(f"stopping; {again} to stop at once")
        elif self._hurried():
            say("stopping at once")

    def start(self, *options: str, attended: bool) -> None:
        """Start the stub, if one is wanted, and Locust. FailedError if the stub does not start."""
        if self.config.host is None:
            self._start_stub()
        if self.asked:
            return
        command, env, log = self.config.locust(*options), dict(os.environ), self.config.state / "locust.log"
        if not (env.get(SECRET) or env.get(SECRET_FILE)):
            made = self.config.state / "secret"
            make_secret(made)
            env[SECRET_FILE] = str(made)
        if self.config.host is None:
            env.setdefault("TRAFFIC_STUB", self.config.target)  # where users do what is only for the stub
        if attended:
            self.locust = Child(command, env, -1)
            self.log_filter = LogFilter(self.locust.output, log)
            return
        self.live = live_line()
        status, masters_end = os.pipe()
        os.set_blocking(status, False)
        self.locust = Child(command, env | {STATUS_VARIABLE: str(masters_end)}, -1, (masters_end,))
        os.close(masters_end)
        self.log_filter = LogFilter(self.locust.output, log, status, self.live.draw if self.live else None)

    def _start_stub(self) -> None:
        config = self.config
        env = os.environ | {
            "STORE_URL": f"sqlite:///{config.state / 'messages.db'}",
            "STUB_HOST": HERE,
            "STUB_PORT": str(config.api_port),
        }
        with self.stub_log.open("wb") as log:
            self.stub = Child([sys.executable, "-P", "-m", "stub"], env, log)
        if not self.await_answer(f"{config.target}/healthz", self.stub):
            raise FailedError(f"the API stub {self._fate()}; its log ({self.stub_log}) ends:\n{self._last_words()}")

    @property
    def stub_log(self) -> Path:
        """The file that the stub writes its log to."""
        return self.config.state / "stub.log"

    def _fate(self) -> str:
        assert self.stub is not None
        code = self.stub.code
        return f"did not answer within {READY_S:g} s" if code is None else f"ended with exit code {code}"

    def _last_words(self) -> str:
        return self.stub_log.read_text(errors="replace").rstrip()[-2000:] or "(it is empty)"

    def await_answer(self, url: str, child: Child) -> bool:
        """Wait until `url` answers 200, or a signal comes; return False if `child` ends, or the time is up, before."""
        deadline = time.monotonic() + READY_S
        while not self.asked:
            if child.code is not None or time.monotonic() > deadline:
                return False
            with contextlib.suppress(URLError, OSError), _open(url, timeout=1):
                return True
            time.sleep(TICK_S)
        return True

    def wait(self) -> None:
        """Wait until Locust ends, a signal comes, or the stub dies."""
        while self.locust is not None and self.locust.code is None and not self.asked:
            if self.stub is not None and self.stub.code is not None:
                say(f"the API stub {self._fate()}: the run is ended. Its log ends:\n{self._last_words()}")
                return
            time.sleep(TICK_S)

    def end(self) -> int | None:
        """End Locust, then the stub. Return Locust's exit code; None if it was never started."""
        if self.locust is not None:
            # A person's Ctrl-C stops the run, and so does the stub's death. Any other signal, such as that of a
            # terminal that is closed, becomes a SIGTERM, which suspends a run that nobody watches on a page.
            by = signal.SIGINT if self.asked[:1] in ([], [signal.SIGINT]) else signal.SIGTERM
            self.code, self.locust = self.locust.end(LOCUST_GRACE_S, self._hurried, by), None
        if self.log_filter is not None:
            self.log_filter.finish()
        if self.live is not None:
            self.live.finish()
            self.live = None
        if self.stub is not None:
            self.stub.end(STUB_GRACE_S, self._hurried)
            self.stub = None
        return self.code

    def _hurried(self) -> bool:
        return signal.SIGINT in self.asked[1:]


def local(stack: Stack) -> int:
    """Serve the web UI until a signal comes. Return the exit code: 0 if one came."""
    url = f"http://{HERE}:{stack.config.web_port}"
    stack.start("--web-host", HERE, "--web-port", str(stack.config.web_port), attended=True)
    if stack.locust is not None and not stack.await_answer(f"{url}/healthz", stack.locust):
        raise FailedError(f"Locust's web UI did not come up; its log is {stack.config.state / 'locust.log'}")
    if not stack.asked:
        stored = "" if stack.config.host else f"\n  messages  {stack.config.target}"
        say(f"the stack is up:\n  web UI    {url}  (open it and press Start){stored}\nCtrl-C ends it.")
    stack.wait()
    code = stack.end()
    return 0 if stack.asked else code or EXIT_CRASHED


def replay(stack: Stack) -> int:
    """Make one run and print its report. Return the exit code."""
    config = stack.config
    path = config.state / "report.json"
    before, journals = _version(path), _journals(config.state)
    say(f"{config.workers} workers and {config.users} users replay {config.file} to {config.target}")
    stack.start("--headless", "--only-summary", attended=False)
    stack.wait()
    code = stack.end()
    said = stack.log_filter.report if stack.log_filter else ""
    if code is not None and _version(path) != before:
        report = json.loads(path.read_bytes())
        print(report_on_screen(report) or said)
        print("report: " + json.dumps(report), flush=True)
        return code
    if said:
        print(said)
    return _explain(stack, code, journals)


def _version(path: Path) -> tuple[int, int] | None:
    """Return what changes when a report replaces the one before."""
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    return None


def _journals(state: Path) -> dict[str, tuple[int, int]]:
    """Return the journals' files, with what changes when a run writes to one."""
    found = {}
    for path in state.glob("runs/*/journal.sqlite*"):
        with contextlib.suppress(FileNotFoundError):  # the master removes one that is done with
            status = path.stat()
            found[str(path)] = status.st_size, status.st_mtime_ns
    return found


def _explain(stack: Stack, code: int | None, before: dict[str, tuple[int, int]]) -> int:
    """Say why there is no report, and return the exit code. `before`: the journals when the stack was started."""
    if stack.log_filter is not None and stack.log_filter.refusal:
        say(f"refused to start: {stack.log_filter.refusal}")
        return EXIT_REFUSED
    state = stack.config.state
    began = _journals(state) != before
    left = _what_is_left(state, suspended=code == EXIT_SUSPENDED) if began else ""
    if code == EXIT_SUSPENDED and left:
        say(f"suspended: {left}")
        return code
    if stack.asked:
        earliest = "stopped before there was a report" if began else "stopped before anything was sent"
        say(f"stopped without a report: {left}" if left else earliest)
        return 128 + stack.asked[0]
    say(f"Locust ended with exit code {code} and left no report; its whole log is {state / 'locust.log'}")
    if left:
        say(left)
    return code or EXIT_CRASHED


def _what_is_left(state: Path, *, suspended: bool) -> str:
    from left import what_is_left  # noqa: PLC0415 - slow to load, and only this needs it

    return what_is_left(state, suspended=suspended)


def main(arguments: list[str]) -> int:
    """Run one command. Return its exit code."""
    commands = {"local": local, "replay": replay}
    if len(arguments) != 1 or arguments[0] not in commands:
        say("usage: stack.py local|replay")
        return EXIT_REFUSED
    try:
        config = StackConfig.read(os.environ)
        ports = {"MASTER_PORT": config.master_port}
        ports |= {} if config.host else {"API_PORT": config.api_port}
        ports |= {"WEB_PORT": config.web_port} if arguments[0] == "local" else {}
        check_ports(ports)
        with sole_user(config.state):
            return _run(commands[arguments[0]], Stack(config))
    except (CannotStartError, FailedError) as error:
        say(f"refused to start: {error}")
        return EXIT_REFUSED


def _run(command: Callable[[Stack], int], stack: Stack) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, stack.stop)
    try:
        return command(stack)
    finally:
        stack.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
