"""Write a delivery report for CI: as JUnit's XML, and as the Markdown of a job's summary.

JUnit's XML has no standard; this is what GitLab, Jenkins and the readers on GitHub take (Jenkins' junit-10.xsd): a
suite, its properties, and cases, of which one that fails says why.
"""

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from traffic.core.master.checks import failed_checks
from traffic.core.master.verdict import succeeded, verdict
from traffic.core.text import printable
from traffic.terminal import plain

# A failure quotes so many groups of dead letters, each with so many characters of what the API said.
MOST_GROUPS, SAID = 10, 200
# What a report tells of itself, as properties.
_PROPERTIES = ("run", "state", "reason", "order", "seed", "policy", "seconds", "rate", "started", "ended")


def to_junit(report: dict[str, Any]) -> bytes:
    """Return a report as JUnit's XML: a case for "every record is delivered", and one for each check."""
    delivered, checks = succeeded(report), report.get("checks") or []
    failures = (not delivered) + len(failed_checks(report))
    numbers = {"tests": str(1 + len(checks)), "failures": str(failures), "errors": "0", "skipped": "0"}
    seconds = {"time": f"{report.get('seconds') or 0:.3f}"}
    root = Element("testsuites", numbers | seconds)
    name = f"traffic {report['run']}"
    suite = SubElement(root, "testsuite", {"name": name, "timestamp": _time(report["started"])} | numbers | seconds)
    properties = SubElement(suite, "properties")
    of_run = {name: report.get(name) for name in _PROPERTIES} | {"file": report["dataset"]["file"]} | report["counts"]
    for name, value in of_run.items():
        if value not in (None, ""):
            SubElement(properties, "property", {"name": name, "value": printable(str(value))})
    case = SubElement(suite, "testcase", {"classname": "traffic", "name": "every record is delivered"} | seconds)
    if not delivered:
        said = verdict(report)
        SubElement(case, "failure", {"message": printable(said["text"])}).text = "\n".join(
            _why(report, said["sentence"])
        )
    for one in checks:
        case = SubElement(suite, "testcase", {"classname": "traffic.check", "name": printable(one["check"])} | seconds)
        if not one["passed"]:
            SubElement(case, "failure", {"message": plain.check_value(one)})
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _why(report: dict[str, Any], sentence: str) -> list[str]:
    """Return why not every record is delivered: what the verdict says, and the largest groups of dead letters."""
    groups = (report.get("dead_letters") or {}).get("groups", [])
    lines = [plain.group_line(one, SAID) for one in groups[:MOST_GROUPS]]
    return [printable(line) for line in (sentence, *filter(None, [report["reason"]]), *lines)]


def _time(at: str) -> str:
    """Return a time as JUnit has it, without the zone: it is UTC."""
    return at.removesuffix("Z").partition("+")[0]


def to_summary(report: dict[str, Any]) -> str:
    """Return a report as Markdown, for the summary of a CI job."""
    counts, said = report["counts"], verdict(report)
    lines = [
        f"### Traffic: {_cell(said['text'])}",
        "",
        _cell(said["sentence"]),
        "",
        "| records | delivered | rejected | in doubt | unsent | attempts | seconds | records/s |",
        "| --: | --: | --: | --: | --: | --: | --: | --: |",
        "| "
        + " | ".join(str(counts[name]) for name in ("records", "delivered", "rejected", "in_doubt", "unsent"))
        + f" | {counts['attempts']} | {report['seconds']} | {report['rate']} |",
        "",
    ]
    if timings := report.get("timings"):
        names = ("mean", "p50", "p90", "p95", "p99", "max")
        lines += [f"| response time | {' | '.join(names)} |", "| --- |" + " --: |" * len(names)]
        times = [f"{1000 * timings['response'][name]:.4g}" for name in names]
        lines += [f"| ms | {' | '.join(times)} |", ""]
    if checks := report.get("checks"):
        lines += ["| check | | measured |", "| --- | --- | --: |"]
        for one in checks:
            value = "–" if one["value"] is None else f"{one['value']:g}"
            lines.append(f"| {_cell(one['check'])} | {'passed' if one['passed'] else '**failed**'} | {value} |")
        lines.append("")
    if groups := (report.get("dead_letters") or {}).get("groups"):
        lines += ["| not delivered | status | answer | for example |", "| --: | --: | --- | --: |"]
        for one in groups[:MOST_GROUPS]:
            says = _cell(one["says"][:SAID])
            lines.append(f"| {one['count']} | {one['status'] or one['outcome']} | {says} | record {one['example']} |")
        lines.append("")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return a text for a cell of a table, in which nothing is taken for Markdown or HTML."""
    plain = printable(text)
    return "".join(f"&#{ord(char)};" if char in "|<>&`*_[]#\\~" else char for char in plain)
