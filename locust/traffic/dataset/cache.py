"""What is known of traffic files, on disk: their indexes, and copies of their records if they need one.

cache/<fingerprint>.seen         the digest of the file with this fingerprint
cache/<digest>-<hint>.index      where each record of a file with this digest stands, if it is read in this way
cache/<digest>-<hint>.records    the records themselves, if the file had to be decompressed or converted
cache/<digest>-<digest>.passed   its records pass the schema with the second digest
cache/<digest>-<key>.times       the times of its records in their order, and with .order which record has each

The rule that this module guards: the cache returns what a new scan of the file would find. A file is recognized by its
fingerprint, which any write changes, unless it comes within a tick of the clock. So a file that was written within the
last seconds is recognized only by its digest. All of the cache can be deleted.
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
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from traffic.dataset.dataset import Index
from traffic.dataset.facts import FileFacts
from traffic.dataset.fingerprint import FileFingerprint
from traffic.dataset.formats import BY_NAME
from traffic.ownership import is_cached, is_folder

if TYPE_CHECKING:
    from io import BufferedReader

    from _typeshed import ReadableBuffer

# Begins each index. It changes if the checks or the layout change.
MAGIC = b"traffic index 2\n"
# More than a tick of any file system's clock, and more than two well kept clocks differ.
SETTLED_S = 2.0
KEPT = 10
STALE_S = 86400.0
_RECORD_BYTES, _TIME_BYTES = 12, 8


@dataclass(frozen=True, slots=True)
class CachedIndex:
    """A file's index, and the path of its copy; None if the records are read from the file itself."""

    index: Index
    records: Path | None


class Cache:
    """The cache's folder. What cannot be read there is not known; OSError if something cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, fingerprint: FileFingerprint, hint: str, may: Callable[[int], None]) -> CachedIndex | None:
        """Return what is known of the file with this fingerprint; `hint` and `may` as for `load`."""
        try:
            digest = self._seen(fingerprint).read_text()
        except (OSError, ValueError):
            return None
        return self.load(digest, hint, may) if len(digest) == 64 and digest.isalnum() else None  # noqa: PLR2004 - SHA-256

    def load(self, digest: str, hint: str, may: Callable[[int], None]) -> CachedIndex | None:
        """Return what is known of the file with this digest, if it is read as the `hint` says.

        `may` is called with the number of records before the index is read; it may raise.
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
        return CachedIndex(index, records)

    def count(self, fingerprint: FileFingerprint, hint: str) -> int | None:
        """Return how many records the file with this fingerprint has, without reading its index; None if unknown."""
        try:
            with self._path(self._seen(fingerprint).read_text(), hint, "index").open("rb") as file:
                known = json.loads(file.readline())["records"] if file.read(len(MAGIC)) == MAGIC else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return known if isinstance(known, int) else None

    def holds_size(self, size: int) -> bool:
        """Whether a file of this size is known, so that its digest is worth computing."""
        for path in self._all(".index"):
            with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
                if file.read(len(MAGIC)) == MAGIC and json.loads(file.readline())["size"] == size:
                    return True
        return False

    def store(self, size: int, hint: str, index: Index, copy: Path | None) -> Path | None:
        """Write an index, and move the file's copy here if there is one. Return where the copy is then."""
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
            "copy": None if records is None else _identified(records),
            "facts": index.facts.to_json(),
            "placed": index.placed,
            "timed": index.times is not None,
        }
        _write(
            self._path(index.digest, hint, "index"),
            MAGIC + json.dumps(head).encode() + b"\n",
            index.starts.data,
            index.lengths.data,
            *([] if index.times is None else [index.times.data]),
        )
        self._prune()
        return records

    def remember(self, fingerprint: FileFingerprint, digest: str, taken_s: float) -> None:
        """Have the file recognized by its fingerprint, which was taken at `taken_s` (since the epoch)."""
        if fingerprint.latest_s < taken_s - SETTLED_S:
            _write(self._seen(fingerprint), digest.encode())

    def passed(self, digest: str, schema: str) -> bool:
        """Whether the records of a file are known to pass a schema, both given by their digests."""
        return (self.folder / f"{digest}-{schema}.passed").exists()

    def remember_passed(self, digest: str, schema: str) -> None:
        """Note that they do."""
        _write(self.folder / f"{digest}-{schema}.passed", b"")

    def draft(self) -> Path:
        """Return a path for a file that is being made here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{os.getpid()}-{time.monotonic_ns()}.part"

    def _path(self, digest: str, hint: str, kind: str) -> Path:
        return self.folder / f"{digest}-{hint}.{kind}"

    def _seen(self, fingerprint: FileFingerprint) -> Path:
        return self.folder / f"{hashlib.sha256(fingerprint.key.encode()).hexdigest()[:32]}.seen"

    def _all(self, suffix: str) -> list[Path]:
        """Return the files of a kind, the latest used first."""
        found: list[tuple[float, Path]] = []
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.suffix == suffix and is_cached(path):
                    with suppress(OSError):  # another master has deleted it
                        found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found, reverse=True)]

    def _checked_copy(self, digest: str, hint: str, identified: list[int] | None) -> Path | None:
        """Return the path of the copy. ValueError if it is not the one that was made."""
        if identified is None:
            return None
        path = self._path(digest, hint, "records")
        if _identified(path) != identified:
            raise ValueError(path)
        return path

    def _prune(self) -> None:
        """Delete what belongs to files that were not used lately, and old drafts; never a file of anybody else."""
        if not is_folder(self.folder):
            return
        kept = {path.stem.split("-")[0] for path in self._all(".index")[:KEPT]}
        stale = time.time() - STALE_S
        for suffix in (".index", ".records", ".passed", ".times", ".order", ".seen", ".part"):
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
    """Read the rest of an index file. ValueError if it is damaged."""
    count = head["records"]
    timed = head["timed"] is True
    size = _RECORD_BYTES + _TIME_BYTES * timed
    if not isinstance(count, int) or os.fstat(file.fileno()).st_size != file.tell() + count * size:
        raise ValueError(digest)
    may(count)
    # Read in place: an index is large, and should not be in memory twice.
    starts, lengths = np.empty(count, np.uint64), np.empty(count, np.uint32)
    times = np.empty(count, np.int64) if timed else None
    parts: list[npt.NDArray[Any]] = [starts, lengths, *([] if times is None else [times])]
    for part in parts:
        if file.readinto(part.data) != part.nbytes:
            raise ValueError(digest)
    facts = FileFacts.from_json(dict(head["facts"]))  # type: ignore[call-overload] # TypeError if it is no object
    index = Index(BY_NAME[str(head["format"])], digest, starts, lengths, facts, bool(head["placed"]), times)
    if _checksum(index) != head["checksum"]:
        raise ValueError(digest)
    return index


def _checksum(index: Index) -> int:
    checksum = zlib.crc32(index.lengths.data, zlib.crc32(index.starts.data))
    return checksum if index.times is None else zlib.crc32(index.times.data, checksum)


def _identified(path: Path) -> list[int]:
    """Return by what the copy is recognized: it may move with its folder to another device."""
    found = FileFingerprint.of(path.stat())
    return [found.inode, found.size, found.modified_ns]


def _write(path: Path, *pieces: "ReadableBuffer") -> None:
    """Write a file that appears under its name only when it is complete."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
