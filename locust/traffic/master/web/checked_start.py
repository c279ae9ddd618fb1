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
from traffic.master.web.reasons import Seen
from traffic.master.web.routes import Routes, refuse
from traffic.master.wording import for_page
from traffic.settings import NONE, OPTIONS, SettingsError

logger = logging.getLogger(__name__)

WAIT_S = 15.0


class CheckedStart:
    """Stands before Locust's own /swarm, /stop and /user."""

    def __init__(self, site: Routes) -> None:
        self._site, self._master = site, site.master
        self.form = Form(site)
        self._one_at_a_time = BoundedSemaphore()
        self._swarm = replace_view(site.app, "locust.swarm", site.guarded(self._checked_swarm))
        self._locust_stop = replace_view(site.app, "locust.stop", site.guarded(self.stop))
        self._update_class = replace_view(site.app, "locust.update_user", site.guarded(self._checked_class))
        keep_page_polling(site.app, lambda: self._master.locust_session.ending)

    @property
    def why_not(self) -> str:
        """Why no run can be started now, as far as can be told without the form; empty where one can."""
        active_run = self._site.live
        if active_run is not None:
            seen = Seen(active_run.state, active_run.reason, active_run.paused_by_person)
            return seen.why_not_start(active_run.run.config.run)
        if (self._master.active_run is not None and self._master.active_run.ending) or self._ending:
            return "The last run is still ending. Try again in a moment."
        if not self._master.locust_session.worker_states():
            return "No worker is connected. Start one, or wait until it has registered."
        return ""

    def stop(self) -> Any:
        """Locust's own answer to Stop; a run that waits for a worker has no Locust test to stop any more."""
        runner, active_run = self._site.web_ui.environment.runner, self._master.active_run
        if (
            runner is not None
            and not runner.user_count
            and active_run is not None
            and active_run.state == RunState.PAUSED
        ):
            self._master.stop_run()
        return self._locust_stop()

    def _checked_swarm(self) -> Any:
        """Locust's own answer to Start, or to an edit of a run, once what is asked for has been found good."""
        with self._one_at_a_time:
            live = self._site.live
            return self._start() if live is None or not self._running else self._edit(live.metadata.host)

    def _edit(self, host: str) -> Any:
        try:
            self.form.check_edit(request.form, host)
        except SettingsError as error:
            logger.error("refused to change the run: %s", error)  # noqa: TRY400 - it is told to people
            return self._answer_refused(str(error))
        return self._swarm()

    def _checked_class(self) -> Any:
        """Locust's own answer to a change of a user class, once that has been found good."""
        try:
            self.form.check_class(request.get_json(force=True))
        except SettingsError as error:
            return refuse(400, str(error))
        return self._update_class()

    @property
    def _ending(self) -> bool:
        return self._master.locust_session.ending or (self._running and self._site.live is None)

    @property
    def _running(self) -> bool:
        runner = self._site.web_ui.environment.runner
        return runner is not None and runner.state in states.ACTIVE

    def _start(self) -> Any:
        self._await_the_end_of_the_last()
        if why := self.why_not:
            return self._refused(why)
        try:
            self.form.check_start(request.form)
            prepared = self._master.check(self._asked())
        except RefusedError as error:
            return self._refused(str(error), getattr(error, "more", {}))
        answer: Any = self._swarm()
        if not answer.get_json()["success"]:
            return answer
        # Locust starts in a greenlet: whoever is told "started" is to find this run, not the one before.
        prepared.begun.wait(WAIT_S)
        refusal = prepared.begun.exception
        return answer if refusal is None else self._answer_refused(str(refusal))

    def _refused(self, why: str, more: dict[str, Any] | None = None) -> Any:
        """Answer as Locust does where it does not start, and tell; with `more`, for programs, it is a question."""
        if more:
            logger.warning("asked before a start: %s", why)
        else:
            logger.error("refused to start: %s", why)
            self._master.run_events.refused(why)
        return self._answer_refused(why, more)

    def _answer_refused(self, why: str, more: dict[str, Any] | None = None) -> Any:
        host = self._site.web_ui.environment.host
        return jsonify({"success": False, "message": for_page(why), "host": host, **(more or {})})

    def _await_the_end_of_the_last(self) -> None:
        """Start was pressed as a run ended: Locust's workers are ready for another a moment later.

        Between a run's report and the stop of Locust's test a Start would be taken for an edit of that test.
        """
        deadline = now_s() + WAIT_S
        while self._ending and now_s() < deadline:
            gevent.sleep(0.05)

    def _asked(self) -> argparse.Namespace:
        """The options as the form wants them."""
        names = ("host", *(option.name for option in OPTIONS))
        form = {name: request.form[name] for name in names if name in request.form}
        if form.get("traffic_resume", "").strip() not in ("", NONE):
            form.setdefault("host", "")  # the command line's is for new runs; one that is resumed has its own
        return argparse.Namespace(**{**vars(self._site.options), **form})
