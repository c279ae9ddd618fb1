"""Write counts and positions in words."""

from traffic.core.ranges import RangeSet


def name_positions(positions: RangeSet, most: int = 5) -> str:
    """Return `positions 40-59, 70`, cut short after `most` ranges."""
    shown = [f"{start}-{stop - 1}" if stop - start > 1 else f"{start}" for start, stop in positions]
    more = f" and {len(shown) - most} ranges more" if len(shown) > most else ""
    return f"position{'s' if positions.count > 1 else ''} {', '.join(shown[:most])}{more}"


def count_records(count: int) -> str:
    """Return `1 record`, `40 records`."""
    return f"{count} record{'' if count == 1 else 's'}"


def count_users(count: int) -> str:
    """Return `1 user`, `40 users`."""
    return f"{count} user{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """Return a text that a terminal can show: what is not printable, such as an escape sequence's first, is a space."""
    return "".join(char if char.isprintable() else " " for char in text)


# A spreadsheet takes a text that begins with one of these for a formula, and computes it (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def no_formula(text: str) -> str:
    """Return a text for a cell of a spreadsheet: with an apostrophe if it would be taken for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
