"""The blocks of schedules that a test runs: fewer in a fast suite, all in the whole one."""

from typing import Any

import pytest


def blocks(count: int) -> list[Any]:
    """Return the numbers of so many blocks as parameters: the first is always run, two thirds are slow."""
    fast = max(1, count // 3)
    marks: list[Any] = [[], *[pytest.mark.thorough] * (fast - 1), *[pytest.mark.slow] * (count - fast)]
    return [pytest.param(block, marks=mark) for block, mark in enumerate(marks)]
