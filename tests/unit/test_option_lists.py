"""Every place that lists the options agrees with their table: Compose, .env.example, the README, the web page."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from traffic.settings import OPTIONS, Option

ROOT = Path(__file__).parents[2]
REMEDY = "Run scripts/option_lists.py."


def text(*names: str) -> str:
    return ROOT.joinpath(*names).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lists() -> ModuleType:
    spec = importlib.util.spec_from_file_location("option_lists", ROOT / "scripts" / "option_lists.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_in_docker_compose_yml_is_made_of_the_table(lists: ModuleType) -> None:
    assert text("docker-compose.yml") == lists.for_compose(text("docker-compose.yml")), REMEDY


def test_the_list_in_the_example_of_a_dot_env_is_made_of_the_table(lists: ModuleType) -> None:
    assert text(".env.example") == lists.for_example(text(".env.example"), text("docker-compose.yml")), REMEDY


def test_a_list_is_made_between_its_marks_and_nothing_else_is_changed(lists: ModuleType) -> None:
    before = f"a: 1\n  {lists.BEGIN}\n  old:\n  {lists.END}\nb: 2\n"
    assert lists.with_list(before, ["new:", "", "more:"]) == before.replace("old:", "new:\n\n  more:")
    with pytest.raises(ValueError, match="has no line"):
        lists.with_list("a: 1\n", [])


def test_compose_hands_every_option_on_to_the_master() -> None:
    environment = yaml.safe_load(text("docker-compose.yml"))["services"]["master"]["environment"]
    assert {option.variable for option in OPTIONS} <= set(environment), REMEDY


def rows() -> dict[str, str]:
    """The default that the table of options in the README has for each flag; several flags of a row share its cells."""
    found: dict[str, str] = {}
    for row in re.findall(r"^\| (`--traffic-.*)", text("README.md"), re.MULTILINE):
        flags, defaults, _ = map(str.strip, row.split("|", 2))
        named = re.findall(r"--[a-z-]+", flags)
        found |= dict(zip(named, defaults.split(", ") if len(named) > 1 else [defaults], strict=True))
    return found


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_readme_has_every_option_with_its_default(option: Option) -> None:
    written = rows()[option.flag]
    assert written.strip("`") == option.default if option.default else "`" not in written


def test_the_readme_has_no_other_option() -> None:
    assert set(rows()) == {option.flag for option in OPTIONS}


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.in_form], ids=lambda option: option.name)
def test_every_field_of_the_form_has_a_label_and_the_page_writes_no_other(option: Option) -> None:
    assert option.label
    page = text("locust", "traffic", "master", "web", "page", "index.html")
    field = re.search(rf'<label for="([\w-]+)">([^<]+)</label>\s*<\w+ id="\1" name="{option.name}"', page)
    assert field is None or field[2] == option.label
