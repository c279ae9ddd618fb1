"""Scan one JSON array (RFC 8259) of objects, however it is laid out.

Guarded here: the file is that array and nothing else, or it is refused; then the first fault is the one that is
named.
"""

import json
import re
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from traffic.dataset import diagnosis, scan
from traffic.dataset.array_split import begins, cuts
from traffic.dataset.diagnosis import DatasetError
from traffic.dataset.formats import HEAD, csv_doubt
from traffic.dataset.scan import BOM, EXAMPLE, LONGEST_TOKEN, MAX_DEPTH, Scan, decoded_end

SHAPE = f"The file must hold one JSON array of objects, such as [{EXAMPLE}], or one object on each line, or CSV."

_WHITES = b" \t\n\r"
_WHITE = re.compile(rb"[ \t\n\r]*")
_LONGEST_JOINT = 64
_BRACE = ord("{")
# A text that is looked at at once holds no more windows: with many small records, it takes 50 times its memory.
_MOST_WINDOWS = 2


class ArrayScan(Scan):
    """A scan of an array. `joint` is what stood between the latest two records, a comma and white space."""

    joint = b","
    comma = 0
    # The end of the latest record, as an offset in the file.
    ended = 0
    # Up to this offset the quick way has been tried in vain.
    doubtful = 0
    nested = False

    def _read_records(self) -> None:
        self._open_array()
        while self._step():
            pass
        if not self.findings.count:
            self._end()

    def _step(self) -> bool:
        """Read a record, or see what is wrong with it; whether there may be another."""
        try:
            return self._next_record()
        except DatasetError as error:
            if error.record is None or self.hopeless:
                raise
            self.findings.add(error)
            # Else the record is good, and what follows it is not.
            within = len(self.starts) <= error.record
            while len(self.starts) <= error.record:
                self._note(self.base + self.at, 0)  # so that those behind it keep their numbers
            return self._pass_by(error.record, within=within)

    def _skip_white(self) -> str:
        """Move to the next character that is not white space; that character, "" at the end of the file."""
        while True:
            match = _WHITE.match(self.data, self.at)
            assert match  # the pattern matches nothing, too
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
                "Put [ before it and ] after it; where the records are a list inside it, leave only that list. "
                "A file of one object a line is told by a second line, or by a name that ends with .jsonl."
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
        """Read one record and the comma or bracket behind it; whether a comma was there. Or many records at once."""
        seen = self._skip_white()
        if seen == "{":
            self._learn_joint()
            if self._quick is not None and self.base + self.at >= self.doubtful and self._scan_fast():
                return True
        record = len(self.starts)
        if seen != "{":
            self._fail_record(seen, record)
        stop = self._decode(record)
        self._note(self.base + self.at, stop - self.at)
        self.at = stop
        self.ended = self.base + stop
        return self._after_record(record)

    def _after_record(self, record: int) -> bool:
        seen = self._skip_white()
        if seen not in (",", "]"):
            self._fail_after_record(seen, record)
        return self._step_over(seen)

    def _step_over(self, seen: str) -> bool:
        """Move behind the comma or bracket that stands here; whether it is a comma."""
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

    def _pass_by(self, record: int, *, within: bool) -> bool:
        """Go on behind a fault; whether there may be another record.

        Where a comma is missing, or a value, or where there is a value that is no object, what follows is certain.
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
        """Move behind the value that stands here; whether it is one."""
        while True:
            try:
                stop = self._decode(record)
            except DatasetError:
                if self.hopeless:
                    raise
                return False
            if stop < len(self.data) - LONGEST_TOKEN or self.to_the_end:
                self.at = stop
                self.ended = self.base + stop
                return True
            self._grow()  # what looks like a number may be the beginning of one

    def _resume(self, record: int) -> bool:
        """Find the next record after a fault in this one; whether there is one, as far as can be told.

        Where the record begins a line, the next line that begins as it does begins one; where it does not, nobody can
        tell, and the file is read no further.
        """
        start = self.starts[record]
        before = self._read(max(0, start - _LONGEST_JOINT), min(start, _LONGEST_JOINT))
        white = before[len(before.rstrip(_WHITES)) :]
        at = white.rfind(b"\n")
        if at < 0:
            self.findings.partial = True
            return False
        begins = white[at:] + b"{"
        while (found := self.data.find(begins, self.at)) < 0:
            if self.to_the_end:
                return False
            self.window = scan.WINDOW + len(begins)
            try:
                self._load(len(self.data) - len(begins) + 1)
            except DatasetError as error:
                self.findings.add(error)
                self.findings.partial = True
                return False
        self.at = found + len(begins) - 1
        self.ended = -1
        return True

    def _decode(self, record: int) -> int:
        """Where the object that begins here ends; the window grows until it holds it whole."""
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
        """Whether the record may be whole after all, with what lies behind the window."""
        if not isinstance(error, json.JSONDecodeError) or self.to_the_end:
            return False
        return error.pos > len(self.data) - LONGEST_TOKEN or error.msg.startswith("Unterminated string")

    def _grow(self) -> None:
        """Begin the window at the record, twice as long as before where the record began the window already."""
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

    # The quick way.

    def _learn_joint(self) -> None:
        """Note what stands between the record that begins here and the one before it, or the array's bracket."""
        start = self.ended - self.base
        if start >= 0 and self.at - start <= _LONGEST_JOINT:
            joint = self.data[start : self.at]
            self.joint = joint if self.starts else b"," + joint

    def _scan_fast(self) -> bool:
        """Take in all records but the last of this window, if they are good beyond doubt; whether they are.

        A text that begins where a record does, is cut behind a closing brace, and is an array of values once it
        stands in brackets, was cut between two records: JSON is read from left to right, so what follows the cut
        has no say in how the text before it is to be read.
        """
        rest = len(self.data) - self.at
        if rest < self.at or rest > _MOST_WINDOWS * scan.WINDOW:
            self.window = scan.WINDOW
            self._load(self.at)
        for cut in cuts(self.data, self.at, self.joint, nested=self.nested):
            piece = memoryview(self.data)[self.at : cut]
            lengths = self._quick(b"".join((b"[", piece, b"]"))) if self._quick else None
            if lengths is not None and self._take_in(piece, np.array(lengths, np.int64)):
                self.at = cut + len(self.joint)
                self.ended = self.base + cut
                return True
            self.nested = True
        self.doubtful = self.base + len(self.data) // 2 + 1
        return False

    def _take_in(self, piece: memoryview, lengths: npt.NDArray[np.int64]) -> bool:
        """Note the records of a piece of the file that holds values of these lengths; whether all are objects."""
        starts = begins(piece, lengths, self.joint)
        data = np.frombuffer(piece, np.uint8)
        if not (data[starts] == _BRACE).all():
            return False
        for nth in np.flatnonzero(lengths > min(2 * MAX_DEPTH, scan.MAX_RECORD)).tolist():
            start = self.at + int(starts[nth])
            stop = start + int(lengths[nth])
            if stop - start > scan.MAX_RECORD or self._many_brackets(start, stop):
                return False
        self._note_all(starts + (self.base + self.at), lengths)
        return True
