"""Changes of the routes of Locust's web UI. What is checked there is decided in `master.web`."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from traffic.locust_patches import states

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

View = Callable[..., Any]


def replace_view(app: Flask, name: str, view: View) -> View:
    """Put `view` in the place of one of Locust's own, and return that one.

    /swarm checks nothing: a wrong file is found by a worker, or never. It sets every option that a field is named like,
    for all later starts, and /user sets any attribute of a user class. Needed for Locust 2.47.
    """
    replaced: View = app.view_functions[name]
    app.view_functions[name] = view
    return replaced


def keep_page_polling(app: Flask, is_ending: Callable[[], bool]) -> None:
    """Have the page read "running" until the test's end.

    The page stops asking for statistics when it reads "stopping", and stays there for ever. Needed for Locust 2.47.
    """

    def keep_polling(response: Response) -> Response:
        if request.endpoint == "locust.request_stats" and is_ending() and response.is_json:
            said = response.get_json()
            if said.get("state") != states.READY:
                response.set_data(json.dumps({**said, "state": states.RUNNING}))
        return response

    app.after_request(keep_polling)


def put_before(app: Flask, wrap: "Callable[[WSGIApplication], WSGIApplication]") -> None:
    """Have every request pass through what `wrap` returns, before the web UI sees it."""
    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[assignment, method-assign]


def guard_every_request(app: Flask, before: list[Callable[[], Response | None]], after: View) -> None:
    """Call `before` ahead of any view and any check of Locust's own, and `after` on every answer, last of all.

    The web UI lets any site read its answers, does what any site has a browser send, and answers to any `Host`.
    Needed for Locust 2.47.
    """
    app.before_request_funcs.setdefault(None, [])[:0] = before
    # The first of these is called last.
    app.after_request_funcs.setdefault(None, []).insert(0, after)
