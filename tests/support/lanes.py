"""Decides which tests share a lane, when pytest-xdist runs several lanes beside each other, and which tests begin.

A lane is one of xdist's processes. Tests that share something expensive (a module's cluster, the Docker engine) go to
one lane, one after another. All other slow tests are dealt out one by one. Quick folders are dealt out by file.
"""

import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Long tests first, so that no lane is left alone with one at the end.
ORDER = ("compose", "chaos", "browser", "integration", "simulation", "stub", "property", "unit")
BY_FILE = ("property", "unit")
# What files share, by fixture, the first that fits. One stack in Docker and one browser at a time: more starve.
SHARED = {"engine": "compose", "page": "browser", "browser": "browser", "store_url": "mongod", "mongod": "mongod"}
# A module's fixtures that cost too little to hold its tests together.
CHEAP = ("api", "shared_api")


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """xdist's scheduler, with the groups that a lane has written into a file once it has collected the tests."""

    def __init__(self, config: pytest.Config, log: Any, groups: Path) -> None:
        super().__init__(config, log)
        self._file = groups

    @cached_property
    def _groups(self) -> dict[str, str]:
        return dict(json.loads(self._file.read_text()))

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)

    def _reschedule(self, node: Any) -> None:
        """Give a lane its next group once it has begun its last test: by xdist two tests would wait behind that one."""
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)


def assign(items: list[pytest.Item], tests: Path, groups: Path) -> None:
    """Sort the tests, and write into a file which of them share a lane, by the name of their group."""
    found = {item.nodeid: group for item in items if (group := _group_of(item, tests))}
    items.sort(key=lambda item: _rank(item, tests, shared=item.nodeid in found))
    draft = groups.with_name(f"{os.getpid()}.json")  # every lane writes the same
    draft.write_text(json.dumps(found))
    draft.replace(groups)


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


def _rank(item: pytest.Item, tests: Path, *, shared: bool) -> tuple[int, bool]:
    """Return the folder's place, and within it a file's shared cluster before single tests."""
    return ORDER.index(_folder(item, tests)), not shared


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


def _of_module(item: pytest.Item) -> Iterator[str]:
    """Yield the names of the fixtures that the test shares with others of its module."""
    info = getattr(item, "_fixtureinfo", None)
    for name, definitions in (info.name2fixturedefs if info else {}).items():
        if definitions[-1].scope == "module" and name not in CHEAP:
            yield name
