"""Hold the readers of JSON against Python's own parser, on damaged files from a seed, as many as are asked for.

    python -m fuzz --inputs 1000000 --first 0

Each file is read strictly and with the fast path, through windows of several sizes: both must accept it, or both refuse
it with the same message, and they must accept it exactly if a plain parser does.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from unit.traffic_file import bodies, refusal, strictly_read, window, written

VALUES = [
    '""',
    '"ñ"',
    '"}{"',
    r'"\ud800"',
    r'"\\\""',
    "0",
    "-1.5e3",
    "null",
    "true",
    "[]",
    "{}",
    '[{"x":[{}]},{}]',
    '" "',
]
DAMAGE = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b'"',
    b"\\",
    b":",
    b"\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b"01",
    b"NaN",
    b" ",
    b"},{",
]
WINDOWS = [5, 16, 64, 256, 1 << 20]
JOINTS = {False: [",", ", ", ",\n", " ,\n  "], True: ["\n", "\r\n", "\n\n"]}


def make(draw: random.Random) -> tuple[bytes, bool]:
    """A file, damaged or not, and whether it is called one of lines."""
    lines = draw.random() < 0.4
    made = [_record(draw) for _ in range(draw.randint(1, 6))]
    text = draw.choice(JOINTS[lines]).join(made)
    data = bytearray((text if lines else f"[{text}]").encode())
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        at = draw.randrange(len(data) + 1)
        data[at : at + draw.choice((0, 0, 1, 2, 8))] = draw.choice(DAMAGE)
    return bytes(data[: draw.randrange(len(data) + 1)] if draw.random() < 0.1 else data), lines


def _record(draw: random.Random) -> str:
    colon = draw.choice((":", ": "))
    return "{" + ",".join(f'"k{nth}"{colon}{draw.choice(VALUES)}' for nth in range(draw.randint(0, 3))) + "}"


def wanted(data: bytes, *, lines: bool) -> list[object] | None:
    """The records of a file; None if it must be refused."""
    texts = [line for line in data.split(b"\n") if line.strip(b" \t\r\n")] if lines else [data]
    try:
        seen = [strictly_read(text) for text in texts]
    except ValueError:
        return None
    records = seen if lines else seen[0]
    good = isinstance(records, list) and records and all(isinstance(record, dict) for record in records)
    return records if good else None


def check(folder: Path, number: int) -> None:
    """Check one input. AssertionError if a reader disagrees."""
    draw = random.Random(number)
    data, lines = make(draw)
    # Told by content under any name: a bracket begins an array, a brace lines, NUL bytes are another encoding.
    if data.lstrip()[:1] == (b"[" if lines else b"{") or b"\0" in data[:2]:
        return
    path = written(folder, data, "fuzz.jsonl" if lines else "fuzz.json")
    records = wanted(data, lines=lines)
    with window(draw.choice(WINDOWS)):
        if records is not None:
            assert [json.loads(body, parse_int=str, parse_float=str) for body in bodies(path)] == records
        else:
            assert refusal(path).remedy


def main() -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the first input's number")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for number in range(asked.first, asked.first + asked.inputs):
            try:
                check(Path(folder), number)
            except BaseException:
                print(f"input {number}: {make(random.Random(number))[0]!r}", file=sys.stderr)
                raise
    print(f"{asked.inputs} inputs from {asked.first} on: no disagreement, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
