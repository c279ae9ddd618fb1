"""Runs users.py, whole_job.py and latency.py, one after the other, and keeps what they find.

    python bench/run.py --out bench/results/host.json [--rounds 3] [--seconds 4] [--records 10000,100000,1000000]
                        [--most record=1000000,static=1000000]

At the defaults it takes about eleven minutes. A peer that cannot be had is left out, and the tables say so.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from parts import ROOT


def main() -> None:
    """Run them; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", default="3")
    parser.add_argument("--seconds", default="4")
    parser.add_argument("--records", default="10000,100000,1000000")
    parser.add_argument("--most", default="")
    asked = parser.parse_args()
    began = time.monotonic()
    most = ("--most", asked.most) if asked.most else ()
    for script, told in (
        ("users.py", ("--rounds", asked.rounds, "--seconds", asked.seconds)),
        ("whole_job.py", ("--rounds", asked.rounds, "--records", asked.records, *most)),
        ("latency.py", ()),
    ):
        command = [sys.executable, str(ROOT / "bench" / script), *told, "--out", str(asked.out.resolve())]
        print(f"\n== {script} {' '.join(told)}", flush=True)
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(code)
    print(f"\nIt took {(time.monotonic() - began) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
