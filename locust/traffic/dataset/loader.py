"""Opens a traffic file as a dataset: finds its index in the cache, or decompresses, checks, indexes and caches it."""

import errno
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from traffic.core.reading import BODIES, PLAIN, Reading
from traffic.dataset.available import budget_for
from traffic.dataset.cache import Cache, CachedIndex
from traffic.dataset.compression import Compression, detect_compression
from traffic.dataset.dataset import Dataset, DatasetError, Index, build_index, open_file
from traffic.dataset.encoding import is_utf16
from traffic.dataset.facts import FileFacts
from traffic.dataset.fast_path import element_lengths
from traffic.dataset.fingerprint import FileFingerprint
from traffic.dataset.formats import FormatReader, cache_hint, detect_format
from traffic.dataset.from_requests.from_bodies import convert_bodies
from traffic.dataset.head import read_head
from traffic.dataset.memory_budget import INDEX_BYTES, Budget
from traffic.dataset.record_copy import RecordCopy, digest_of
from traffic.dataset.record_writer import CopyFile, RecordWriter
from traffic.dataset.scan import Progress
from traffic.dataset.schema import Schema
from traffic.dataset.stamp_check import check_stamp


def _silent(_done: int, _of: int) -> None:
    pass


class DatasetLoader:
    """Opens one file. `notes` are warnings for a person, which the caller logs: the loader runs in a thread.

    `budget` is the memory and disk that it may take, by default all that is there. `reading` is how the file is read.
    """

    def __init__(
        self,
        file: Path,
        cache: Cache,
        progress: Progress = _silent,
        budget: Budget | None = None,
        reading: Reading = PLAIN,
    ) -> None:
        self.file, self.cache, self.progress, self.reading = file, cache, progress, reading
        self.budget = budget or budget_for(cache.folder)
        self.notes: list[str] = []
        self._hint = cache_hint(file, reading)

    def open(self, schema: Schema | None = None) -> Dataset:
        """Return the dataset. DatasetError if the file is not good, or a record breaks the schema."""
        try:
            return self._open(schema)
        except MemoryError as error:
            what = "the file needs more memory to be checked than there is"
            raise DatasetError(self.file, what, "Give the master more memory, or split the file.") from error

    def _open(self, schema: Schema | None) -> Dataset:
        taken_s = time.time()
        handle = open_file(self.file)
        served = -1
        try:
            fingerprint = FileFingerprint.of(os.fstat(handle))
            known = self.cache.find(fingerprint, self._hint, self._fits)
            known = known or self._find_by_digest(handle, fingerprint.size) or self._read(handle)
            served = handle if known.records is None else os.open(known.records, os.O_RDONLY | os.O_CLOEXEC)
            dataset = Dataset(self.file, served, known.index, fingerprint, self.reading)
            self._check(dataset, schema)
        except BaseException:
            for one in {handle, served} - {-1}:
                os.close(one)
            raise
        if served != handle:
            os.close(handle)
        self._try_to_cache(lambda: self.cache.remember(fingerprint, dataset.digest, taken_s))
        self.notes += dataset.facts.warnings(self.file)
        return dataset

    def _find_by_digest(self, handle: int, size: int) -> CachedIndex | None:
        """Find a file that was only copied or touched since it was indexed: a digest is faster than a scan."""
        if not self.cache.holds_size(size):
            return None
        with suppress(OSError):
            return self.cache.load(digest_of(handle, self.progress), self._hint, self._fits)
        return None

    def _read(self, handle: int) -> CachedIndex:
        """Check the file, index it, and cache the index."""
        if self.reading.records == BODIES and self.reading.path:
            return self._read_with_paths()
        head = read_head(self.file, handle)
        compression = detect_compression(self.file, head)
        size = os.fstat(handle).st_size
        plain = compression is Compression.NONE and not is_utf16(head)
        reader = detect_format(self.file, head, self.reading) if plain else None
        if reader is None or reader.convert is not None:
            return self._copy(size, lambda draft: self._copied(handle, compression, draft))
        made = build_index(self.file, handle, reader, element_lengths, self.progress, self.budget)
        self._try_to_cache(lambda: self._store(size, made, None))
        return CachedIndex(made, None)

    def _copy(self, size: int, make: Callable[[Path], Index]) -> CachedIndex:
        """Make a copy of the records, which `make` writes, and cache it with its index."""
        try:
            draft = self.cache.draft()
        except OSError as error:
            what = f"the file cannot be unpacked into the state folder ({error.strerror})"
            raise DatasetError(self.file, what, "Name another with --traffic-state-dir.") from error
        try:
            made = make(draft)
            return CachedIndex(made, self._store(size, made, draft))
        except OSError as error:
            what = f"the state folder cannot be written ({error.strerror})"
            raise DatasetError(self.file, what, "Make room there, or name another with --traffic-state-dir.") from error
        finally:
            draft.unlink(missing_ok=True)

    def _copied(self, handle: int, compression: Compression, draft: Path) -> Index:
        copy = RecordCopy(self.file, handle, compression, draft, self.reading, self.progress, self.budget)
        if copy.writer is not None:
            return _index_of(copy.writer, copy.format, copy.digest, copy.facts)
        unpacked = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
        try:
            made = build_index(self.file, unpacked, copy.format, element_lengths, self.progress, self.budget)
        finally:
            os.close(unpacked)
        return replace(made, digest=copy.digest, facts=copy.facts)

    def _read_with_paths(self) -> CachedIndex:
        """Read the file's bodies, and make whole requests of them, whose paths are a template's."""
        plain = replace(self.reading, path="", method="", stamp="")
        bodies = DatasetLoader(self.file, self.cache, self.progress, self.budget, plain).open()

        def make(draft: Path) -> Index:
            with CopyFile(self.file, draft, self.budget) as file:
                writer = RecordWriter(self.file, file, self.budget)
                convert_bodies(bodies, self.reading, writer, self.progress)
            return _index_of(writer, bodies.format, bodies.digest, bodies.facts)

        try:
            return self._copy(bodies.file.stat().st_size, make)
        finally:
            bodies.close()

    def _store(self, size: int, made: Index, copy: Path | None) -> Path | None:
        """Cache an index, and the copy of the records if there is one. OSError if it does not fit."""
        if not self.budget.fits_disk(len(made.starts) * INDEX_BYTES):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.cache.store(size, self._hint, made, copy)

    def _fits(self, records: int) -> None:
        self.budget.check_index(self.file, records)

    def _check(self, dataset: Dataset, schema: Schema | None) -> None:
        stamp = self.reading.stamp
        if schema is not None:
            key = schema.digest_for(self.reading)
            self._check_once(dataset, key, lambda: schema.check(dataset, self.progress, self.budget))
        if stamp:
            key = hashlib.sha256(f"stamp {self.reading.key}".encode()).hexdigest()
            self._check_once(dataset, key, lambda: check_stamp(dataset, stamp, self.progress))

    def _check_once(self, dataset: Dataset, key: str, check: Callable[[], None]) -> None:
        """Do a check, unless the file's records are known to pass it; `key` is the check's digest."""
        if not self.cache.passed(dataset.digest, key):
            check()
            self._try_to_cache(lambda: self.cache.remember_passed(dataset.digest, key))

    def _try_to_cache(self, write: Callable[[], object]) -> None:
        """Write something for the next start; this start does not need it, so a failure is only noted."""
        try:
            write()
        except OSError as error:
            self.notes.append(f"{self.file}: the next start has to read it again: {error.strerror or error}")


def _index_of(writer: RecordWriter, reader: FormatReader, digest: str, facts: FileFacts) -> Index:
    """Return the index of records that were converted."""
    starts, lengths = np.frombuffer(writer.starts, np.uint64), np.frombuffer(writer.lengths, np.uint32)
    times = np.frombuffer(writer.times, np.int64) if writer.times else None
    return Index(reader, digest, starts, lengths, facts, placed=False, times=times)
