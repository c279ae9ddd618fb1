"""Traffic files for tests, and a second, simple opinion on whether one is good, and which place has a fault."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from traffic.core.reading import Reading
from traffic.dataset import scan
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.fast_path import element_lengths
from traffic.dataset.loader import DatasetLoader

MARK = "¦"


@contextmanager
def window(size: int) -> Iterator[None]:
    """Read files through windows of `size` bytes, so that every boundary falls somewhere."""
    with patch.object(scan, "WINDOW", size):
        yield


def written(folder: Path, data: bytes | str, name: str = "traffic.json") -> Path:
    """A file that holds `data`."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def opened(path: Path) -> Dataset:
    """The dataset of a file, which is the same, or refused for the same fault, with and without the fast path."""
    made: list[Dataset] = []
    errors: list[DatasetError] = []
    for fast_path in (None, element_lengths):
        try:
            made.append(Dataset.open(path, fast_path))
        except DatasetError as error:
            errors.append(error)
    if errors:
        # Behind the first fault, how far bytes that are not UTF-8 let the reading go on depends on the windows.
        assert [error.without_file for error in errors] == [errors[0].without_file] * 2, path.read_bytes()[:1000]
        raise errors[0]
    strict, fast = made
    everything = np.arange(strict.records, dtype=np.uint64)
    assert (strict.digest, strict.format, strict.records) == (fast.digest, fast.format, fast.records)
    assert strict.bodies(everything) == fast.bodies(everything)
    strict.close()
    return fast


@contextmanager
def loaded(folder: Path, data: bytes | str, name: str, reading: Reading) -> Iterator[tuple[Dataset, list[str]]]:
    """The dataset of a file that is read as `reading` says, for the length of a block, and what a person is told."""
    loader = DatasetLoader(written(folder, data, name), Cache(folder / "cache"), reading=reading)
    dataset = loader.open()
    try:
        yield dataset, loader.notes
    finally:
        dataset.close()


def all_bodies(dataset: Dataset) -> list[bytes]:
    """Every record of a dataset in the file's order."""
    return dataset.bodies(np.arange(dataset.records, dtype=np.uint64))


def bodies(path: Path, indexes: list[int] | None = None) -> list[bytes]:
    """What the dataset of a good file gives, by default all of it in the file's order."""
    dataset = opened(path)
    try:
        return dataset.bodies(np.array(range(dataset.records) if indexes is None else indexes, np.uint64))
    finally:
        dataset.close()


def refusal(path: Path) -> DatasetError:
    """The error of a file that must be refused."""
    try:
        dataset = opened(path)
    except DatasetError as error:
        return error
    dataset.close()
    raise AssertionError(f"{dataset.records} records were accepted of {path.read_bytes()[:200]!r}")


def place(before: str) -> tuple[int, int]:
    """Line and column, in characters from 1, of what comes after `before`; a byte order mark is no character."""
    lines = before.removeprefix("\ufeff").split("\n")
    return len(lines), len(lines[-1]) + 1


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def strictly_read(data: bytes) -> Any:
    """Read a file by RFC 8259. ValueError if it is no JSON, UnicodeDecodeError if it is not UTF-8."""
    text = data.decode("utf-8").removeprefix("\ufeff")
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
