"""A master that says what a test wants said: the page's questions are answered in the browser, the rest is real."""

import copy
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route

from traffic.core.master.run_state import RunState
from traffic.core.master.verdict import verdict
from traffic.core.master.worker_table import FIGURES

COLUMNS = ["t_s", "delivered", "rejected", "in_doubt", "leased", "pending", "attempts"]
RUN = "20260102-030405-0012ab"


def running(workers: int, records: int) -> dict[str, Any]:
    """The status of a run in full swing, with so many workers."""
    each = records // workers
    rows = [
        {"id": f"loadgen-{at % 7}_{at:032x}", "slice": each, "moved": 0, "leased": 0, "delivered": 0, "rejected": 0}
        | {"in_doubt": 0, "state": "running", "trouble": ""}
        for at in range(workers)
    ]
    names = ("leased", "delivered", "rejected", "in_doubt", "unsent", "attempts", "resent", "maybe_resent")
    counts = dict.fromkeys(names, 0)
    return {
        "run": RUN,
        "state": "running",
        "reason": "",
        "dataset": {"file": "data/many.json", "records": records, "digest": "sha256:0", "offset": 0, "chosen": records},
        "order": "random",
        "seed": 7,
        "policy": "at-least-once",
        "counts": {"records": records, "pending": records} | counts,
        "workers": rows,
        "rate": 0.0,
        "eta_s": None,
        "started": "2026-01-02T03:04:05Z",
        "ended": None,
        "resumed": [],
    }


class ToldMaster:
    """Answers /traffic/live from `status`; each answer is one more step of `advance`."""

    def __init__(self, page: Page, status: dict[str, Any]) -> None:
        self.status, self.reading = status, None
        self.acts = {"start": "A run is live.", "pause": "", "go_on": "The run is not paused.", "stop": ""}
        self.answers = 0
        self._rows: list[list[int]] = []
        self._step = 0
        page.route("**/traffic/live?*", self._live)

    def advance(self, step: int) -> None:
        """Have each worker deliver `step` more records with each answer."""
        self._step = step

    def _live(self, route: Route) -> None:
        asked = {name: value[0] for name, value in parse_qs(urlsplit(route.request.url).query).items()}
        self._move()
        first = int(asked.get("sample", 0)) if asked.get("run") == self.status["run"] else 0
        known = int(asked.get("event", 0))
        state = RunState(self.status["state"])
        lines = [self._line(at) for at in range(self.answers)]
        body = {
            "status": {**copy.deepcopy(self.status), "verdict": verdict(self.status)},
            "worker_columns": [column.to_json() for column in FIGURES],
            "reading": self.reading,
            "live": state.live,
            "ended": state.ended,
            "ending": False,
            "acts": self.acts,
            "events": {"next": self.answers, "rows": lines[known:]},
            "timeline": {"run": self.status["run"], "generation": 0, "next": len(self._rows), "columns": COLUMNS}
            | {"rows": self._rows[first:]},
            "dead_letters": 0,
        }
        route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    def _line(self, at: int) -> dict[str, Any]:
        text = f"lease {at} (positions 1-2) reclaimed from loadgen-1_{at:032x}: not heard from for 5 s"
        return {"n": at, "at": "2026-01-02T03:04:05Z", "kind": "lease-reclaimed", "level": "warning", "text": text}

    def _move(self) -> None:
        self.answers += 1
        counts, workers = self.status["counts"], self.status["workers"]
        for worker in workers:
            worker["delivered"] += self._step
            worker["leased"] = self._step
        gone = self._step * len(workers)
        counts["delivered"] += gone
        counts["attempts"] += gone
        counts["leased"] = gone
        counts["pending"] = counts["records"] - counts["delivered"] - gone
        self._rows.append([self.answers, counts["delivered"], 0, 0, gone, counts["pending"], counts["attempts"]])
