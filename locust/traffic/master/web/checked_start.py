"""Check a Start before Locust begins it, and answer Locust's own /swarm, /stop and /user."""

import argparse
import logging
from typing import Any

import gevent
from flask import jsonify, request
from gevent.lock import BoundedSemaphore

from traffic.clock import now_s
from traffic.core.master.run_state import RunState
from traffic.errors import RefusedError
from traffic.locust_patches import states
from traffic.locust_patches.web_ui import keep_page_polling, replace_view
from traffic.master.web.form import Form
from traffic.master.web.reasons import AllowedActs
from traffic.master.web.routes import Routes, refuse
from traffic.master.wording import for_page
from traffic.settings import NONE, OPTIONS, SettingsError

logger = logging.getLogger(__name__)

WAIT_S = 15.0


class CheckedStart:
    """Replaces Locust's own /swarm, /stop and /user by views that check first."""

    def __init__(self, routes: Routes) -> None:
        self._routes, self._master = routes, routes.master
        self.form = Form(routes)
        self._one_at_a_time = BoundedSemaphore()
        self._swarm = replace_view(routes.app, "locust.swarm", routes.guarded(self._checked_swarm))
        self._locust_stop = replace_view(routes.app, "locust.stop", routes.guarded(self.stop))
        self._update_class = replace_view(routes.app, "locust.update_user", routes.guarded(self._checked_class))
        keep_page_polling(routes.app, lambda: self._master.locust_session.ending)

    @property
    def why_not(self) -> str:
        """Why no run can be started now, whatever the form says; empty if one can."""
        active_run = self._routes.live
        if active_run is not None:
            allowed = AllowedActs(active_run.state, active_run.reason, active_run.paused_by_person)
            return allowed.why_not_start(active_run.run.config.run)
        if (self._master.active_run is not None and self._master.active_run.ending) or self._ending:
            return "The last run is still ending. Try again in a moment."
        if not self._master.locust_session.worker_states():
            return "No worker is connected. Start one, or wait until it has registered."
        return ""

    def stop(self) -> Any:
        """Stop the run, also one that waits for a worker and has no Locust test; return Locust's own answer."""
        runner, active_run = self._routes.web_ui.environment.runner, self._master.active_run
        if (
            runner is not None
            and not runner.user_count
            and active_run is not None
            and active_run.state == RunState.PAUSED
        ):
            self._master.stop_run()
        return self._locust_stop()

    def _checked_swarm(self) -> Any:
        """Check a Start, or an edit of a live run; return Locust's own answer if nothing is refused."""
        with self._one_at_a_time:
            live = self._routes.live
            return self._start() if live is None or not self._running else self._edit(live.metadata.host)

    def _edit(self, host: str) -> Any:
        try:
            self.form.check_edit(request.form, host)
        except SettingsError as error:
            logger.error("refused to change the run: %s", error)  # noqa: TRY400 - people read it
            return self._answer_refused(str(error))
        return self._swarm()

    def _checked_class(self) -> Any:
        """Check a change of a user class; return Locust's own answer if it is not refused."""
        try:
            self.form.check_class(request.get_json(force=True))
        except SettingsError as error:
            return refuse(400, str(error))
        return self._update_class()

    @property
    def _ending(self) -> bool:
        return self._master.locust_session.ending or (self._running and self._routes.live is None)

    @property
    def _running(self) -> bool:
        runner = self._routes.web_ui.environment.runner
        return runner is not None and runner.state in states.ACTIVE

    def _start(self) -> Any:
        self._await_end_of_last_run()
        if why := self.why_not:
            return self._refused(why)
        try:
            self.form.check_start(request.form)
            prepared = self._master.check(self._requested_options())
        except RefusedError as error:
            return self._refused(str(error), getattr(error, "more", {}))
        answer: Any = self._swarm()
        if not answer.get_json()["success"]:
            return answer
        # Locust starts in a greenlet: who reads "started" must find this run in the status, not the one before.
        prepared.begun.wait(WAIT_S)
        refusal = prepared.begun.exception
        return answer if refusal is None else self._answer_refused(str(refusal))

    def _refused(self, why: str, more: dict[str, Any] | None = None) -> Any:
        """Log a refusal and answer it as Locust does. With `more`, which programs read, it is a question."""
        if more:
            logger.warning("asked before a start: %s", why)
        else:
            logger.error("refused to start: %s", why)
            self._master.run_events.refused(why)
        return self._answer_refused(why, more)

    def _answer_refused(self, why: str, more: dict[str, Any] | None = None) -> Any:
        host = self._routes.web_ui.environment.host
        return jsonify({"success": False, "message": for_page(why), "host": host, **(more or {})})

    def _await_end_of_last_run(self) -> None:
        """Wait while the last run ends: Locust's workers are ready for another a moment later.

        Between a run's report and the stop of Locust's test, Locust would treat a Start as an edit of that test.
        """
        deadline = now_s() + WAIT_S
        while self._ending and now_s() < deadline:
            gevent.sleep(0.05)

    def _requested_options(self) -> argparse.Namespace:
        """Return the options with the form's fields."""
        names = ("host", *(option.name for option in OPTIONS))
        form = {name: request.form[name] for name in names if name in request.form}
        if form.get("traffic_resume", "").strip() not in ("", NONE):
            form.setdefault("host", "")  # the command line's host is for new runs; a resumed run has its own
        return argparse.Namespace(**{**vars(self._routes.options), **form})
