"""From a traffic file's name to a dataset: found in the cache, or unpacked, checked, indexed and kept there."""

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from traffic.dataset.available import room_for
from traffic.dataset.cache import Cache, Identity, Known
from traffic.dataset.dataset import Dataset, DatasetError, Index, Stamp, head, index, open_file
from traffic.dataset.decompress import Unpacked, digest_of
from traffic.dataset.fast_path import lengths
from traffic.dataset.formats import Compression, Format, hint, packing, tell
from traffic.dataset.memory_budget import INDEX_BYTES, Room
from traffic.dataset.scan import Progress
from traffic.dataset.schema import Schema


def _silent(_done: int, _of: int) -> None:
    pass


class DatasetLoader:
    """Opens one file. `notes` is what a person should know of it beside; not logged here, for this runs in a thread.

    `room` is the memory and disk that it may take, by default what there is.
    """

    def __init__(self, file: Path, cache: Cache, progress: Progress = _silent, room: Room | None = None) -> None:
        self.file, self.cache, self.progress = file, cache, progress
        self.room = room or room_for(cache.folder)
        self.notes: list[str] = []
        self._hint = hint(file)

    def open(self, schema: Schema | None = None) -> Dataset:
        """The dataset. DatasetError where the file is not what it should be, or a record breaks the schema."""
        try:
            return self._open(schema)
        except MemoryError as error:
            what = "the file needs more memory to be checked than there is"
            raise DatasetError(self.file, what, "Give the master more memory, or split the file.") from error

    def _open(self, schema: Schema | None) -> Dataset:
        looked = time.time()
        handle = open_file(self.file)
        served = -1
        try:
            seen = os.fstat(handle)
            identity = Identity.of(seen)
            known = self.cache.find(identity, self._hint, self._fits) or self._known_by_digest(handle, seen.st_size)
            known = known or self._read(handle)
            served = handle if known.records is None else os.open(known.records, os.O_RDONLY | os.O_CLOEXEC)
            dataset = Dataset(self.file, served, known.index, Stamp.of(seen))
            self._check(dataset, schema)
        except BaseException:
            for one in {handle, served} - {-1}:
                os.close(one)
            raise
        if served != handle:
            os.close(handle)
        self._keep(lambda: self.cache.remember(identity, dataset.digest, looked))
        return dataset

    def _known_by_digest(self, handle: int, size: int) -> Known | None:
        """Look whether the file was only copied or touched since it was indexed: a digest is quicker than a check."""
        if not self.cache.holds_size(size):
            return None
        with suppress(OSError):
            return self.cache.load(digest_of(handle, self.progress), self._hint, self._fits)
        return None

    def _read(self, handle: int) -> Known:
        """Check the file, and index it; keep what was found."""
        first = head(self.file, handle)
        kind = packing(self.file, first)
        size = os.fstat(handle).st_size
        if kind is not Compression.NONE or tell(self.file, first) is Format.CSV:
            return self._unpack(handle, kind, size)
        made = index(self.file, handle, lengths, self.progress, None, self.room)
        self._keep(lambda: self._store(size, made, None))
        return Known(made, None)

    def _unpack(self, handle: int, kind: Compression, size: int) -> Known:
        try:
            draft = self.cache.draft()
        except OSError as error:
            what = f"the file cannot be unpacked into the state folder ({error.strerror})"
            raise DatasetError(self.file, what, "Name another with --traffic-state-dir.") from error
        try:
            made = self._indexed(Unpacked(self.file, handle, kind, draft, self.progress, self.room), draft)
            return Known(made, self._store(size, made, draft))
        except OSError as error:
            what = f"the state folder cannot be written ({error.strerror})"
            raise DatasetError(self.file, what, "Make room there, or name another with --traffic-state-dir.") from error
        finally:
            draft.unlink(missing_ok=True)

    def _indexed(self, unpacked: Unpacked, draft: Path) -> Index:
        copy = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # CSV is JSON Lines by now; it was made here, and is to be named for what it was.
            form = Format.LINES if unpacked.format is Format.CSV else unpacked.format
            made = index(self.file, copy, lengths, self.progress, form, self.room)
        finally:
            os.close(copy)
        return replace(made, format=unpacked.format, digest=unpacked.digest)

    def _store(self, size: int, made: Index, copy: Path | None) -> Path | None:
        """Keep what was found, and where there is one the copy of the records; OSError where it does not fit."""
        if not self.room.fits_disk(len(made.starts) * INDEX_BYTES):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.cache.store(size, self._hint, made, copy)

    def _fits(self, records: int) -> None:
        self.room.check_index(self.file, records)

    def _check(self, dataset: Dataset, schema: Schema | None) -> None:
        if schema is None or self.cache.passed(dataset.digest, schema.digest):
            return
        schema.check(dataset, self.progress, self.room)
        self._keep(lambda: self.cache.remember_passed(dataset.digest, schema.digest))

    def _keep(self, write: Callable[[], object]) -> None:
        """Keep something for the next start; where that cannot be done, this one needs it not."""
        try:
            write()
        except OSError as error:
            self.notes.append(f"{self.file}: the next start has to read it anew: {error.strerror or error}")
