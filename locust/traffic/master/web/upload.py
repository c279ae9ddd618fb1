"""Receive a traffic file from a browser without blocking the loop that reads the workers' messages."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import gevent
from gevent.lock import BoundedSemaphore
from werkzeug.exceptions import ClientDisconnected

from traffic.core.reading import PLAIN, Reading
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.schema import SchemaError
from traffic.master.file_loading import BackgroundLoader
from traffic.master.threads import in_thread
from traffic.master.web.file_store import FileStore
from traffic.ownership import ForeignError, claim

PIECE = 1 << 18
# A browser that sends nothing for so long has lost its connection.
STALL_S = 60.0
# Kept free beside a file, for its index and for the journal.
MARGIN = 1 << 24
MAKE_ROOM = "Delete files that are not needed any more, or name another state folder with --traffic-state-dir."


class UploadError(Exception):
    """An upload was refused: the HTTP status, why, and the faults in the file, if any."""

    def __init__(self, status: int, why: str, findings: list[str] | None = None) -> None:
        super().__init__(why)
        self.status, self.findings = status, findings


class Checking:
    """Checks uploads, one at a time, with a loader of its own: the other one's status is that of a start.

    `schema` is the file of the JSON Schema that every record must pass, if any.
    """

    def __init__(self, schema: Path | None) -> None:
        self.loader, self._schema = BackgroundLoader(says_notes=False), schema
        self._one_at_a_time = BoundedSemaphore()

    def open(self, file: Path, state: Path, reading: Reading, called: str) -> Dataset:
        """Open a file as `BackgroundLoader.open` does."""
        with self._one_at_a_time:
            return self.loader.open(file, state, self._schema, reading, called)


class Upload:
    """Receives one file. `check_allowed` raises UploadError if the file of that name must not be replaced now.

    `reading` is how it is to be read.
    """

    def __init__(
        self,
        store: FileStore,
        checking: "Checking",
        state: Path,
        check_allowed: Callable[[], None],
        reading: Reading = PLAIN,
    ) -> None:
        self._store, self._checking, self._state, self._check_allowed = store, checking, state, check_allowed
        self._reading = reading

    def store_file(self, name: str, length: int, body: IO[bytes]) -> dict[str, Any]:
        """Write `length` bytes to disk, check them, put the file in its place; describe it. UploadError if refused."""
        try:
            self._has_room(length)
            with self._store.draft(name) as draft:
                self._receive(draft, length, body)
                found = self._check(draft)
                self._check_allowed()
                path = in_thread(self._store.put, draft, found["records"])
        except OSError as error:
            raise _disk(error, self._store.uploads) from error
        return {"path": str(path), "name": name, "bytes": length, **found}

    def _has_room(self, length: int) -> None:
        try:
            in_thread(claim, self._state)
        except ForeignError as error:
            raise UploadError(500, f"The file is not kept: {error}") from error
        free = in_thread(self._store.room)
        if length + MARGIN > free:
            why = f"The file has {length} bytes, and the disk of the state folder has {free} left. {MAKE_ROOM}"
            raise UploadError(413, why)

    def _receive(self, draft: Path, length: int, body: IO[bytes]) -> None:
        left = length
        with draft.open("wb", buffering=0) as file:
            while left:
                piece = _read(body, min(PIECE, left))
                in_thread(self._write, file, piece, left)
                left -= len(piece)
            in_thread(os.fsync, file.fileno())

    def _write(self, file: IO[bytes], piece: bytes, left: int) -> None:
        """Write a piece, if all of the `left` bytes still fit: others use the disk, too."""
        if left + MARGIN > self._store.room():
            raise UploadError(507, f"The disk of the state folder is full. {MAKE_ROOM}")
        _write_all(file, piece)

    def _check(self, draft: Path) -> dict[str, Any]:
        try:
            dataset = self._checking.open(draft, self._state, self._reading, draft.name)
        except DatasetError as error:
            listed = error.listed if isinstance(error, ManyFaultsError) else (error,)
            findings = [_named(one.without_file, draft) for one in listed]
            raise UploadError(422, _named(str(error), draft), findings) from error
        except SchemaError as error:
            raise UploadError(500, f"The file cannot be checked: {error}") from error
        try:
            digest = f"sha256:{dataset.digest}"
            return {"records": dataset.records, "format": dataset.label, "digest": digest}
        finally:
            dataset.close()


def _named(text: str, draft: Path) -> str:
    """Return the text with the file under the name that the person knows."""
    return text.replace(str(draft.absolute()), draft.name).replace(str(draft), draft.name)


def _read(body: IO[bytes], most: int) -> bytes:
    with gevent.Timeout(STALL_S, UploadError(408, f"Nothing came for {STALL_S:g} s; the file is not kept.")):
        try:
            piece = body.read(most)
        except OSError as error:
            raise ClientDisconnected from error
    if not piece:
        raise ClientDisconnected
    return piece


def _write_all(file: IO[bytes], piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]


def _disk(error: OSError, folder: Path) -> UploadError:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UploadError(507, f"The disk of the state folder is full. {MAKE_ROOM}")
    remedy = "Give this user the right, or name another state folder with --traffic-state-dir."
    return UploadError(500, f"{folder} cannot be written ({reason}). {remedy}")
