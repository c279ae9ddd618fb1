"""A page in a real browser, for each test anew; an API, for each module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from support.browser import a_page, chromium
from support.fake_api import FakeApi, fake_api


@pytest.fixture(scope="session")
def path() -> str:
    return chromium()


@pytest.fixture
def page(path: str) -> Iterator[Page]:
    with a_page(path) as made:
        yield made


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    with fake_api() as made:
        yield made
