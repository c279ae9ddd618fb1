"""The first bytes of a file, by which its format is detected."""

from dataclasses import dataclass
from pathlib import Path

from traffic.dataset.compression import plain_suffix
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.scan import BOM, HEAD
from traffic.dataset.source import Source

WHITE = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file, decompressed.

    `text` is Latin-1, without a byte order mark and without white space before it. `suffix` is the name's, in lower
    case, without a compression's. `cut`: the file may go on behind `text`.
    """

    file: Path
    text: str
    suffix: str
    cut: bool

    @classmethod
    def of(cls, file: Path, head: bytes) -> "Head":
        """Make it of a file's first bytes: all of them, or `HEAD` bytes or more."""
        text = head.removeprefix(BOM).decode("latin-1").lstrip(WHITE)
        return cls(file, text, plain_suffix(file), len(head) >= HEAD)

    def fault(self, what: str, remedy: str) -> DatasetError:
        """Return the error that the file's beginning is not what it should be."""
        return DatasetError(self.file, what, remedy, None, 1, 1)


def read_head(file: Path, handle: int) -> bytes:
    """Return the first bytes of a file. DatasetError if there are none."""
    read = Source(file, handle).read(0, HEAD)
    if not read:
        raise DatasetError(file, "the file is empty", "Put at least one record into it, or name another file.")
    return read
