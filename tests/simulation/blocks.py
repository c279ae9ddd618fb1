"""The blocks of schedules that a test runs: fewer in a fast suite, all in the whole one."""

from typing import Any

import pytest


def blocks(count: int) -> list[Any]:
    """Return the numbers of so many blocks as parameters: the first is always run, the second half is slow."""
    marks: list[Any] = [[], *[pytest.mark.thorough] * (count // 2 - 1), *[pytest.mark.slow] * (count - count // 2)]
    return [pytest.param(block, marks=mark) for block, mark in enumerate(marks)]
