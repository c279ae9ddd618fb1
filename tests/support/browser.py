"""A real browser for tests, and how a person fills Locust's form in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from support.deadlines import stretched

PATIENCE_MS = 1000 * stretched(20)  # a page's next question, its answer and its drawing
# What each page has written to its console, and which of its requests have failed: shown if its test fails.
heard: WeakKeyDictionary[Page, list[str]] = WeakKeyDictionary()
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def chromium() -> str:
    """The browser's path. Without one the test is skipped; under CI=true it fails."""
    # The headless shell first: the same engine, for a third less of the processor.
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no Chromium on this machine")
    return str(path)


@contextmanager
def a_browser(*more: str) -> Iterator[Browser]:
    """Run a browser for the length of a block; with `more` arguments.

    A block is a test or a module, not a session: while it is open, this thread has a running event loop, and tests of
    other modules want one of their own.
    """
    path = chromium()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *more])
        yield browser
        browser.close()


@contextmanager
def a_page(browser: Browser) -> Iterator[Page]:
    """Open an empty page in a context of its own: no other page's cookies, storage or clock."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        _listen(page, heard.setdefault(page, []))
        yield page


def _listen(page: Page, lines: list[str]) -> None:
    page.on("console", lambda message: lines.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: lines.append(f"error: {error}"))
    page.on("requestfailed", lambda request: lines.append(f"failed: {request.url} {request.failure}"))


def fill(page: Page, **traffic: str) -> None:
    """Fill Locust's form: its own fields and ours, which it keeps under "Custom parameters"."""
    users = page.locator("input[name=userCount]")
    new = page.get_by_role("button", name="New", exact=True)
    expect(users.or_(new).first).to_be_visible()
    if new.is_visible():  # there was a run before
        new.click()
    users.fill("20")
    page.locator("input[name=spawnRate]").fill("20")
    if not page.locator("[name=trafficFile]").is_visible():
        page.get_by_text("Custom parameters").click()
    for name, value in traffic.items():
        field = page.locator(f"[name={name}]")
        field.wait_for(state="visible")
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def press_start(page: Page) -> None:
    """Press Start."""
    page.get_by_role("button", name="Start", exact=True).click()
