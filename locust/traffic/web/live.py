"""What the page asks for each second, the status for programs, and what its start form is made of."""

from typing import Any

from flask import Response, request

from traffic.reading import reading_line
from traffic.settings import OPTIONS
from traffic.web.site import Site, answer
from traffic.web.starting import Starting
from traffic.web.upload import Checking

COUNTS = (
    *("records", "pending", "leased", "delivered", "rejected", "in_doubt", "unsent"),
    *("attempts", "resent", "maybe_resent"),
)
NO_RUN = "No run is live."
GOING = ("running", "paused")


class Live:
    """Tells how things stand. Nothing here reads a file or waits."""

    def __init__(self, site: Site, starting: Starting, checking: Checking) -> None:
        self._site, self._master, self._starting, self._checking = site, site.master, starting, checking
        site.add("/traffic/status", self._status)
        site.add("/traffic/live", self._live)
        site.add("/traffic/options", self._options)

    def _status(self) -> Response:
        return answer(self.status())

    def _live(self) -> Response:
        return answer(
            {
                "status": self.status(),
                "reading": self._master.reading.status or self._checking.reading.status,
                "ending": self._ending,
                "acts": self._acts(),
                "events": self._master.story.chronicle.told(request.args.get("event", 0, int)),
                "timeline": self._timeline(),
                "dead_letters": self._dead_letters,
            }
        )

    def status(self) -> dict[str, Any]:
        """The status of the present or the latest run, or of none."""
        delivery = self._master.delivery
        reading = self._master.reading.status
        if reading is not None and (delivery is None or not delivery.live):
            return {**self._before_the_first_run(), "state": "reading", "reason": reading_line(reading)}
        if delivery is None:
            return self._before_the_first_run()
        return delivery.account(self._master.test.worker_states())

    @property
    def _ending(self) -> bool:
        delivery = self._master.delivery
        stopping = delivery is not None and (delivery.ending or delivery.state == "stopping")
        return stopping or self._master.test.ending

    @property
    def _dead_letters(self) -> int:
        delivery = self._master.delivery
        return len(delivery.run.ledger.dead) if delivery else 0

    def _acts(self) -> dict[str, str]:
        """Why each act cannot be done now; empty where it can."""
        delivery = self._site.live
        state = delivery.state if delivery else ""
        by_person = delivery is not None and delivery.paused_by_person
        return {
            "start": self._starting.why_not,
            "pause": _unless(state in GOING and not by_person, state),
            "go_on": _unless(by_person, state if state != "paused" or delivery is None else delivery.reason),
            "stop": _unless(state in GOING, state),
        }

    def _timeline(self) -> dict[str, Any]:
        delivery = self._master.delivery
        if delivery is None:
            return {"run": None, "generation": 0, "next": 0, "columns": [], "rows": []}
        run = delivery.facts.run
        same = request.args.get("run") == run
        asked = request.args.get("generation", -1, int) if same else -1
        return {"run": run, **delivery.timeline.told(asked, request.args.get("sample", 0, int))}

    def _options(self) -> Response:
        """What a start form is made of: Locust's own fields, and ours as they stand now."""
        options, environment = self._site.options, self._site.web_ui.environment
        host = environment.host or options.host or next((one.host for one in environment.user_classes if one.host), "")
        fields = [
            {
                "name": option.name,
                "value": str(getattr(options, option.name, None) or ""),
                "help": option.help,
                "choices": list(option.choices) if option.choices else None,
            }
            for option in OPTIONS
            if option.in_form
        ]
        users, rate = options.num_users or 1, options.spawn_rate or 1
        return answer({"host": host, "users": users, "spawn_rate": rate, "fields": fields})

    def _before_the_first_run(self) -> dict[str, Any]:
        workers = [
            {"id": worker, "slice": 0, "moved": 0, "leased": 0, "delivered": 0, "rejected": 0, "in_doubt": 0}
            | {"state": state}
            for worker, state in self._master.test.worker_states().items()
        ]
        return {
            "run": None,
            "state": "ready",
            "reason": str(self._master.refusal or ""),
            "paused_by_person": False,
            "dataset": {"file": self._site.options.traffic_file, "records": None, "digest": None},
            "seed": None,
            "counts": dict.fromkeys(COUNTS, 0),
            "workers": workers,
            "rate": 0.0,
            "eta_s": None,
            "started": None,
            "ended": None,
            "resumed": [],
        }


def _unless(allowed: bool, state: str) -> str:
    if allowed:
        return ""
    return f"The run is {state}." if state else NO_RUN
