"""Pause, go on, stop: what a person can do with the live run."""

from collections.abc import Callable

from flask import Response

from traffic.core.master.run_state import RunState
from traffic.errors import ActRefusedError
from traffic.master.web.checked_start import CheckedStart
from traffic.master.web.routes import Routes, answer, refuse


class Controls:
    """Has the master act; 409 with one sentence where it does not."""

    def __init__(self, site: Routes, starting: CheckedStart) -> None:
        self._site, self._starting = site, starting
        site.add("/traffic/pause", self._pause, "POST")
        site.add("/traffic/go-on", self._unpause, "POST")
        site.add("/traffic/stop", self._stop, "POST")

    def _pause(self) -> Response:
        return _done(self._site.master.pause)

    def _unpause(self) -> Response:
        return _done(self._site.master.unpause)

    def _stop(self) -> Response:
        return _done(self._stop_live)

    def _stop_live(self) -> None:
        active_run = self._site.live
        if active_run is None or active_run.state == RunState.STOPPING:
            raise ActRefusedError("No run is live." if active_run is None else "The run is stopping already.")
        self._starting.stop()


def _done(act: Callable[[], object]) -> Response:
    try:
        act()
    except ActRefusedError as error:
        return refuse(409, str(error))
    return answer({"ok": True})
