"""Serve the page, its scripts and styles, the chart library, and the health check."""

import gzip
from importlib.metadata import distribution
from pathlib import Path

import gevent
from flask import Response, make_response, redirect, request, send_from_directory

from traffic.master.threads import in_thread
from traffic.master.web.page_html import HTML, PAGE
from traffic.master.web.routes import Routes, answer

A_WEEK_S = 7 * 86400
SECOND_LOOK_S = 1.0
OK = {"status": "ok"}


class Pages:
    """Serves the folder `page`, and the chart library from its package."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._plotly: tuple[str, bytes, bytes] | None = None
        routes.add("/healthz", self._healthz, login=False)
        routes.add("/traffic", self._page)
        routes.add("/traffic/", self._without_slash)
        routes.add("/traffic/static/<text:path>", self._static)
        routes.add("/traffic/static/plotly.min.js", self._charts)

    def _healthz(self) -> Response:
        """Answer 200 if this master reads its workers' messages, 503 with the reason if it does not."""
        if self._routes.master.ill:
            gevent.sleep(SECOND_LOOK_S)  # after a freeze, a process is late with everything at once
        why = self._routes.master.ill
        return answer({"status": "failing", "error": f"This master does not work: {why}."}, 503) if why else answer(OK)

    def _page(self) -> Response:
        return Response(HTML, content_type="text/html; charset=utf-8")

    def _without_slash(self) -> Response:
        return make_response(redirect(f"{self._routes.base}/traffic"))

    def _static(self, path: str) -> Response:
        return send_from_directory(PAGE / "static", path, max_age=0)

    def _charts(self) -> Response:
        version, plain, packed = self._plotly = self._plotly or in_thread(_plotly)
        zipped = bool(request.accept_encodings["gzip"])
        response = Response(packed if zipped else plain, content_type="text/javascript; charset=utf-8")
        if zipped:
            response.content_encoding = "gzip"
        response.vary.add("Accept-Encoding")
        response.set_etag(f"plotly-{version}{'-gzip' if zipped else ''}")
        response.cache_control.private, response.cache_control.max_age = True, A_WEEK_S
        response.make_conditional(request)
        return response


def _plotly() -> tuple[str, bytes, bytes]:
    """Return the version of the chart library, its code, and the code in gzip. Importing the package would be slow."""
    package = distribution("plotly")
    code = Path(str(package.locate_file("plotly/package_data/plotly.min.js"))).read_bytes()
    return package.version, code, gzip.compress(code, mtime=0)
