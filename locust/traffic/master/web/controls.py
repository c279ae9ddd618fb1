"""Serve the acts on the live run: pause, go on, another rate, stop."""

from collections.abc import Callable

from flask import Response, request

from traffic.core.master.run_state import RunState
from traffic.errors import ActRefusedError
from traffic.master.web.checked_start import CheckedStart
from traffic.master.web.routes import Routes, answer, refuse
from traffic.settings.readers import BadValueError

# How long an answer waits for the journal.
JOURNALED_S = 5.0


class Controls:
    """Passes acts to the master. Answers 409 with one sentence if an act is refused, 400 if a rate is none.

    Guarded here: an act is answered once it is in the journal, so that it outlives a crash that follows. Only if the
    journal cannot be written, which the status says, the answer comes without that.
    """

    def __init__(self, routes: Routes, checked_start: CheckedStart) -> None:
        self._routes, self._checked_start = routes, checked_start
        routes.add("/traffic/pause", self._pause, "POST")
        routes.add("/traffic/go-on", self._unpause, "POST")
        routes.add("/traffic/rate", self._change_rate, "POST")
        routes.add("/traffic/stop", self._stop, "POST")

    def _pause(self) -> Response:
        return self._done(self._routes.master.pause)

    def _unpause(self) -> Response:
        return self._done(self._routes.master.unpause)

    def _change_rate(self) -> Response:
        """Change the rate to the form's `rate`; answer with the second of the schedule in which that begins."""
        text = request.form.get("rate", "").strip()
        try:
            second = self._routes.master.change_rate(text)
            self._routes.master.await_noted(JOURNALED_S)
            return answer({"ok": True, "rate": text, "from_s": round(second, 3)})
        except BadValueError as error:
            return refuse(400, f"The rate {error}, not {text[:80]!r}.")
        except ActRefusedError as error:
            return refuse(409, str(error))

    def _stop(self) -> Response:
        return self._done(self._stop_live)

    def _stop_live(self) -> None:
        active_run = self._routes.live
        if active_run is None or active_run.state == RunState.STOPPING:
            raise ActRefusedError("No run is live." if active_run is None else "The run is stopping already.")
        self._checked_start.stop()

    def _done(self, act: Callable[[], object]) -> Response:
        try:
            act()
        except ActRefusedError as error:
            return refuse(409, str(error))
        self._routes.master.await_noted(JOURNALED_S)
        return answer({"ok": True})
