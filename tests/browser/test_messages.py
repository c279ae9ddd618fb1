"""The stub's page of messages in a real browser, as a person sees it who watches a run arrive."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from support import plain_http
from support.stub_process import StubProcess, running_stub

ATTACK = "<script>document.title = 'it ran'</script><img src=x onerror=\"document.title = 'it ran'\">"
LONG = "unbroken" * 100
PHONE: ViewportSize = {"width": 375, "height": 667}


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[StubProcess]:
    with running_stub(f"sqlite:///{tmp_path}/stub.sqlite", STUB_SERVER_NAME="api-7f3c") as stub:
        yield stub


def post(
    stub: StubProcess, index: int, msg: str | None = None, name: str = "Ana María Núñez", worker: str = ""
) -> None:
    headers = {"idempotency-key": f"run-a-{index}", "traffic-worker": worker or f"worker-{index % 4}"}
    record = {"name": name, "msg": f"message {index}" if msg is None else msg}
    plain_http.post(stub.url, json=record, headers=headers).raise_for_status()


def shown(page: Page) -> list[str]:
    return page.locator(".msg").all_inner_texts()


def test_each_message_is_shown_with_name_time_server_and_worker_the_newest_first(stub: StubProcess, page: Page) -> None:
    for index in range(3):
        post(stub, index)
    page.goto(stub.url)
    assert shown(page) == ["message 2", "message 1", "message 0"]
    newest = page.get_by_role("listitem").first
    for text in ("Ana María Núñez", "api-7f3c", "worker-2"):
        expect(newest.get_by_text(text, exact=True)).to_be_visible()
    expect(newest.locator("time")).to_have_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"))
    expect(page.locator("#stored")).to_have_text("3")
    expect(page.locator(".legend")).to_contain_text(re.compile(r"api-7f3c\s+3"))


def test_older_messages_are_a_click_away_and_so_are_the_newest_again(stub: StubProcess, page: Page) -> None:
    for index in range(120):
        post(stub, index)
    page.goto(stub.url)
    seen = shown(page)
    for count in (50, 20):
        page.get_by_role("link", name="Older").click()
        expect(page.locator(".msg")).to_have_count(count)
        seen += shown(page)
    assert seen == [f"message {index}" for index in reversed(range(120))]
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_text("message 119", exact=True)).to_be_visible()


def test_the_count_grows_while_one_watches_and_offers_what_is_new(stub: StubProcess, page: Page) -> None:
    post(stub, 0)
    page.goto(stub.url)
    expect(page.locator("#new")).to_be_hidden()
    for index in range(1, 4):
        post(stub, index)
    expect(page.locator("#stored")).to_have_text("4")
    more = page.get_by_role("link", name="3 more: show the newest")
    expect(more).to_be_visible()
    assert shown(page) == ["message 0"], "nothing moves under the eyes of who reads"
    more.click()
    expect(page.locator(".msg")).to_have_count(4)


def test_an_empty_page_says_what_to_do_and_grows_too(stub: StubProcess, page: Page) -> None:
    page.goto(stub.url)
    expect(page.get_by_text("No message yet")).to_be_visible()
    post(stub, 0)
    expect(page.locator("#stored")).to_have_text("1")


def test_the_count_goes_on_after_the_stub_was_away(tmp_path: Path, page: Page) -> None:
    with running_stub(f"sqlite:///{tmp_path}/stub.sqlite") as stub:
        page.goto(stub.url)
        stub.env["STUB_PORT"] = stub.url.rpartition(":")[2]
        with page.expect_event("requestfailed"):
            stub.kill()
        stub.start()
        post(stub, 0)
        expect(page.locator("#stored")).to_have_text("1")


def test_a_script_in_a_record_is_text_and_does_not_run(stub: StubProcess, page: Page) -> None:
    alarms: list[str] = []
    page.on("dialog", lambda dialog: alarms.append(dialog.message))
    page.on("pageerror", lambda error: alarms.append(str(error)))
    page.on("console", lambda message: alarms.append(message.text))
    post(stub, 0, msg=ATTACK, name=ATTACK, worker=ATTACK)
    page.goto(stub.url)
    assert shown(page) == [ATTACK]
    assert page.locator(".name").inner_text() == ATTACK
    assert page.locator("main script, main img").count() == 0
    assert page.title() == "Messages · API stub"
    assert alarms == []


@pytest.mark.parametrize("path_", ["/", "/docs"])
def test_on_a_phone_nothing_has_to_be_pushed_sideways(stub: StubProcess, page: Page, path_: str) -> None:
    post(stub, 0, msg=LONG, name=LONG, worker=LONG[:255])
    post(stub, 1)
    page.set_viewport_size(PHONE)
    page.goto(stub.url + path_)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE["width"]
    beyond = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth).length"
    assert page.evaluate(beyond) == 0


def test_on_a_phone_text_can_be_read_and_links_can_be_hit(stub: StubProcess, page: Page) -> None:
    for index in range(60):
        post(stub, index)
    page.set_viewport_size(PHONE)
    page.goto(stub.url)
    for selector, least in ((".msg", 16), (".facts", 13)):
        size = page.locator(selector).first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
        assert size >= least
    older = page.get_by_role("link", name="Older").bounding_box()
    assert older is not None
    assert older["height"] >= 40
