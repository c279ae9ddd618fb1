"""Check a traffic file before anything is started: `traffic check FILE`."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from traffic.dataset.cache import Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.formats import BODY_FORMATS, REQUEST_FORMATS
from traffic.dataset.loader import DatasetLoader
from traffic.dataset.schema import Schema, SchemaError
from traffic.settings import Settings, SettingsError
from traffic.settings.arguments import REQUESTS, add_arguments, settings_of
from traffic.terminal.progress_line import ProgressLine
from traffic.users.first_request import describe_file, describe_line, first_request


def check(arguments: list[str]) -> int:
    """Run the command. Return 0, with the file and its first request on stdout; 1, with the faults on stderr."""
    formats = ", ".join(reader.label for reader in (*BODY_FORMATS, *REQUEST_FORMATS))
    parser = argparse.ArgumentParser(
        prog="traffic check", description="Check a traffic file, and show the first request. Nothing is sent."
    )
    parser.add_argument("file", type=Path, help=f"{formats}; as it is, or in gzip or zstd")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="a JSON Schema that every record must pass")
    parser.add_argument("--host", default="", help="the API that the request is shown for")
    add_arguments(parser, REQUESTS)
    wanted = parser.parse_args(arguments)
    try:
        for line in _lines(wanted.file, wanted.schema, wanted.host, settings_of(wanted)):
            print(line)  # noqa: T201 - a command speaks
    except (DatasetError, SchemaError, SettingsError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


def _lines(file: Path, schema: Path | None, host: str, settings: Settings) -> Iterator[str]:
    rules = None if schema is None else Schema(schema)
    # A check leaves nothing behind; its copy is made where there may be room for large files.
    with tempfile.TemporaryDirectory(prefix="traffic-check-") as folder:
        loader = DatasetLoader(file, Cache(Path(folder)), ProgressLine(file), reading=settings.reading)
        dataset = loader.open(rules)
        try:
            passed = "" if schema is None else f", each passes {schema}"
            yield f"{file}: good: {describe_line(dataset)}{passed}; SHA-256 {dataset.digest}"
            yield f"last written: {describe_file(dataset, file)['modified']}"
            yield from (f"note: {note}" for note in loader.notes)
            if dataset.facts.types:
                yield "types: " + ", ".join(f"{column} {kind}" for column, kind in dataset.facts.types)
            yield "the first request:"
            yield from (f"    {line}" for line in first_request(dataset, settings, host).lines())
        finally:
            dataset.close()
