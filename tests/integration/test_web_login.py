"""Where the web UI has a login, nobody gets past it but those who ask whether the master is alive."""

import re
from collections.abc import Iterator

import httpx
import pytest

from support import plain_http
from support.cluster import LOCUSTFILE, Cluster
from support.deadlines import until
from support.fake_api import FakeApi

WITH_LOGIN = (
    LOCUSTFILE
    + """
from flask import jsonify, redirect, request
from flask_login import UserMixin, login_user
from locust import events

class Person(UserMixin):
    id = "ana"

@events.init.add_listener
def _login(environment, **_):
    if environment.web_ui is None:
        return
    app = environment.web_ui.app
    app.config["SECRET_KEY"] = "of the test"
    environment.web_ui.login_manager.user_loader(lambda _: Person())

    @app.route("/enter", methods=["POST"])
    def enter():
        login_user(Person())
        return "in"

    @app.route("/every-route")
    def every_route():
        rules = [rule for rule in app.url_map.iter_rules()]
        return jsonify([[rule.rule, sorted(rule.methods - {"HEAD", "OPTIONS"})] for rule in rules])
"""
)
OURS = {"/healthz", "/enter", "/every-route"}
# Locust's: its login page and what that is drawn with.
LOCUSTS = {"/login", "/assets/<path:path>", "/static/<path:filename>"}


@pytest.fixture(scope="module")
def cluster(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    options = ("--web-login",)
    with Cluster(folder, shared_api.url, workers=0, expect=1, web=True, locustfile=WITH_LOGIN, options=options) as made:
        until(lambda: alive(made), "the web UI is there")
        yield made


def alive(cluster: Cluster) -> bool:
    try:
        return plain_http.get(f"{cluster.web}/every-route").is_success
    except httpx.TransportError:
        return False


def routes(web: httpx.Client) -> list[tuple[str, str]]:
    """Each route that is not meant to be open, with each of its methods."""
    rules = web.get("/every-route").json()
    return [
        (method, re.sub(r"<(path|text):\w+>", "x", rule))
        for rule, methods in rules
        if rule not in OURS | LOCUSTS
        for method in methods
    ]


def is_login(answer: httpx.Response) -> bool:
    """Whether an answer sends the browser to the login."""
    return answer.status_code == 302 and answer.headers["location"].startswith("/login?next=")


def test_every_route_that_there_is_asks_for_the_login(cluster: Cluster) -> None:
    with plain_http.client(base_url=cluster.web) as web:
        every = routes(web)
        assert ("GET", "/traffic") in every
        assert ("PUT", "/traffic/files/x") in every
        assert ("GET", "/traffic/static/x") in every
        assert ("POST", "/swarm") in every
        assert [route for route in every if not is_login(web.request(*route))] == []


def test_health_needs_none(cluster: Cluster) -> None:
    assert plain_http.get(f"{cluster.web}/healthz").json() == {"status": "ok"}


def test_whoever_has_logged_in_gets_in(cluster: Cluster) -> None:
    with plain_http.client(base_url=cluster.web) as web:
        assert web.post("/enter").text == "in"
        assert web.get("/traffic/status").json()["state"] == "ready"
        assert web.get("/traffic").headers["content-type"].startswith("text/html")


def test_an_answer_that_is_on_its_way_does_not_undo_a_logout(cluster: Cluster) -> None:
    with plain_http.client(base_url=cluster.web) as web:
        web.post("/enter")
        for route in ("/traffic", "/traffic/live", "/traffic/runs", "/traffic/files"):
            answer = web.get(route)
            assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)


def test_a_login_is_no_leave_for_other_sites(cluster: Cluster) -> None:
    with plain_http.client(base_url=cluster.web) as web:
        web.post("/enter")
        assert web.post("/traffic/stop", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_the_logins_cookie_stays_at_home(cluster: Cluster) -> None:
    with plain_http.client(base_url=cluster.web) as web:
        (cookie,) = web.post("/enter").headers.get_list("set-cookie")
    assert {"SameSite=Lax", "HttpOnly"} <= {part.strip() for part in cookie.split(";")}
