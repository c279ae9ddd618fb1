"""One round: start the stack, hurt it as the scenario says, wait for its end, and check what it left."""

import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from chaos.checker import Claims, Verdict, check, read_store
from chaos.faults import Scenario
from chaos.harm import Death, Round
from chaos.history import Attempt, Known, Resends, explain
from chaos.stack import NotReadyError, Stack

# A master that runs for longer than this after its report is told of: it has waited for something that never came.
LINGER_S = 15.0
_RECLAIMED = re.compile(r"^\[(\S+ \S+)\] .* reclaimed from (\S+): ", re.MULTILINE)
# Locust's words, where they come before the report: it ends a headless run when no worker is left that it knows of.
_LAST_ONE_LEFT = "The last worker quit, stopping test."
_REPORT = "delivery report, run"


@dataclass
class Result:
    """The result of a round. `verdict` is None if the run did not end, or left no report."""

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
    deaths: list[Death] = field(default_factory=list)
    takings_up: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not self.faults()

    def faults(self) -> list[str]:
        """Each way in which a promise was broken."""
        made = [self.fault] if self.fault else []
        if not self.ended:
            made.append(f"did not end within {self.scenario.deadline_s:g} s")
        unfinished = self.verdict is not None and (self.state != "completed" or self.counts["unsent"])
        if unfinished and not self.deserted:
            made.append(f"{self.state} with {self.counts['unsent']} unsent, though a worker and the API were there")
        if self.verdict is not None and not self.verdict.good:
            made.append(str(self.verdict))
        if self.resends.uncaused:
            made.append(f"{len(self.resends.uncaused)} sent again without a cause: {self.resends.uncaused[:3]}")
        return made


def live(scenario: Scenario, folder: Path) -> Result:
    """Live through a round in `folder`, which then holds every log, and check it."""
    began = time.monotonic()
    result = Result(scenario, folder)
    stack = Stack(scenario, folder)
    try:
        known = _live(result, stack)
        _check(result, stack, known)
    finally:
        stack.close_store()
    result.seconds = time.monotonic() - began
    return result


def _live(result: Result, stack: Stack) -> Known:
    lived = Round(stack)
    try:
        result.ended = lived.run()
        result.exit_code = stack.master.popen.poll()
        result.lingered = stack.since_report()
    except NotReadyError as error:
        result.fault = str(error)
    finally:
        stack.close()
    result.done, result.deaths, result.takings_up = lived.done, lived.deaths, stack.takings_up()
    result.attempts = stack.tap.attempts
    return lived.finish()


def _check(result: Result, stack: Stack, known: Known) -> None:
    log = (result.folder / "master.log").read_text()
    result.starved = _add_given_up(known, log)
    result.resends = explain(result.attempts, known)
    try:
        claims = Claims.read(stack.state)
    except (OSError, ValueError) as error:
        result.fault = result.fault or f"left no report that can be read ({error})"
        return
    result.counts, result.state = claims.report["counts"], claims.report["state"]
    left = any(what.startswith("term") for what in result.done) and _LAST_ONE_LEFT in log.partition(_REPORT)[0]
    result.deserted = left and result.state == "stopped"
    result.verdict = check(stack.file, read_store(stack.store), claims, result.exit_code)


def _add_given_up(known: Known, log: str) -> int:
    """Add the workers that the master gave up and that nobody had hurt, from when it did; how many."""
    since_boot = time.monotonic() - time.time()
    unhurt = dict[str, float]()
    for at, worker in _RECLAIMED.findall(log):
        if worker not in known.lost:
            when = datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
            unhurt.setdefault(worker, when + since_boot)
    known.lost |= unhurt
    return len(unhurt)
