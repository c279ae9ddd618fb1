"""The master's web routes: the check of a Start, the run's status and report, and the health check."""

import argparse
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gevent
from flask import Blueprint, Response, jsonify, make_response, request
from gevent.lock import BoundedSemaphore
from locust.runners import STATE_RUNNING, STATE_SPAWNING
from locust.web import WebUI

from traffic.clock import now_s
from traffic.delivery import Delivery
from traffic.history import past_runs, summarise
from traffic.locust_test import LocustTest
from traffic.reading import Reading, reading_line
from traffic.refusal import RefusedError
from traffic.settings import OPTIONS, Settings
from traffic.state import StateFolder
from traffic.threads import in_thread

logger = logging.getLogger(__name__)


PATIENCE_S = 15.0
COUNTS = ("records", "pending", "leased", "delivered", "rejected", "in_doubt", "unsent", "attempts", "resent")


class MasterView(Protocol):
    """What the routes need of the master."""

    @property
    def delivery(self) -> Delivery | None:
        """The present or the latest run."""

    @property
    def refusal(self) -> Exception | None:
        """Why the latest start, or a run that was cut off, came to nothing."""

    def check(self, options: argparse.Namespace) -> None:
        """Raise what a start with these options would be refused for."""

    @property
    def reading(self) -> Reading:
        """What reads the traffic files."""

    def stop_run(self) -> None:
        """End the run that is live, if any."""

    @property
    def test(self) -> LocustTest:
        """Locust's own test."""


class Web:
    """Adds the routes to Locust's own; all but /healthz are behind its login where one is set."""

    def __init__(self, web_ui: WebUI, master: MasterView) -> None:
        self.web_ui, self.master = web_ui, master
        self._one_at_a_time = BoundedSemaphore()
        assert web_ui.app is not None
        guard: Callable[[Callable[[], Any]], Callable[[], Any]] = web_ui.auth_required_if_enabled
        routes = Blueprint("traffic", __name__, url_prefix=self._options().web_base_path or None)
        routes.add_url_rule("/healthz", "healthz", self._healthz)
        routes.add_url_rule("/traffic/status", "status", guard(self._status))
        routes.add_url_rule("/traffic/report", "report", guard(self._report))
        routes.add_url_rule("/traffic/runs", "runs", guard(self._runs))
        routes.add_url_rule("/traffic/dead-letters", "dead_letters", guard(self._dead_letters))
        web_ui.app.register_blueprint(routes)
        web_ui.app.after_request(self._keep_polling)
        views = web_ui.app.view_functions
        self._swarm, self._stop = views["locust.swarm"], views["locust.stop"]
        views["locust.swarm"], views["locust.stop"] = guard(self._checked_swarm), guard(self._stop_paused_too)

    def _options(self) -> argparse.Namespace:
        options = self.web_ui.environment.parsed_options
        assert isinstance(options, argparse.Namespace)
        return options

    def _checked_swarm(self) -> Any:
        """Locust's own answer to Start, once what it asks for has been found good; an edit of a run is not checked."""
        with self._one_at_a_time:
            runner = self.web_ui.environment.runner
            if runner is not None and runner.state in (STATE_RUNNING, STATE_SPAWNING):
                return self._swarm()
            return self._start()

    def _start(self) -> Any:
        self._await_the_end_of_the_last()
        delivery = self.master.delivery
        if delivery is not None and delivery.live:
            return self._refused(
                f"Run {delivery.run.terms.run} is {delivery.state} ({delivery.reason}); stop it first."
            )
        if self.master.test.ending:
            return self._refused("The last run is still ending. Try again in a moment.")
        if not self.master.test.worker_states():
            return self._refused("No worker is connected. Start one, or wait until it has registered.")
        try:
            self.master.check(self._asked())
        except RefusedError as error:
            return self._refused(str(error))
        answer: Any = self._swarm()
        if not answer.get_json()["success"]:
            return answer
        # Locust starts in a greenlet: whoever is told "started" is to find this run, not the one before.
        deadline = now_s() + PATIENCE_S
        while self.master.delivery is delivery and self.master.refusal is None and now_s() < deadline:
            gevent.sleep(0.01)
        return answer if self.master.refusal is None else self._refused(str(self.master.refusal))

    def _keep_polling(self, response: Response) -> Response:
        """Locust's page asks for statistics while a test runs; told that it is stopping, it would never ask again."""
        if request.endpoint == "locust.request_stats" and self.master.test.ending and response.is_json:
            said = response.get_json()
            if said.get("state") != "ready":
                response.set_data(json.dumps({**said, "state": STATE_RUNNING}))
        return response

    def _refused(self, why: str) -> Any:
        """Answer as Locust does where it does not start."""
        logger.error("refused to start: %s", why)
        return jsonify({"success": False, "message": why, "host": self.web_ui.environment.host})

    def _stop_paused_too(self) -> Any:
        """Locust's own answer to Stop; a run that waits for a worker has no Locust test to stop any more."""
        runner, delivery = self.web_ui.environment.runner, self.master.delivery
        if runner is not None and not runner.user_count and delivery is not None and delivery.state == "paused":
            self.master.stop_run()
        return self._stop()

    def _await_the_end_of_the_last(self) -> None:
        """Start was pressed as a run ended: Locust's workers are ready for another a moment later."""
        deadline = now_s() + PATIENCE_S
        while self.master.test.ending and now_s() < deadline:
            gevent.sleep(0.05)

    def _asked(self) -> argparse.Namespace:
        """The options as the form wants them."""
        names = ("host", *(option.name for option in OPTIONS))
        form = {name: request.form[name] for name in names if name in request.form}
        return argparse.Namespace(**{**vars(self._options()), **form})

    def _healthz(self) -> Response:
        """200: this master takes workers and starts runs."""
        return jsonify({"status": "ok"})

    def _status(self) -> Response:
        delivery = self.master.delivery
        reading = self.master.reading.status
        if reading is not None and (delivery is None or not delivery.live):
            return _json({**self._before_the_first_run(), "state": "reading", "reason": reading_line(reading)})
        if delivery is None:
            return _json(self._before_the_first_run())
        return _json(delivery.account(self.master.test.worker_states()))

    def _before_the_first_run(self) -> dict[str, Any]:
        workers = [
            {"id": worker, "slice": 0, "moved": 0, "leased": 0, "delivered": 0, "rejected": 0, "in_doubt": 0}
            | {"state": state}
            for worker, state in self.master.test.worker_states().items()
        ]
        return {
            "run": None,
            "state": "ready",
            "reason": str(self.master.refusal or ""),
            "dataset": {"file": self._options().traffic_file, "records": None, "digest": None},
            "seed": None,
            "counts": dict.fromkeys(COUNTS, 0),
            "workers": workers,
            "rate": 0.0,
            "eta_s": None,
            "started": None,
            "ended": None,
            "resumed": [],
        }

    def _runs(self) -> Response:
        """Every run that is kept, the latest first."""
        delivery = self.master.delivery
        rows = in_thread(past_runs, self._folder(), delivery.facts.run if delivery else None)
        if delivery is not None:
            account = delivery.account(self.master.test.worker_states())
            rows.append(summarise(account, resumable=not delivery.live and delivery.journal.path.exists()))
        return _json({"runs": sorted(rows, key=lambda row: row["run"], reverse=True)})

    def _folder(self) -> StateFolder:
        delivery = self.master.delivery
        return delivery.folder if delivery else StateFolder(Settings.read(self._options()).state_dir)

    def _report(self) -> Response:
        return self._file("report.json", "application/json")

    def _dead_letters(self) -> Response:
        return self._file("dead-letters.jsonl", "application/jsonl; charset=utf-8")

    def _file(self, name: str, kind: str) -> Response:
        """A file of the run that `?run=` names, by default of the latest that has ended."""
        delivery = self.master.delivery
        folder = self._folder()
        latest = delivery.run.terms.run if delivery and delivery.report else None
        run = request.args.get("run", latest)
        if run is None:
            return make_response("No run has ended yet; ?run= names an earlier one.\n", 404)
        try:
            path = folder.run_folder(run) / name
            return Response(_pieces(path.open("rb")), content_type=kind)
        except (ValueError, FileNotFoundError):
            return make_response(f"There is no report of a run {run[:64]!r}.\n", 404)


def _json(value: dict[str, Any]) -> Response:
    """Answer with JSON whose members stand in the order that the docs give."""
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    # A file's name need not be text; it is shown with its odd bytes spelled out.
    return Response(text.encode(errors="backslashreplace"), content_type="application/json")


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        while piece := file.read(1 << 16):
            yield piece
