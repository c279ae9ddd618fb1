"""A person's first run: the web UI in a real browser, Start pressed, the records in the real MongoDB."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from support.browser import a_browser, a_page, fill, press_start

pytestmark = pytest.mark.timeout(900)  # the first start builds two images


@pytest.fixture
def page() -> Iterator[Page]:
    with a_browser() as browser, a_page(browser) as made:
        yield made


def test_start_in_the_browser_delivers_100_records_and_100_more_under_a_new_run_id(stack, page, check_delivered):
    before = stack.master("/traffic/status").get("run")
    stored = stack.mongo("db.messages.countDocuments({key: {$exists: true}})")
    form = {"trafficFile": "data/traffic.json", "trafficOrder": "random", "trafficWait": "0.1-0.5"}

    stack.ready(4)
    page.goto(stack.web)
    fill(page, **form, trafficSeed="7")
    press_start(page)
    first = stack.ended(after=before)
    check_delivered(first)
    assert first["seed"] == 7, "what the form said is what ran"

    fill(page, **form, trafficSeed="8")  # in the page as it is, as a person would
    press_start(page)
    second = stack.ended(after=first["run"])
    check_delivered(second)
    assert second["seed"] == 8
    assert stack.mongo("db.messages.countDocuments({key: {$exists: true}})") == stored + 200
