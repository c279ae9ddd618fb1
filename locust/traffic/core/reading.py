"""How a traffic file is to be read, as far as its content leaves that open or a person knows better.

The same file read in another way is another set of records, so a run keeps this in its journal, and the cache in the
names of its files.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

# What may stand between CSV's fields, and what people call it.
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# What the cells of a CSV column may be; with a `?`, an empty cell is null.
CELL_TYPES = ("string", "number", "boolean", "json")
NULL, AUTO = "null", "auto"
# What --traffic-time names if the records are whole requests.
TIME = "time"
# What the records of a file are.
BODIES, REQUESTS = "bodies", "requests"


@dataclass(frozen=True, slots=True)
class Reading:
    """`delimiter` is what stands between CSV's fields; empty: as the file looks.

    `csv_types` are pairs of a column and its type: one of CELL_TYPES, perhaps with `?`, or `null` for `string?`; the
    column "" with `auto` means all others. `csv_body` is the column whose cell is the record; empty: the row is.

    `records` says whether the records are bodies, or whole requests; of these, `methods` are sent (empty: all, but of
    an access log only GET and HEAD), with the Host that was recorded if `keep_host`. `path` is a template of the path
    for bodies, which are sent by `method`; empty: all go to one path. `stamp` is a member that no record may have yet.
    """

    delimiter: str = ""
    csv_types: tuple[tuple[str, str], ...] = ()
    csv_body: str = ""
    records: str = BODIES
    methods: tuple[str, ...] = ()
    keep_host: bool = False
    path: str = ""
    method: str = ""
    stamp: str = ""

    @property
    def of_csv(self) -> bool:
        """Whether it says anything that only CSV has."""
        return bool(self.delimiter or self.csv_types or self.csv_body)

    @property
    def makes_requests(self) -> bool:
        """Whether each record is a whole request (`core/request_record`), and not only a body."""
        return self.records == REQUESTS or bool(self.path)

    @property
    def key(self) -> str:
        """A short name for it, the same on every machine; empty if it leaves everything to the file."""
        return "" if self == Reading() else hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return what differs from the default as a JSON object."""
        plain = Reading()
        said = {name: value for name, value in asdict(self).items() if value != getattr(plain, name)}
        return json.dumps(said, sort_keys=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Reading":
        """Read the object that `to_json` makes. TypeError or ValueError if it is another.

        A member that this release does not know is an error: the file would be read in another way than it was.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ValueError(f"the file was read in a way that this release does not know ({', '.join(unknown)})")
        types = tuple((str(column), str(kind)) for column, kind in data.get("csv_types", ()))
        return cls(**{**data, "csv_types": types, "methods": tuple(map(str, data.get("methods", ())))})


PLAIN = Reading()
"""Everything is left to the file, whose records are bodies."""
