"""Decides which tests share a lane, when pytest-xdist runs several lanes beside each other, and which tests begin.

A lane is one of xdist's processes. Tests that share something expensive (a module's cluster, the Docker engine) go to
one lane, one after another. All other slow tests are dealt out one by one. Quick folders are dealt out by file.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

# Long tests first, so that no lane is left alone with one at the end.
ORDER = ("compose", "chaos", "browser", "integration", "simulation", "stub", "property", "unit")
BY_FILE = ("property", "unit")
# What files share, by fixture, the first that fits. Stacks in Docker run two at a time: more would starve each other.
SHARED = {"stack": "compose", "engine": "other stacks", "store_url": "mongod", "mongod": "mongod"}
# A module's fixtures that cost too little to hold its tests together.
CHEAP = ("api", "shared_api")


def assign(items: list[pytest.Item], tests: Path) -> None:
    """Sort the tests, and mark those that share a lane with the name of their group."""
    for item in items:
        if group := _group_of(item, tests):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: _rank(item, tests))


def _folder(item: pytest.Item, tests: Path) -> str:
    return item.path.relative_to(tests).parts[0]


def _group_of(item: pytest.Item, tests: Path) -> str:
    for fixture, group in SHARED.items():
        if fixture in _fixtures(item):
            return group
    shared = sorted(_of_module(item))
    if shared or _folder(item, tests) in BY_FILE:
        return "+".join([item.path.relative_to(tests).as_posix(), *shared])
    return ""


def _rank(item: pytest.Item, tests: Path) -> tuple[int, bool]:
    """Return the folder's place, and within it a file's shared cluster before single tests."""
    return ORDER.index(_folder(item, tests)), item.get_closest_marker("xdist_group") is None


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


def _of_module(item: pytest.Item) -> Iterator[str]:
    """Yield the names of the fixtures that the test shares with others of its module."""
    info = getattr(item, "_fixtureinfo", None)
    for name, definitions in (info.name2fixturedefs if info else {}).items():
        if definitions[-1].scope == "module" and name not in CHEAP:
            yield name
