"""A browser and an API for each module, a page for each test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from support.browser import a_browser, a_page
from support.fake_api import FakeApi, fake_api


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as made:
        yield made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as made:
        yield made


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    with fake_api() as made:
        yield made
