"""docker-compose.yml as Compose reads it, without starting anything."""

import json
import re
from typing import Any

import pytest

from compose.stack import ROOT, compose
from traffic.settings import OPTIONS

LONG_RUNNING = ("mongo", "api", "front", "lb", "master", "worker")
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def read(*options: str, **env: str) -> dict[str, Any]:
    return dict(json.loads(compose(*options, "config", "--format", "json", env=env).stdout))


@pytest.fixture(scope="module")
def services(command_line: None) -> dict[str, Any]:
    """All services, the proxy included, which `docker compose up` alone does not start."""
    return dict(read("--profile", "lb")["services"])


def test_the_proxy_runs_only_where_it_is_asked_for(services, command_line):
    assert set(services) - set(read()["services"]) == {"lb"}


def test_what_is_scaled_has_no_port_on_the_machine(services):
    assert not any("ports" in services[name] for name in ("api", "worker"))


def test_nothing_but_the_api_and_the_web_ui_is_published_and_on_loopback_alone(services):
    ports = {
        (name, port["host_ip"], port["published"], port["target"])
        for name, service in services.items()
        for port in service.get("ports", [])
    }
    assert ports == {("front", "127.0.0.1", "4000", 4000), ("master", "127.0.0.1", "8089", 8089)}


def test_ports_follow_the_environment(command_line):
    services = read(WEB_PORT="18089", API_PORT="14000")["services"]
    assert services["master"]["ports"][0]["published"] == "18089"
    assert services["front"]["ports"][0]["published"] == "14000"


def test_every_service_is_hardened(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
        assert int(service["mem_limit"]) > 0, name
        assert service.get("user", "image's") != "0", name
        assert "privileged" not in service, name


def test_no_service_names_its_container_so_that_all_scale_and_stacks_stand_side_by_side(services):
    assert not any("container_name" in service for service in services.values())


def test_every_long_running_service_says_whether_it_can_do_its_job(services):
    assert set(services) == {*LONG_RUNNING, "secrets"}
    for name in LONG_RUNNING:
        assert services[name]["healthcheck"]["test"], name
        assert services[name]["restart"] == "unless-stopped", name
    assert services["secrets"]["restart"] == "no"


def test_each_service_waits_for_what_it_needs(services):
    waits = {
        (name, needed): (how["condition"], how["required"])
        for name, service in services.items()
        for needed, how in service.get("depends_on", {}).items()
    }
    assert waits == {
        ("mongo", "secrets"): ("service_completed_successfully", True),
        ("api", "mongo"): ("service_healthy", True),
        ("front", "api"): ("service_healthy", True),
        ("lb", "api"): ("service_healthy", True),
        ("worker", "master"): ("service_healthy", True),
        ("worker", "api"): ("service_healthy", True),
        # these aim at the proxy where it runs, and so look for it only once it is there
        ("front", "lb"): ("service_healthy", False),
        ("master", "lb"): ("service_healthy", False),
        ("worker", "lb"): ("service_healthy", False),
    }


def test_workers_and_master_have_time_to_hand_over(services):
    assert {services[name]["stop_grace_period"] for name in ("master", "worker")} == {"30s"}


def test_no_password_stands_in_the_file(services):
    for name, service in services.items():
        for key, value in (service.get("environment") or {}).items():
            if "PASSWORD" in key:
                assert not value or key.endswith("_FILE"), f"{name}: {key}"
            assert not re.search(r"://[^/@]*:[^/@]*@", value or ""), f"{name}: {key} holds a password"
    assert re.findall(r"MONGO_PASSWORD:?-[^}\"$]", TEXT) == []


def test_only_the_api_can_reach_the_database(command_line):
    config = read()
    on_store = {name for name, service in config["services"].items() if "store" in (service.get("networks") or {})}
    assert on_store == {"mongo", "api"}
    assert config["networks"]["store"]["internal"] is True
    assert set(config["services"]["mongo"]["networks"]) == {"store"}


def test_with_another_target_the_workers_aim_there_and_the_stub_can_be_left_out(command_line):
    services = read(TARGET_HOST="https://staging.example", STUB="0")["services"]
    assert services["master"]["environment"]["LOCUST_HOST"] == "https://staging.example"
    assert [services[name]["scale"] for name in ("secrets", "mongo", "api", "front")] == [0] * 4


def test_the_example_names_every_variable_and_sets_none():
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert [line for line in example.splitlines() if line and not line.startswith("#")] == []
    used = {name for name in re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT) if not name.startswith("COMPOSE_")}
    used |= set(re.findall(r"^ +(TRAFFIC_[A-Z_]+):$", TEXT, re.MULTILINE))
    assert used == set(re.findall(r"^# ?([A-Z_]+)=", example, re.MULTILINE))


def test_every_option_of_the_program_can_be_set_from_outside(services):
    handed_on = {name for name in services["master"]["environment"] if name.startswith("TRAFFIC_")}
    assert handed_on == {"TRAFFIC_SECRET_FILE", *(option.variable for option in OPTIONS)}


def test_a_traffic_option_that_is_not_set_is_not_handed_on(services, command_line):
    assert services["master"]["environment"]["TRAFFIC_SEED"] is None
    assert read(TRAFFIC_SEED="7")["services"]["master"]["environment"]["TRAFFIC_SEED"] == "7"
