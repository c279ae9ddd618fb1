"""The route by which a run's results are downloaded: as the file is, or as plain CSV."""

from collections.abc import Iterator
from pathlib import Path

from flask import Response, request

from traffic.master.threads import in_thread
from traffic.master.web.reports import as_download
from traffic.master.web.routes import Routes, refuse
from traffic.ownership import RESULTS
from traffic.runs.results_file import read_rows

_PIECE = 1 << 18


class ResultsRoutes:
    """Serves the results of the runs in the state folder; those of the live run as far as they are."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        routes.add("/traffic/results", self._results)

    def _results(self) -> Response:
        """Answer with the results of the run that `?run=` names, by default of the present one."""
        active_run = self._routes.master.active_run
        run = request.args.get("run", active_run.metadata.run if active_run else "")
        kind = request.args.get("format", "csv")
        if kind not in ("csv", "zst"):
            return refuse(400, f"format must be csv or zst, not {kind[:64]!r}.")
        try:
            path = self._routes.folder.run_folder(run) / RESULTS
            there = in_thread(path.is_file)
        except ValueError:
            there = False
        if not there:
            return refuse(
                404, f"There are no results of a run {run[:64]!r}: --traffic-results says whether they are kept."
            )
        if kind == "zst":
            return as_download(Response(_pieces(path), content_type="application/zstd"), f"results-{run}.csv.zst")
        return as_download(Response(_rows(path), content_type="text/csv; charset=utf-8"), f"results-{run}.csv")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := in_thread(file.read, _PIECE):
            yield piece


def _rows(path: Path) -> Iterator[bytes]:
    rows = read_rows(path)
    while piece := in_thread(next, rows, b""):
        yield piece
