"""The cures of Locust's flaws: each is a function of `locust_patches`, and a row of docs/locust-flaws.md."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from locust import __version__

from traffic import locust_patches

DOCS = Path(__file__).parents[2] / "docs" / "locust-flaws.md"
NEEDED = re.compile(r"Needed for Locust ([\d., and]+)\.")
MODULES = [module.name for module in pkgutil.iter_modules(locust_patches.__path__)]


def cures() -> dict[str, Callable[..., Any]]:
    """The functions whose docstring says which Locust needs them, by module and name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in MODULES:
        loaded = importlib.import_module(f"{locust_patches.__name__}.{module}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            if function.__module__ == loaded.__name__ and NEEDED.search(function.__doc__ or ""):
                found[f"{module}.{name}"] = function
    return found


def rows() -> list[set[str]]:
    """What each row of the first table names as its cure."""
    table = DOCS.read_text().split("\n## ")[1]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    named = re.compile(rf"`((?:{'|'.join(MODULES)})\.\w+)`")
    return [set(named.findall(line.rsplit(" | ", 1)[1])) for line in lines]


def test_each_flaw_names_a_cure_and_each_cure_a_flaw() -> None:
    assert all(rows())
    named = [cure for row in rows() for cure in row]
    assert sorted(named) == sorted(cures())


@pytest.mark.parametrize("cure", cures().values(), ids=cures())
def test_a_cure_names_the_version_that_needs_it(cure: Callable[..., Any]) -> None:
    needed = NEEDED.search(cure.__doc__ or "")
    assert needed is not None
    assert ".".join(__version__.split(".")[:2]) in needed[1], "check whether the flaw is still there"


def test_no_other_room_changes_locust() -> None:
    folder = Path(locust_patches.__path__[0])
    changes = re.compile(
        r"ignore\[.*method-assign|view_functions|_request_funcs|\bHEARTBEAT_|custom_messages|setsockopt\(zmq"
    )
    others = [file for file in folder.parent.rglob("*.py") if folder not in file.parents]
    assert [file.name for file in others if changes.search(file.read_text())] == []
