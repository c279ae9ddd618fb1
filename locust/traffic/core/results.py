"""The rows of a run's results, one for each attempt, as CSV (RFC 4180).

Guarded here: a row is one line whatever an API says, and no cell of what it says can be taken for a formula.
"""

from collections.abc import Sequence

from traffic.core.text import FORMULA, no_formula

OFF, FAILURES, ALL = "off", "failures", "all"
WHICH = (OFF, FAILURES, ALL)
COLUMNS = (
    *("index", "key", "attempt", "worker", "name", "method", "path", "due", "sent", "late_ms", "latency_ms"),
    *("service_ms", "connect_ms", "first_byte_ms", "status", "outcome", "bytes_out", "bytes_in", "error"),
)
OF_ANSWER = ("answer", "answer_base64")
KEPT, TRACE = "kept", "trace"
# So many bytes of rows go into one message: a record more, if it is longer.
BATCH_BYTES = 1 << 18
_QUOTED = frozenset(',"\r\n')


def columns_of(answers: str, keep: str, *, trace: bool = False) -> tuple[str, ...]:
    """Return the columns of a run's rows: those of the answers if some are kept, of a member of them, of the trace."""
    more = (*(OF_ANSWER if answers != OFF else ()), *((KEPT,) if keep else ()), *((TRACE,) if trace else ()))
    return (*COLUMNS, *more)


def header_of(columns: Sequence[str]) -> bytes:
    """Return the first line of a file with these columns."""
    return (",".join(columns) + "\r\n").encode()


def cell(text: str) -> str:
    """Return a text as a cell: quoted if that is necessary, and with an apostrophe before a formula."""
    if text.startswith(FORMULA) and not _is_number(text):
        text = no_formula(text)
    if _QUOTED.isdisjoint(text):
        return text
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
