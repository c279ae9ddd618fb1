"""Detect by its first bytes how a file is compressed. Its name does not matter, and any format can be compressed."""

from enum import Enum
from pathlib import Path

from traffic.dataset.diagnosis import DatasetError

_SUFFIXES = frozenset({".gz", ".gzip", ".zst", ".zstd"})
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UNSUPPORTED = {
    b"PK\x03\x04": "a ZIP archive",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x04\x22\x4d\x18": "compressed by lz4",
}


class Compression(Enum):
    """How a file is compressed; the value is for people."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


def detect_compression(file: Path, head: bytes) -> Compression:
    """Return how a file that begins with `head` is compressed. DatasetError if that is not supported."""
    for magic, name in _UNSUPPORTED.items():
        if head.startswith(magic):
            raise DatasetError(file, f"the file is {name}", "Unpack it, or compress it by gzip or zstd instead.")
    if head.startswith(_GZIP):
        return Compression.GZIP
    return Compression.ZSTD if head.startswith(_ZSTD) else Compression.NONE


def plain_suffix(file: Path) -> str:
    """Return the suffix of a file's name in lower case, without a compression's: `.json` of `a.JSON.gz`."""
    name = file.with_suffix("") if file.suffix.lower() in _SUFFIXES else file
    return name.suffix.lower()
