"""Keep uploads, and list the traffic files that a person can choose: uploads, and those beside the configured one.

An upload is kept under its own name in `uploads` of the state folder. It appears there only when it is complete, on
disk and checked; until then it is in a hidden folder beside it.
"""

import os
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from traffic.dataset.cache import Cache
from traffic.dataset.compression import plain_suffix
from traffic.dataset.fingerprint import FileFingerprint
from traffic.dataset.formats import SUFFIXES, cache_hint
from traffic.master.web.file_reach import inside
from traffic.ownership import is_file, is_folder

UPLOADS = "uploads"
LONGEST_NAME = 200
MOST_LISTED = 1000
# The last one replaces bytes that are not UTF-8.
_SEPARATORS = frozenset("/\\\N{REPLACEMENT CHARACTER}")
# Control characters, surrogates, separators of lines and paragraphs; and those that change the direction of text.
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_DRAFT = ".incoming-"
# An upload that has had no byte for so long is of a master that was killed.
_STALE_S = 3600.0


class NameRefusedError(Exception):
    """The name of an upload is not allowed; the text says the rule."""


def plain_name(name_sent: str) -> str:
    """Return the name that a file is kept under, of any script, composed (NFC). NameRefusedError if not allowed."""
    name = unicodedata.normalize("NFC", name_sent)
    if not name or len(name.encode(errors="replace")) > LONGEST_NAME:
        raise NameRefusedError(f"a file's name must have from 1 to {LONGEST_NAME} bytes")
    if name.startswith(".") or name != name.strip():
        raise NameRefusedError("a file's name must begin neither with a dot nor a space, nor end with a space")
    if any(one in _SEPARATORS or _is_control(one) for one in name):
        raise NameRefusedError("a file's name must hold neither a slash, nor a backslash, nor control characters")
    return name


def _is_control(one: str) -> bool:
    return unicodedata.category(one) in _CONTROLS or unicodedata.bidirectional(one) in _TURNING


def looks_like_traffic(name: str) -> bool:
    """Return whether a name ends as traffic files usually do, such as in .json or .csv.gz."""
    return plain_suffix(Path(name)) in SUFFIXES


def _stays(entry: os.DirEntry[str], folder: Path) -> bool:
    """Return whether an entry can be chosen: a link that leads out of the folder cannot."""
    return not entry.is_symlink() or inside(folder / entry.name, folder)


class FileStore:
    """The files of a folder, and of `uploads` in a state folder.

    `counts` has how many records uploaded files have, by the key of their fingerprints; `put` adds to it.
    """

    def __init__(self, folder: Path, state: Path, counts: dict[str, int]) -> None:
        self._folder, self._cache, self._counts = folder, Cache(state / "cache"), counts
        self.uploads = state / UPLOADS

    def listed(self) -> list[dict[str, Any]]:
        """List each file by name: {"path", "name", "bytes", "modified", "records", "uploaded"}; `MOST_LISTED` at most.

        `records` is None if the number is not known without reading the file.
        """
        rows = [*self._rows(self.uploads, uploaded=True), *self._rows(self._folder, uploaded=False)]
        return sorted(rows, key=lambda row: str(row["name"]).casefold())[:MOST_LISTED]

    def _rows(self, folder: Path, *, uploaded: bool) -> Iterator[dict[str, Any]]:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):  # deleted meanwhile
                    shown = uploaded or looks_like_traffic(entry.name)
                    if shown and not entry.name.startswith(".") and entry.is_file() and _stays(entry, folder):
                        yield self._row(folder / entry.name, entry.stat(), uploaded=uploaded)

    def _row(self, path: Path, status: os.stat_result, *, uploaded: bool) -> dict[str, Any]:
        fingerprint = FileFingerprint.of(status)
        known = self._counts.get(fingerprint.key)
        modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "path": str(path),
            "name": path.name,
            "bytes": status.st_size,
            "modified": modified,
            "records": self._cache.count(fingerprint, cache_hint(path)) if known is None else known,
            "uploaded": uploaded,
        }

    def room(self) -> int:
        """Return how many bytes fit onto the disk of the uploads. OSError if their folder cannot be made."""
        self.uploads.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.uploads).free

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Give a path for a file of this name to be written to. The file is deleted at the end, unless it was moved."""
        self._sweep()
        folder = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.uploads))
        try:
            yield folder / name
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, draft: Path, records: int) -> Path:
        """Move a checked file to its name, replacing one that was there; return its path."""
        path = self.uploads / draft.name
        draft.replace(path)
        self._counts[FileFingerprint.of(path.stat()).key] = records
        handle = os.open(self.uploads, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        return path

    def _sweep(self) -> None:
        """Delete the incomplete uploads of masters that were killed."""
        for path in self.uploads.glob(f"{_DRAFT}*") if is_folder(self.uploads) else ():
            with suppress(OSError):
                _remove_stale(path)


def _remove_stale(draft: Path) -> None:
    """Delete the folder of a draft that has not been written to for long, if it has one file or none, as ours do."""
    files = list(draft.iterdir()) if is_folder(draft) else []
    ours = is_folder(draft) and len(files) <= 1 and all(map(is_file, files))
    if ours and max(one.stat().st_mtime for one in [draft, *files]) < time.time() - _STALE_S:
        for file in files:
            file.unlink()
        draft.rmdir()
