"""What the headers of a request may be: which a person may set, which belong to a connection, and which are secret.

Guarded here: no name or value that could end a field, or the head, early is ever sent (RFC 9110 5.5, RFC 9112 11.1).
"""

import re
from collections.abc import Iterable

Field = tuple[str, str]

# A token of HTTP (RFC 9110 5.6.2), such as a method or the name of a header: its characters, one or more.
TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
KEY, WORKER = "Idempotency-Key", "Traffic-Worker"
# What a request says of itself if nobody else does.
USER_AGENT = ("User-Agent", "traffic-replayer")
JSON_CONTENT = ("Content-Type", "application/json")
# The key that a recorded request had: the run's own stands in its place.
RECORDED_KEY = "Recorded-Idempotency-Key"
# What every request of a run has, and nobody else may set.
OURS = frozenset({KEY.lower(), WORKER.lower()})
# Fields that say where a request goes and how its body ends.
FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})
# Fields that belong to one connection (RFC 9110 7.6.1), or to the way in which a request was sent there.
HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "http2-settings", "expect"),
    }
)
MASK = "•••"
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "x-csrf-token", "x-xsrf-token"})
_SECRET_PART = re.compile(r"token|secret|password|api-?key|auth(?!or)|session|credential", re.IGNORECASE)
_NAME = re.compile(TCHARS)
# A value is Latin-1 to HTTP; control characters but the tab are none.
_NO_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


def fault(name: str, value: str) -> str:
    """Return why a field cannot be sent; empty if it can."""
    if not _NAME.fullmatch(name):
        return f"{name[:40]!r} cannot be the name of a header"
    bad = _NO_VALUE.search(value)
    if bad:
        what = "a line break" if bad[0] in "\r\n" else "NUL" if bad[0] == "\0" else repr(bad[0])
        return f"the header {name} holds {what}, which cannot be sent"
    return ""


def is_secret(name: str) -> bool:
    """Whether a field of this name carries credentials, by what such names have in common."""
    return name.lower() in _SECRET or bool(_SECRET_PART.search(name))


def masked(name: str, value: str) -> str:
    """Return a field's value for people: of a secret, only its scheme and that there is one."""
    if not is_secret(name):
        return value
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and name.lower() == "authorization" else MASK


def has_field(fields: Iterable[Field], name: str) -> bool:
    """Whether one of the fields has this name."""
    wanted = name.lower()
    return any(own.lower() == wanted for own, _ in fields)


def recorded(fields: Iterable[Field], *, keep_host: bool = False) -> list[Field]:
    """Return the fields of a recorded request that are sent again: without those of its connection and its framing.

    Its own idempotency key gets another name. Pseudo-fields of HTTP/2, which begin with a colon, are left out.
    """
    listed = [(name.strip(), value.strip(" \t")) for name, value in fields]
    named = {
        part.strip().lower() for name, value in listed if name.lower() == "connection" for part in value.split(",")
    }
    gone = (HOP_BY_HOP | FRAMING | {WORKER.lower()} | named) - ({"host"} if keep_host else set())
    return [
        (RECORDED_KEY if name.lower() == KEY.lower() else name, value)
        for name, value in listed
        if name.lower() not in gone and not name.startswith(":")
    ]


def read_lines(text: str) -> tuple[Field, ...]:
    """Read headers, one `Name: value` on each line; blank lines and those that begin with # say nothing.

    ValueError, naming the line but no value, if one is none, or one that nobody may set.
    """
    made = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon:
            raise ValueError(f"line {number} is no header: it has no colon between a name and a value")
        why = fault(name, value)
        if why:
            raise ValueError(f"line {number}: {why}")
        if name.lower() in OURS | FRAMING | HOP_BY_HOP:
            raise ValueError(f"line {number}: {name} is set by the run itself")
        made.append((name, value))
    return tuple(made)


def merged(*lists: Iterable[Field]) -> list[Field]:
    """Return the fields of all lists; one of a later list takes the place of all of its name in the lists before."""
    made: list[Field] = []
    for fields in lists:
        later = list(fields)
        names = {name.lower() for name, _ in later}
        made = [field for field in made if field[0].lower() not in names] + later
    return made
