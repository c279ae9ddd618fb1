"""A refusal names fields and buttons on the page, and options in the terminal, for every option and every text."""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stack import ROOT
from traffic.master.wording import for_page, label
from traffic.settings import OPTIONS, Settings, SettingsError, read_host

# These never meet the page: a worker's health check, and a pipe between programs.
ELSEWHERE = {"health.py", "live.py", "wording.py", "__main__.py"}


@pytest.mark.parametrize(
    ("terminal", "page"),
    [
        ("there is no such file", "there is no such file"),
        (
            "--traffic-seed must be a whole number from 0 to 9, not 'x'. Set --traffic-seed or TRAFFIC_SEED "
            "(default: 1).",
            "Seed must be a whole number from 0 to 9, not 'x'. Correct it in the form (default: 1).",
        ),
        (
            "--traffic-path must begin with /, not 'x'. Set --traffic-path or TRAFFIC_PATH (default: /).",
            "Path must begin with /, not 'x'. Set it when the master is started (default: /).",
        ),
        (
            "run r was cut off and is not finished. Go on with it: --traffic-resume last (TRAFFIC_RESUME=last), or "
            "leave that run and begin a new one: --traffic-resume no (TRAFFIC_RESUME=no).",
            "run r was cut off and is not finished. Go on with it: press Resume under Past runs, or leave that run and "
            "begin a new one: tick “Leave the run that was cut off” in the form of the Traffic page.",
        ),
        (
            "Have its dead letters sent again with --traffic-resume 20260102-030405-ab --traffic-resend dead-letters "
            "(TRAFFIC_RESEND=dead-letters).",
            "Have its dead letters sent again by Send again under Past runs.",
        ),
        (
            "can be sent again: add --traffic-resend dead-letters.",
            "can be sent again: press Send again under Past runs.",
        ),
        (
            "Go on with that run: --traffic-resume 2026-ab (TRAFFIC_RESUME=2026-ab); or send all of it again: "
            "--traffic-again (TRAFFIC_AGAIN=yes).",
            "Go on with that run: press Resume beside it under Past runs; or send all of it again: press Start "
            "anew, or set Traffic again to yes in Locust's own form.",
        ),
        (
            "Leave --host (the form's Host) empty; if this is meant: --traffic-other-host (TRAFFIC_OTHER_HOST=yes).",
            "Leave Host empty; if this is meant: confirm it, or set Traffic other host to yes in Locust's own form.",
        ),
        (
            "Say --traffic-records requests (TRAFFIC_RECORDS=requests).",
            "Choose requests under What the records are.",
        ),
        (
            "Say which with --traffic-delimiter (TRAFFIC_DELIMITER): a comma, a semicolon, a tab or |.",
            "Say which under Delimiter of CSV: a comma, a semicolon, a tab or |.",
        ),
        ("Put it there, or name another file with --traffic-file (looked for: /a/--traffic-b).", None),
        (
            "Name another with --traffic-state-dir, or make room.",
            "Name another when the master is started, or make room.",
        ),
        ("Correct it, or leave --traffic-schema out.", "Correct it, or start the master without it."),
        (
            "the file has 3 records, and --traffic-offset 3 leaves out all",
            "the file has 3 records, and Offset 3 leaves out all",
        ),
        (
            "not '--traffic-seed'. Set --host, LOCUST_HOST or the form's field.",
            "not '--traffic-seed'. Correct it in the form.",
        ),
        ("""not "it's --host". --host must be""", """not "it's --host". Host must be"""),
        (
            "the API's answer, the workers' last, --traffic-wait",
            "the API's answer, the workers' last, Wait between requests",
        ),
    ],
)
def test_a_refusal_is_spelled_for_the_page(terminal: str, page: str | None) -> None:
    said = for_page(terminal)
    if page is None:
        assert said == "Put it there, or name another file under Traffic file (looked for: /a/--traffic-b)."
    else:
        assert said == page


def speaks_of_options(text: str) -> bool:
    """Return whether a text names an option or a variable outside of quotation marks."""
    return re.search(r"--traffic-|--host\b|TRAFFIC_[A-Z]", re.sub(r"(?<!\w)'[^']*'", "", text)) is not None


# Of these any text is a value: what is wrong with it shows later, or did when the master was started.
ANY_TEXT = {
    "traffic_file",
    "traffic_csv_body",
    "traffic_header_file",
    "traffic_ca_file",
    "traffic_client_cert",
    "traffic_stamp",
    "traffic_time",
    "traffic_schema",
    "traffic_resume",
    "traffic_state_dir",
    "traffic_allowed_hosts",
    "traffic_trusted_proxies",
}


@pytest.mark.parametrize("name", [option.name for option in OPTIONS if option.name not in ANY_TEXT])
def test_a_value_that_cannot_be_used_is_told_by_the_field_s_name(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.read(argparse.Namespace(**{name: "\N{SNOWMAN} ?"}))
    assert speaks_of_options(str(caught.value)), "the terminal's words"
    said = for_page(str(caught.value))
    assert said.startswith(f"{label(name)} ")
    assert not speaks_of_options(said)


@pytest.mark.parametrize("host", ["", "ftp://x", "http+unix://x"])
def test_a_host_that_cannot_be_used_is_told_by_the_field_s_name(host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_host(argparse.Namespace(host=host))
    assert for_page(str(caught.value)).startswith("Host must ")
    assert not speaks_of_options(for_page(str(caught.value)))


def texts(file: Path) -> Iterator[str]:
    """Return every text in a module but its docstrings, with a word for each value that is filled in."""
    tree = ast.parse(file.read_text())
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    apart |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in apart:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "word" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_text_of_the_code_reaches_the_page_with_an_option_in_it() -> None:
    code = (file for file in (ROOT / "locust" / "traffic").rglob("*.py") if file.name not in ELSEWHERE)
    said = [text for file in code for text in texts(file) if speaks_of_options(text)]
    assert len(said) > 15, "the texts are found"
    assert [text for text in said if speaks_of_options(for_page(text))] == []


def test_every_field_of_the_form_has_the_name_that_it_has_on_the_page() -> None:
    names = [label(option.name) for option in OPTIONS if option.in_form]
    assert names[:3] == ["Traffic file", "What the records are", "Delimiter of CSV"]
    assert names[3:5] == ["Types of CSV's columns", "Column of CSV with the body"]
    assert names[5:8] == ["Order", "Seed", "Wait between requests"]
    assert names[8:14] == ["Rate", "Duration", "Member with the time", "Times as fast as recorded", "Limit", "Offset"]
    assert names[14:16] == ["Headers", "Member with the time of sending"]
