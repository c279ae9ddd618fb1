"""Add a link to the Traffic page to Locust's own page; no option of Locust's adds a tab in every state."""

from flask import Flask, Response, request

SCRIPT = b'<script type="module" src="./traffic/static/locust_tab.js"></script>'
END = b"</body>"


def add_tab(app: Flask) -> None:
    """Let Locust's page load the script that adds the link."""
    app.after_request(_with_script)


def _with_script(response: Response) -> Response:
    if request.endpoint == "locust.index" and response.mimetype == "text/html":
        head, end, tail = response.get_data().rpartition(END)
        if end:
            response.set_data(head + SCRIPT + end + tail)
    return response
