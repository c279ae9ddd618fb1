"""Read received values: each reader checks a value and returns it with its type.

Guarded here: a value of another type is never accepted. A reader raises ProtocolError, and names what was expected
and what was received.
"""

from typing import Any

from traffic.core.ranges import Range

MOST = 2**53 - 1
LONGEST = 1 << 16


class ProtocolError(Exception):
    """A message is not what its type promises."""


def whole(value: Any) -> int:
    """Read a whole number from 0 to 2^53 - 1, so that JavaScript can read it and sums do not overflow."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST:
        return value
    raise ProtocolError(f"expected a whole number from 0 to 2^53 - 1, got {value!r:.40}")


def number(value: Any) -> float:
    """Read any number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ProtocolError(f"expected a number, got {value!r:.40}")


def positive(value: Any) -> float:
    """Read a number above 0, up to 2^53 - 1."""
    if (read := number(value)) > 0 and read <= MOST:
        return read
    raise ProtocolError(f"expected a positive number, got {value!r:.40}")


def text(value: Any) -> str:
    """Read a text of at most `LONGEST` characters."""
    if isinstance(value, str) and len(value) <= LONGEST:
        return value
    raise ProtocolError(f"expected text of at most {LONGEST} characters, got {value!r:.40}")


def flag(value: Any) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    raise ProtocolError(f"expected true or false, got {value!r:.40}")


def raw(value: Any) -> bytes:
    """Read bytes."""
    if isinstance(value, bytes):
        return value
    raise ProtocolError(f"expected bytes, got {value!r:.40}")


def many(value: Any) -> list[Any]:
    """Read a list of anything."""
    if isinstance(value, list | tuple):
        return list(value)
    raise ProtocolError(f"expected a list, got {value!r:.40}")


def many_raw(value: Any) -> tuple[bytes, ...]:
    """Read a list of bytes."""
    values = many(value)
    if set(map(type, values)) <= {bytes}:
        return tuple(values)
    return tuple(map(raw, values))


def ranges(value: Any) -> tuple[Range, ...]:
    """Read a list of pairs, each the start and the stop of a range, in their order and with a gap between them."""
    made: list[Range] = []
    for pair in many(value):
        start, stop = (whole(end) for end in many(pair))
        if start >= stop or (made and start <= made[-1][1]):
            raise ProtocolError(f"ranges out of order or empty at {start}-{stop}")
        made.append((start, stop))
    return tuple(made)


def field(data: Any, name: str) -> Any:
    """Read the value that a dict has under `name`."""
    if not isinstance(data, dict) or name not in data:
        raise ProtocolError(f"{name!r} is missing")
    return data[name]


def plain(value: Any) -> Any:
    """Return a value as msgpack can carry it."""
    if hasattr(value, "to_wire"):
        return value.to_wire()
    return [plain(one) for one in value] if isinstance(value, tuple) else value
