"""A page in a real browser, for each test anew."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from support.browser import a_page, chromium


@pytest.fixture(scope="session")
def path() -> str:
    return chromium()


@pytest.fixture
def page(path: str) -> Iterator[Page]:
    with a_page(path) as made:
        yield made
