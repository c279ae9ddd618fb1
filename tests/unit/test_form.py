"""What the web form may set, which hosts and files it may name, and that a refused form sets nothing."""

import os
from pathlib import Path
from typing import Any

import pytest

from traffic.master.web.file_reach import AllowedFiles
from traffic.settings import OPTIONS, SettingsError
from unit.a_site import ASite

SOCKET = "http+unix://%2Fvar%2Frun%2Fdocker.sock"
NOT_IN_THE_FORM = [option.name for option in OPTIONS if not option.in_form]
LOCUSTS_OWN = [
    "traffic_run",
    "num_users",
    "logfile",
    "csv_prefix",
    "html_file",
    "json_file",
    "headless",
    "stop_timeout",
    "expect_workers",
    "enable_rebalancing",
    "web_host",
    "master_bind_host",
    "locustfile",
    "user_classes",
    "shape_class",
    "no_such_thing",
]


@pytest.fixture
def site(tmp_path: Path) -> ASite:
    made = ASite(tmp_path)
    (made.data / "traffic.json").write_text("[{}]")
    return made


def refused(site: ASite, **form: Any) -> str:
    """Why a form is refused. Nothing of it has reached Locust, nor the options."""
    before = vars(site.options).copy()
    said = site.swarm(**form)
    assert said["success"] is False, said
    assert (site.swarmed, site.master.checked, vars(site.options)) == ([], [], before)
    return str(said["message"])


def test_what_the_page_sends_is_taken(site):
    form = {option.name: option.default for option in OPTIONS if option.in_form}
    form |= {"traffic_file": str(site.data / "traffic.json"), "host": "http://other:1", "run_time": "", "profile": ""}
    assert site.swarm(**form)["success"]
    assert site.swarmed == [{"user_count": "8", "spawn_rate": "8"} | form]
    (checked,) = site.master.checked
    assert checked.host == "http://other:1"


def test_a_start_that_is_called_off_after_it_was_found_good_is_answered_with_the_reason(site):
    site.refuses = SettingsError("the state folder cannot be written. Name another with --traffic-state-dir.")
    said = site.swarm()
    assert (said["success"], len(site.swarmed)) == (False, 1)
    assert said["message"].startswith("the state folder cannot be written.")
    assert "--traffic" not in said["message"]


@pytest.mark.parametrize("field", [*NOT_IN_THE_FORM, *LOCUSTS_OWN])
def test_a_field_that_is_not_the_forms_is_refused_and_sets_nothing(site, field):
    why = refused(site, **{field: "1"})
    assert why.startswith(f"The form cannot set {field}. Nothing has been set.")


def test_a_field_that_is_not_the_forms_is_refused_in_an_edit_too(site):
    site.run_live()
    why = str(site.swarm(traffic_keep_runs="1")["message"])
    assert why.startswith("The form cannot set traffic_keep_runs.")
    assert site.swarmed == []


def test_the_class_pickers_fields_are_the_forms_where_it_is_shown(site):
    site.web_ui.userclass_picker_is_active = True
    assert site.swarm(user_classes="Posting", shape_class="Default")["success"]


# Hosts.


@pytest.mark.parametrize(
    "host", [SOCKET, f" {SOCKET}/", "http+unix://%2Ftmp%2Fa.sock/v1", "HTTP+UNIX://%2Ftmp%2Fa.sock"]
)
def test_a_unix_socket_is_no_host_for_the_form(site, host):
    assert "A Unix socket can be the host only if the master was started with it, not '" in refused(site, host=host)


def test_a_unix_socket_that_the_master_was_started_with_is(tmp_path):
    site = ASite(tmp_path, host=SOCKET + "/")
    assert site.swarm(host=SOCKET)["success"]
    assert not site.swarm(host=SOCKET + ".other")["success"]


def test_a_host_that_locust_would_rewrite_is_refused(site):
    assert "must hold neither < nor >" in refused(site, host="http<+unix://%2Ftmp%2Fa.sock")


def test_an_edit_does_not_send_a_live_run_elsewhere(site):
    site.run_live()
    said = site.swarm(host="http://elsewhere:1")
    assert said["message"].startswith("A live run sends to one host, and this one's is http://api:4000.")
    assert site.swarm(host="http://api:4000/")["success"]
    assert site.swarm()["success"]
    assert len(site.swarmed) == 2


@pytest.mark.parametrize(
    "said",
    [
        {"user_class_name": "Posting", "host": SOCKET},
        {"user_class_name": "Posting", "over_unix_sockets": True},
        {"user_class_name": "Posting", "__init__": "x"},
        ["Posting"],
        "Posting",
    ],
)
def test_a_user_class_is_changed_in_what_locusts_page_shows_alone(site, said):
    answer = site.client.post("/user", json=said)
    assert answer.status_code == 400
    assert answer.get_json()["error"]
    assert site.classes == []


def test_what_is_no_json_changes_no_user_class(site):
    assert site.client.post("/user", data="{").status_code == 400
    assert site.classes == []


def test_a_user_class_can_be_changed(site):
    said = {"user_class_name": "Posting", "host": "http://b", "weight": 2, "fixed_count": 0, "tasks": ["post"]}
    assert site.client.post("/user", json=said).status_code == 201
    assert site.classes == [1]


# Numbers.

WRONG_USERS = ["0", "00", "+0", "-0", " 0 ", "", " ", "-1", "1.5", "99999999999999999999", "1000001", "x", "١", "1_0"]
WRONG_RATES = ["0", "1e-9", "1e300", "1e999", "nan", "inf", "-inf", "Infinity", "-1", "", "x", "1_0", "0x1", "1000001"]


@pytest.mark.parametrize("users", WRONG_USERS)
def test_users_that_cannot_be_had_are_refused(site, users):
    assert refused(site, user_count=users).startswith(
        "The number of users must be a whole number from 1 to 1000000, not"
    )


@pytest.mark.parametrize("rate", WRONG_RATES)
def test_a_rate_that_cannot_be_had_is_refused(site, rate):
    why = refused(site, spawn_rate=rate)
    assert why.startswith("The users started a second must be from 0.0001 to 1000000, not ")


@pytest.mark.parametrize("run_time", ["x", "-1", "1e3", "9" * 30, "9" * 30 + "h", "9" * 5000])
def test_a_run_time_that_cannot_be_is_refused(site, run_time):
    assert refused(site, run_time=run_time).startswith("The run time must be seconds")


def test_a_field_that_is_not_there_is_refused(site):
    said = site.client.post("/swarm", data={"spawn_rate": "1"}).get_json()
    assert said["message"].endswith("not nothing.")


@pytest.mark.parametrize("users", [value for value in WRONG_USERS if value.strip() not in ("0", "00")])
def test_users_that_cannot_be_had_are_refused_in_an_edit(site, users):
    site.run_live()
    assert not site.swarm(user_count=users)["success"]
    assert site.swarmed == []


@pytest.mark.parametrize("rate", WRONG_RATES)
def test_a_rate_that_cannot_be_had_is_refused_in_an_edit(site, rate):
    site.run_live()
    assert not site.swarm(spawn_rate=rate)["success"]
    assert site.swarmed == []


def test_an_edit_may_leave_a_run_without_users(site):
    site.run_live()
    assert site.swarm(user_count="0")["success"]


def test_a_shape_says_by_itself_how_many_users_there_are(site):
    site.web_ui.environment.shape_class = object()
    assert site.swarm(user_count="0", spawn_rate="0")["success"]


# Files.


def allowed_files(site: ASite, named: object) -> str:
    """Why a file cannot be named; empty if it can."""
    try:
        AllowedFiles(str(site.data / "traffic.json")).check(str(named), site.state / "uploads")
    except SettingsError as error:
        return str(error)
    return ""


@pytest.fixture
def folders(site: ASite, tmp_path: Path) -> ASite:
    (site.data / "sub").mkdir()
    (site.data / "sub" / "b.json").write_text("[{}]")
    (tmp_path / "secret").write_text("hunter2")
    (site.data / "link.json").symlink_to(tmp_path / "secret")
    (site.data / "up").symlink_to(tmp_path)
    (site.data / "loop").symlink_to(site.data / "loop")
    (site.data / "inner.json").symlink_to(site.data / "sub" / "b.json")
    (site.data / ".env").write_text("PASSWORD=hunter2")
    uploads = site.state / "uploads"
    (uploads / ".incoming-x").mkdir(parents=True)
    (uploads / "mine.json").write_text("[{}]")
    (uploads / ".incoming-x" / "half.json").write_text("[{")
    return site


def test_files_of_the_folder_and_uploads_can_be_named(folders, monkeypatch):
    data = folders.data
    for named in ("traffic.json", "sub/b.json", "none.json", "inner.json", "../data/traffic.json", "./sub/../x.json"):
        assert not allowed_files(folders, data / named), named
    assert not allowed_files(folders, f"  {data}/traffic.json ")
    assert not allowed_files(folders, folders.state / "uploads" / "mine.json")
    monkeypatch.chdir(data)
    assert not allowed_files(folders, "sub/b.json")


@pytest.mark.parametrize(
    "named",
    [
        "/etc/passwd",
        "/etc/no-such-file",
        "../secret",
        "../no-such-file",
        "../data/../secret",
        "link.json",
        "up/secret",
        "up/data/traffic.json/../../secret",
        "loop",
        ".env",
        "sub/../.env",
        ".",
        "a\0b.json",
        "../state/uploads/.incoming-x/half.json",
        "../state/uploads/../report.json",
        "/proc/self/environ",
        "/dev/stdin",
        "x" * 5000 + "/../../secret",
    ],
)
def test_a_file_elsewhere_is_refused_in_the_same_words_whether_or_not_it_is_there(folders, named, monkeypatch):
    monkeypatch.chdir(folders.data)
    why = allowed_files(folders, named if os.path.isabs(named) else folders.data / named)
    assert why.startswith(f"From here, a traffic file can be chosen out of {str(folders.data)!r}, or be one that was")
    assert why.endswith("is neither. Choose another, or upload it.")
    assert "hunter2" not in why


def test_an_empty_field_means_the_default_file_which_may_be_elsewhere(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not allowed_files(folders, "")
    monkeypatch.chdir(folders.state)
    assert "'data/traffic.json' is neither" in allowed_files(folders, "")


def test_the_file_that_the_master_was_started_with_can_be_named_wherever_it_leads(site, tmp_path):
    (tmp_path / "elsewhere.json").write_text("[{}]")
    configured = site.data / ".hidden.json"
    configured.symlink_to(tmp_path / "elsewhere.json")
    AllowedFiles(str(configured)).check(str(configured), site.state / "uploads")


def test_a_start_and_an_edit_name_no_file_elsewhere(site):
    assert "is neither" in refused(site, traffic_file="/etc/passwd")
    site.run_live()
    assert "is neither" in site.swarm(traffic_file="/etc/passwd")["message"]
    assert site.swarmed == []


def test_a_link_that_leads_elsewhere_is_not_listed(folders):
    names = [row["name"] for row in folders.get("/traffic/files").get_json()["files"]]
    assert "link.json" not in names
    assert {"traffic.json", "inner.json", "mine.json"} <= set(names)
