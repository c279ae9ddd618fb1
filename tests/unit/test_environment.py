"""What variables say that a person may not know: one is mistyped, localhost is a container, a proxy is not used."""

import re

import pytest

from support.stack import ROOT
from traffic import environment
from traffic.settings import OPTIONS

NAMES = [option.name for option in OPTIONS]
STUB = {environment.COMPOSE_API: "http://api:4000"}


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("TRAFFIC_WATI", "TRAFFIC_WAIT"),
        ("TRAFFIC_LIMT", "TRAFFIC_LIMIT"),
        ("TRAFFIC_FILES", "TRAFFIC_FILE"),
        ("TRAFFIC_MAX_ATTEMPT", "TRAFFIC_MAX_ATTEMPTS"),
        ("TRAFFIC_STATEDIR", "TRAFFIC_STATE_DIR"),
        ("TRAFFIC_GIVEUP", "TRAFFIC_GIVE_UP"),
    ],
)
def test_a_variable_that_is_nearly_an_options_is_named_with_that_one(mistyped: str, meant: str) -> None:
    (said,) = environment.mistyped({mistyped: "1", meant: "2", "PATH": "/bin"}, NAMES)
    what = f"the variable {mistyped} is no option of this program, but nearly {meant}"
    assert said == f"{what}. Set that one, or unset {mistyped}."
    assert [mistyped in line and meant in line for line in environment.unknown({mistyped: "1"}, NAMES)] == [True]


def test_a_foreign_variable_is_named_and_refuses_nothing() -> None:
    """Kubernetes sets such for a service that is called traffic."""
    foreign = {"TRAFFIC_SERVICE_HOST": "10.0.0.1", "TRAFFIC_PORT_80_TCP_ADDR": "10.0.0.1", "TRAFFIC_PORT": "tcp://x"}
    assert list(environment.mistyped(foreign, NAMES)) == []
    assert [line.split()[2] for line in environment.unknown(foreign, NAMES)] == sorted(foreign)


def test_every_variable_that_is_read_or_documented_is_known() -> None:
    texts = [ROOT / "docker-compose.yml", ROOT / ".env.example", ROOT / "README.md", ROOT / "Makefile"]
    texts += [*(ROOT / "locust").rglob("*.py"), *(ROOT / "scripts").glob("*.py"), *(ROOT / "docs").rglob("*.md")]
    found = {name for path in texts for name in re.findall(r"\bTRAFFIC_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))}
    assert {"TRAFFIC_FILE", "TRAFFIC_HEALTH_FILE"} < found
    assert list(environment.unknown(dict.fromkeys(found, "1"), NAMES)) == []


def test_a_variable_that_is_set_to_nothing_is_not_set() -> None:
    assert list(environment.unknown({"TRAFFIC_WATI": ""}, NAMES)) == []
    assert list(environment.mistyped({"TRAFFIC_WATI": ""}, NAMES)) == []


OWN = ["localhost", "LOCALHOST.", "api.localhost", "127.0.0.1", "127.9.9.9", "127.1", "[::1]", "0.0.0.0", "[::]"]


@pytest.mark.parametrize("name", [*OWN, "[::ffff:127.0.0.1]", "me:secret@localhost"])
def test_a_loopback_address_in_a_container_is_named_with_what_to_write(name: str) -> None:
    said = environment.own_loopback(f"http://{name}:4000/v1", STUB)
    assert said is not None
    assert "is the container itself" in said
    assert "http://api:4000" in said
    assert "http://host.docker.internal:4000" in said
    assert "secret" not in said


def test_what_is_written_keeps_scheme_and_port() -> None:
    said = environment.own_loopback("https://localhost", {environment.COMPOSE_API: "http://lb:4000"})
    assert said is not None
    assert "https://host.docker.internal for" in said
    assert "http://lb:4000" in said


@pytest.mark.parametrize(
    "host", ["http://api:4000", "http://host.docker.internal:4000", "http://localhost.example", "http://10.0.0.1"]
)
def test_another_address_is_right_in_a_container(host: str) -> None:
    assert environment.own_loopback(host, STUB) is None


@pytest.mark.parametrize("variables", [{}, {environment.COMPOSE_API: ""}])
def test_without_compose_localhost_is_this_machine(variables: dict[str, str]) -> None:
    assert environment.own_loopback("http://localhost:4000", variables) is None


@pytest.fixture
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


AWAY = "the API cannot be reached: ConnectionRefusedError"


@pytest.mark.usefixtures("_no_proxy")
@pytest.mark.parametrize(
    ("name", "host"), [("HTTP_PROXY", "http://api"), ("https_proxy", "https://api"), ("ALL_PROXY", "http://api")]
)
def test_a_proxy_that_is_set_is_said_not_to_be_used_if_the_api_is_not_reached(
    monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    monkeypatch.setenv(name, "http://me:secret@proxy:3128")
    said = environment.with_proxy(AWAY, host)
    assert said == f"{AWAY}; {name.upper()} is set, and not used: the users connect to the API itself"
    assert environment.with_proxy("no worker is there", host) == "no worker is there"
    assert environment.with_proxy("", host) == ""


@pytest.mark.usefixtures("_no_proxy")
def test_a_proxy_that_would_not_be_asked_is_not_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.with_proxy(AWAY, "http://api") == AWAY
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert environment.with_proxy(AWAY, "https://api") == AWAY
    assert environment.with_proxy(AWAY, "http+unix://%2Frun%2Fapi.sock") == AWAY
    monkeypatch.setenv("NO_PROXY", "localhost,api")
    assert environment.with_proxy(AWAY, "http://api:4000") == AWAY
