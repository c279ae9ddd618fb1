"""Serve the status: to programs, and to the page, which polls it each second. Serve the fields of the start form."""

from typing import Any

from flask import Response, request

from traffic.core.master.report import RunCounts, RunReport
from traffic.core.master.run_state import RunState
from traffic.core.master.worker_table import FIGURES, WorkerRow
from traffic.core.pace.config import PaceConfig
from traffic.master.file_loading import reading_line
from traffic.master.web.checked_start import CheckedStart
from traffic.master.web.reasons import AllowedActs
from traffic.master.web.routes import Routes, answer
from traffic.master.web.upload import Checking
from traffic.master.wording import for_page
from traffic.settings import OPTIONS

# The members that say how a run's records are sent; null before the first run.
_OF_RUN = ("target", "users", "spawn_rate", "wait", "pace", "held", "api_waits", "checks", "results")
# Members that a status has from the first run on.
_FROM_FIRST_RUN = ("order", "policy")


class StatusRoutes:
    """Answers with the status. Nothing here reads a file or waits."""

    def __init__(self, routes: Routes, checked_start: CheckedStart, checking: Checking) -> None:
        self._routes, self._master, self._checked_start, self._checking = routes, routes.master, checked_start, checking
        routes.add("/traffic/status", self._status)
        routes.add("/traffic/live", self._live)
        routes.add("/traffic/options", self._options)

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
        """Return the status of the present or the latest run, or of a master that has had none."""
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
        """Return why each act is not possible now; empty if it is."""
        allowed = self._allowed_acts
        return {
            "start": self._checked_start.why_not,
            "pause": allowed.why_not_pause(),
            "go_on": allowed.why_not_unpause(),
            "rate": allowed.why_not_change_rate(),
            "stop": allowed.why_not_stop(),
        }

    @property
    def _allowed_acts(self) -> AllowedActs:
        if (active_run := self._routes.live) is not None:
            paced = isinstance(active_run.metadata.pace, PaceConfig)
            return AllowedActs(active_run.state, active_run.reason, active_run.paused_by_person, paced)
        active_run = self._master.active_run
        return AllowedActs("ending") if active_run is not None and active_run.ending else AllowedActs()

    def _timeline(self) -> dict[str, Any]:
        active_run = self._master.active_run
        if active_run is None:
            return {"run": None, "generation": 0, "next": 0, "columns": [], "rows": []}
        run = active_run.metadata.run
        same = request.args.get("run") == run
        asked = request.args.get("generation", -1, int) if same else -1
        return {"run": run, **active_run.timeline.to_json(asked, request.args.get("sample", 0, int))}

    def _options(self) -> Response:
        """Answer with the fields of a start form: Locust's own, and ours with their present values."""
        options, environment = self._routes.options, self._routes.web_ui.environment
        host = environment.host or options.host or next((one.host for one in environment.user_classes if one.host), "")
        fields = [
            {
                "name": option.name,
                "label": option.label,
                "value": str(getattr(options, option.name, None) or ""),
                "help": option.help,
                "choices": list(option.choices) if option.choices else None,
                "many": option.many,
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
            dataset={"file": self._routes.options.traffic_file, "records": None, "digest": None},
            counts=RunCounts(),
            workers=[
                WorkerRow(worker, state=worker_state)
                for worker, worker_state in self._master.locust_session.worker_states().items()
            ],
        )
        members = report.to_json() | dict.fromkeys(_OF_RUN)
        return {name: value for name, value in members.items() if name not in _FROM_FIRST_RUN}
