"""A traffic file, opened by index: where each record begins and how long it is, never the records themselves.

The file is checked from its first byte to its last before a single record is sent. A record leaves as the very
bytes that stand in the file: nothing on its way decodes and encodes it again.
"""

import hashlib
import json
import os
import re
from array import array
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from .order import Indexes

WINDOW = 1 << 20
MAX_RECORD = 16 << 20
# An error nearer than this to a window's end may come from the cut: no escape or literal is longer.
_LONGEST_TOKEN = 16

_WHITE = re.compile(r"[ \t\n\r]*")
_KINDS = {'"': "a string", "[": "an array", "t": "true", "f": "false", "n": "null"}
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class DatasetError(Exception):
    """A traffic file that cannot be replayed: which place, which rule, what to do.

    `record` counts from 0, `line` and `column` (in characters) from 1; each is None where the fault has no such place.
    """

    def __init__(
        self,
        file: Path,
        what: str,
        remedy: str,
        record: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.file, self.what, self.remedy = file, what, remedy
        self.record, self.line, self.column = record, line, column
        place = f"{file}" if line is None else f"{file}, line {line}, column {column}"
        subject = "" if record is None else f"record {record} "
        super().__init__(f"{place}: {subject}{what}. {remedy}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


# The values are thrown away, so numbers are left as their text: no limit on digits, no rounding.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)


class Dataset:
    """N records of a JSON file (RFC 8259) that is one array of objects, by index.

    `file` is the path as given, `records` is N, `digest` the SHA-256 of the file's bytes in hexadecimal. Memory:
    12 bytes a record. Open it with `Dataset.open`; close it when no more records will be asked for.
    """

    def __init__(self, file: Path, handle: int, starts: Indexes, lengths: npt.NDArray[np.uint32], digest: str) -> None:
        self.file, self.digest = file, digest
        self.records = len(starts)
        self._handle, self._starts, self._lengths = handle, starts, lengths

    @classmethod
    def open(cls, file: Path) -> "Dataset":
        """Check `file` and index it. DatasetError where it is missing, unreadable, or not what it should be."""
        try:
            handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DatasetError(file, f"cannot be opened ({error.strerror})", _missing(file)) from error
        try:
            if not (size := _size(file, handle)):
                raise DatasetError(file, "the file is empty", _SHAPE)
            scan = _Scan(file, handle, size)
            scan.run()
        except BaseException:
            os.close(handle)
            raise
        starts = np.frombuffer(scan.starts, np.uint64)
        return cls(file, handle, starts, np.frombuffer(scan.lengths, np.uint32), scan.digest.hexdigest())

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def lengths(self, indexes: Indexes) -> npt.NDArray[np.uint32]:
        """The records' lengths in bytes, same shape as `indexes`."""
        return self._lengths[indexes]

    def bodies(self, indexes: Indexes) -> list[bytes]:
        """The records' bytes as they stand in the file, in the order of `indexes`.

        DatasetError where the file has been cut short since it was opened.
        """
        made = []
        starts, lengths = self._starts[indexes].tolist(), self._lengths[indexes].tolist()
        for index, start, length in zip(indexes.tolist(), starts, lengths, strict=True):
            body = os.pread(self._handle, length, start)
            if len(body) != length:
                what = f"can no longer be read: the file ends at byte {start + len(body)}"
                raise DatasetError(self.file, what, "Leave the file as it is while a run reads it.", record=index)
            made.append(body)
        return made


_SHAPE = 'The file must hold one JSON array of objects, such as [{"name": "Ana", "msg": "Hola"}].'


def _missing(file: Path) -> str:
    return f"Put the records there, or name another file with --traffic-file (looked for: {file.absolute()})."


def _size(file: Path, handle: int) -> int:
    status = os.fstat(handle)
    if not os.path.isfile(file):
        raise DatasetError(file, "is no regular file", "Name a file that can be read from any place in it.")
    return status.st_size


class _Scan:
    """One pass over the file, a window at a time.

    A window is decoded as Latin-1, in which every byte is one character, so that the decoder's places are byte
    offsets; JSON's own characters are ASCII, and what lies between quotes is checked to be UTF-8 by itself.
    """

    def __init__(self, file: Path, handle: int, size: int) -> None:
        self.file, self.handle, self.size = file, handle, size
        self.starts, self.lengths = array("Q"), array("I")
        self.digest = hashlib.sha256()
        self.text, self.base, self.at = "", 0, 0
        self.window = WINDOW

    def run(self) -> None:
        self._load(0)
        self._open_array()
        while self._next_record():
            pass
        self._end()

    def fail(self, what: str, remedy: str, at: int | None = None, record: int | None = None) -> NoReturn:
        """Raise DatasetError for the character at `at` in the window (default: where the scan stands)."""
        line, column = self._line_and_column(self.base + (self.at if at is None else at))
        raise DatasetError(self.file, what, remedy, record, line, column)

    def _line_and_column(self, offset: int) -> tuple[int, int]:
        line, line_start, done = 1, 0, 0
        while done < offset:
            piece = os.pread(self.handle, min(WINDOW, offset - done), done)
            line += piece.count(b"\n")
            if (last := piece.rfind(b"\n")) >= 0:
                line_start = done + last + 1
            done += len(piece)
        before = os.pread(self.handle, offset - line_start, line_start)
        return line, len(before.removeprefix(_BOM).decode("utf-8", "replace")) + 1

    def _load(self, at: int) -> None:
        """Begin a window at the character `at` of the present one; what lies before has been read for good."""
        self._settle(at)
        self.base += at
        self.at = 0
        self.text = os.pread(self.handle, self.window, self.base).decode("latin-1")

    def _settle(self, stop: int) -> None:
        data = self.text[:stop].encode("latin-1")
        self.digest.update(data)
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"holds bytes that are not UTF-8 (0x{data[error.start]:02x}: {error.reason})"
            self.fail(
                what,
                "Save the file as UTF-8.",
                at=error.start,
                record=self._record_at(self.base + error.start),
            )

    def _record_at(self, offset: int) -> int | None:
        after = int(np.searchsorted(np.array(self.starts, np.uint64), offset, side="right"))
        return after - 1 if after else None

    def _skip_white(self) -> str:
        """Move to the next character that is not white space; that character, "" at the end of the file."""
        while True:
            match = _WHITE.match(self.text, self.at)
            assert match  # the pattern matches nothing, too
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if self.base + self.at >= self.size or not self.text:
                return ""
            self.window = WINDOW
            self._load(self.at)

    def _open_array(self) -> None:
        if self.text[:2].encode("latin-1") in _UTF16_BOMS:
            self.fail("the file is UTF-16", "Save the file as UTF-8.")
        if self.text.startswith(_BOM.decode("latin-1")):
            self.at = len(_BOM)
        seen = self._skip_white()
        if seen == "":
            self.fail("the file holds nothing but white space", _SHAPE)
        if seen != "[":
            self.fail(f"the file begins with {_describe(self.text, self.at)}, not with an array", _SHAPE)
        self.at += 1

    def _next_record(self) -> bool:
        """Read one record and the comma or bracket behind it; whether a comma was there."""
        seen = self._skip_white()
        record = len(self.starts)
        if seen == "]":
            if record:
                self.fail("a comma stands before the closing bracket", "Remove the comma.", record=None)
            self.fail(
                "the array is empty",
                "Put at least one record into it: an empty run would only look delivered.",
            )
        if seen == "":
            self.fail(
                "the file ends inside the array",
                "Was it cut short? Add what is missing, at least a closing ].",
            )
        if seen != "{":
            what = f"is {_describe(self.text, self.at)}, not a JSON object"
            self.fail(what, 'Write it as an object, such as {"name": "Ana", "msg": "Hola"}.', record=record)
        stop = self._decode(record)
        self.starts.append(self.base + self.at)
        self.lengths.append(stop - self.at)
        self.at = stop
        seen = self._skip_white()
        if seen not in (",", "]"):
            found = "the file ends" if seen == "" else f"there is {_describe(self.text, self.at)}"
            self.fail(f"is followed by neither a comma nor the closing bracket: {found}", "Add it.", record=record)
        self.at += 1
        return seen == ","

    def _decode(self, record: int) -> int:
        """Where the object that begins here ends; the window grows until it holds it whole."""
        while True:
            try:
                return _DECODER.raw_decode(self.text, self.at)[1]
            except (ValueError, RecursionError) as error:
                if self._may_go_on(error):
                    self._grow()
                    continue
                self._fail_decoding(error, record)

    def _may_go_on(self, error: Exception) -> bool:
        """Whether the record may be whole after all, with what lies behind the window."""
        if self.base + len(self.text) >= self.size or len(self.text) - self.at > MAX_RECORD:
            return False
        return self._at_window_end(error)

    def _at_window_end(self, error: Exception) -> bool:
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.pos > len(self.text) - _LONGEST_TOKEN or error.msg.startswith("Unterminated string")

    def _grow(self) -> None:
        """Begin the window at the record, twice as long as before where the record began the window already."""
        if self.at == 0:
            self.window *= 2
        self._load(self.at)

    def _fail_decoding(self, error: Exception, record: int) -> NoReturn:
        if self._at_window_end(error) and len(self.text) - self.at > MAX_RECORD:
            rule = f"is longer than {MAX_RECORD >> 20} MiB, or a quote or brace in it is never closed"
            self.fail(rule, "Check its quotes and braces, or send such bodies by other means.", record=record)
        if isinstance(error, RecursionError):
            self.fail("is nested too deeply to be read", "Flatten it.", record=record)
        if isinstance(error, json.JSONDecodeError):
            what = f"is not valid JSON: {_lower(error.msg)}"
            self.fail(what, "Mend the record at this place.", at=min(error.pos, len(self.text)), record=record)
        self.fail(f"is not valid JSON: {error}", "Write null, or a number in digits.", record=record)

    def _end(self) -> None:
        if self._skip_white() != "":
            what = f"something follows the array: {_describe(self.text, self.at)}"
            self.fail(what, "Keep one array in the file and nothing behind it.")
        self._load(self.at)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _describe(text: str, at: int) -> str:
    """What JSON value, or what character, stands at a place of a Latin-1 window."""
    seen = text[at]
    if seen in "-0123456789":
        match: Any = re.compile(r"[-+.0-9eE]{1,24}").match(text, at)
        return f"a number ({match[0]})"
    if seen in _KINDS:
        return _KINDS[seen]
    return "an object" if seen == "{" else f"{text[at : at + 12].encode('latin-1').decode('utf-8', 'replace')!r}"
