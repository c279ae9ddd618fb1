"""Routes for delivery reports (JSON, CSV, printable) and for the list of runs."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from flask import Response, request

from traffic.core.master.report import COUNTS
from traffic.core.master.run_state import RunState
from traffic.core.master.worker_table import REPORT_FIGURES
from traffic.core.text import no_formula
from traffic.master.threads import in_thread
from traffic.master.web.printable import printable
from traffic.master.web.routes import Routes, answer, refuse
from traffic.master.wording import for_page
from traffic.runs.comparison import NoReportError, compare
from traffic.runs.history import past_runs, summarise

# A worker's slice stands in the column `records`.
_OF_WORKER = tuple(column.name for column in REPORT_FIGURES if column.name != "slice")
_OF_RUN = tuple(name for name in COUNTS if name not in ("records", "pending", "leased", *_OF_WORKER))
_TIMES = ("seconds", "rate", "started", "ended")
_SENT = ("method", "host", "path", "users", "spawn_rate")
COLUMNS = ("what", "id", "state", "records", *_OF_WORKER, *_OF_RUN, *_TIMES, *_SENT)


class Reports:
    """Serves the reports and the list of the runs in the state folder."""

    def __init__(self, routes: Routes) -> None:
        self._routes, self._master = routes, routes.master
        routes.add("/traffic/report", self._report)
        routes.add("/traffic/runs", self._runs)
        routes.add("/traffic/compare", self._compare)

    def _runs(self) -> Response:
        """Answer with every run that is kept, the latest first."""
        active_run = self._master.active_run
        past = in_thread(past_runs, self._routes.folder, active_run.metadata.run if active_run else None)
        rows = [{**row, "live": False} for row in past]
        if active_run is not None:
            account = active_run.status(self._master.locust_session.worker_states())
            row = summarise(account, resumable=not active_run.live and active_run.journal.path.exists())
            rows.append({**row, "live": RunState(account["state"]).live})
        rows = [{**row, "reason": for_page(row["reason"] or "")} for row in rows]
        return answer({"runs": sorted(rows, key=lambda row: row["run"], reverse=True)})

    def _compare(self) -> Response:
        """Answer with what differs between the runs that `?before=` and `?after=` name."""
        named = [request.args.get(name, "") for name in ("before", "after")]
        try:
            folders = [self._routes.folder.run_folder(run) for run in named]
            return answer(in_thread(compare, *folders))
        except ValueError:
            return refuse(400, "before and after must be the ids of two runs.")
        except NoReportError as error:
            return refuse(404, f"{error}.")
        except FileNotFoundError as error:
            return refuse(404, f"{error.filename} is not there any more.")

    def _report(self) -> Response:
        """Answer with the report of the run that `?run=` names, by default of the present run if it has ended."""
        active_run = self._master.active_run
        run = request.args.get("run", active_run.metadata.run if active_run and active_run.report else None)
        kind = request.args.get("format", "json")
        if run is None:
            return refuse(404, "No run has ended yet; ?run= names an earlier one.")
        if kind not in ("json", "csv", "html"):
            return refuse(400, f"format must be json, csv or html, not {kind[:64]!r}.")
        try:
            folder = self._routes.folder.run_folder(run)
            text = in_thread(self._routes.folder.report_text, run)
        except (ValueError, FileNotFoundError):
            return refuse(404, f"There is no report of a run {run[:64]!r}.")
        return as_download(_in_form(text, kind, folder), f"report-{run}.{kind}")


def as_download(response: Response, name: str) -> Response:
    """Return the answer, as an attachment of this name if `?download=1` asks for one."""
    if request.args.get("download"):
        response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _in_form(text: bytes, kind: str, folder: Any) -> Response:
    if kind == "json":
        return Response(text, content_type="application/json")
    report = json.loads(text)
    if kind == "csv":
        return Response(table(report), content_type="text/csv; charset=utf-8")
    return Response(in_thread(printable, report, folder), content_type="text/html; charset=utf-8")


def table(report: dict[str, Any]) -> str:
    """Return a report as CSV: a row for the run, then one for each worker."""
    made = io.StringIO()
    rows = csv.DictWriter(made, COLUMNS, restval="", extrasaction="ignore")
    rows.writeheader()
    for row in _rows(report):
        rows.writerow({name: _cell(value) for name, value in row.items()})
    return made.getvalue()


def _rows(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {**report, **(report.get("target") or {}), **report["counts"], "what": "run", "id": report["run"]}
    for worker in report["workers"]:
        yield {**worker, "what": "worker", "records": worker["slice"]}


def _cell(value: Any) -> Any:
    return no_formula(value) if isinstance(value, str) else value
