"""The options: what each may be, as Locust's own parser and the environment hand it on."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import locust
import pytest
from locust.argument_parser import get_parser, ui_extra_args_dict
from locust.event import Events

from traffic.core.pace.config import PaceConfig, RecordedPace
from traffic.core.protocol import TIMEOUT_S, RunConfig
from traffic.settings import OPTIONS, Settings, SettingsError, add_options, read_host

NAMES = [option.name for option in OPTIONS]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No environment, no configuration file and no locustfile but the test's."""
    for option in OPTIONS:
        monkeypatch.delenv(option.name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(locust, "events", Events())
    locust.events.init_command_line_parser.add_listener(add_options)


def parsed(*arguments: str) -> argparse.Namespace:
    """What Locust's parser makes of a command line."""
    return get_parser().parse_args(list(arguments))


def settings(**options: Any) -> Settings:
    """The settings that the named options ask for, all others at their defaults."""
    return Settings.read(argparse.Namespace(**{**vars(parsed()), **options}))


def fault(**options: Any) -> str:
    """Why they are refused."""
    with pytest.raises(SettingsError) as caught:
        settings(**options)
    return str(caught.value)


def test_without_options_a_run_is_what_the_readme_says():
    made = settings()
    assert (made.file, made.state_dir) == (Path("data/traffic.json"), Path("state"))
    assert (made.order, made.policy, made.max_attempts) == ("random", "at-least-once", 5)
    assert (made.method, made.path, made.wait) == ("POST", "/", (0.1, 0.9))
    assert (made.resume, made.keep_runs, made.keep_days, made.give_up) == ("", 100, 0, 60)


GOOD = [
    ("traffic_file", "other.json", "file", Path("other.json")),
    ("traffic_file", " /a b/ñ.json ", "file", Path("/a b/ñ.json")),
    ("traffic_order", "file", "order", "file"),
    ("traffic_order", "random", "order", "random"),
    ("traffic_seed", "0", "seed", 0),
    ("traffic_seed", 0, "seed", 0),
    ("traffic_seed", " 42 ", "seed", 42),
    ("traffic_seed", "007", "seed", 7),
    ("traffic_seed", str(2**63 - 1), "seed", 2**63 - 1),
    ("traffic_limit", "1", "limit", 1),
    ("traffic_limit", " ", "limit", None),
    ("traffic_offset", "100", "offset", 100),
    ("traffic_schema", "rules.json", "schema", Path("rules.json")),
    ("traffic_schema", "", "schema", None),
    ("traffic_path", "/", "path", "/"),
    ("traffic_path", "/v1/messages?dry=1&a=%20", "path", "/v1/messages?dry=1&a=%20"),
    ("traffic_method", "PUT", "method", "PUT"),
    ("traffic_method", "PATCH", "method", "PATCH"),
    ("traffic_wait", "0", "wait", (0.0, 0.0)),
    ("traffic_wait", "2.5", "wait", (2.5, 2.5)),
    ("traffic_wait", "0-0", "wait", (0.0, 0.0)),
    ("traffic_wait", " 0.25 - 1 ", "wait", (0.25, 1.0)),
    ("traffic_wait", "1-1", "wait", (1.0, 1.0)),
    ("traffic_wait", "0-3600", "wait", (0.0, 3600.0)),
    ("traffic_timeout", "0.1", "timeout", 0.1),
    ("traffic_timeout", "3600", "timeout", 3600.0),
    ("traffic_timeout", " 2.5 ", "timeout", 2.5),
    ("traffic_max_attempts", "1", "max_attempts", 1),
    ("traffic_max_attempts", "1000", "max_attempts", 1000),
    ("traffic_policy", "at-least-once", "policy", "at-least-once"),
    ("traffic_policy", "at-most-once", "policy", "at-most-once"),
    ("traffic_state_dir", "/var/lib/traffic", "state_dir", Path("/var/lib/traffic")),
    ("traffic_give_up", "86400", "give_up", 86400),
    ("traffic_resume", "last", "resume", "last"),
    ("traffic_resume", "no", "resume", "no"),
    ("traffic_resume", " 20260102-030405-abcd ", "resume", "20260102-030405-abcd"),
    ("traffic_keep_runs", "1", "keep_runs", 1),
    ("traffic_keep_runs", "1000000", "keep_runs", 1_000_000),
    ("traffic_keep_days", "0", "keep_days", 0),
    ("traffic_keep_days", "36500", "keep_days", 36500),
]


@pytest.mark.parametrize(("option", "value", "name", "read"), GOOD)
def test_a_good_value_is_read(option, value, name, read):
    assert getattr(settings(**{option: value}), name) == read


BAD = [
    ("traffic_resend", "all", "must be dead-letters, a status such as 422, a group such as 422-0a1b2c3d, or empty"),
    ("traffic_resend", "422-0a1b", "must be dead-letters, a status such as 422"),
    ("traffic_order", "sorted", "must be one of random, file, not 'sorted'"),
    ("traffic_order", "Random", "must be one of random, file"),
    ("traffic_seed", "-1", "must be a whole number from 0 to 9223372036854775807, not '-1'"),
    ("traffic_seed", str(2**63), "must be a whole number from 0"),
    ("traffic_seed", "9" * 5000, "must be a whole number from 0"),
    ("traffic_seed", "1.0", "must be a whole number from 0"),
    ("traffic_seed", "1e3", "must be a whole number from 0"),
    ("traffic_seed", "1_000", "must be a whole number from 0"),
    ("traffic_seed", "x", "must be a whole number from 0"),
    ("traffic_limit", "0", "must be a whole number from 1 to 9223372036854775807, not '0'"),
    ("traffic_limit", "all", "must be a whole number from 1"),
    ("traffic_offset", "-1", "must be a whole number from 0"),
    ("traffic_path", "v1", "must begin with / and hold neither spaces nor characters outside ASCII, not 'v1'"),
    ("traffic_path", "/a b", "must begin with /"),
    ("traffic_path", "/ñ", "must begin with /"),
    ("traffic_path", "/a\r\nHost: b", "must begin with /"),
    ("traffic_path", "http://other/", "must begin with /"),
    ("traffic_method", "GET", "must be one of POST, PUT, PATCH, not 'GET'"),
    ("traffic_method", "post", "must be one of POST, PUT, PATCH"),
    ("traffic_wait", "0.9-0.1", "must be MIN-MAX in seconds, MIN not above MAX and MAX not above 3600"),
    ("traffic_wait", "-1", "must be MIN-MAX in seconds"),
    ("traffic_wait", "1-", "must be MIN-MAX in seconds"),
    ("traffic_wait", "0,1-0,9", "must be MIN-MAX in seconds"),
    ("traffic_wait", "1-2-3", "must be MIN-MAX in seconds"),
    ("traffic_wait", "1s", "must be MIN-MAX in seconds"),
    ("traffic_wait", "inf", "must be MIN-MAX in seconds"),
    ("traffic_wait", "nan", "must be MIN-MAX in seconds"),
    ("traffic_wait", "0-3600.5", "must be MIN-MAX in seconds"),
    ("traffic_wait", "9" * 400, "must be MIN-MAX in seconds"),
    (
        "traffic_rate",
        "fast",
        "must be a rate such as 500/s, 30/m or 1000/h, above 0 and 1000000/s at most, or a profile",
    ),
    ("traffic_rate", "line(0,500)", "must have 3 values in line, and has line(0,500), not 'line(0,500)'"),
    ("traffic_duration", "soon", "must be a duration such as 90s, 10m or 1h30m, more than 0 and 366 days at most, not"),
    ("traffic_arrivals", "random", "must be one of even, poisson, not 'random'"),
    ("traffic_catch_up", "0.5", "must be a number from 1 to 1000, whole or decimal, not '0.5'"),
    ("traffic_timeout", "0", "must be a number from 0.1 to 3600, whole or decimal, not '0'"),
    ("traffic_timeout", "3600.5", "must be a number from 0.1 to 3600"),
    ("traffic_timeout", "1m", "must be a number from 0.1 to 3600"),
    ("traffic_timeout", "nan", "must be a number from 0.1 to 3600"),
    ("traffic_timeout", "-1", "must be a number from 0.1 to 3600"),
    ("traffic_max_attempts", "0", "must be a whole number from 1 to 1000, not '0'"),
    ("traffic_max_attempts", "1001", "must be a whole number from 1 to 1000"),
    ("traffic_max_attempts", "many", "must be a whole number from 1 to 1000"),
    ("traffic_give_up", "0", "must be a whole number from 1 to 86400, not '0'"),
    ("traffic_keep_runs", "0", "must be a whole number from 1 to 1000000, not '0'"),
    ("traffic_keep_runs", "1000001", "must be a whole number from 1 to 1000000"),
    ("traffic_keep_runs", "all", "must be a whole number from 1 to 1000000"),
    ("traffic_keep_days", "-1", "must be a whole number from 0 to 36500, not '-1'"),
    ("traffic_keep_days", "36501", "must be a whole number from 0 to 36500"),
    ("traffic_keep_days", "0.5", "must be a whole number from 0 to 36500"),
    ("traffic_policy", "exactly-once", "must be one of at-least-once, at-most-once, not 'exactly-once'"),
]


@pytest.mark.parametrize(("option", "value", "rule"), BAD)
def test_a_bad_value_is_refused_with_the_rule_the_value_and_a_remedy(option, value, rule):
    flag = "--" + option.replace("_", "-")
    said = fault(**{option: value})
    assert said.startswith(f"{flag} {rule}")
    assert repr(value) in said
    assert f"Set {flag} or {option.upper()} (default: " in said


def test_all_faults_are_reported_at_once():
    bad = {option: value for option, value, _ in BAD}
    said = fault(**bad)
    assert all(f"--{option.replace('_', '-')} must" in said for option in bad)


def test_the_remedy_names_the_default():
    assert "Set --traffic-wait or TRAFFIC_WAIT (default: 0.1-0.9)." in fault(traffic_wait="x")
    assert "Set --traffic-seed or TRAFFIC_SEED (default: empty)." in fault(traffic_seed="x")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_value_means_the_default(name, empty):
    default, made = settings(traffic_seed="1"), settings(**{"traffic_seed": "1", name: empty})
    same = [field for field in Settings.__slots__ if name != "traffic_seed" or field != "seed"]
    assert [getattr(made, field) for field in same] == [getattr(default, field) for field in same]


def test_without_a_seed_each_run_has_a_new_one():
    seeds = {settings(traffic_seed="").seed for _ in range(20)}
    assert len(seeds) > 15
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_options_that_are_missing_altogether_are_at_their_defaults():
    assert Settings.read(argparse.Namespace(traffic_seed="1")) == settings(traffic_seed="1")


def test_the_command_line_reaches_the_settings_through_locusts_parser():
    made = Settings.read(parsed("--traffic-file", "x.json", "--traffic-order", "file", "--traffic-wait", "0"))
    assert (made.file, made.order, made.wait) == (Path("x.json"), "file", (0.0, 0.0))


@pytest.mark.parametrize(("option", "value", "name", "read"), [one for one in GOOD if isinstance(one[1], str)])
def test_the_environment_reaches_the_settings_through_locusts_parser(monkeypatch, option, value, name, read):
    monkeypatch.setenv(option.upper(), value)
    assert getattr(Settings.read(parsed()), name) == read


def test_the_command_line_beats_the_environment(monkeypatch):
    monkeypatch.setenv("TRAFFIC_SEED", "1")
    assert Settings.read(parsed("--traffic-seed", "2")).seed == 2


@pytest.mark.parametrize(
    ("arguments", "resume"),
    [
        ([], ""),
        (["--traffic-resume"], "last"),
        (["--traffic-resume", "--traffic-seed", "1"], "last"),
        (["--traffic-resume", "no"], "no"),
        (["--traffic-resume=20260102-030405-abcd"], "20260102-030405-abcd"),
        (["--traffic-resume="], ""),
    ],
)
def test_resume_without_a_value_means_the_last_run(arguments, resume):
    assert Settings.read(parsed(*arguments)).resume == resume


@pytest.mark.parametrize("resume", ["last", "20260102-030405-abcd"])
def test_dead_letters_are_sent_again_of_a_run_that_is_resumed(resume):
    for which in ("dead-letters", "422", "422-0a1b2c3d", "in-doubt-0a1b2c3d"):
        assert settings(traffic_resume=resume, traffic_resend=which).resend == which
    assert not settings(traffic_resume=resume).resend
    assert Settings.read(parsed("--traffic-resume", resume, "--traffic-resend")).resend


@pytest.mark.parametrize("resume", ["", "no"])
def test_dead_letters_of_no_run_are_refused_with_a_remedy(resume):
    with pytest.raises(SettingsError) as caught:
        settings(traffic_resume=resume, traffic_resend="dead-letters")
    said = str(caught.value)
    assert "--traffic-resume names none" in said
    assert "Set --traffic-resume (TRAFFIC_RESUME) to last or a run's id, or leave --traffic-resend empty." in said


def test_resume_without_a_value_beats_the_environment(monkeypatch):
    monkeypatch.setenv("TRAFFIC_RESUME", "no")
    assert Settings.read(parsed()).resume == "no"
    assert Settings.read(parsed("--traffic-resume")).resume == "last"


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_variable_set_to_nothing_is_the_default(monkeypatch, name):
    monkeypatch.setenv(name.upper(), "")
    monkeypatch.setenv("TRAFFIC_SEED", "" if name == "traffic_seed" else "1")
    made = Settings.read(parsed())
    assert (made.order, made.policy, made.method, made.wait) == ("random", "at-least-once", "POST", (0.1, 0.9))


def test_a_rate_makes_a_pace_and_without_one_there_is_none():
    assert settings().pace(100) is None
    profile = settings(traffic_rate="line(0,10,1m) const(10,1h)", traffic_arrivals="poisson").pace(100)
    assert profile == PaceConfig("line(0,10,1m) const(10,1h)", ((0, 10, 60), (10, 10, 3600)), "poisson")


def test_a_duration_makes_the_rate_that_takes_so_long():
    pace = settings(traffic_duration="50s").pace(100)
    assert isinstance(pace, PaceConfig)
    assert (pace.rate, pace.schedule(100, 1).due([99]).tolist()) == ("--traffic-duration 50s", [49.5])


def test_a_rate_and_a_duration_contradict_each_other():
    said = fault(traffic_rate="5", traffic_duration="5m")
    assert said.startswith("--traffic-rate and --traffic-duration both say how fast the run goes. Leave one of them")


@pytest.mark.parametrize("wait", ["0.1-0.9", "0", ""])
def test_with_a_rate_no_wait_is_the_same_as_the_usual_one(wait):
    assert settings(traffic_rate="5", traffic_wait=wait).rate == "5"


def test_a_wait_beside_a_rate_is_refused_with_the_remedy():
    said = fault(traffic_rate="5", traffic_wait="1-2")
    assert "a run with a rate has no wait between requests, and --traffic-wait sets one. Leave" in said


@pytest.mark.parametrize(("option", "value", "rule"), BAD)
def test_locusts_parser_lets_a_bad_value_pass_so_that_the_master_reports_all_faults(option, value, rule):
    options = parsed(f"--{option.replace('_', '-')}={value}")
    with pytest.raises(SettingsError, match=rule.split(",", maxsplit=1)[0]):
        Settings.read(options)


def test_the_web_form_shows_what_a_person_would_change_there():
    shown = {name: extra for name, extra in ui_extra_args_dict([]).items() if name.startswith("traffic")}
    asked = ["file", "records", "delimiter", "csv_types", "csv_body"]
    asked += ["order", "seed", "wait", "rate", "duration", "time", "speed", "limit", "offset"]
    asked += ["header", "stamp", "outcomes", "reject_if", "deliver_if", "brake", "check", "results", "keep", "trace"]
    asked += ["resume", "resend", "other_host", "again"]
    assert list(shown) == [f"traffic_{name}" for name in asked]
    assert shown["traffic_order"]["choices"] == ["random", "file"]
    assert shown["traffic_other_host"]["choices"] == ["", "yes"]
    defaults = ["data/traffic.json", "bodies", "", "", "", "random", "", "0.1-0.9", "", "", "", "1", "", "0"]
    defaults += ["", "", "", "", "", "50", "", "off", "", "", "", "", "", ""]
    assert [extra["default_value"] for extra in shown.values()] == defaults
    assert all(extra["help_text"] for extra in shown.values())


def test_every_option_is_text_that_the_spawn_message_can_carry():
    options = parsed()
    assert {name: type(getattr(options, name)) for name in [*NAMES, "traffic_run"]} == dict.fromkeys(
        [*NAMES, "traffic_run"], str
    )


def test_the_run_id_that_the_master_hands_on_is_no_option_for_people(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    shown = capsys.readouterr().out
    assert "--traffic-run" not in shown
    assert all(option.flag in shown for option in OPTIONS)


@pytest.mark.parametrize(
    "host",
    [
        "http://127.0.0.1:4000",
        "https://api.example/base",
        "http://[::1]:80",
        "http://u:p@h",
        "http+unix://%2Frun%2Fapi.sock/base",
    ],
)
def test_a_host_loses_the_slash_at_its_end(host: str) -> None:
    assert read_host(argparse.Namespace(host=host + "/")) == host


@pytest.mark.parametrize("host", [None, "", "/", "localhost:4000", "ftp://h", "http://", "http://a b", "http://h?x=1"])
def test_a_host_that_is_none_is_refused_with_the_remedy(host: str | None) -> None:
    with pytest.raises(SettingsError, match="Set --host, LOCUST_HOST"):
        read_host(argparse.Namespace(host=host))


@pytest.mark.parametrize("host", ["http+unix://api.sock", "http+unix:///run/api.sock", "http+unix://run%2Fapi.sock"])
def test_a_unix_socket_is_named_by_its_whole_path(host: str) -> None:
    with pytest.raises(SettingsError, match="Set --host, LOCUST_HOST"):
        read_host(argparse.Namespace(host=host))


def test_a_unix_socket_is_refused_if_the_users_cannot_reach_it() -> None:
    with pytest.raises(SettingsError, match="only a ReplayUser can reach one"):
        read_host(argparse.Namespace(host="http+unix://%2Frun%2Fapi.sock"), unix_sockets=False)


@pytest.mark.parametrize(("given", "by_class"), [("http://localhost:4000/", None), (None, "http://127.0.0.1:4000")])
def test_a_containers_own_localhost_is_refused_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch, given: str | None, by_class: str | None
) -> None:
    assert read_host(argparse.Namespace(host=given), by_class)
    monkeypatch.setenv("TRAFFIC_COMPOSE_API", "http://lb:4000")
    with pytest.raises(SettingsError, match=r"^--host 'http.*' is not reached from here: .* Write http://lb:4000 for"):
        read_host(argparse.Namespace(host=given), by_class)


def test_the_user_classs_host_serves_if_none_is_given() -> None:
    assert read_host(argparse.Namespace(host=None), "http://class/") == "http://class"
    assert read_host(argparse.Namespace(host="http://given"), "http://class") == "http://given"


def test_the_terms_of_a_run_from_before_there_was_a_timeout_are_read_with_the_default() -> None:
    terms = RunConfig("run", "POST", "/", (0.0, 0.0), 5, "at-least-once", timeout=2.5)
    assert RunConfig.from_wire(terms.to_wire()) == terms
    old = {name: value for name, value in terms.to_wire().items() if name != "timeout"}
    assert RunConfig.from_wire(old) == replace(terms, timeout=TIMEOUT_S)


def test_recorded_times_are_a_pace_of_their_own():
    pace = settings(traffic_time="/meta/at", traffic_speed="200%", traffic_max_gap="5s").pace(10)
    assert pace == RecordedPace("/meta/at", "auto", 2.0, 5.0)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"traffic_time": "at", "traffic_rate": "5/s"}, "--traffic-rate and --traffic-time both say how fast the run"),
        ({"traffic_time": "at", "traffic_order": "file"}, "a run that follows recorded times has their order"),
        ({"traffic_time": "at", "traffic_wait": "1-2"}, "a run with recorded times has no wait between requests"),
        ({"traffic_speed": "2"}, "--traffic-speed and --traffic-max-gap are for a run that follows recorded times"),
        ({"traffic_max_gap": "2s"}, "--traffic-speed and --traffic-max-gap are for a run that follows recorded times"),
        ({"traffic_time": "/a~b"}, "must be a member's name, or a JSON Pointer, in which ~ is written ~0"),
        ({"traffic_speed": "0"}, "must be how many times as fast, such as 2, 0.5 or 200%"),
        ({"traffic_time_format": "minutes"}, "must be one of auto, iso, s, ms, us, ns"),
    ],
)
def test_what_contradicts_recorded_times_is_refused(given, why):
    assert why in fault(**given)
