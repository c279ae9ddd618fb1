"""Describe how a run ended: the same words and colour on the page, in lists, on paper and in the terminal.

Guarded here: green is shown only if every record was delivered, the target's audit does not disagree, and every check
has passed.
"""

from typing import Any, TypedDict

from traffic.core.master.checks import failed_checks
from traffic.core.master.event_log import Level
from traffic.core.master.run_state import RunState
from traffic.core.text import count_records

ENDED = frozenset(state for state in RunState if state.ended)
_LEVELS: dict[str, Level] = {
    RunState.PAUSED: "warning",
    RunState.STOPPING: "warning",
    RunState.CUT_OFF: "warning",
    RunState.FAILED: "bad",
    RunState.UNKNOWN: "bad",
}
_SENTENCES = {
    RunState.READY: "Ready to start a run.",
    RunState.READING: "The traffic file is being read and checked; nothing has been sent.",
    RunState.RUNNING: "Records are going out.",
    RunState.PAUSED: "Nothing is going out.",
    RunState.STOPPING: "Stopping: answers that are on their way are waited for.",
    RunState.STOPPED: "Stopped before every record had its outcome.",
    RunState.FAILED: "The run could not go on.",
}


class Verdict(TypedDict):
    """A run's end or state: `text` for a chip or a heading ("completed, 600 rejected"), and a full `sentence`."""

    text: str
    level: Level
    sentence: str


def verdict(run_status: dict[str, Any]) -> Verdict:
    """Return how a status, a report or a row of the list of runs is shown."""
    return {"text": _text(run_status), "level": _level(run_status), "sentence": _sentence(run_status)}


def all_delivered(run_status: dict[str, Any]) -> bool:
    """Whether every record was delivered."""
    counts = run_status["counts"]
    return bool(counts.get("delivered", -1) == counts.get("records"))


def succeeded(run_status: dict[str, Any]) -> bool:
    """Whether every record was delivered and the API's audit, if it offers one, agrees."""
    return all_delivered(run_status) and not _audit_disagrees(run_status)


def disagreement(audit: dict[str, Any], counts: dict[str, int]) -> str:
    """Return how an audit contradicts the counts of a report; empty if it does not.

    The API must have all that was delivered, except what was settled before the run was sent to it (`elsewhere`). It
    may have what was rejected or is in doubt.
    """
    if audit.get("error"):
        return f"what it has cannot be read: {audit['error']}"
    stored, lacks = audit["stored"], missing(audit, counts)
    most = counts["delivered"] + counts["in_doubt"] + counts["rejected"]
    if lacks:
        return f"{_were(lacks, 'delivered')}, and the API has not stored {_them(lacks)}"
    if stored > most:
        return f"the API has stored {count_records(stored - most)} more than it can have been sent"
    return ""


def missing(audit: dict[str, Any], counts: dict[str, int]) -> int:
    """Return how many records an API has not stored that it must have by a report's counts."""
    return max(0, counts["delivered"] - int(audit.get("elsewhere", 0)) - int(audit["stored"]))


def audit_sentence(run_status: dict[str, Any]) -> str:
    """Return how the API's audit contradicts a report; empty if it does not, or there is no audit."""
    if not _audit_disagrees(run_status):
        return ""
    how = disagreement(run_status["audit"], run_status["counts"])
    return f"The API's own audit does not agree with the report{f': {how}' if how else ''}."


def _audit_disagrees(run_status: dict[str, Any]) -> bool:
    audit = run_status.get("audit")
    return audit is not None and not audit["agrees"]


def _text(run_status: dict[str, Any]) -> str:
    counts = run_status.get("counts")
    if run_status["state"] not in ENDED or counts is None:
        return str(run_status["state"])
    lost = [f"{counts[name]} {name.replace('_', ' ')}" for name in ("rejected", "in_doubt") if counts.get(name)]
    audit = ["audit disagrees"] if _audit_disagrees(run_status) else []
    failed = len(failed_checks(run_status))
    checks = [f"{failed} check{'' if failed == 1 else 's'} failed"] if failed else []
    return ", ".join([run_status["state"], *lost, *audit, *checks])


def _level(run_status: dict[str, Any]) -> Level:
    state = run_status["state"]
    if state not in ENDED or state in _LEVELS or run_status.get("counts") is None:
        return _LEVELS.get(state, "warning" if state in ENDED else "info")
    return "good" if succeeded(run_status) and not failed_checks(run_status) else "warning"


def _sentence(run_status: dict[str, Any]) -> str:
    counts, sentence = run_status.get("counts"), _SENTENCES.get(run_status["state"], "")
    if run_status["state"] == RunState.COMPLETED and counts is not None:
        sentence = _completed(counts)
    failed = [one["check"] for one in failed_checks(run_status)] if run_status["state"] in ENDED else []
    checks = f"Not within the bounds: {'; '.join(failed)}." if failed else ""
    return " ".join(filter(None, [sentence, audit_sentence(run_status), checks]))


def _completed(counts: dict[str, int]) -> str:
    missing = counts.get("records", 0) - counts.get("delivered", 0)
    if not missing:
        return "Every record was delivered."
    return f"Every record has its outcome, and {missing} {'was' if missing == 1 else 'were'} not delivered."


def _were(count: int, what: str) -> str:
    return f"{count_records(count)} {'was' if count == 1 else 'were'} {what}"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
