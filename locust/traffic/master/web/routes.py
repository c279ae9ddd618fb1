"""Add routes to Locust's web UI, and answer in the form that all of ours share."""

import argparse
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from flask import Blueprint, Flask, Response, make_response, request
from flask_login import login_required
from locust.web import WebUI
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from traffic.master.active_run import ActiveRun
from traffic.master.file_loading import BackgroundLoader
from traffic.master.locust_session import LocustSession
from traffic.master.run_events import RunEventRecorder
from traffic.master.start import PreparedStart
from traffic.master.wording import for_page
from traffic.runs.state_dir import StateFolder
from traffic.settings import DEFAULT_STATE_DIR

logger = logging.getLogger(__name__)

PIECE = 1 << 16


class MasterView(Protocol):
    """The part of the master that the routes use."""

    @property
    def active_run(self) -> ActiveRun | None:
        """The present or the latest run."""

    @property
    def refusal(self) -> Exception | None:
        """Why the latest start was refused, or a run that was cut off could not be resumed."""

    @property
    def ill(self) -> str:
        """Why the workers' messages are not read; empty if they are."""

    def check(self, options: argparse.Namespace) -> PreparedStart:
        """Prepare a start with these options. RefusedError if it would be refused."""

    def pause(self) -> None:
        """Pause the live run: no more records are handed out. ActRefusedError if that is not possible."""

    def unpause(self) -> None:
        """Let a run that a person paused go on. ActRefusedError if that is not possible."""

    def change_rate(self, rate: str) -> float:
        """Change the rate of the live run. ActRefusedError if that is not possible, ValueError if it is no rate."""

    def await_noted(self, within_s: float) -> bool:
        """Wait until what was changed last is in the journal; return whether it is within that time."""

    @property
    def loader(self) -> BackgroundLoader:
        """The loader of the traffic files."""

    def stop_run(self) -> None:
        """End the run that is live, if any."""

    @property
    def locust_session(self) -> LocustSession:
        """Locust's own test."""

    @property
    def run_events(self) -> RunEventRecorder:
        """The recorder of the run's events."""


class AnyText(BaseConverter):
    """Matches the rest of an address, whatever it holds: Werkzeug's `path` matches no line break."""

    regex = r"(?s:.+)"
    part_isolating = False


class Routes:
    """Locust's web UI with our blueprint, to which routes are added until `register`."""

    def __init__(self, web_ui: WebUI, master: MasterView) -> None:
        self.web_ui, self.master = web_ui, master
        assert web_ui.app is not None
        self.app: Flask = web_ui.app
        self.base: str = self.options.web_base_path or ""
        self.app.url_map.converters["text"] = AnyText
        self._routes = Blueprint("traffic", __name__, url_prefix=self.base or None)
        self._routes.register_error_handler(Exception, _failed)
        # An address that no route has belongs to no blueprint.
        self.app.register_error_handler(HTTPException, self._unrouted)

    @property
    def options(self) -> argparse.Namespace:
        """The options as Locust has them."""
        options = self.web_ui.environment.parsed_options
        assert isinstance(options, argparse.Namespace)
        return options

    @property
    def live(self) -> ActiveRun | None:
        """The run that is live, if any."""
        active_run = self.master.active_run
        return active_run if active_run is not None and active_run.live else None

    @property
    def folder(self) -> StateFolder:
        """The state folder."""
        active_run = self.master.active_run
        wanted = str(self.options.traffic_state_dir or "").strip()
        return active_run.folder if active_run else StateFolder(Path(wanted or DEFAULT_STATE_DIR))

    def add(self, rule: str, view: Callable[..., Any], *methods: str, login: bool = True) -> None:
        """Add a route, for GET unless `methods` are named; behind the login, if one is set."""
        guarded = self.guarded(view) if login else view
        name = f"{view.__qualname__}".replace(".", "_")
        self._routes.add_url_rule(rule, name, guarded, methods=list(methods or ("GET",)))

    def guarded(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Return the view behind Locust's login, if one is set.

        Locust's `auth_required_if_enabled` is not used: it writes the session at every request, so that an answer that
        is on its way while a person logs out logs that person in again. This page nearly always has one on its way.
        """
        made: Callable[..., Any] = login_required(view) if self.web_ui.web_login else view
        return made

    def is_ours(self, path: str) -> bool:
        """Return whether a path is the Traffic page's, or below it."""
        ours = f"{self.base}/traffic"
        return path == ours or path.startswith(f"{ours}/")

    def _unrouted(self, error: HTTPException) -> Any:
        """Answer in our form if the path is one of ours, else as Locust's web UI does."""
        return _failed(error) if self.is_ours(request.path) or request.path == f"{self.base}/healthz" else error

    def register(self) -> None:
        """Let Locust's web UI serve the routes."""
        self.app.register_blueprint(self._routes)


def answer(value: dict[str, Any], status: int = 200) -> Response:
    """Answer with JSON whose members are in the order that the docs give."""
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    # A file's name may have bytes that are not text; they are escaped.
    return Response(text.encode(errors="backslashreplace"), status, content_type="application/json")


def refuse(status: int, why: str, findings: Iterable[str] = (), **more: Any) -> Response:
    """Answer that a request is refused, and why, in the page's words; `findings` are the faults of a file, if any."""
    listed = {"findings": [for_page(one) for one in findings]} if findings else {}
    return answer({"error": for_page(why), **listed, **more}, status)


def pieces(file: Any) -> Iterator[bytes]:
    """Return the content of a file, piece by piece; close the file at the end."""
    with file:
        while piece := file.read(PIECE):
            yield piece


def _failed(error: Exception) -> Response:
    """Answer for a view that failed. A fault of our own is logged with its trace."""
    if isinstance(error, HTTPException):
        if error.response is not None:
            return make_response(error.response)
        refused = refuse(error.code or 500, error.description or error.name)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            refused.headers["Allow"] = ", ".join(error.valid_methods)
        return refused
    logger.error("a request to the Traffic page failed", exc_info=error)
    return refuse(500, "The master failed at this; its log says why.")
