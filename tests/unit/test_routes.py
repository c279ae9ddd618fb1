"""What every answer of the web UI has: JSON in our errors, no other site's frame around it, cookies kept at home."""

import pytest

from unit.a_site import ASite


@pytest.fixture
def site(tmp_path):
    return ASite(tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/traffic/files/a%0ab.json", 400),
        ("PUT", "/traffic/files/%0a", 400),
        ("PUT", "/traffic/files/a.json%0a", 400),
        ("PUT", "/traffic/files/a%0db.json", 400),
        ("PUT", "/traffic/files/a%00b.json", 400),
        ("PUT", "/traffic/files/a%2fb.json", 400),
        ("PUT", "/traffic/files/a/b.json", 400),
        ("PUT", "/traffic/files/%ff.json", 400),
        ("DELETE", "/traffic/files/a%0ab.json", 404),
        ("DELETE", "/traffic/files/none.json", 404),
        ("PUT", "/traffic/files", 405),
        ("PUT", "/traffic/files/", 404),
        ("POST", "/traffic/files/a.json", 405),
        ("GET", "/traffic/files/a.json", 405),
        ("GET", "/traffic/nothing", 404),
        ("GET", "/traffic/live%0a", 404),
        ("GET", "/traffic/%0a", 404),
        ("GET", "/traffic/static/none.js", 404),
        ("GET", "/traffic/static/%0a", 404),
        ("GET", "/traffic/static/%00", 404),
        ("GET", "/traffic/static/../live.py", 404),
        ("GET", "/traffic/pause", 405),
        ("POST", "/traffic/pause", 409),
        ("POST", "/traffic/status", 405),
        ("TRACE", "/traffic/status", 405),
        ("POST", "/healthz", 405),
        ("GET", "/traffic/report?run=%00", 404),
        ("GET", "/traffic/report?format=%0a&run=r", 400),
        ("GET", "/traffic/dead-letters?run=a%0ab", 404),
        ("GET", "/traffic/dead-letters/search?run=%ff", 404),
    ],
)
def test_an_error_of_our_routes_is_json_in_words(site, method, path, status):
    answer = site.client.open(path, method=method, data=b"[{}]")
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert answer.get_json()["error"]
    assert answer.headers.get("Cache-Control", "no-store") == "no-store"


def test_a_line_break_in_a_files_name_is_said_to_be_one(site):
    said = site.client.put("/traffic/files/a%0ab.json", data=b"[{}]").get_json()["error"]
    assert said.startswith("'a\\nb.json' cannot be used: a file's name must hold neither a slash, nor")


def test_a_wrong_method_names_the_right_ones(site):
    answer = site.client.get("/traffic/pause")
    assert "POST" in answer.headers["Allow"]


def test_locusts_own_errors_stay_as_they_are(site):
    answer = site.get("/nowhere")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


@pytest.mark.parametrize("path", ["/", "/traffic", "/nowhere", "/healthz", "/traffic/live", "/traffic/nothing"])
def test_no_other_site_may_show_a_page_in_its_frame(site, path):
    with site.get(path) as answer:
        headers = answer.headers
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "SAMEORIGIN"


def test_the_scripts_of_locusts_page_may_still_run(site):
    assert site.get("/").headers["Content-Security-Policy"] == "frame-ancestors 'self'"


def test_cookies_do_not_go_with_what_other_sites_send(site):
    config = site.app.config
    assert (config["SESSION_COOKIE_SAMESITE"], config["REMEMBER_COOKIE_SAMESITE"]) == ("Lax", "Lax")
    assert config["SESSION_COOKIE_HTTPONLY"]
    assert config["REMEMBER_COOKIE_HTTPONLY"]
    assert not config["SESSION_COOKIE_SECURE"], "over plain HTTP the browser would send none"


def test_a_master_that_reads_no_messages_is_not_healthy_and_says_why(site, monkeypatch):
    monkeypatch.setattr("traffic.master.web.pages.SECOND_LOOK_S", 0)
    assert (site.get("/healthz").status_code, site.get("/healthz").get_json()) == (200, {"status": "ok"})
    site.master.ill = "the loop that reads the workers' messages has ended"
    said = site.get("/healthz")
    assert said.status_code == 503
    why = "This master does not work: the loop that reads the workers' messages has ended."
    assert said.get_json() == {"status": "failing", "error": why}


def test_a_master_that_was_only_frozen_is_healthy_at_the_second_look(site, monkeypatch):
    def second_look(_: float) -> None:
        site.master.ill = ""

    monkeypatch.setattr("traffic.master.web.pages.gevent.sleep", second_look)
    site.master.ill = "the workers' messages have not been read for 60 s"
    assert site.get("/healthz").status_code == 200


def test_a_rate_is_changed_or_refused_with_what_it_must_be(site: ASite) -> None:
    changed = site.client.post("/traffic/rate", data={"rate": " 50/s "})
    assert (changed.status_code, changed.json) == (200, {"ok": True, "rate": "50/s", "from_s": 7.25})
    bad = site.client.post("/traffic/rate")
    assert (bad.status_code, bad.json) == (400, {"error": "The rate must be a rate such as 50/s, not ''."})
    none = site.client.post("/traffic/rate", data={"rate": "7/s"})
    assert (none.status_code, none.json) == (409, {"error": "There is no run to change."})
