"""`python -m simulation --seeds 1000 [--first 0]`: run many schedules, and name the seeds that fail."""

import argparse
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from simulation.paced import run_paced_schedule
from simulation.quota import run_quota_schedule
from simulation.schedule import run_schedule
from simulation.storms import run_storm_schedule

# One of so many seeds makes a schedule with a pace, too, or one with a quota, or with a storm.
PACED, QUOTA, STORM = 4, 16, 16


def _try(seed: int) -> tuple[int, str]:
    try:
        run_schedule(seed)
        if seed % PACED == 0:
            run_paced_schedule(seed // PACED)
        if seed % QUOTA == 0:
            run_quota_schedule(seed // QUOTA)
        if seed % STORM == 1:
            run_storm_schedule(seed // STORM)
    except Exception:  # noqa: BLE001 - whatever goes wrong is reported with its seed
        return seed, traceback.format_exc()
    return seed, ""


def main() -> int:
    """Run the seeds on all cores. Returns 1 if one of them broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m simulation")
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    chosen = parser.parse_args()
    began, failed = time.monotonic(), 0
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for seed, fault in pool.map(_try, seeds, chunksize=20):
            if fault:
                failed += 1
                text = f"seed {seed} broke a promise:\n{fault}replay it: make simulate SEEDS=1 FIRST={seed}\n"
                print(text, flush=True)
    print(f"{len(seeds)} schedules, {failed} broke a promise, {time.monotonic() - began:.1f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
