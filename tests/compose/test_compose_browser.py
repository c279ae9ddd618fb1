"""A person's first run: the web UI in a real browser, Start pressed, the records in the real MongoDB."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = pytest.mark.timeout(900)  # the first start builds two images


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.set_default_timeout(20_000)
        yield page
        browser.close()


def fill(page: Page, **traffic: str) -> None:
    """Fill Locust's form: its own fields and ours, which it keeps under "Custom parameters"."""
    users = page.locator("input[name=userCount]")
    new = page.get_by_role("button", name="New", exact=True)
    expect(users.or_(new).first).to_be_visible()
    if new.is_visible():  # there was a run before
        new.click()
    users.fill("20")
    page.locator("input[name=spawnRate]").fill("20")
    page.get_by_text("Custom parameters").click()
    for name, value in traffic.items():
        field = page.locator(f"[name={name}]")
        field.wait_for(state="visible")
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def test_start_in_the_browser_delivers_100_records_and_100_more_under_a_new_run_id(stack, page, check_delivered):
    before = stack.master("/traffic/status").get("run")
    stored = stack.mongo("db.messages.countDocuments({key: {$exists: true}})")
    form = {"trafficFile": "data/traffic.json", "trafficOrder": "random", "trafficWait": "0.1-0.5"}

    stack.ready(4)
    page.goto(stack.web)
    fill(page, **form, trafficSeed="7")
    page.get_by_role("button", name="Start", exact=True).click()
    first = stack.ended(after=before)
    check_delivered(first)
    assert first["seed"] == 7, "what the form said is what ran"

    fill(page, **form, trafficSeed="8")  # in the page as it is, as a person would
    page.get_by_role("button", name="Start", exact=True).click()
    second = stack.ended(after=first["run"])
    check_delivered(second)
    assert second["seed"] == 8
    assert stack.mongo("db.messages.countDocuments({key: {$exists: true}})") == stored + 200
