"""Reads a traffic file once, from its first byte to its last: checks it, and notes where each record stands.

The rule that this module guards: the file is UTF-8, one JSON array (RFC 8259) of objects and nothing else, or it is
refused, and then the first fault in it is the one that is named.
"""

import codecs
import hashlib
import json
import os
import re
from array import array
from pathlib import Path
from typing import NoReturn

import numpy as np

from . import faults
from .faults import DatasetError

WINDOW = 1 << 20
MAX_RECORD = 16 << 20
# The decoder's own limit depends on the Python release and on who calls it; this one does not.
MAX_DEPTH = 500
# An error nearer than this to a window's end may come from the cut: no escape or literal is longer.
_LONGEST_TOKEN = 16
_LONGEST_CHARACTER = 4

_WHITE = re.compile(r"[ \t\n\r]*")
_BOM = b"\xef\xbb\xbf"
_CONTINUATION, _CONTINUATION_MASK = 0x80, 0xC0
_EXAMPLE = '{"name": "Ana", "msg": "Hola"}'
_SHAPE = f"The file must hold one JSON array of objects, such as [{_EXAMPLE}]."
_TO_UTF8 = "Open the file in an editor and save it as UTF-8."


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


# The values are thrown away, so numbers are left as their text: no limit on digits, no rounding.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)


class Scan:
    """One pass over the file, a window at a time.

    A window is decoded as Latin-1, in which every byte is one character, so that the decoder's places are byte
    offsets; JSON's own characters are ASCII, and what lies between quotes is checked to be UTF-8 by itself.
    `text` is the window, `base` its place in the file, `at` the place in the window that has been read up to.
    """

    def __init__(self, file: Path, handle: int) -> None:
        self.file, self.handle, self.size = file, handle, os.fstat(handle).st_size
        self.starts, self.lengths = array("Q"), array("I")
        self.digest = hashlib.sha256()
        self.text, self.base, self.at = "", 0, 0
        self.window = WINDOW
        self.comma = 0

    def run(self) -> None:
        """Read the file. DatasetError where it is not what it should be."""
        if not self.size:
            raise DatasetError(self.file, "the file is empty", _SHAPE)
        self._load(0)
        self._open_array()
        while self._next_record():
            pass
        self._end()

    def fail(self, what: str, remedy: str, at: int | None = None, record: int | None = None) -> NoReturn:
        """Raise DatasetError for the character at `at`, counted from the window's start (default: `self.at`)."""
        at = self.at if at is None else at
        # From the file, because the place may lie behind the window.
        bad = _not_utf8(self._read(self.base, max(at, 0) + _LONGEST_CHARACTER), final=False)
        if bad is not None and bad.start <= at:
            self._fail_utf8(bad, record)
        self._fail_at(self.base + at, what, remedy, record)

    def _fail_utf8(self, bad: UnicodeDecodeError, record: int | None) -> NoReturn:
        """Raise DatasetError for bytes of the window that are not UTF-8; `record` begins where the scan stands."""
        offset = self.base + bad.start
        if bad.start < self.at:
            record = int(np.searchsorted(np.array(self.starts, np.uint64), offset, side="right")) - 1
        subject = "the file holds" if record is None else "holds"
        what = f"{subject} bytes that are not UTF-8 (0x{bad.object[bad.start]:02x}: {bad.reason})"
        self._fail_at(offset, what, _TO_UTF8, record)

    def _fail_at(self, offset: int, what: str, remedy: str, record: int | None) -> NoReturn:
        line, column = self._line_and_column(offset)
        raise DatasetError(self.file, what, remedy, record, line, column)

    def _line_and_column(self, offset: int) -> tuple[int, int]:
        """Where an offset is for people; what lies before it is UTF-8."""
        line, column = 1, 1
        done = len(_BOM) if self._read(0, len(_BOM)) == _BOM else 0
        while done < offset:
            piece = self._read(done, min(WINDOW, offset - done))
            breaks = piece.count(b"\n")
            line, column = line + breaks, 1 if breaks else column
            rest = np.frombuffer(piece, np.uint8)[piece.rfind(b"\n") + 1 :]
            # Each character has one byte that is not a continuation byte.
            column += int(np.count_nonzero(rest & _CONTINUATION_MASK != _CONTINUATION))
            done += len(piece)
        return line, column

    def _read(self, offset: int, length: int) -> bytes:
        """Bytes of the file as it was when it was opened: `length` of them, or up to its end."""
        length = min(length, self.size - offset)
        try:
            piece = os.pread(self.handle, length, offset)
        except OSError as error:
            what = f"the file cannot be read ({error.strerror})"
            raise DatasetError(self.file, what, "Copy it to a disk that can be read.") from error
        if len(piece) < length:
            remedy = "Start again when nothing writes to it any more."
            raise DatasetError(self.file, "the file became shorter while it was being read", remedy)
        return piece

    def _peek(self, at: int, length: int = faults.LOOKAHEAD) -> str:
        """What stands at a place of the window, also where the window ends before."""
        return self._read(self.base + at, length).decode("latin-1")

    def _load(self, at: int) -> None:
        """Begin a window at the character `at` of the present one; what lies before has been read for good."""
        data = self.text[:at].encode("latin-1")
        bad = _not_utf8(data, final=True)
        if bad is not None:
            self._fail_utf8(bad, None)
        self.digest.update(data)
        self.base += at
        self.at = 0
        self.text = self._read(self.base, self.window).decode("latin-1")

    def _skip_white(self) -> str:
        """Move to the next character that is not white space; that character, "" at the end of the file."""
        while True:
            match = _WHITE.match(self.text, self.at)
            assert match  # the pattern matches nothing, too
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if self.base + self.at >= self.size:
                return ""
            self.window = WINDOW
            self._load(self.at)

    def _open_array(self) -> None:
        if "\0" in self._peek(0, 2) or self._peek(0, 2) in ("\xff\xfe", "\xfe\xff"):
            self._fail_at(0, "the file is UTF-16 or UTF-32, not UTF-8", _TO_UTF8, None)
        if self._read(0, len(_BOM)) == _BOM:
            self.at = len(_BOM)
        seen = self._skip_white()
        if seen == "":
            self.fail("the file holds nothing but white space", _SHAPE)
        if seen == "{":
            self._fail_object_at_top()
        if seen != "[":
            self.fail(f"the file begins with {faults.describe(self._peek(self.at))}, not with an array", _SHAPE)
        self.at += 1

    def _fail_object_at_top(self) -> NoReturn:
        """JSON Lines, or a single object: to be told apart by what follows the first."""
        text = self._peek(self.at, max(self.window, WINDOW))
        try:
            rest = text[_DECODER.raw_decode(text)[1] :].lstrip(" \t\n\r,")
        except (ValueError, RecursionError):
            rest = ""
        if rest.startswith("{"):
            what = "the file looks like JSON Lines: one object after another, not an array"
            remedy = (
                "Make it an array: put [ before the first, a comma between each two, ] after the last, "
                "or let jq do it: jq -s . old.jsonl > traffic.json."
            )
            self.fail(what, remedy)
        remedy = "Put [ before it and ] after it; where the records are a list inside it, leave only that list."
        self.fail("the file begins with an object, not with an array", remedy)

    def _next_record(self) -> bool:
        """Read one record and the comma or bracket behind it; whether a comma was there."""
        seen = self._skip_white()
        record = len(self.starts)
        if seen != "{":
            self._fail_record(seen, record)
        stop = self._decode(record)
        self.starts.append(self.base + self.at)
        self.lengths.append(stop - self.at)
        self.at = stop
        seen = self._skip_white()
        if seen not in (",", "]"):
            self._fail_after_record(seen, record)
        self.comma = self.base + self.at
        self.at += 1
        return seen == ","

    def _fail_record(self, seen: str, record: int) -> NoReturn:
        if seen == "":
            self.fail("the file ends inside the array", "Was it cut short? Add what is missing, at least a closing ].")
        if seen == "]" and record:
            self.fail("there is a comma before the closing bracket", "Remove the comma.", at=self.comma - self.base)
        if seen == "]":
            remedy = "Put at least one record into it: an empty run would only look delivered."
            self.fail("the array is empty", remedy)
        if seen == ",":
            self.fail("is missing: there is a comma in its place", "Remove the comma.", record=record)
        what = f"is {faults.describe(self._peek(self.at))}, not a JSON object"
        self.fail(what, f"Write it as an object, such as {_EXAMPLE}.", record=record)

    def _fail_after_record(self, seen: str, record: int) -> NoReturn:
        what = f"is followed by {faults.describe(self._peek(self.at))}, not by a comma or the closing bracket"
        remedy = {
            "": "Was the file cut short? Add the closing bracket ].",
            "{": "Put a comma between the two records.",
        }.get(seen, "Put a comma or the closing bracket ] there.")
        self.fail(what, remedy, record=record)

    def _decode(self, record: int) -> int:
        """Where the object that begins here ends; the window grows until it holds it whole."""
        while True:
            try:
                stop = _DECODER.raw_decode(self.text, self.at)[1]
            except (ValueError, RecursionError) as error:
                if not self._may_go_on(error):
                    self._fail_decoding(error, record)
                self._grow()
                continue
            if stop - self.at > MAX_RECORD:
                self._fail_long(record)
            if self._many_brackets(stop) and faults.depth(self.text[self.at : stop]) > MAX_DEPTH:
                self._fail_deep(record)
            return stop

    def _many_brackets(self, stop: int) -> bool:
        """Whether the record could be too deep: a look that is quick, since most records are flat."""
        if stop - self.at <= 2 * MAX_DEPTH:
            return False
        return self.text.count("{", self.at, stop) + self.text.count("[", self.at, stop) > MAX_DEPTH

    def _may_go_on(self, error: Exception) -> bool:
        """Whether the record may be whole after all, with what lies behind the window."""
        if not isinstance(error, json.JSONDecodeError) or self.base + len(self.text) >= self.size:
            return False
        return error.pos > len(self.text) - _LONGEST_TOKEN or error.msg.startswith("Unterminated string")

    def _grow(self) -> None:
        """Begin the window at the record, twice as long as before where the record began the window already."""
        if len(self.text) - self.at > MAX_RECORD:
            self._fail_long(len(self.starts))
        if self.at == 0:
            self.window *= 2
        self._load(self.at)

    def _fail_long(self, record: int) -> NoReturn:
        what = f"is longer than {MAX_RECORD >> 20} MiB, or a quote or bracket in it is never closed"
        self.fail(what, "Check its quotes and brackets; a record of that size cannot be sent.", record=record)

    def _fail_deep(self, record: int) -> NoReturn:
        self.fail(f"is nested more than {MAX_DEPTH} levels deep", "Flatten it.", record=record)

    def _fail_decoding(self, error: Exception, record: int) -> NoReturn:
        if isinstance(error, RecursionError):
            self._fail_deep(record)
        if isinstance(error, json.JSONDecodeError):
            error.pos -= self.at
            reach = self.text[self.at : self.at + error.pos] + self._peek(self.at + error.pos)
            fault = faults.explain(error, reach)
        else:
            fault = faults.explain_constant(self.text[self.at :])
        self.fail(fault.what, fault.remedy, at=self.at + fault.at, record=record)

    def _end(self) -> None:
        if self._skip_white() != "":
            what = f"the array is followed by {faults.describe(self._peek(self.at))}"
            self.fail(what, "Keep one array in the file and nothing after it.")
        self._load(self.at)


def _not_utf8(data: bytes, *, final: bool) -> UnicodeDecodeError | None:
    """The first bytes of `data` that are not UTF-8. Where it is not `final`, its last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError as error:
        return error
    return None
