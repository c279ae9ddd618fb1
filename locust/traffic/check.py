"""Check a traffic file before anything is started: `traffic check FILE`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from traffic.dataset.cache import Cache
from traffic.dataset.compression import detect_compression
from traffic.dataset.dataset import DatasetError
from traffic.dataset.formats import FORMATS
from traffic.dataset.loader import DatasetLoader
from traffic.dataset.schema import Schema, SchemaError

PROGRESS_EVERY_S = 1.0


def check(arguments: list[str]) -> int:
    """Run the command. Return 0, with one line on stdout, if the file is good; else 1, with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="traffic check", description="Check a traffic file; send nothing.")
    formats = " or ".join(reader.label for reader in FORMATS)
    parser.add_argument("file", type=Path, help=f"{formats}, as it is or in gzip or zstd")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="a JSON Schema that every record must pass")
    wanted = parser.parse_args(arguments)
    try:
        print(_check(wanted.file, wanted.schema))  # noqa: T201 - a command speaks
    except (DatasetError, SchemaError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


def _check(file: Path, schema: Path | None) -> str:
    rules = None if schema is None else Schema(schema)
    # A check leaves nothing behind; its copy is made where there may be room for large files.
    with tempfile.TemporaryDirectory(prefix="traffic-check-") as folder:
        dataset = DatasetLoader(file, Cache(Path(folder)), _Progress(file)).open(rules)
        try:
            records = f"{dataset.records} record{'' if dataset.records == 1 else 's'}"
            compression = _compression(file)
            form = f"{dataset.format.label}, {compression}" if compression else dataset.format.label
            passed = "" if schema is None else f", each passes {schema}"
            return f"{file}: good: {form}, {records}{passed}; SHA-256 {dataset.digest}"
        finally:
            dataset.close()


def _compression(file: Path) -> str:
    with file.open("rb") as opened:
        return detect_compression(file, opened.read(16)).value


class _Progress:
    """Prints on a terminal how far a long check is."""

    def __init__(self, file: Path) -> None:
        self._file, self._due = file, time.monotonic() + PROGRESS_EVERY_S

    def __call__(self, done: int, of: int) -> None:
        if sys.stderr.isatty() and time.monotonic() >= self._due:
            self._due += PROGRESS_EVERY_S
            print(f"reading {self._file}: {100 * done // max(1, of)}%", file=sys.stderr)  # noqa: T201 - as above
