"""By which names the web UI may be asked: DNS rebinding has a name of another's point here."""

import pytest

from traffic.master.web.hosts import AllowedHosts
from traffic.settings import SettingsError
from unit.a_site import ASite

LOOPBACK = [
    "localhost",
    "LocalHost:8089",
    "localhost.",
    "localhost.:8089",
    "load.localhost:1",
    "127.0.0.1",
    "127.0.0.1:65535",
    "127.1.2.3:8089",
    "[::1]",
    "[::1]:8089",
    "[0:0:0:0:0:0:0:1]:8089",
    "[::ffff:127.0.0.1]:80",
]
NAMES = [
    "evil.example",
    "evil.example:8089",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "master",
]
NO_HOSTS = [
    "",
    " ",
    ":8089",
    "a b",
    "localhost:x",
    "localhost:99999",
    "localhost,evil.example",
    "evil.example@localhost",
    "localhost/x",
    "[::1",
    "::1",
    "[localhost]",
    "127.1",
    "2130706433",
    "0x7f.1",
    "localhost..",
    ".",
    "löcalhost",
]


@pytest.mark.parametrize("web_host", ["127.0.0.1", "", "0.0.0.0", "10.0.0.7", "load.example"])
@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_is_always_answered(web_host, host):
    assert AllowedHosts(web_host, "").allow(host)


@pytest.mark.parametrize("web_host", ["127.0.0.1", "", "0.0.0.0", "::", "10.0.0.7"])
@pytest.mark.parametrize("host", [*NAMES, *NO_HOSTS])
def test_other_names_and_what_is_no_host_are_not(web_host, host):
    assert not AllowedHosts(web_host, "").allow(host)


@pytest.mark.parametrize(
    ("web_host", "host"),
    [
        ("10.0.0.7", "10.0.0.7:8089"),
        ("10.0.0.7", "[::ffff:10.0.0.7]:8089"),
        ("fd00::7", "[fd00:0::7]:8089"),
        ("Load.example", "load.EXAMPLE.:8089"),
    ],
)
def test_the_bind_address_is_answered_on_any_port(web_host, host):
    assert AllowedHosts(web_host, "").allow(host)


@pytest.mark.parametrize("host", ["10.0.0.8", "192.0.2.1:8089", "[fd00::8]", "0.0.0.0:8089"])
def test_a_number_is_answered_if_the_web_ui_is_bound_to_every_address(host):
    assert AllowedHosts("", "").allow(host)
    assert not AllowedHosts("10.0.0.7", "").allow(host)


@pytest.mark.parametrize(
    ("listed", "host"),
    [
        ("load.example", "LOAD.example:443"),
        (" load.example. , other ,", "load.example"),
        ("load.example:8443", "load.example:8443"),
        ("master other", "other:8089"),
        ("fd00::8", "[fd00::8]:1"),
        ("[fd00::8]:8089", "[fd00::8]:8089"),
        ("10.0.0.8", "10.0.0.8:1"),
        ("*", "evil.example"),
    ],
)
def test_what_is_listed_is_answered(listed, host):
    assert AllowedHosts("127.0.0.1", listed).allow(host)


@pytest.mark.parametrize(
    ("listed", "host"),
    [
        ("load.example:8443", "load.example:8089"),
        ("load.example:8443", "load.example"),
        ("load.example", "a.load.example"),
        ("load.example", "load.example.evil"),
    ],
)
def test_what_is_like_it_is_not(listed, host):
    assert not AllowedHosts("127.0.0.1", listed).allow(host)


@pytest.mark.parametrize("listed", ["http://load.example", "load.example/x", "*.load.example", "a:b", "löad.example"])
def test_a_list_that_names_no_hosts_is_refused(listed):
    with pytest.raises(SettingsError, match="--traffic-allowed-hosts must list hosts"):
        AllowedHosts("127.0.0.1", listed)


def test_a_request_without_a_host_comes_from_no_browser():
    assert AllowedHosts("127.0.0.1", "").allow(None)


@pytest.mark.parametrize("path", ["/", "/healthz", "/traffic", "/traffic/live", "/traffic/files", "/nowhere", "/swarm"])
def test_every_route_refuses_another_name(tmp_path, path):
    site = ASite(tmp_path)
    said = site.get(path, Host="evil.example:8089")
    assert said.status_code == 421
    assert "(TRAFFIC_ALLOWED_HOSTS)" in said.get_json()["error"]
    assert "evil.example" in said.get_json()["error"]
    assert said.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_what_made_names_send_starts_nothing(tmp_path):
    site = ASite(tmp_path)
    rebound = {"Host": "evil.example:8089", "Origin": "http://evil.example:8089", "Sec-Fetch-Site": "same-origin"}
    assert site.client.post("/swarm", data={"user_count": "1", "spawn_rate": "1"}, headers=rebound).status_code == 421
    assert site.swarmed == []


def test_a_name_that_is_listed_is_answered(tmp_path):
    site = ASite(tmp_path, traffic_allowed_hosts="load.example")
    assert site.get("/healthz", Host="load.example:8089").status_code == 200


def test_a_master_with_a_list_that_is_none_does_not_start(tmp_path, caplog):
    with pytest.raises(SystemExit) as ended:
        ASite(tmp_path, traffic_allowed_hosts="http://load.example")
    assert ended.value.code == 4
    assert "refused to start: --traffic-allowed-hosts must list hosts" in caplog.text
