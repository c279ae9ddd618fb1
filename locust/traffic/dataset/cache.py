"""What is known of traffic files already: their indexes, and what they were unpacked or converted to, on disk.

cache/<identity>.seen            the digest of the file of this identity
cache/<digest>-<hint>.index      where each record of a file of this digest stands, if its name gives this hint
cache/<digest>-<hint>.records    what it was unpacked or converted to, where it had to be
cache/<digest>-<digest>.passed   that its records pass the schema of the second digest

The rule that this module guards: what is found here is what a new look at the file would find. A file is known again
by its device, inode, size and times; any write changes one of them, unless it comes within a clock's tick of the look.
So a file that was written to in the last seconds is not known by these, but by its digest. All of it can be deleted.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from traffic.dataset.dataset import Index, Stamp
from traffic.dataset.formats import Format
from traffic.ownership import is_cached, is_folder

if TYPE_CHECKING:
    from io import BufferedReader

    from _typeshed import ReadableBuffer

# In front of each index. Another version of the checks, or of the layout, has another.
MAGIC = b"traffic index 1\n"
# Older than any file system's clock ticks, and than two machines' clocks differ if they are kept.
SETTLED_S = 2.0
KEPT = 10
STALE_S = 86400.0
_RECORD_BYTES = 12


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a file from others, and from itself before and after a write, without a look into it."""

    text: str
    size: int
    written: float

    @classmethod
    def of(cls, seen: os.stat_result) -> "Identity":
        """The identity of a file of which this is known."""
        parts = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        return cls(" ".join(map(str, parts)), seen.st_size, max(seen.st_mtime, seen.st_ctime))


@dataclass(frozen=True, slots=True)
class Known:
    """A file's index, and where its records are: None, where these are in the file itself."""

    index: Index
    records: Path | None


class Cache:
    """A folder of what is known. What cannot be read there is not known; OSError where something cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, identity: Identity, hint: str, may: Callable[[int], None]) -> Known | None:
        """What is known of the file of this identity; `may` as for `load`."""
        try:
            digest = self._seen(identity).read_text()
        except (OSError, ValueError):
            return None
        return self.load(digest, hint, may) if len(digest) == 64 and digest.isalnum() else None  # noqa: PLR2004 - SHA-256

    def load(self, digest: str, hint: str, may: Callable[[int], None]) -> Known | None:
        """What is known of the file of this digest, if its name gives this hint of what it is.

        `may` is called with the number of its records before the index of so many is read; it may raise.
        """
        try:
            with self._path(digest, hint, "index").open("rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    return None
                head = json.loads(file.readline())
                index = _read_index(digest, head, file, may)
            records = self._checked_copy(digest, hint, head["copy"])
            os.utime(self._path(digest, hint, "index"))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Known(index, records)

    def count(self, identity: Identity, hint: str) -> int | None:
        """How many records the file of this identity has, where that is known; its index is not read for it."""
        try:
            with self._path(self._seen(identity).read_text(), hint, "index").open("rb") as file:
                known = json.loads(file.readline())["records"] if file.read(len(MAGIC)) == MAGIC else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return known if isinstance(known, int) else None

    def holds_size(self, size: int) -> bool:
        """Whether a file of this size is known: then its digest is worth computing."""
        for path in self._all(".index"):
            with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
                if file.read(len(MAGIC)) == MAGIC and json.loads(file.readline())["size"] == size:
                    return True
        return False

    def store(self, size: int, hint: str, index: Index, copy: Path | None) -> Path | None:
        """Keep an index, and take over the file `copy` of its records, where there is one; where that is then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        records = None
        if copy is not None:
            records = self._path(index.digest, hint, "records")
            copy.replace(records)
        head = {
            "format": index.format.name,
            "size": size,
            "records": len(index.starts),
            "checksum": _checksum(index),
            "copy": None if records is None else _stamp(records),
        }
        _write(
            self._path(index.digest, hint, "index"),
            MAGIC + json.dumps(head).encode() + b"\n",
            index.starts.data,
            index.lengths.data,
        )
        self._prune()
        return records

    def remember(self, identity: Identity, digest: str, looked: float) -> None:
        """Know the file of this identity again by it, which was as it is at the time `looked` (since the epoch)."""
        if identity.written < looked - SETTLED_S:
            _write(self._seen(identity), digest.encode())

    def passed(self, digest: str, schema: str) -> bool:
        """Whether the records of a file are known to pass a schema, both named by their digests."""
        return (self.folder / f"{digest}-{schema}.passed").exists()

    def remember_passed(self, digest: str, schema: str) -> None:
        """Know that they do."""
        _write(self.folder / f"{digest}-{schema}.passed", b"")

    def draft(self) -> Path:
        """A name for a file that is being made here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{os.getpid()}-{time.monotonic_ns()}.part"

    def _path(self, digest: str, hint: str, kind: str) -> Path:
        return self.folder / f"{digest}-{hint}.{kind}"

    def _seen(self, identity: Identity) -> Path:
        return self.folder / f"{hashlib.sha256(identity.text.encode()).hexdigest()[:32]}.seen"

    def _all(self, suffix: str) -> list[Path]:
        """The files of a kind, the latest used first."""
        found: list[tuple[float, Path]] = []
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.suffix == suffix and is_cached(path):
                    with suppress(OSError):  # another master has deleted it
                        found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found, reverse=True)]

    def _checked_copy(self, digest: str, hint: str, stamp: list[int] | None) -> Path | None:
        """Where the records' own file is. ValueError where it is not the one that was made."""
        if stamp is None:
            return None
        path = self._path(digest, hint, "records")
        if _stamp(path) != stamp:
            raise ValueError(path)
        return path

    def _prune(self) -> None:
        """Delete what belongs to files beyond the latest used, and what was left half made; nobody else's files."""
        if not is_folder(self.folder):
            return
        kept = {path.stem.split("-")[0] for path in self._all(".index")[:KEPT]}
        stale = time.time() - STALE_S
        for suffix in (".index", ".records", ".passed", ".seen", ".part"):
            for path in self._all(suffix):
                with suppress(OSError, ValueError):
                    if suffix == ".part":
                        gone = path.stat().st_mtime < stale
                    else:
                        digest = path.read_text() if suffix == ".seen" else path.stem.split("-")[0]
                        gone = digest not in kept
                    if gone:
                        path.unlink()


def _read_index(digest: str, head: dict[str, object], file: "BufferedReader", may: Callable[[int], None]) -> Index:
    """The rest of an index file. ValueError where it is damaged."""
    count = head["records"]
    if not isinstance(count, int) or os.fstat(file.fileno()).st_size != file.tell() + count * _RECORD_BYTES:
        raise ValueError(digest)
    may(count)
    # Read into its place: an index is large, and needs no second copy for a moment.
    starts, lengths = np.empty(count, np.uint64), np.empty(count, np.uint32)
    for part in (starts, lengths):
        if file.readinto(part.data) != part.nbytes:
            raise ValueError(digest)
    index = Index(Format[str(head["format"])], digest, starts, lengths)
    if _checksum(index) != head["checksum"]:
        raise ValueError(digest)
    return index


def _checksum(index: Index) -> int:
    return zlib.crc32(index.lengths.data, zlib.crc32(index.starts.data))


def _stamp(path: Path) -> list[int]:
    stamp = Stamp.of(path.stat())
    return [stamp.inode, stamp.size, stamp.changed_ns]


def _write(path: Path, *pieces: "ReadableBuffer") -> None:
    """Write a file that appears under its name only when it is whole."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
