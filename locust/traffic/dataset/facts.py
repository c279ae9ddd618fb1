"""What was found out about a traffic file as it was read, beside its records: for people, and kept in the cache."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from traffic.core.reading import DELIMITERS


@dataclass(frozen=True, slots=True)
class FileFacts:
    """`compression`, `encoding` and `delimiter` are empty if there is none, or the usual one (UTF-8).

    `left_out` says what was left out of the file, in the plural and in the singular, and how many. `types` has
    the types of CSV's columns if they were found out, `hints` remarks for a person.
    """

    compression: str = ""
    encoding: str = ""
    delimiter: str = ""
    left_out: tuple[tuple[str, str, int], ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    hints: tuple[str, ...] = ()

    def describe(self, label: str) -> str:
        """Return the format for people, such as "CSV with a header, semicolons, gzip"."""
        delimiter = f"{DELIMITERS[self.delimiter]}s" if self.delimiter else ""
        return ", ".join(part for part in (label, delimiter, self.encoding, self.compression) if part)

    def warnings(self, file: Path | str) -> Iterator[str]:
        """Return a line for a person for everything that is not as one would expect."""
        for many, one, count in self.left_out:
            yield f"{file}: {count} {one if count == 1 else many}"
        for hint in self.hints:
            yield f"{file}: {hint}"

    def to_json(self) -> dict[str, Any]:
        """Return the facts as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FileFacts":
        """Read what `to_json` returns. TypeError or ValueError if it is something else."""
        left_out = tuple((str(many), str(one), int(count)) for many, one, count in data.pop("left_out", ()))
        types = tuple((str(column), str(kind)) for column, kind in data.pop("types", ()))
        return cls(left_out=left_out, types=types, hints=tuple(map(str, data.pop("hints", ()))), **data)


NO_FACTS = FileFacts()
