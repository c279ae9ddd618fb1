from pathlib import Path

import pytest

from stub.negotiate import wants_html
from stub.settings import SettingError, read_settings


def test_without_an_environment_it_stores_beside_itself_and_listens_to_this_machine_alone() -> None:
    settings = read_settings({})
    assert (settings.host, settings.port) == ("127.0.0.1", 4000)
    assert settings.store_url == "sqlite:///stub.sqlite"
    assert settings.max_body == 1024 * 1024


@pytest.mark.parametrize("name", ["STORE_PASSWORD_FILE", "MONGO_PASSWORD_FILE"])
def test_a_password_file_completes_the_url_and_is_never_shown(tmp_path: Path, name: str) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/word:ñ\n", encoding="utf-8")
    settings = read_settings({"STORE_URL": "mongodb://api@mongo:27017/traffic?authSource=admin", name: str(file)})
    assert settings.store_url == "mongodb://api:p%40ss%2Fword%3A%C3%B1@mongo:27017/traffic?authSource=admin"
    assert settings.shown_store == "mongodb://api@mongo:27017/traffic?authSource=admin"


def test_a_password_in_the_url_is_never_shown() -> None:
    assert read_settings({"STORE_URL": "mongodb://u:secret@m/t"}).shown_store == "mongodb://u@m/t"


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({"STUB_PORT": "x"}, "STUB_PORT must be a whole number from 0 to 65535, got 'x'"),
        ({"STUB_PORT": "65536"}, "got '65536'"),
        ({"STUB_MAX_BODY": "0"}, "STUB_MAX_BODY"),
        ({"STUB_MAX_BODY": str(2**30)}, "STUB_MAX_BODY"),
        ({"STUB_STORE_TIMEOUT": "nan"}, "STUB_STORE_TIMEOUT"),
        ({"STUB_STORE_TIMEOUT": "soon"}, "STUB_STORE_TIMEOUT"),
        ({"STORE_URL": "postgres://x"}, "must begin with mongodb:// or sqlite:///, got 'postgres'"),
        ({"STORE_URL": "sqlite:file"}, "three slashes"),
        ({"STORE_URL": "mongodb://m/t", "STORE_PASSWORD_FILE": "/nowhere"}, "must name a user"),
        ({"STORE_URL": "mongodb://u@m/t", "STORE_PASSWORD_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"STORE_URL": "mongodb://u:p@m/t", "STORE_PASSWORD_FILE": "/nowhere"}, "must not hold a password"),
        ({"STORE_URL": "mongodb://u@m/t", "STORE_PASSWORD_FILE": "/dev/null"}, "is empty"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_seen(env: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings(env)
    assert complaint in str(caught.value)
    assert ":p@" not in str(caught.value)


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html;q=0.5, application/json", False),
        ("application/json;q=0.5, TEXT/HTML", True),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
    ],
)
def test_a_page_is_for_those_who_name_html(accept: str, html: bool) -> None:
    assert wants_html(accept) is html
