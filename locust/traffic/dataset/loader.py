"""Opens a traffic file as a dataset: finds its index in the cache, or decompresses, checks, indexes and caches it."""

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from traffic.dataset.available import budget_for
from traffic.dataset.cache import Cache, CachedIndex
from traffic.dataset.compression import Compression, detect_compression
from traffic.dataset.dataset import Dataset, DatasetError, Index, build_index, open_file
from traffic.dataset.fast_path import element_lengths
from traffic.dataset.fingerprint import FileFingerprint
from traffic.dataset.formats import detect_format, name_hint
from traffic.dataset.head import read_head
from traffic.dataset.json_copy import JsonCopy, digest_of
from traffic.dataset.memory_budget import INDEX_BYTES, Budget
from traffic.dataset.scan import Progress
from traffic.dataset.schema import Schema


def _silent(_done: int, _of: int) -> None:
    pass


class DatasetLoader:
    """Opens one file. `notes` are warnings for a person, which the caller logs: the loader runs in a thread.

    `budget` is the memory and disk that it may take, by default all that is there.
    """

    def __init__(self, file: Path, cache: Cache, progress: Progress = _silent, budget: Budget | None = None) -> None:
        self.file, self.cache, self.progress = file, cache, progress
        self.budget = budget or budget_for(cache.folder)
        self.notes: list[str] = []
        self._hint = name_hint(file)

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
            dataset = Dataset(self.file, served, known.index, fingerprint)
            self._check(dataset, schema)
        except BaseException:
            for one in {handle, served} - {-1}:
                os.close(one)
            raise
        if served != handle:
            os.close(handle)
        self._try_to_cache(lambda: self.cache.remember(fingerprint, dataset.digest, taken_s))
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
        head = read_head(self.file, handle)
        compression = detect_compression(self.file, head)
        size = os.fstat(handle).st_size
        if compression is not Compression.NONE:
            return self._copy(handle, compression, size)
        reader = detect_format(self.file, head)
        if reader.convert is not None:
            return self._copy(handle, compression, size)
        made = build_index(self.file, handle, reader, element_lengths, self.progress, self.budget)
        self._try_to_cache(lambda: self._store(size, made, None))
        return CachedIndex(made, None)

    def _copy(self, handle: int, compression: Compression, size: int) -> CachedIndex:
        try:
            draft = self.cache.draft()
        except OSError as error:
            what = f"the file cannot be unpacked into the state folder ({error.strerror})"
            raise DatasetError(self.file, what, "Name another with --traffic-state-dir.") from error
        try:
            made = self._indexed(JsonCopy(self.file, handle, compression, draft, self.progress, self.budget), draft)
            return CachedIndex(made, self._store(size, made, draft))
        except OSError as error:
            what = f"the state folder cannot be written ({error.strerror})"
            raise DatasetError(self.file, what, "Make room there, or name another with --traffic-state-dir.") from error
        finally:
            draft.unlink(missing_ok=True)

    def _indexed(self, copy: JsonCopy, draft: Path) -> Index:
        handle = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
        try:
            made = build_index(self.file, handle, copy.format, element_lengths, self.progress, self.budget)
        finally:
            os.close(handle)
        return replace(made, digest=copy.digest)

    def _store(self, size: int, made: Index, copy: Path | None) -> Path | None:
        """Cache an index, and the copy of the records if there is one. OSError if it does not fit."""
        if not self.budget.fits_disk(len(made.starts) * INDEX_BYTES):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.cache.store(size, self._hint, made, copy)

    def _fits(self, records: int) -> None:
        self.budget.check_index(self.file, records)

    def _check(self, dataset: Dataset, schema: Schema | None) -> None:
        if schema is None or self.cache.passed(dataset.digest, schema.digest):
            return
        schema.check(dataset, self.progress, self.budget)
        self._try_to_cache(lambda: self.cache.remember_passed(dataset.digest, schema.digest))

    def _try_to_cache(self, write: Callable[[], object]) -> None:
        """Write something for the next start; this start does not need it, so a failure is only noted."""
        try:
            write()
        except OSError as error:
            self.notes.append(f"{self.file}: the next start has to read it again: {error.strerror or error}")
