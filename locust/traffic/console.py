"""What a person reads in the terminal."""

from typing import Any

from traffic.core.decisions import records


def progress_line(status: dict[str, Any]) -> str:
    """How far the run is, in one line."""
    counts = status["counts"]
    settled = counts["records"] - counts["pending"] - counts["leased"]
    share = 100 * settled // counts["records"]
    eta = "" if status["eta_s"] is None else f", about {status['eta_s']:.0f} s to go"
    failed = counts["rejected"] + counts["in_doubt"]
    bad = f", {failed} not delivered" if failed else ""
    return f"progress: {settled} of {records(counts['records'])} ({share}%){bad}, {_rate(status['rate'])}{eta}"


def report_table(report: dict[str, Any]) -> str:
    """The delivery report as text of several lines."""
    counts = report["counts"]
    attempts = (
        f"{counts['attempts']} attempt{'' if counts['attempts'] == 1 else 's'}, {counts['resent']} of them repeats"
    )
    lines = [
        f"delivery report, run {report['run']}: {report['state']} {report['reason']}".rstrip(),
        f"  {records(counts['records'])} = {counts['delivered']} delivered + {counts['rejected']} rejected"
        f" + {counts['in_doubt']} in doubt + {counts['unsent']} unsent",
        f"  {attempts}; {report['seconds']} s, {_rate(report['rate'])}",
        *(f"  resumed at {one['at']}, with {one['settled']} settled" for one in report["resumed"]),
        *_worker_lines(report["workers"]),
        _audit_line(report["audit"]),
    ]
    return "\n".join(lines)


def _rate(rate: float) -> str:
    return f"{rate:.1f}".removesuffix(".0") + "/s"


def _worker_lines(workers: list[dict[str, Any]]) -> list[str]:
    width = max([6, *(len(worker["id"]) for worker in workers)])
    head = f"  {'worker':<{width}}  {'slice':>9}  {'moved':>9}  {'delivered':>9}  {'rejected':>9}  {'in doubt':>9}"
    return [
        head,
        *(
            f"  {row['id']:<{width}}  {row['slice']:>9}  {row['moved']:>+9}  {row['delivered']:>9}"
            f"  {row['rejected']:>9}  {row['in_doubt']:>9}"
            for row in workers
        ),
    ]


def _audit_line(audit: dict[str, Any] | None) -> str:
    if audit is None:
        return "  the target offers no audit: this report rests on its answers alone"
    verdict = "agrees with this report" if audit["agrees"] else "DOES NOT AGREE with this report"
    return f"  the target's audit: {audit['stored']} stored of {audit.get('posts', '?')} POSTs; it {verdict}"
