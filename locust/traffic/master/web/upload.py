"""Receive a traffic file from a browser without blocking the loop that reads the workers' messages."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import gevent
from gevent.lock import BoundedSemaphore
from werkzeug.exceptions import ClientDisconnected

from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.schema import SchemaError
from traffic.master.file_loading import BackgroundLoader
from traffic.master.threads import in_thread
from traffic.master.web.file_store import FileStore
from traffic.ownership import ForeignError, claim

PIECE = 1 << 18
# A browser that sends nothing for so long is gone.
STALL_S = 60.0
# What is left free beside a file: for its index, and for the journal.
MARGIN = 1 << 24
MAKE_ROOM = "Delete files that are not needed any more, or name another state folder with --traffic-state-dir."


class UploadError(Exception):
    """A file that is not taken in: why, the HTTP status that says so, and what is wrong in it, one by one."""

    def __init__(self, status: int, why: str, findings: list[str] | None = None) -> None:
        super().__init__(why)
        self.status, self.findings = status, findings


class Checking:
    """Checks files that have come in, one by one; not by what reads for a start, whose status it would be.

    `schema` is the file of the JSON Schema that every record must pass, None where there is none.
    """

    def __init__(self, schema: Path | None) -> None:
        self.loader, self._schema = BackgroundLoader(), schema
        self._one_at_a_time = BoundedSemaphore()

    def open(self, draft: Path, state: Path) -> Dataset:
        """As `BackgroundLoader.open`."""
        with self._one_at_a_time:
            return self.loader.open(draft, state, self._schema, draft.name)


class Upload:
    """One file on its way in. `may` raises UploadError where the file's place must not be touched at the moment."""

    def __init__(self, shelf: FileStore, checking: "Checking", state: Path, may: Callable[[], None]) -> None:
        self._shelf, self._checking, self._state, self._may = shelf, checking, state, may

    def take(self, name: str, length: int, body: IO[bytes]) -> dict[str, Any]:
        """Write `length` bytes to disk, check them, and put them in their place; what the file is. UploadError."""
        try:
            self._has_room(length)
            with self._shelf.draft(name) as draft:
                self._receive(draft, length, body)
                found = self._check(draft)
                self._may()
                path = in_thread(self._shelf.put, draft, found["records"])
        except OSError as error:
            raise _disk(error, self._shelf.uploads) from error
        return {"path": str(path), "name": name, "bytes": length, **found}

    def _has_room(self, length: int) -> None:
        try:
            in_thread(claim, self._state)
        except ForeignError as error:
            raise UploadError(500, f"The file is not kept: {error}") from error
        free = in_thread(self._shelf.room)
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
        """Write a piece of what is left to come, if there is still room for all of it: others use the disk, too."""
        if left + MARGIN > self._shelf.room():
            raise UploadError(507, f"The disk of the state folder is full. {MAKE_ROOM}")
        _write_all(file, piece)

    def _check(self, draft: Path) -> dict[str, Any]:
        try:
            dataset = self._checking.open(draft, self._state)
        except DatasetError as error:
            listed = error.listed if isinstance(error, ManyFaultsError) else (error,)
            findings = [_named(one.without_file, draft) for one in listed]
            raise UploadError(422, _named(str(error), draft), findings) from error
        except SchemaError as error:
            raise UploadError(500, f"The file cannot be checked: {error}") from error
        try:
            digest = f"sha256:{dataset.digest}"
            return {"records": dataset.records, "format": dataset.format.label, "digest": digest}
        finally:
            dataset.close()


def _named(text: str, draft: Path) -> str:
    """The text with the file called as the person calls it."""
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
