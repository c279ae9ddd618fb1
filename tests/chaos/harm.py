"""What is done to a stack in the course of a round: the scenario's acts, and what has to follow each."""

import heapq
import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos.faults import ALONE, DEADLY, Act
from chaos.history import Known
from chaos.stack import Stack, Worker
from support.deadlines import stretched

TICK_S = 0.02
# A worker is started in place of the last one when none has been able to work for this long.
ALONE_S = 2.0
# A master that is suspended waits for its users' requests and its workers' last acks.
SUSPENDED_S = 30.0


@dataclass
class Death:
    """One end of the master: when it was killed, its successor started, and the run taken up by that (0: not yet)."""

    killed: float
    restarted: float = 0.0
    taken_up: float = 0.0


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
        self._told_to_leave: list[tuple[Worker, float]] = []
        self._alone_since: float | None = None
        self._api_down_since: float | None = None
        self.deaths: list[Death] = []

    def run(self) -> bool:
        """Hurt and heal until the master has ended; whether it has."""
        self.stack.await_first_post()
        self._began = time.monotonic()
        for act in self.scenario.acts:
            if act.share is None:
                self._after(act.at, lambda act=act: self._do(act))  # type: ignore[misc]
        while self.stack.master.alive or self._master_is_down:
            now = time.monotonic()
            if now - self._began > stretched(self.scenario.deadline_s):
                return False
            self._turn(now)
            time.sleep(TICK_S)
        return True

    def finish(self) -> Known:
        """What is known of the round, once it has ended."""
        for worker, at in self._lost:
            first = self.known.lost.get(worker.proxy.node_id, at)
            self.known.lost[worker.proxy.node_id] = min(first, at)
        for worker in self._frozen:
            name = worker.proxy.node_id
            self.known.frozen[name] = self.known.frozen.get(name, 0) + 1
        self.known.master_down = [(death.killed, death.taken_up or math.inf) for death in self.deaths]
        for worker, at in self._told_to_leave:
            self.known.note_left(worker.proxy.node_id, at)
        return self.known

    @property
    def _master_is_down(self) -> bool:
        return bool(self.deaths) and not self.deaths[-1].restarted

    @property
    def _over(self) -> bool:
        """Whether the run has left its report: a master that is started then begins another run."""
        return (self.stack.state / "report.json").exists()

    def _turn(self, now: float) -> None:
        while self._agenda and self._agenda[0][0] <= now:
            heapq.heappop(self._agenda)[2]()
        for act in [act for act in self._waiting if self.stack.sent() >= (act.share or 0) * self.scenario.records]:
            self._waiting.remove(act)
            self._do(act)
        self._keep_enough_alive(now)

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, len(self._agenda) + time.monotonic_ns(), what))

    def _keep_enough_alive(self, now: float) -> None:
        """One worker at least; all of them once the master was restarted: headless, Locust waits for that number."""
        alive = [worker for worker in self.stack.workers if worker.process.alive]
        if self._over or self._master_is_down:
            self._alone_since = None
        elif self.deaths and sum(worker.hurt != "term" for worker in alive) < self.scenario.workers:
            self._note("join (in place of one that is gone)")
            self.stack.join()
        elif alive:
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
        elif act.kind in DEADLY:
            self._kill_master(act)
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
            self._told_to_leave.append((worker, time.monotonic()))
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
            {"cut": worker.proxy.cut, "hole": worker.proxy.hole, "half": worker.proxy.half}[act.kind]()
            self._after(act.lasts, lambda: self._heal(worker))

    def _thaw(self, worker: Worker) -> None:
        worker.process.signal(signal.SIGCONT)
        worker.hurt = ""

    def _heal(self, worker: Worker) -> None:
        worker.proxy.heal()
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

    def _kill_master(self, act: Act) -> None:
        if self._master_is_down or self._over or not self.stack.master.alive:
            return
        self._note(f"{act.kind} down for {act.lasts:.1f} s")
        self.deaths.append(Death(time.monotonic()))
        api = act.kind == "everything" and self._api_down_since is None
        if api:
            self._api_down_since = time.monotonic()
        if act.kind == "master":
            self.stack.master.kill()
        elif act.kind == "suspend":
            self.stack.master.signal(signal.SIGTERM)
            self.stack.master.popen.wait(stretched(SUSPENDED_S))
        else:
            self._lost += [(worker, time.monotonic()) for worker in self.stack.workers if worker.process.alive]
            self.stack.kill_all(store=api)
        self._after(act.lasts, lambda: self._start_master(act, api=api))

    def _start_master(self, act: Act, *, api: bool) -> None:
        taken_up = len(self.stack.takings_up())
        if api:
            self.stack.store_start()
            self._await_api()
        self.deaths[-1].restarted = time.monotonic()
        self.stack.restart_master()
        if act.kind not in ALONE:
            for _ in range(self.scenario.workers):
                self.stack.join()
        self._await_taking_up(self.deaths[-1], taken_up)

    def _await_taking_up(self, death: Death, before: int) -> None:
        """Note when the run was taken up, unless the master dies again before that."""
        if len(self.stack.takings_up()) > before:
            death.taken_up = time.monotonic()
        elif death is self.deaths[-1]:
            self._after(0.1, lambda: self._await_taking_up(death, before))
