"""An open file that is read from any place in it, with the faults of reading for people."""

import os
from collections.abc import Iterator
from pathlib import Path

from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.memory_budget import Budget

_PIECE = 1 << 20


class Source:
    """The file of `handle`, which people know as `name`, with the `size` that it had when it was opened.

    `budget` limits the memory that reading it may take.
    """

    def __init__(self, name: Path, handle: int, budget: Budget | None = None) -> None:
        self.name, self.handle, self.budget = name, handle, budget or Budget()
        self.size = os.fstat(handle).st_size

    def read(self, at: int, length: int) -> bytes:
        """Return `length` bytes from a place on, or those up to the end. DatasetError if they cannot be read."""
        length = max(0, min(length, self.size - at))
        try:
            piece = os.pread(self.handle, length, at)
        except OSError as error:
            what = f"the file cannot be read ({error.strerror})"
            raise DatasetError(self.name, what, "Copy it to a disk that can be read.") from error
        if len(piece) < length:
            remedy = "Start again when nothing writes to it any more."
            raise DatasetError(self.name, "the file became shorter while it was being read", remedy)
        return piece

    def lines(self, longest: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield each line without its end: its number from 1, up to where the file has been read, and itself.

        DatasetError if one is longer than `longest` bytes.
        """
        number, at, rest = 0, 0, b""
        while piece := self.read(at, _PIECE):
            at += len(piece)
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                number += 1
                yield number, at, line.removesuffix(b"\r")
            if len(rest) > longest:
                what = f"the file has a line of more than {longest >> 20} MiB"
                raise DatasetError(self.name, what, "No request that can be sent is as long.", None, number + 1, 1)
        if rest:
            yield number + 1, at, rest.removesuffix(b"\r")
