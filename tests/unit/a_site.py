"""The master's web routes over a Flask application of the test's own: no Locust runs, no port is open."""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Blueprint, Flask, jsonify
from gevent.event import AsyncResult
from werkzeug.test import Client, TestResponse

from traffic.errors import ActRefusedError
from traffic.master.run_events import RunEventRecorder
from traffic.master.web import Web
from traffic.runs.state_dir import StateFolder
from traffic.settings import OPTIONS
from traffic.settings.readers import BadValueError


class FakeMaster:
    """What the routes need of a master without a run. `checked` has the options of each checked start."""

    def __init__(self) -> None:
        self.active_run: Any = None
        self.refusal: Exception | None = None
        self.loader = SimpleNamespace(status=None)
        self.locust_session = SimpleNamespace(worker_states=lambda: {"w": "ready"}, ending=False)
        self.run_events = RunEventRecorder()
        self.checked: list[argparse.Namespace] = []
        self.ill = ""
        self.prepared: Any = None

    def check(self, options: argparse.Namespace) -> Any:
        self.checked.append(options)
        self.prepared = SimpleNamespace(begun=AsyncResult())
        return self.prepared

    def pause(self) -> None:
        raise ActRefusedError("There is no run to pause.")

    unpause = stop_run = pause

    def await_noted(self, within_s: float) -> bool:
        self.awaited_s = within_s
        return True

    def change_rate(self, rate: str) -> float:
        if rate == "50/s":
            return 7.25
        if not rate:
            raise BadValueError("must be a rate such as 50/s")
        raise ActRefusedError("There is no run to change.")


class ASite:
    """A web UI with a fake Locust that records the forms in `swarmed` and starts nothing.

    If `refuses` is set, each start is called off with this error after its check.
    """

    def __init__(
        self, tmp_path: Path, *, web_host: str = "127.0.0.1", host: str = "http://api:4000", **said: Any
    ) -> None:
        self.data, self.state = tmp_path / "data", tmp_path / "state"
        self.data.mkdir(exist_ok=True)
        given = {option.name: option.default for option in OPTIONS}
        given |= {"traffic_file": str(self.data / "traffic.json"), "traffic_state_dir": str(self.state)}
        more = {"host": host, "web_base_path": "", "num_users": 1, "spawn_rate": 1.0, "traffic_run": ""}
        self.options = argparse.Namespace(**{**given, **more, **said})
        self.master = FakeMaster()
        self.swarmed: list[Any] = []
        self.classes: list[Any] = []
        self.refuses: Exception | None = None
        self.runner = SimpleNamespace(state="ready", user_count=0)
        environment = SimpleNamespace(
            parsed_options=self.options, host=host, user_classes=[], shape_class=None, runner=self.runner
        )
        self.app = Flask("locust")
        locust = Blueprint("locust", __name__)
        locust.add_url_rule("/", "index", lambda: "<body></body>")
        locust.add_url_rule("/swarm", "swarm", self._swarm, methods=["POST"])
        locust.add_url_rule("/stop", "stop", lambda: jsonify(success=True), methods=["POST"])
        locust.add_url_rule("/user", "update_user", self._user, methods=["POST"])
        self.app.register_blueprint(locust)
        self.web_ui: Any = SimpleNamespace(
            app=self.app,
            environment=environment,
            host=web_host,
            tls_cert=None,
            web_login=False,
            userclass_picker_is_active=False,
        )
        Web(self.web_ui, self.master)  # type: ignore[arg-type]
        self.client = Client(self.app)

    def _swarm(self) -> Any:
        from flask import request  # noqa: PLC0415

        self.swarmed.append(dict(request.form))
        self._activate(live=self.master.active_run is not None and self.master.active_run.live)
        if self.refuses is not None:
            self.master.prepared.begun.set_exception(self.refuses)
        elif self.master.prepared is not None:
            self.master.prepared.begun.set(self.master.active_run)
        return jsonify(success=True, message="Swarming started", host="")

    def _user(self) -> Any:
        self.classes.append(1)
        return {}, 201

    def _activate(self, *, live: bool) -> None:
        self.master.active_run = SimpleNamespace(
            live=live,
            state="running" if live else "completed",
            reason="",
            ending=False,
            metadata=SimpleNamespace(host="http://api:4000", run="r"),
            folder=StateFolder(self.state),
        )

    def run_live(self) -> None:
        """Make a run live, so that the next form edits it."""
        self.runner.state = "running"
        self._activate(live=True)

    def swarm(self, **form: Any) -> dict[str, Any]:
        """Press Start; return the answer."""
        said = self.client.post("/swarm", data={"user_count": "8", "spawn_rate": "8"} | form)
        return dict(said.get_json())

    def get(self, path: str, **headers: str) -> TestResponse:
        """Get a path; return the answer."""
        return self.client.get(path, headers=headers)
