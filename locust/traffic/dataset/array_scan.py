"""Scan one JSON array (RFC 8259) of objects, however it is laid out.

The rule that this module guards: a file that is not this array and nothing else is refused, and its first fault is
reported.
"""

import json
import re
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from traffic.dataset import diagnosis, scan
from traffic.dataset.array_split import begins, cuts
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.from_csv.dialect import csv_doubt
from traffic.dataset.scan import BOM, EXAMPLE, HEAD, LONGEST_TOKEN, MAX_DEPTH, Scan, decoded_end

SHAPE = f"The file must hold one JSON array of objects, such as [{EXAMPLE}], or one object on each line, or CSV."

_WHITES = b" \t\n\r"
_WHITE = re.compile(rb"[ \t\n\r]*")
_LONGEST_SEPARATOR = 64
_BRACE = ord("{")
# The fast path reads a text of at most so many windows at once: with many small records, it takes 50 times its memory.
_MOST_WINDOWS = 2


class ArrayScan(Scan):
    """Scans an array. `separator` is what stood between the latest two records: a comma and white space."""

    separator = b","
    comma = 0
    # The end of the latest record, as an offset in the file.
    ended = 0
    # Up to this offset the fast path has been tried in vain.
    fast_path_failed_until = 0
    nested = False

    def _read_records(self) -> None:
        self._open_array()
        while self._step():
            pass
        if not self.faults.count:
            self._end()

    def _step(self) -> bool:
        """Read a record, or note what is wrong with it. Return whether there may be another."""
        try:
            return self._next_record()
        except DatasetError as error:
            if error.record is None or self.fatal:
                raise
            self.faults.add(error)
            # If not, the record is good, and what follows it is not.
            within = len(self.starts) <= error.record
            while len(self.starts) <= error.record:
                self._add_record(self.base + self.at, 0)  # so that later records keep their numbers
            return self._skip_fault(error.record, within=within)

    def _skip_white(self) -> str:
        """Move to the next character that is not white space, and return it; "" at the end of the file."""
        while True:
            match = _WHITE.match(self.data, self.at)
            assert match  # the pattern matches an empty text, too
            self.at = match.end()
            if self.at < len(self.data):
                return chr(self.data[self.at])
            if self.base + self.at >= self.size:
                return ""
            self.window = scan.WINDOW
            self._load(self.at)

    def _open_array(self) -> None:
        if self._read(0, len(BOM)) == BOM:
            self.at = len(BOM)
        seen = self._skip_white()
        if seen == "":
            self.fail("the file holds nothing but white space", SHAPE)
        if seen == "{":
            remedy = (
                "Put [ before it and ] after it; if the records are a list inside it, leave only that list. "
                "A file of one object a line is recognized by a second line, or by a name that ends with .jsonl."
            )
            self.fail("the file begins with an object, not with an array", remedy)
        if seen != "[":
            self._fail_kind()
        self.at += 1
        self.ended = self.base + self.at

    def _fail_kind(self) -> NoReturn:
        head = self._read(self.base + self.at, HEAD)
        begins_with = diagnosis.describe(head[: diagnosis.LOOKAHEAD].decode("latin-1"))
        doubt = csv_doubt(head, cut=self.base + self.at + len(head) < self.size)
        if doubt is None:
            self.fail(f"the file begins with {begins_with}, not with an array", SHAPE)
        what = f"the file is not JSON, for it begins with {begins_with}, and {doubt}"
        self.fail(what, f"If it is CSV, rename it so that its name ends with .csv. Else: {SHAPE}")

    def _next_record(self) -> bool:
        """Read one record, or many by the fast path. Return whether there may be another: whether a comma follows."""
        seen = self._skip_white()
        if seen == "{":
            self._learn_separator()
            if self._fast_path is not None and self.base + self.at >= self.fast_path_failed_until and self._scan_fast():
                return True
        record = len(self.starts)
        if seen != "{":
            self._fail_record(seen, record)
        stop = self._decode(record)
        self._add_record(self.base + self.at, stop - self.at)
        self.at = stop
        self.ended = self.base + stop
        return self._after_record(record)

    def _after_record(self, record: int) -> bool:
        seen = self._skip_white()
        if seen not in (",", "]"):
            self._fail_after_record(seen, record)
        return self._step_over(seen)

    def _step_over(self, seen: str) -> bool:
        """Move behind the comma or bracket that stands here. Return whether it is a comma."""
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
        what = f"is {diagnosis.describe(self._peek(self.at))}, not a JSON object"
        self.fail(what, f"Write it as an object, such as {EXAMPLE}.", record=record)

    def _fail_after_record(self, seen: str, record: int) -> NoReturn:
        what = f"is followed by {diagnosis.describe(self._peek(self.at))}, not by a comma or the closing bracket"
        remedy = {
            "": "Was the file cut short? Add the closing bracket ].",
            "{": "Put a comma between the two records.",
        }.get(seen, "Put a comma or the closing bracket ] there.")
        self.fail(what, remedy, record=record)

    def _skip_fault(self, record: int, *, within: bool) -> bool:
        """Go on behind a fault. Return whether there may be another record.

        If a comma or a value is missing, or a value is no object, it is certain where the next record begins.
        """
        seen = self._skip_white()
        if not within:
            return seen == "{" or self._resume(record)
        if seen not in ("{", ",") and self._skip_value(record):
            seen = self._skip_white()
        if seen not in (",", "]"):
            return self._resume(record)
        return self._step_over(seen)

    def _skip_value(self, record: int) -> bool:
        """Move behind the value that stands here. Return whether it is one."""
        while True:
            try:
                stop = self._decode(record)
            except DatasetError:
                if self.fatal:
                    raise
                return False
            if stop < len(self.data) - LONGEST_TOKEN or self.to_the_end:
                self.at = stop
                self.ended = self.base + stop
                return True
            self._grow()  # what looks like a number may be the beginning of a longer one

    def _resume(self, record: int) -> bool:
        """Find the next record after a fault in this one. Return whether one was found.

        If the record begins a line, the next line that begins in the same way begins a record. If not, the next record
        cannot be found, and the file is read no further.
        """
        start = self.starts[record]
        before = self._read(max(0, start - _LONGEST_SEPARATOR), min(start, _LONGEST_SEPARATOR))
        white = before[len(before.rstrip(_WHITES)) :]
        at = white.rfind(b"\n")
        if at < 0:
            self.faults.partial = True
            return False
        begins = white[at:] + b"{"
        while (found := self.data.find(begins, self.at)) < 0:
            if self.to_the_end:
                return False
            self.window = scan.WINDOW + len(begins)
            try:
                self._load(len(self.data) - len(begins) + 1)
            except DatasetError as error:
                self.faults.add(error)
                self.faults.partial = True
                return False
        self.at = found + len(begins) - 1
        self.ended = -1
        return True

    def _decode(self, record: int) -> int:
        """Return where the object that begins here ends. The window grows until it holds all of it."""
        while True:
            try:
                stop = decoded_end(self.text, self.at)
            except (ValueError, RecursionError) as error:
                if not self._may_go_on(error):
                    self._fail_decoding(error, record)
                self._grow()
                continue
            self._check_sizes(self.at, stop, record)
            return stop

    def _may_go_on(self, error: Exception) -> bool:
        """Whether the record may be complete with what lies behind the window."""
        if not isinstance(error, json.JSONDecodeError) or self.to_the_end:
            return False
        return error.pos > len(self.data) - LONGEST_TOKEN or error.msg.startswith("Unterminated string")

    def _grow(self) -> None:
        """Begin the window at the record, twice as long as before if it began there already."""
        if len(self.data) - self.at > scan.MAX_RECORD:
            self._fail_long(len(self.starts))
        if self.at == 0:
            self.window *= 2
        self._load(self.at)
        self._check_values(self.data, len(self.starts))

    def _fail_decoding(self, error: Exception, record: int) -> NoReturn:
        if isinstance(error, RecursionError):
            self._fail_deep(record)
        if isinstance(error, json.JSONDecodeError):
            error.pos -= self.at
            reach = self.text[self.at : self.at + error.pos] + self._peek(self.at + error.pos)
            fault = diagnosis.explain(error, reach)
        else:
            fault = diagnosis.explain_constant(self.text[self.at :])
        self.fail(fault.what, fault.remedy, at=self.at + fault.at, record=record)

    def _end(self) -> None:
        if self._skip_white() != "":
            what = f"the array is followed by {diagnosis.describe(self._peek(self.at))}"
            self.fail(what, "Keep one array in the file and nothing after it.")
        self._load(self.at)

    # The fast path.

    def _learn_separator(self) -> None:
        """Note what stands between the record that begins here and the record or bracket before it."""
        start = self.ended - self.base
        if start >= 0 and self.at - start <= _LONGEST_SEPARATOR:
            separator = self.data[start : self.at]
            self.separator = separator if self.starts else b"," + separator

    def _scan_fast(self) -> bool:
        """Add all records but the last of this window if they are certainly good. Return whether they are.

        A text that begins where a record does, is cut behind a closing brace, and in brackets is an array of values,
        was cut between two records: JSON is read from left to right, so what follows the cut does not change how the
        text before it is read.
        """
        rest = len(self.data) - self.at
        if rest < self.at or rest > _MOST_WINDOWS * scan.WINDOW:
            self.window = scan.WINDOW
            self._load(self.at)
        for cut in cuts(self.data, self.at, self.separator, nested=self.nested):
            piece = memoryview(self.data)[self.at : cut]
            lengths = self._fast_path(b"".join((b"[", piece, b"]"))) if self._fast_path else None
            if lengths is not None and self._add_objects(piece, np.array(lengths, np.int64)):
                self.at = cut + len(self.separator)
                self.ended = self.base + cut
                return True
            self.nested = True
        self.fast_path_failed_until = self.base + len(self.data) // 2 + 1
        return False

    def _add_objects(self, piece: memoryview, lengths: npt.NDArray[np.int64]) -> bool:
        """Add the records of a piece that holds values of these lengths. Return whether all are objects."""
        starts = begins(piece, lengths, self.separator)
        data = np.frombuffer(piece, np.uint8)
        if not (data[starts] == _BRACE).all():
            return False
        for nth in np.flatnonzero(lengths > min(2 * MAX_DEPTH, scan.MAX_RECORD)).tolist():
            start = self.at + int(starts[nth])
            stop = start + int(lengths[nth])
            if stop - start > scan.MAX_RECORD or self._many_brackets(start, stop):
                return False
        self._add_records(starts + (self.base + self.at), lengths)
        return True
