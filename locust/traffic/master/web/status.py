"""Routes that the page polls each second, the status for programs, and the contents of the start form."""

from typing import Any

from flask import Response, request

from traffic.core.master.report import RunCounts, RunReport
from traffic.core.master.run_state import RunState
from traffic.core.master.worker_table import FIGURES, WorkerRow
from traffic.master.file_loading import reading_line
from traffic.master.web.checked_start import CheckedStart
from traffic.master.web.reasons import Seen
from traffic.master.web.routes import Routes, answer
from traffic.master.web.upload import Checking
from traffic.master.wording import for_page, label
from traffic.settings import OPTIONS

# What is null in the status before the first run; `told` says it of a run.
_OF_RUN = ("target", "users", "spawn_rate", "wait")


class StatusRoutes:
    """Tells how things stand. Nothing here reads a file or waits."""

    def __init__(self, site: Routes, starting: CheckedStart, checking: Checking) -> None:
        self._site, self._master, self._starting, self._checking = site, site.master, starting, checking
        site.add("/traffic/status", self._status)
        site.add("/traffic/live", self._live)
        site.add("/traffic/options", self._options)

    def _status(self) -> Response:
        return answer(self.status())

    def _live(self) -> Response:
        status = self.status()
        state = RunState(status["state"])
        return answer(
            {
                "status": {**status, "reason": for_page(status["reason"])},
                "worker_columns": [column.to_json() for column in FIGURES],
                "reading": self._master.loader.status or self._checking.loader.status,
                "live": state.live,
                "ended": state.ended,
                "ending": self._ending,
                "acts": self._acts(),
                "events": self._master.run_events.event_log.to_json(request.args.get("event", 0, int)),
                "timeline": self._timeline(),
                "dead_letters": self._dead_letters,
            }
        )

    def status(self) -> dict[str, Any]:
        """The status of the present or the latest run, or of none."""
        active_run = self._master.active_run
        reading = self._master.loader.status
        if reading is not None and (active_run is None or not active_run.live):
            return self._before_the_first_run(RunState.READING, reading_line(reading))
        if active_run is None:
            return self._before_the_first_run(RunState.READY, str(self._master.refusal or ""))
        return active_run.status(self._master.locust_session.worker_states())

    @property
    def _ending(self) -> bool:
        active_run = self._master.active_run
        stopping = active_run is not None and (active_run.ending or active_run.state == RunState.STOPPING)
        return stopping or self._master.locust_session.ending

    @property
    def _dead_letters(self) -> int:
        active_run = self._master.active_run
        return len(active_run.run.ledger.dead) if active_run else 0

    def _acts(self) -> dict[str, str]:
        """Why each act cannot be done now; empty where it can."""
        seen = self._seen
        return {
            "start": self._starting.why_not,
            "pause": seen.why_not_pause(),
            "go_on": seen.why_not_unpause(),
            "stop": seen.why_not_stop(),
        }

    @property
    def _seen(self) -> Seen:
        if (active_run := self._site.live) is not None:
            return Seen(active_run.state, active_run.reason, active_run.paused_by_person)
        active_run = self._master.active_run
        return Seen("ending") if active_run is not None and active_run.ending else Seen()

    def _timeline(self) -> dict[str, Any]:
        active_run = self._master.active_run
        if active_run is None:
            return {"run": None, "generation": 0, "next": 0, "columns": [], "rows": []}
        run = active_run.metadata.run
        same = request.args.get("run") == run
        asked = request.args.get("generation", -1, int) if same else -1
        return {"run": run, **active_run.timeline.to_json(asked, request.args.get("sample", 0, int))}

    def _options(self) -> Response:
        """What a start form is made of: Locust's own fields, and ours as they stand now."""
        options, environment = self._site.options, self._site.web_ui.environment
        host = environment.host or options.host or next((one.host for one in environment.user_classes if one.host), "")
        fields = [
            {
                "name": option.name,
                "label": label(option.name),
                "value": str(getattr(options, option.name, None) or ""),
                "help": option.help,
                "choices": list(option.choices) if option.choices else None,
            }
            for option in OPTIONS
            if option.in_form
        ]
        users, rate = options.num_users or 1, options.spawn_rate or 1
        return answer({"host": host, "users": users, "spawn_rate": rate, "fields": fields})

    def _before_the_first_run(self, state: RunState, reason: str) -> dict[str, Any]:
        report = RunReport(
            run=None,
            state=state,
            reason=reason,
            dataset={"file": self._site.options.traffic_file, "records": None, "digest": None},
            counts=RunCounts(),
            workers=[WorkerRow(worker, state=at) for worker, at in self._master.locust_session.worker_states().items()],
        )
        return report.to_json() | dict.fromkeys(_OF_RUN)
