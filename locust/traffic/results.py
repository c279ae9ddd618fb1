"""The command `traffic results RUN`: write a run's results as CSV, or in the form of another tool.

vegeta's CSV has one line for each request (its `encode` command); JMeter's .jtl is CSV with a header ("CSV Log format",
JMeter user manual). Both have a request each, which here is an attempt.
"""

import argparse
import base64
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from traffic.core.results import OF_ANSWER
from traffic.errors import RefusedError
from traffic.ownership import RESULTS
from traffic.runs.results_file import DamagedError, read_rows
from traffic.runs.run_folders import folder_of, report_in
from traffic.settings.table import DEFAULT_STATE_DIR

Row = dict[str, str]
_WHOLE = frozenset({"index", "attempt", "status", "bytes_out", "bytes_in"})
_TIMES = frozenset({"late_ms", "latency_ms", "service_ms", "connect_ms", "first_byte_ms"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JTL = (
    *("timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName", "dataType", "success"),
    *("failureMessage", "bytes", "sentBytes", "grpThreads", "allThreads", "URL", "Latency", "IdleTime", "Connect"),
)


def results(arguments: list[str]) -> int:
    """Run the command. Return its exit code: 0, or 2 if there are no such results."""
    wanted = _parser().parse_args(arguments)
    try:
        folder = folder_of(wanted.run, wanted.state_dir)
        path = folder / RESULTS if folder.is_dir() else folder
        pieces = _written(path, wanted.to, str((report_in(folder).get("target") or {}).get("host", "")))
        with _opened(wanted.out) as out:
            for piece in pieces:
                out.write(piece)
    except BrokenPipeError:
        return 0  # whoever reads has enough
    except (RefusedError, OSError, DamagedError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        print(f"traffic results: {reason}", file=sys.stderr)  # noqa: T201 - a command speaks
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    told = "Write the results of a run: a row for each attempt, if it was begun with --traffic-results."
    parser = argparse.ArgumentParser(prog="traffic results", description=told)
    parser.add_argument("run", help="the run's id, last, its folder, or a file of results")
    parser.add_argument("--to", choices=_FORMS, default="csv", help="in which form (default: csv)")
    parser.add_argument("--out", type=Path, help="the file to write (default: standard output)")
    parser.add_argument(
        "--state-dir", type=Path, default=Path(DEFAULT_STATE_DIR), help="where runs are (default: state)"
    )
    return parser


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file to be written for the length of a block; None: standard output."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    with path.open("wb") as file:
        yield file


def _written(path: Path, form: str, host: str) -> Iterator[bytes]:
    """Return the results in a form, piece by piece."""
    if not path.exists():
        what = f"{path} is not there: the run kept no results"
        raise RefusedError(f"{what}. Begin a run with --traffic-results all (TRAFFIC_RESULTS=all) to have them.")
    if form == "csv":
        yield from read_rows(path)
        return
    made = _FORMS[form]
    if form == "jtl":
        yield _line(JTL)
    for row in rows_of(path):
        yield made(row, host)


def rows_of(path: Path) -> Iterator[Row]:
    """Return the rows of a file of results, each by the names of its columns."""
    yield from csv.DictReader(_text_lines(read_rows(path)))


def _text_lines(pieces: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") + "\n" for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def _line(cells: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


def _json(row: Row, _: str) -> bytes:
    made = {name: _value(name, text) for name, text in row.items()}
    return json.dumps(made, ensure_ascii=False).encode() + b"\n"


def _value(name: str, text: str) -> Any:
    if not text:
        return None if name not in OF_ANSWER else text or None
    if name in _WHOLE:
        return int(text)
    return float(text) if name in _TIMES else text


def _nanoseconds(at: str) -> int:
    moment = datetime.fromisoformat(at) - _EPOCH
    return (moment.days * 86400 + moment.seconds) * 10**9 + moment.microseconds * 1000


def _body(row: Row) -> str:
    if row.get("answer_base64"):
        return row["answer_base64"]
    return base64.b64encode(row.get("answer", "").encode()).decode()


def _vegeta(row: Row, host: str) -> bytes:
    latency = round(float(row["latency_ms"]) * 1e6)
    cells = [_nanoseconds(row["sent"]), row["status"] or 0, latency, row["bytes_out"], row["bytes_in"]]
    error = row["error"] or ("" if row["outcome"] == "delivered" else f"{row['status']} {row['outcome']}")
    attack = row["key"].rpartition("-")[0]
    return _line([*cells, error, _body(row), attack, row["index"], row["method"], host + row["path"], ""])


def _jtl(row: Row, host: str) -> bytes:
    delivered = row["outcome"] == "delivered"
    first = row["first_byte_ms"] or row["service_ms"]
    cells = [_nanoseconds(row["sent"]) // 10**6, round(float(row["latency_ms"])), f"{row['method']} {row['name']}"]
    cells += [row["status"] or "000", row["error"] or row["outcome"], row["worker"], "text", str(delivered).lower()]
    cells += ["" if delivered else row["outcome"], row["bytes_in"], row["bytes_out"], 1, 1, host + row["path"]]
    return _line([*cells, round(float(first)), 0, round(float(row["connect_ms"] or 0))])


_FORMS: dict[str, Callable[[Row, str], bytes]] = {
    "csv": lambda row, _: _line(row.values()),
    "jsonl": _json,
    "vegeta": _vegeta,
    "jtl": _jtl,
}
