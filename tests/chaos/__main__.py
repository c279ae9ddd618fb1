"""`python -m chaos --rounds 100 [--first 0]`: live through many rounds; a failing seed is named and replayable.

`python -m chaos --kill-at 0.3 --times 20`: one of four workers killed at 30% of 3,000 records, again and again.
`python -m chaos --master-kills 20`: the master killed at a random moment of 20,000 records and started again at once;
`--all-kills` takes all workers with it, `--everything-kills` also the stub and its mongod. `--suspensions 20`: the
master is suspended by SIGTERM instead.
"""

import argparse
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import mkdtemp

from chaos import show
from chaos.faults import DEADLY, Act, Scenario
from chaos.history import CAUSES
from chaos.rounds import LINGER_S, Result, live

OPTIONS = {kind: "--suspensions" if kind == "suspend" else f"--{kind}-kills" for kind in DEADLY}


def killed_at(share: float, seed: int) -> Scenario:
    """One of four workers is killed when `share` of 3,000 records has been sent."""
    act = Act("kill", worker=seed, share=share)
    return Scenario(seed, records=3000, workers=4, users=40, wait="0.02-0.1", acts=(act,))


def line(result: Result) -> str:
    """A round in one line."""
    counts, resends = result.counts, result.resends
    why = ", ".join(f"{times} {cause}" for cause, times in sorted(resends.causes.items()))
    parts = [
        f"seed {result.scenario.seed}: {'ok' if result.good else 'BROKEN'}",
        str(result.scenario),
        f"done: {', '.join(result.done) or 'nothing'}",
        f"delivered {counts.get('delivered')} rejected {counts.get('rejected')} in doubt {counts.get('in_doubt')}"
        f" unsent {counts.get('unsent')} stored {result.verdict.stored if result.verdict else '?'}",
        f"{resends.posts} POSTs, {resends.again} again" + (f" ({why})" if why else ""),
        f"exit {result.exit_code}, {result.seconds:.0f} s",
    ]
    if result.deserted:
        parts.append("stopped: its last worker was told to leave")
    if result.lingered > LINGER_S:
        parts.append(f"the master ended {result.lingered:.0f} s after its report")
    if result.starved:
        parts.append(f"{result.starved} unhurt workers given up")
    return " | ".join(parts)


def summary(results: list[Result]) -> str:
    """All rounds in a few lines."""
    verdicts = [result.verdict for result in results if result.verdict]
    causes = sum((result.resends.causes for result in results), Counter[str]())
    uncaused = sum(len(result.resends.uncaused) for result in results)
    hurt = Counter(what.split()[0] for result in results for what in result.done)
    figures = {
        "rounds": len(results),
        "records": sum(result.scenario.records for result in results),
        "lost": sum(len(verdict.lost) for verdict in verdicts),
        "stored twice": sum(len(verdict.duplicated) for verdict in verdicts),
        "unexpected": sum(len(verdict.unexpected) for verdict in verdicts),
        "did not end": sum(not result.ended for result in results),
        "without a report": len(results) - len(verdicts),
        "report unequal": sum(bool(verdict.lies) for verdict in verdicts),
        "delivered": sum(result.counts.get("delivered", 0) for result in results),
        "rejected": sum(result.counts.get("rejected", 0) for result in results),
        "in doubt": sum(result.counts.get("in_doubt", 0) for result in results),
        "unsent": sum(result.counts.get("unsent", 0) for result in results),
        "POSTs": sum(result.resends.posts for result in results),
        "sent again": sum(result.resends.again for result in results),
        **{f"  {cause}": causes[cause] for cause in CAUSES},
        "  without a cause": uncaused,
        **{f"{kind}, times": times for kind, times in sorted(hurt.items())},
        "stopped, last worker left": sum(result.deserted for result in results),
        f"ended {LINGER_S:g} s after the report": sum(result.lingered > LINGER_S for result in results),
        "unhurt workers given up": sum(result.starved for result in results),
        "seconds": round(sum(result.seconds for result in results)),
    }
    ends = Counter(result.exit_code for result in results)
    figures_text = "\n".join(f"{name:<32}{value:>9}" for name, value in figures.items())
    return f"{figures_text}\n{'exit codes':<32}{dict(ends)}"


def run(scenarios: Iterable[Scenario], keep: Path, replay: str, tell: Callable[[Result], str] = line) -> list[Result]:
    """Live through the scenarios, telling each on stdout; folders of good rounds are removed."""
    results = []
    for scenario in scenarios:
        folder = keep / f"{time.strftime('%H%M%S')}-{scenario.seed}"
        folder.mkdir(parents=True)
        result = live(scenario, folder)
        results.append(result)
        print(tell(result), flush=True)
        if result.good:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        for fault in result.faults():
            print(f"  BROKEN: {fault}")
        print(f"  logs: {folder}\n  replay it: {replay.format(seed=scenario.seed)}", flush=True)
    return results


def show_deaths(asked: argparse.Namespace, keep: Path) -> list[Result]:
    """Live through the deaths that were asked for, and sum up each kind."""
    made = []
    for kind, option in OPTIONS.items():
        times = getattr(asked, kind)
        scenarios = [
            show.deadly(kind, asked.first + n, asked.records, asked.workers, asked.users, asked.at)
            for n in range(times)
        ]
        size = f"--records {asked.records} --workers {asked.workers} --users {asked.users}"
        if asked.at is not None:
            size += f" --at {asked.at:g}"
        replay = f".venv/bin/python -m chaos {option} 1 {size} --first {{seed}}"
        if scenarios:
            results = run(scenarios, keep, replay, show.line)
            print(f"{option.removeprefix('--')}: {show.summary(results)}", flush=True)
            made += results
    return made


def live_rounds(asked: argparse.Namespace, keep: Path) -> list[Result]:
    """Live through the rounds that were asked for, and sum them up."""
    if asked.kill_at is not None:
        scenarios = [killed_at(asked.kill_at, asked.first + n) for n in range(asked.times)]
        replay = f".venv/bin/python -m chaos --kill-at {asked.kill_at:g} --times 1 --first {{seed}}"
    else:
        scenarios = [Scenario.of(asked.first + n, asked.store) for n in range(asked.rounds)]
        replay = "make chaos ROUNDS=1 FIRST={seed}"
        if asked.store != "sqlite":
            replay = f".venv/bin/python -m chaos --store {asked.store} --rounds 1 --first {{seed}}"
    results = run(scenarios, keep, replay)
    print(summary(results))
    return results


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(prog="python -m chaos")
    made.add_argument("--rounds", type=int, default=10, help="how many rounds")
    made.add_argument("--first", type=int, default=0, help="the first seed")
    made.add_argument("--store", choices=("sqlite", "mongodb"), default="sqlite", help="what the rounds store into")
    made.add_argument("--kill-at", type=float, help="kill one of four workers at this share of 3,000 records")
    made.add_argument("--times", type=int, default=20, help="with --kill-at: how many times")
    for kind, option in OPTIONS.items():
        what = "the master is suspended" if kind == "suspend" else f"{kind} is killed"
        made.add_argument(option, dest=kind, type=int, default=0, help=f"so many runs in which {what} once")
    made.add_argument("--records", type=int, default=20_000, help="with --...-kills: of a run")
    made.add_argument("--workers", type=int, default=4, help="with --...-kills: of a run")
    made.add_argument("--users", type=int, default=40, help="with --...-kills: of a run")
    made.add_argument("--at", type=float, help="with --...-kills: when this share was sent, not at a moment drawn")
    made.add_argument("--keep", type=Path, help="where the folders of broken rounds stay")
    return made


def main() -> int:
    """Run the rounds. Return 1 if a promise was broken."""
    asked = parser().parse_args()
    # However it is ended, it leaves no process behind.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    keep = asked.keep or Path(mkdtemp(prefix="traffic-chaos-"))
    deaths = any(getattr(asked, kind) for kind in OPTIONS)
    results = show_deaths(asked, keep) if deaths else live_rounds(asked, keep)
    return int(not all(result.good for result in results))


if __name__ == "__main__":
    sys.exit(main())
