"""Check a traffic file before anything is started: `python -m traffic check FILE`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from traffic.dataset.cache import Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.formats import packing
from traffic.dataset.loader import DatasetLoader
from traffic.dataset.schema import Schema, SchemaError

TELL_AFTER_S = 1.0


def check(arguments: list[str]) -> int:
    """Run the command: exit code 0 and one line on stdout where the file is good, else 1 and why on stderr."""
    parser = argparse.ArgumentParser(prog="python -m traffic check", description="Check a traffic file; send nothing.")
    parser.add_argument("file", type=Path, help="a JSON array, JSON Lines or CSV, as it is or in gzip or zstd")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="a JSON Schema that every record must pass")
    wanted = parser.parse_args(arguments)
    try:
        print(_look(wanted.file, wanted.schema))  # noqa: T201 - a command speaks
    except (DatasetError, SchemaError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


def _look(file: Path, schema: Path | None) -> str:
    rules = None if schema is None else Schema(schema)
    # Nothing is left of a check; what is unpacked for it goes to where there may be room for large files.
    with tempfile.TemporaryDirectory(prefix="traffic-check-") as folder:
        dataset = DatasetLoader(file, Cache(Path(folder)), _Teller(file)).open(rules)
        try:
            records = f"{dataset.records} record{'' if dataset.records == 1 else 's'}"
            packed = _packing(file)
            form = f"{dataset.format.value}, {packed}" if packed else dataset.format.value
            passed = "" if schema is None else f", each passes {schema}"
            return f"{file}: good: {form}, {records}{passed}; SHA-256 {dataset.digest}"
        finally:
            dataset.close()


def _packing(file: Path) -> str:
    with file.open("rb") as opened:
        return packing(file, opened.read(16)).value


class _Teller:
    """Says on a terminal how far a long check is."""

    def __init__(self, file: Path) -> None:
        self._file, self._due = file, time.monotonic() + TELL_AFTER_S

    def __call__(self, done: int, of: int) -> None:
        if sys.stderr.isatty() and time.monotonic() >= self._due:
            self._due += TELL_AFTER_S
            print(f"reading {self._file}: {100 * done // max(1, of)}%", file=sys.stderr)  # noqa: T201 - as above
