"""Explains what is wrong with a traffic file to people who write such files by hand.

The decoder names the token that it expected, in other words in each Python release. People make a few typical mistakes:
a message should name the mistake, its place, and what to write instead.

A text here is Latin-1: one character for each byte of the file.
"""

import re
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path

from traffic.core.records import UnreadableError
from traffic.errors import RefusedError

_KINDS = {'"': "a string", "[": "an array", "{": "an object"}
_WORD = re.compile(r"[^][{}:,\" \t\n\r]+")
_NUMBER = re.compile(r"[-+.]*[0-9][-+.\w]*", re.ASCII)
# Atomic, so that a string of any length costs no stack.
_STRING_OR_CONSTANT = re.compile(r'"(?>[^"\\]+|\\.)*"|-?Infinity|NaN', re.DOTALL)
_STRING_OR_BRACKET = re.compile(r'"(?>[^"\\]+|\\.)*"|[][{}]', re.DOTALL)
_COMMENTS = ("//", "/*")
_WHITE = " \t\n\r"
_CONTROLS = {"\n": ("a line break", r"\n"), "\r": ("a line break", r"\r"), "\t": ("a tab", r"\t")}
_FOREIGN = {"True": "true", "False": "false", "None": "null", "undefined": "null", "nil": "null"}
# A text must reach this far beyond the fault, or to the end of the file.
LOOKAHEAD = 64


class DatasetError(RefusedError, UnreadableError):
    """A traffic file that cannot be replayed: the place, the rule, and what to do.

    `record` counts from 0, `line` and `column` (in characters) from 1; each is None if the fault has no such place.
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
        super().__init__(f"{place}: {self._sentence}")

    @property
    def _sentence(self) -> str:
        subject = "" if self.record is None else f"record {self.record} (counted from 0) "
        return f"{subject}{self.what}. {self.remedy}"

    @property
    def without_file(self) -> str:
        """The text without the file's name, for a list of faults."""
        return self._sentence if self.line is None else f"line {self.line}, column {self.column}: {self._sentence}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake at the character `at` of a text: `what` continues "record 7 ...", `remedy` is a sentence."""

    at: int
    what: str
    remedy: str


def describe(text: str, whole: str = "file") -> str:
    """Return which JSON value, or what else, a text begins with."""
    if not text:
        return f"the end of the {whole}"
    if text[0] in _KINDS:
        return _KINDS[text[0]]
    if text[:2] in _COMMENTS:
        return "a comment (JSON has none)"
    match = _WORD.match(text)
    word = match[0] if match else text[0]
    if _NUMBER.fullmatch(word):
        return f"a number ({word[:12]})"
    return word if word in ("true", "false", "null") else _quoted(word)


def depth(text: str) -> int:
    """Return how many levels deep a valid JSON value is nested."""
    deepest = level = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            level += 1
            deepest = max(deepest, level)
        elif match[0] in "]}":
            level -= 1
    return deepest


def explain_constant(text: str) -> Fault:
    """Return the first NaN or Infinity of a text that is a JSON value but for these."""
    match = next(match for match in _STRING_OR_CONSTANT.finditer(text) if match[0][0] != '"')
    return Fault(match.start(), f"holds {match[0]}, which is no JSON number", "Write null, or a number in digits.")


def explain(error: JSONDecodeError, text: str, whole: str = "file") -> Fault:
    """Return why a text, an object from its brace on, was not decoded.

    It reaches beyond the fault, or to the end of what should hold the object, the `whole`.
    """
    at, message = min(error.pos, len(text)), error.msg.lower()
    if message.startswith("unterminated"):
        remedy = f'Was the {whole} cut short? If not, close the string with ", and write a quote within it as \\".'
        return Fault(at, f"holds a string that has no closing quote before the {whole} ends", remedy)
    if at == len(text) or (len(text) - at < LOOKAHEAD and _WORD.fullmatch(text, at)):
        remedy = f"Was the {whole} cut short? Add what is missing."
        return Fault(len(text), f"is not finished where the {whole} ends", remedy)
    if "control character" in message:
        return _control_character(text, at)
    if "escape" in message:
        return _escape(text, text.rindex("\\", 0, at + 1))
    return _trailing_comma(text, at) or _number(message, text, at) or _missing_token(message, text, at)


def _control_character(text: str, at: int) -> Fault:
    code = f"{ord(text[at]):02x}"
    name, escape = _CONTROLS.get(text[at], (f"the control character 0x{code}", f"\\u00{code}"))
    return Fault(at, f"holds {name} inside a string", f"Write it as {escape}.")


def _escape(text: str, at: int) -> Fault:
    if text[at + 1] == "u":
        digits = text[at + 2 : at + 6]
        what = f"holds \\u followed by {_quoted(digits)}, not by four hexadecimal digits"
        return Fault(at, what, "Write four of them, as in \\u00f1; a backslash itself is written \\\\.")
    what = f"holds a backslash followed by {_quoted(text[at + 1 : at + 5], most=1)}, which is no escape of JSON"
    remedy = 'The escapes are \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX; a backslash itself is written \\\\.'
    return Fault(at, what, remedy)


def _trailing_comma(text: str, at: int) -> Fault | None:
    """Find a comma before a closing bracket; the decoder points at the comma, or at the bracket."""
    comma = at if text[at] == "," else len(text[:at].rstrip(_WHITE)) - 1
    closing = text[comma + 1 :].lstrip(_WHITE)[:1]
    if text[comma] != "," or closing not in ("}", "]"):
        return None
    return Fault(comma, f"has a comma before the closing {closing}", "Remove the comma.")


def _number(message: str, text: str, at: int) -> Fault | None:
    """Find a number that is no JSON number, such as 01, +1, .5, 1., 0x1F; the decoder points at or into it."""
    start = at
    while text[start - 1] in "+-.0123456789":
        start -= 1
    match = _NUMBER.match(text, start) or (_WORD.match(text, start) if text[start] == "-" else None)
    if match is None or match.end() <= at or (start == at and "value" not in message):
        return None
    remedy = "Write numbers such as 12, -0.5 or 1e6; anything else in double quotes."
    return Fault(start, f"holds {_quoted(match[0])}, which is no JSON number", remedy)


def _missing_token(message: str, text: str, at: int) -> Fault:
    seen = describe(text[at:])
    if text[at] == "'":
        return Fault(at, "has a text in single quotes", 'Write it in double quotes: "text".')
    if text[at : at + 2] in _COMMENTS:
        return Fault(at, "holds a comment, which JSON does not have", "Remove it.")
    if "property name" in message:
        remedy = 'A field is written "name": value, its name in double quotes.'
        return Fault(at, f"has {seen} where the name of a field should be", remedy)
    if "':'" in message:
        return Fault(at, f"has {seen} where a colon should be", 'A field is written "name": value.')
    if "','" in message:
        remedy = 'Put a comma between two fields; a quote within a string is written \\".'
        if text[at] in "]}":
            remedy = "Close what is open: each { with a }, each [ with a ]."
        return Fault(at, f"has {seen} where a comma or a closing bracket should be", remedy)
    match = _WORD.match(text, at)
    word = _FOREIGN.get(match[0]) if match else None
    remedy = f"Write {word}." if word else 'A value is "text", a number, true, false, null, an object or an array.'
    return Fault(at, f"has {seen} where a value should be", remedy)


def _quoted(text: str, most: int = 12) -> str:
    """Return the first characters of a piece of the file, for people."""
    shown = text.encode("latin-1").decode("utf-8", "replace")[:most]
    return f"'{shown}'" if shown.isprintable() else repr(shown)
