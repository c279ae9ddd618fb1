"""Write the report and the progress as plain text, for logs, files and pipes."""

import logging
from typing import Any

from traffic.core.master.verdict import disagreement, verdict
from traffic.core.master.worker_table import REPORT_FIGURES, WORKER
from traffic.core.text import count_records, printable

# Marks a log record that repeats what the live line shows. The record of the report has the report as `report`.
ON_LIVE_LINE = {"on_live_line": True}
FIGURE_WIDTH = 9
# A report lists so many groups of dead letters, each with so many characters of what the API said.
MOST_GROUPS, SAID = 5, 100


def not_on_live_line(record: logging.LogRecord) -> bool:
    """Return whether a log record is shown above a live line."""
    return not getattr(record, "on_live_line", False)


def report_of(record: logging.LogRecord) -> dict[str, Any] | None:
    """Return the delivery report that a log record carries; None if it carries none."""
    return getattr(record, "report", None)


def refusal(error: Exception) -> dict[str, Any]:
    """Marks a line of the log that says why a start is refused."""
    return {"refusal": str(error)}


def refusal_of(record: logging.LogRecord) -> str | None:
    """Why a start is refused, if a line of the log says so."""
    return getattr(record, "refusal", None)


def settled(counts: dict[str, int]) -> int:
    """Return how many records have their outcome, by the counts of a status."""
    return counts["records"] - counts["pending"] - counts["leased"]


def progress_line(status: dict[str, Any]) -> str:
    """Return the progress of a run as one line."""
    counts = status["counts"]
    done = settled(counts)
    share = 100 * done // counts["records"]
    eta = "" if status["eta_s"] is None else f", about {status['eta_s']:.0f} s to go"
    failed = counts["rejected"] + counts["in_doubt"]
    bad = f", {failed} not delivered" if failed else ""
    return f"progress: {done} of {count_records(counts['records'])} ({share}%){bad}, {rate(status['rate'])}{eta}"


def report_table(report: dict[str, Any]) -> str:
    """Return the delivery report as several lines of text."""
    counts, reason = report["counts"], report["reason"]
    attempts = f"{counts['attempts']} attempt{'' if counts['attempts'] == 1 else 's'}, {repeats(counts)}"
    lines = [
        f"delivery report, run {report['run']}: {verdict(report)['text']}{f': {reason}' if reason else ''}",
        f"  {count_records(counts['records'])} = {counts['delivered']} delivered + {counts['rejected']} rejected"
        f" + {counts['in_doubt']} in doubt + {counts['unsent']} unsent",
        f"  {attempts}; {report['seconds']} s, {rate(report['rate'])}",
        *_timing_lines(report.get("timings"), paced=bool(report.get("pace"))),
        *_target_lines(report.get("target"), report.get("users"), report.get("pace")),
        *map(_resumption_line, report["resumed"]),
        *_results_lines(report.get("results")),
        *(f"  {check_line(one)}" for one in report.get("checks") or ()),
        *_dead_letter_lines(report.get("dead_letters")),
        *_worker_lines(report["workers"]),
        *(f"  {row['id']}: {row['trouble']}" for row in report["workers"] if row.get("trouble")),
        _audit_line(report["audit"], counts),
    ]
    return "\n".join(lines)


def _timing_lines(timings: dict[str, Any] | None, *, paced: bool) -> list[str]:
    """Return a line of response times, and in a run with a pace one of service times; none if none are known."""
    if not timings:
        return []
    lines = [f"  response times: {_percentiles(timings['response'])}"]
    return [*lines, f"  of them at the API: {_percentiles(timings['service'])}"] if paced else lines


def _results_lines(results: dict[str, Any] | None) -> list[str]:
    """Return the line of the rows of results; none if the run wants none."""
    if results is None:
        return []
    lost = f"; {results['lost']} more are lost, which their workers could not hand in" if results["lost"] else ""
    return [f"  results: {results['rows']} rows in {results['file']}{lost}"]


def check_line(one: dict[str, Any]) -> str:
    """Write how a check stands: `the check latency.p(99) < 250 has failed: it is 312`."""
    how = "has passed" if one["passed"] else "has failed"
    return f"the check {one['check']} {how}: {check_value(one)}"


def check_value(one: dict[str, Any]) -> str:
    """Write what was measured for a check."""
    return "it was not measured" if one["value"] is None else f"it is {one['value']:g}"


def _percentiles(times: dict[str, float]) -> str:
    named = (("half", "p50"), ("90%", "p90"), ("99%", "p99"))
    within = ", ".join(f"{name} within {milliseconds(times[member])}" for name, member in named)
    return f"{within}, the longest {milliseconds(times['max'])}"


def milliseconds(seconds: float) -> str:
    """Write how long something took: in milliseconds below a second."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{1000 * seconds:.3g} ms"


def _dead_letter_lines(dead: dict[str, Any] | None) -> list[str]:
    """Return the largest groups of dead letters, a line each; none if the report is of a release without groups."""
    if not dead or not dead["groups"]:
        return []
    lines = [f"  {group_line(one, SAID)}" for one in dead["groups"][:MOST_GROUPS]]
    left = sum(one["count"] for one in dead["groups"][MOST_GROUPS:]) + dead["others"]["count"]
    return [*lines, f"  {left} more dead letters in smaller groups"] if left else lines


def group_line(one: dict[str, Any], said: int) -> str:
    """Write a group of dead letters, with so many characters of what the API said."""
    what = one["status"] or one["outcome"].replace("_", " ")
    says = f" {printable(one['says'][:said])}" if one["says"] else ""
    return f"{one['count']} x {what}{says} (group {one['group']}; one of them is record {one['example']})"


def _target_lines(target: dict[str, str] | None, users: int | None, pace: dict[str, Any] | None) -> list[str]:
    """Return the line of the target and the users; none if the report is of a release that did not note them."""
    if target is None:
        return []
    by = f", by {users} user{'' if users == 1 else 's'}" if users else ""
    at = f", at {pace['profile']}" if pace else ""
    return [f"  {target['method'] or 'whole requests to'} {target['host']}{target['path']}{by}{at}"]


def rate(value: float) -> str:
    """Write a rate, in records a second."""
    return f"{value:.1f}".removesuffix(".0") + "/s"


def repeats(counts: dict[str, int]) -> str:
    """Write how many attempts were repeats, and how many may have been: `0 of them repeats (74 possibly)`."""
    maybe = counts.get("maybe_resent", 0)
    return f"{counts['resent']} of them repeats{f' ({maybe} possibly)' if maybe else ''}"


def _resumption_line(one: dict[str, Any]) -> str:
    again = one.get("resent_dead_letters", 0)
    sent = f", and {again} dead letter{'' if again == 1 else 's'} to be sent again" if again else ""
    moved = f", at {one['host']} from then on" if one.get("host") else ""
    return f"  resumed at {one['at']}, with {one['settled']} settled{sent}{moved}"


def _worker_lines(workers: list[dict[str, Any]]) -> list[str]:
    columns = (WORKER, *REPORT_FIGURES)
    lines = [[column.heading for column in columns], *([column.write(row) for column in columns] for row in workers)]
    name_width = max(len(line[0]) for line in lines)
    widths = [name_width, *(max(FIGURE_WIDTH, len(column.heading)) for column in REPORT_FIGURES)]
    aligns = [">" if column.to_right else "<" for column in columns]
    return [
        "".join(f"  {text:{align}{width}}" for text, align, width in zip(line, aligns, widths, strict=True))
        for line in lines
    ]


def _audit_line(audit: dict[str, Any] | None, counts: dict[str, int]) -> str:
    if audit is None:
        return "  the target offers no audit: this report rests on its answers alone"
    how = "" if audit["agrees"] else disagreement(audit, counts)
    so = "agrees with this report" if audit["agrees"] else "DOES NOT AGREE with this report" + (how and f": {how}")
    if audit.get("source"):
        if audit.get("error"):
            return f"  the target's {audit['source']}: {so}"
        grown = f"{audit['before']} before the run, {audit['after']} after it"
        return f"  the target's {audit['source']}: {grown}, {audit['stored']} more; that {so}"
    return f"  the target's audit: {audit['stored']} stored of {audit.get('posts', '?')} POSTs; it {so}"
