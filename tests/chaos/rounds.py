"""One round: start the stack, hurt it as the scenario says, wait for its end, and check what it left."""

import heapq
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chaos.checker import Claims, Verdict, check, read_store
from chaos.faults import Act, Scenario
from chaos.history import Known, Resends, explain
from chaos.stack import NotReadyError, Stack, Worker

DEADLINE_S = 120.0
TICK_S = 0.02
# A master that runs for longer than this after its report is told of: it has waited for something that never came.
LINGER_S = 15.0
# A worker is started in place of the last one when none has been able to work for this long.
ALONE_S = 2.0
_RECLAIMED = re.compile(r"reclaimed from (\S+): (.*)")
# Locust's words, where they come before the report: it ends a headless run when no worker is left that it knows of.
_LAST_ONE_LEFT = "The last worker quit, stopping test."
_REPORT = "delivery report, run"


@dataclass
class Result:
    """What a round came to. `verdict` is None where the run did not end or left no report."""

    scenario: Scenario
    folder: Path
    seconds: float = 0.0
    done: list[str] = field(default_factory=list)
    ended: bool = False
    exit_code: int | None = None
    verdict: Verdict | None = None
    resends: Resends = field(default_factory=Resends)
    counts: dict[str, int] = field(default_factory=dict)
    starved: int = 0
    fault: str = ""
    state: str = ""
    # Its last worker was told to leave: then it may be stopped unfinished, but its report must be true.
    deserted: bool = False
    # Seconds from the report to the master's end.
    lingered: float = 0.0

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not self.faults()

    def faults(self) -> list[str]:
        """Each way in which a promise was broken."""
        made = [self.fault] if self.fault else []
        if not self.ended:
            made.append(f"did not end within {DEADLINE_S:g} s")
        unfinished = self.verdict is not None and (self.state != "completed" or self.counts["unsent"])
        if unfinished and not self.deserted:
            made.append(f"{self.state} with {self.counts['unsent']} unsent, though a worker and the API were there")
        if self.verdict is not None and not self.verdict.good:
            made.append(str(self.verdict))
        if self.resends.uncaused:
            made.append(f"{len(self.resends.uncaused)} sent again without a cause: {self.resends.uncaused[:3]}")
        return made


class Round:
    """Lives through a scenario on a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.scenario = stack, stack.scenario
        self.known = Known(users=self.scenario.users, at_most_once=self.scenario.policy == "at-most-once")
        self.done: list[str] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting = [act for act in self.scenario.acts if act.share is not None]
        self._lost: list[tuple[Worker, float]] = []
        self._frozen: list[Worker] = []
        self._alone_since: float | None = None
        self._api_down_since: float | None = None

    def run(self) -> bool:
        """Hurt and heal until the master has ended; whether it has."""
        self.stack.await_first_post()
        self._began = time.monotonic()
        for act in self.scenario.acts:
            if act.share is None:
                self._after(act.at, lambda act=act: self._do(act))  # type: ignore[misc]
        while self.stack.master.alive:
            now = time.monotonic()
            if now - self._began > DEADLINE_S:
                return False
            self._turn(now)
            time.sleep(TICK_S)
        return True

    def finish(self) -> Known:
        """What is known of the round, once it has ended."""
        for worker, at in self._lost:
            first = self.known.lost.get(worker.relay.node_id, at)
            self.known.lost[worker.relay.node_id] = min(first, at)
        for worker in self._frozen:
            name = worker.relay.node_id
            self.known.frozen[name] = self.known.frozen.get(name, 0) + 1
        return self.known

    def _turn(self, now: float) -> None:
        while self._agenda and self._agenda[0][0] <= now:
            heapq.heappop(self._agenda)[2]()
        for act in [act for act in self._waiting if self.stack.sent() >= (act.share or 0) * self.scenario.records]:
            self._waiting.remove(act)
            self._do(act)
        self._keep_one_alive(now)

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, len(self._agenda) + time.monotonic_ns(), what))

    def _keep_one_alive(self, now: float) -> None:
        over = (self.stack.state / "report.json").exists()
        if over or any(worker.process.alive for worker in self.stack.workers):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since > ALONE_S:
            self._note("join (none was left)")
            self.stack.join()

    def _note(self, what: str) -> None:
        self.done.append(f"{what} at {time.monotonic() - self._began:.1f}")

    def _do(self, act: Act) -> None:
        if act.kind == "join":
            self._note("join")
            self.stack.join()
        elif act.kind == "api":
            self._restart_api(act.lasts)
        else:
            self._hurt(act)

    def _hurt(self, act: Act) -> None:
        whole = [worker for worker in self.stack.workers if worker.process.alive and not worker.hurt]
        if not whole:
            return
        worker = whole[act.worker % len(whole)]
        self._note(f"{act.kind} {worker.number}" + (f" for {act.lasts:.1f} s" if act.lasts else ""))
        worker.hurt = act.kind
        if act.kind == "term":
            worker.process.signal(signal.SIGTERM)
            return
        self._lost.append((worker, time.monotonic()))
        if act.kind == "kill":
            worker.process.kill()
        elif act.kind == "freeze":
            self._frozen.append(worker)
            worker.process.signal(signal.SIGSTOP)
            self._after(act.lasts, lambda: self._thaw(worker))
        else:
            {"cut": worker.relay.cut, "hole": worker.relay.hole, "half": worker.relay.half}[act.kind]()
            self._after(act.lasts, lambda: self._heal(worker))

    def _thaw(self, worker: Worker) -> None:
        worker.process.signal(signal.SIGCONT)
        worker.hurt = ""

    def _heal(self, worker: Worker) -> None:
        worker.relay.heal()
        worker.hurt = ""

    def _restart_api(self, lasts: float) -> None:
        if self._api_down_since is not None:
            return
        self._api_down_since = time.monotonic()
        self._note(f"API down for {lasts:.1f} s")
        self.stack.api_down()
        self._after(lasts, self._start_api)

    def _start_api(self) -> None:
        self.stack.api_start()
        self._await_api()

    def _await_api(self) -> None:
        if not self.stack.api_ready():
            self._after(0.05, self._await_api)
            return
        assert self._api_down_since is not None
        self.known.api_down.append((self._api_down_since, time.monotonic()))
        self._api_down_since = None


def live(scenario: Scenario, folder: Path) -> Result:
    """Live through a round in `folder`, which then holds every log, and check it."""
    began = time.monotonic()
    result = Result(scenario, folder)
    stack = Stack(scenario, folder)
    try:
        lived = Round(stack)
        try:
            result.ended = lived.run()
            result.exit_code = stack.master.popen.poll()
            result.lingered = stack.since_report()
        except NotReadyError as error:
            result.fault = str(error)
        result.done = lived.done
        known = lived.finish()
    finally:
        stack.close()
    _check(result, stack, known)
    result.seconds = time.monotonic() - began
    return result


def _check(result: Result, stack: Stack, known: Known) -> None:
    log = (result.folder / "master.log").read_text()
    gone = dict[str, str](_RECLAIMED.findall(log))
    unhurt = gone.keys() - known.lost.keys()
    result.starved = len(unhurt)
    known.lost |= dict.fromkeys(unhurt, 0.0)
    result.resends = explain(stack.tap.attempts, known)
    try:
        claims = Claims.read(stack.state)
    except (OSError, ValueError) as error:
        result.fault = result.fault or f"left no report that can be read ({error})"
        return
    result.counts, result.state = claims.report["counts"], claims.report["state"]
    left = any(what.startswith("term") for what in result.done) and _LAST_ONE_LEFT in log.partition(_REPORT)[0]
    result.deserted = left and result.state == "stopped"
    result.verdict = check(stack.file, read_store(stack.store), claims, result.exit_code)
