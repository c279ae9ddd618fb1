"""Serve dead letters, of the present run and of earlier ones: searched, or all of them as a file.

Those of the present run are in the master's memory. They are copied at once, some bytes a record, and whatever costs
time is done on the copy in a thread.
"""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from flask import Response, request

from traffic.core.master.dead_letters import DeadLetters, PositionArray
from traffic.core.master.letter_search import Query, search_dead, search_lines
from traffic.core.master.report import dead_letter_groups, letters_at
from traffic.core.master.run import Run
from traffic.master.active_run import ActiveRun
from traffic.master.threads import in_thread
from traffic.master.web.letters_csv import CSV_HEAD, CSV_KIND, csv_rows, whole_lines
from traffic.master.web.reports import as_download
from traffic.master.web.routes import Routes, answer, pieces, refuse

NAME = "dead-letters.jsonl"
KIND = "application/jsonl; charset=utf-8"
MOST = 500
# What the report of an earlier release has of groups.
NO_GROUPS: dict[str, Any] = {"groups": [], "others": {"groups": 0, "count": 0}, "answers_not_kept": 0}
BATCH = 500


class DeadLetterRoutes:
    """Answers for the run that `?run=` names, by default for the present or the latest."""

    def __init__(self, routes: Routes) -> None:
        self._routes, self._master = routes, routes.master
        routes.add("/traffic/dead-letters", self._all)
        routes.add("/traffic/dead-letters/search", self._search)

    def _all(self) -> Response:
        run = self._requested_run()
        if run is None:
            return _none("")
        as_csv = request.args.get("format") == "csv"
        lines: Iterator[bytes]
        if (active_run := self._in_memory(run)) is not None:
            lines = _json_lines(active_run)
        else:
            try:
                file = self._file(run).open("rb")
            except (ValueError, FileNotFoundError):
                return _none(run)
            lines = whole_lines(file) if as_csv else pieces(file)
        if as_csv:
            rows = (in_thread(csv_rows, batch) for batch in lines)
            return as_download(Response(chain([CSV_HEAD], rows), content_type=CSV_KIND), f"dead-letters-{run}.csv")
        return as_download(Response(lines, content_type=KIND), f"dead-letters-{run}.jsonl")

    def _search(self) -> Response:
        run, first, most = self._requested_run(), request.args.get("from", 0, int), request.args.get("most", 50, int)
        if run is None:
            return _none("")
        text, group = request.args.get("q", "").strip(), request.args.get("group", "")
        query = Query(text, max(0, first), min(max(0, most), MOST), group)
        if (active_run := self._in_memory(run)) is not None:
            found = in_thread(_search_memory, active_run.run, active_run.run.ledger.dead.copy(), query)
            return answer({"run": run, **found})
        try:
            found = in_thread(_search_file, self._file(run), query)
        except (ValueError, FileNotFoundError):
            return _none(run)
        report = self._routes.folder.read_report(run) or {}
        return answer({"run": run, **found, **(report.get("dead_letters") or NO_GROUPS)})

    def _requested_run(self) -> str | None:
        active_run = self._master.active_run
        return request.args.get("run") or (active_run.metadata.run if active_run else None)

    def _in_memory(self, run: str) -> ActiveRun | None:
        """Return the present run if it is the one named, and its letters are not in its folder yet."""
        active_run = self._master.active_run
        if active_run is None or active_run.metadata.run != run:
            return None
        return active_run if active_run.report is None or not self._file(run).exists() else None

    def _file(self, run: str) -> Path:
        return self._routes.folder.run_folder(run) / NAME


def _none(run: str) -> Response:
    what = f"There are no dead letters of a run {run[:64]!r}." if run else "There has been no run yet."
    return refuse(404, what)


def _search_memory(run: Run, dead: DeadLetters, query: Query) -> dict[str, Any]:
    return {**search_dead(run, dead, query), **dead_letter_groups(run, dead)}


def _search_file(path: Path, query: Query) -> dict[str, Any]:
    with path.open("rb") as file:
        return search_lines(file, query)


def _json_lines(active_run: ActiveRun) -> Iterator[bytes]:
    """Return the letters as JSON Lines in batches, each encoded in a thread."""
    dead = active_run.run.ledger.dead.copy()
    places = dead.places()
    for low in range(0, len(places), BATCH):
        yield in_thread(_encode, active_run.run, dead, places[low : low + BATCH])


def _encode(run: Run, dead: DeadLetters, places: PositionArray) -> bytes:
    lines = (json.dumps(letter, ensure_ascii=False) + "\n" for letter in letters_at(run, dead, places))
    return "".join(lines).encode(errors="backslashreplace")
