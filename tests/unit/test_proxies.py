"""Whom the master believes what a request was before a reverse proxy passed it on."""

from typing import Any

import pytest
from werkzeug.test import Client, create_environ

from traffic.master.web.proxies import TrustedProxies, read_networks
from traffic.settings import SettingsError
from unit.a_site import ASite

PROXY = "10.0.0.7"
FORWARDED = {"X-Forwarded-Host": "load.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/load"}
FORM = {"user_count": "1", "spawn_rate": "1"}


def seen(peer: str, headers: dict[str, str], trusted: str = f"{PROXY}, 192.168.0.0/16 fd00::/8") -> dict[str, Any]:
    """What reaches the application of a request from `peer`."""
    found: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.update(environ)
        start_response("200 OK", [])
        return [b""]

    environ = create_environ("/traffic", "http://master:8089", headers=headers, environ_base={"REMOTE_ADDR": peer})
    TrustedProxies(app, read_networks(trusted))(environ, lambda *_: lambda _: None)
    return found


def asked_for(environ: dict[str, Any]) -> tuple[str, str, str]:
    """Name, scheme and prefix."""
    return environ["HTTP_HOST"], environ["wsgi.url_scheme"], environ["SCRIPT_NAME"]


@pytest.mark.parametrize("peer", [PROXY, "192.168.3.4", "::ffff:10.0.0.7", "fd00::5", "fd00::5%eth0"])
def test_a_trusted_proxy_says_by_which_name_scheme_and_prefix_a_person_has_asked(peer: str) -> None:
    environ = seen(peer, FORWARDED | {"X-Forwarded-For": "203.0.113.9"})
    assert (environ["HTTP_HOST"], environ["wsgi.url_scheme"], environ["SCRIPT_NAME"]) == (
        "load.example",
        "https",
        "/load",
    )
    assert environ["REMOTE_ADDR"] == "203.0.113.9"


@pytest.mark.parametrize("peer", ["10.0.0.8", "127.0.0.1", "::1", "", "unix:"])
def test_nobody_else_is_believed(peer: str) -> None:
    environ = seen(peer, FORWARDED)
    assert asked_for(environ) == ("master:8089", "http", "")


def test_of_several_values_the_one_counts_that_the_trusted_proxy_has_added() -> None:
    assert seen(PROXY, {"X-Forwarded-Host": "evil.example, load.example"})["HTTP_HOST"] == "load.example"


@pytest.mark.parametrize("listed", ["nginx", "10.0.0.7:80", "10.0.0.1/8", "*", "load.example, 10.0.0.7"])
def test_what_is_no_address_is_refused(listed: str) -> None:
    with pytest.raises(SettingsError, match="must list addresses or networks, such as"):
        read_networks(listed)


def asked(site: ASite, peer: str, path: str = "/traffic", **headers: str) -> Any:
    client = Client(site.app)
    method = client.post if path == "/swarm" else client.get
    more = {"data": FORM} if path == "/swarm" else {}
    base = {"REMOTE_ADDR": peer}
    return method(path, headers={"Host": "127.0.0.1:8089"} | headers, environ_overrides=base, **more)


def test_behind_a_proxy_the_name_that_a_person_has_asked_for_must_be_listed(tmp_path: Any) -> None:
    site = ASite(tmp_path, traffic_trusted_proxies=PROXY, traffic_allowed_hosts="load.example")
    assert asked(site, PROXY, **{"X-Forwarded-Host": "load.example"}).status_code == 200
    assert asked(site, PROXY, **{"X-Forwarded-Host": "evil.example"}).status_code == 421
    assert asked(site, "10.9.9.9", **{"X-Forwarded-Host": "evil.example"}).status_code == 200, "it is not believed"
    own = {"X-Forwarded-Host": "load.example", "Origin": "http://load.example"}
    assert asked(site, PROXY, "/swarm", **own).status_code == 200
    foreign = {"X-Forwarded-Host": "load.example", "Origin": "http://evil.example"}
    assert asked(site, PROXY, "/swarm", **foreign).status_code == 403
    assert len(site.swarmed) == 1


def test_a_refusal_says_what_to_set_if_a_proxy_has_changed_the_name(tmp_path: Any) -> None:
    site = ASite(tmp_path)
    told = asked(site, PROXY, "/swarm", **{"X-Forwarded-Host": "load.example", "Origin": "http://load.example"})
    assert told.status_code == 403
    text = told.get_data(as_text=True)
    assert "This was sent by a page of http://load.example, not by this master's own page." in text
    assert "proxy_set_header Host $host" in text
    assert (
        "--traffic-trusted-proxies (TRAFFIC_TRUSTED_PROXIES); and list load.example in --traffic-allowed-hosts" in text
    )
    known = asked(site, PROXY, "/swarm", **{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"})
    assert "proxy" not in known.get_data(as_text=True), "the browser knows that it is another site's"


def test_a_master_whose_list_has_no_addresses_does_not_start(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        ASite(tmp_path, traffic_trusted_proxies="nginx")
    assert ended.value.code == 4
    assert "refused to start: --traffic-trusted-proxies must list addresses" in caplog.text


def test_a_cookie_that_is_set_over_https_goes_over_nothing_else(tmp_path: Any) -> None:
    site = ASite(tmp_path, traffic_trusted_proxies=PROXY)

    @site.app.route("/come-in")
    def come_in() -> Any:
        made = site.app.make_response("in")
        made.set_cookie("session", "x")
        return made

    https = asked(site, PROXY, "/come-in", **{"X-Forwarded-Proto": "https"}).headers.getlist("Set-Cookie")
    http = asked(site, PROXY, "/come-in").headers.getlist("Set-Cookie")
    assert [["Secure" in cookie for cookie in cookies] for cookies in (https, http)] == [[True], [False]]
