"""Where an API says how many records it has: the path of a resource, and a number in it."""

import re
from dataclasses import dataclass

_SOURCE = re.compile(r"(/[!-~]*)(?:\s+((?:/\S*)?))?")


class AuditSourceError(ValueError):
    """A text that names no source; the error's text is the rule that it breaks."""


@dataclass(frozen=True, slots=True)
class AuditSource:
    """The `path` below the host, and the JSON Pointer of the number in the answer; empty: the answer is the number."""

    path: str
    pointer: str

    def __str__(self) -> str:
        return f"{self.path} {self.pointer}".rstrip()

    @classmethod
    def read(cls, text: str) -> "AuditSource":
        """Read what a person wrote. AuditSourceError if it names no source."""
        found = _SOURCE.fullmatch(text.strip())
        if found is None:
            raise AuditSourceError("must be a path and a JSON Pointer, such as /messages/count /total")
        return cls(found[1], found[2] or "")
