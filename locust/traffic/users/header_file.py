"""Headers from a file, which are secrets: read by the worker that sends them, again whenever the file changes.

The rule that this module guards: no value of them is in a message, a log or an error.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from traffic.core.headers import Field, read_lines
from traffic.machine_limits import OwnFaultError

logger = logging.getLogger(__name__)

# How often the file is looked at, in seconds.
EVERY_S = 1.0
# After an answer 401, how long to wait before the API is tried again: doubled each time, up to the second.
FIRST_WAIT_S, MOST_WAIT_S = 2.0, 16.0
_LONGEST = 1 << 16


class HeaderFileError(OwnFaultError):
    """The file cannot be used; the text names it, and says why."""


class HeaderFile:
    """The headers of one file. `clock` is in seconds. `version` grows whenever they have changed."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Read it. HeaderFileError if it cannot be used."""
        self.path, self.version = path, 0
        self._clock, self._refused, self._warned = clock, 0, ""
        self._seen = self._stamp()
        self.fields = self._read()
        self._looked = clock()

    def refresh(self, *, now: bool = False) -> None:
        """Read the file again if it has changed; look at it once in `EVERY_S`, or `now`.

        If it cannot be used, the headers stay as they were, and a warning says so: it may be half written.
        """
        if not now and self._clock() < self._looked + EVERY_S:
            return
        self._looked = self._clock()
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            fields = self._read()
        except HeaderFileError as error:
            if self._warned != str(error):
                self._warned = str(error)
                logger.warning("%s: its headers stay as they were", error)
            return
        self._seen, self._warned = stamp, ""
        if fields != self.fields:
            self.fields, self._refused = fields, 0
            self.version += 1
            logger.info("the header file %s has changed: its headers are sent from now on", self.path)

    def wait_after_refusal(self) -> float:
        """Note an answer 401, and return how many seconds to wait: nothing if the file has just been replaced."""
        before = self.version
        self.refresh(now=True)
        if self.version != before:
            return 0.0
        self._refused += 1
        if self._refused == 1:
            logger.warning("the API refuses the credentials (401): put valid ones into %s", self.path)
        return min(MOST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._refused - 1, 8))

    def _stamp(self) -> tuple[int, int, int, int]:
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise self._unreadable(error) from error
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def _unreadable(self, error: OSError) -> HeaderFileError:
        return HeaderFileError(f"the header file {self.path} cannot be read ({error.strerror})")

    def _read(self) -> tuple[Field, ...]:
        try:
            with self.path.open("rb") as file:
                data = file.read(_LONGEST + 1)
        except OSError as error:
            raise self._unreadable(error) from error
        if len(data) > _LONGEST:
            raise HeaderFileError(f"the header file {self.path} is longer than {_LONGEST >> 10} KiB")
        try:
            fields = read_lines(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise HeaderFileError(f"the header file {self.path} is not UTF-8") from error
        except ValueError as error:
            raise HeaderFileError(f"the header file {self.path} cannot be used: {error}") from error
        if not fields:
            raise HeaderFileError(f"the header file {self.path} has no header: write one on each line, Name: value")
        return fields
