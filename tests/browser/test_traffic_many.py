"""The Traffic page with a hundred workers and a million records: it does not grow, whatever the status says."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from support.cluster import Cluster
from support.fake_api import fake_api
from support.told import ToldMaster, running
from support.traffic_page import PHONE, TrafficPage, web_cluster

EVENTS_KEPT = 300
TURN = """hidden => {
  Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with fake_api() as api, web_cluster(tmp_path_factory.mktemp("many"), api.url, 10, workers=1) as made:
        yield made


@pytest.fixture
def told(page: Page) -> ToldMaster:
    return ToldMaster(page, running(workers=100, records=1_000_000))


def await_answers(traffic: TrafficPage, told: ToldMaster, more: int) -> None:
    wanted = told.answers + more
    for _ in range(more * 4):
        if told.answers >= wanted:
            break
        with traffic.page.expect_response("**/traffic/live?*"):
            pass
    assert told.answers >= wanted
    shown = f"{told.status['counts']['delivered']:,}"
    expect(traffic.count("delivered")).to_have_text(shown)


def nodes(traffic: TrafficPage, where: str) -> int:
    return int(traffic.page.evaluate("where => document.querySelectorAll(where + ' *').length", where))


def test_rows_of_a_hundred_workers_are_changed_in_place(cluster: Cluster, told: ToldMaster, page: Page) -> None:
    told.advance(7)
    traffic = TrafficPage(page, cluster.web).open()
    rows = traffic.page.locator("#workers-table tbody tr")
    expect(rows).to_have_count(100)
    page.evaluate("window.rowsBefore = [...document.querySelectorAll('#workers-table tbody tr')]")
    before = nodes(traffic, "#workers"), nodes(traffic, "#run")
    await_answers(traffic, told, 4)
    assert (nodes(traffic, "#workers"), nodes(traffic, "#run")) == before
    same = "[...document.querySelectorAll('#workers-table tbody tr')].every((row, at) => row === window.rowsBefore[at])"
    assert page.evaluate(same), "the same rows, in the same order"
    assert before[0] < 2500


def test_a_table_that_does_not_change_is_not_touched(cluster: Cluster, told: ToldMaster, page: Page) -> None:
    traffic = TrafficPage(page, cluster.web).open()
    expect(traffic.page.locator("#workers-table tbody tr")).to_have_count(100)
    page.evaluate(
        "() => { window.changes = 0; const watch = new MutationObserver(list => { window.changes += list.length });"
        "watch.observe(document.querySelector('#workers'),"
        "{childList: true, subtree: true, attributes: true, characterData: true}) }"
    )
    await_answers(traffic, told, 3)
    assert page.evaluate("window.changes") == 0


def test_a_reader_of_the_table_is_not_moved_and_the_log_is_bounded(
    cluster: Cluster, told: ToldMaster, page: Page
) -> None:
    told.advance(1)
    told.answers = 2 * EVENTS_KEPT
    traffic = TrafficPage(page, cluster.web).open()
    expect(traffic.page.locator("#workers-table tbody tr")).to_have_count(100)
    page.locator("#workers .scroll").evaluate("area => { area.scrollTop = 1000 }")
    await_answers(traffic, told, 3)
    assert page.locator("#workers .scroll").evaluate("area => area.scrollTop") == 1000
    assert page.locator("#events-list > li").count() == EVENTS_KEPT


def test_a_worker_that_joins_comes_last_and_one_that_goes_leaves_the_rest(
    cluster: Cluster, told: ToldMaster, page: Page
) -> None:
    traffic = TrafficPage(page, cluster.web).open()
    rows = traffic.page.locator("#workers-table tbody tr")
    expect(rows).to_have_count(100)
    told.status["workers"].append({**told.status["workers"][0], "id": "late_" + "f" * 32})
    expect(rows.last).to_contain_text("late_ffffff")
    del told.status["workers"][3]
    expect(rows).to_have_count(100)
    expect(rows.nth(2)).to_contain_text(told.status["workers"][2]["id"])


def hold(page: Page, cluster: Cluster) -> list[Route]:
    """Have the next question wait, and see it come."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route("**/traffic/live?*", keep, times=1)
    page.clock.run_for(2_000)
    cluster.until(lambda: (page.wait_for_timeout(20), held)[1], "a question is asked")
    return held


def test_no_question_is_asked_while_another_is_open_and_a_late_answer_is_said(
    cluster: Cluster, told: ToldMaster, page: Page
) -> None:
    page.clock.install()
    traffic = TrafficPage(page, cluster.web).open()
    held = hold(page, cluster)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/traffic/live" in request.url else None)
    page.evaluate(TURN, False)  # somebody comes back to the page: that asks at once, but for an open question
    page.clock.run_for(6_000)  # not so long that the page gives that question up
    expect(page.locator("#lost-text")).to_contain_text("No answer from the master")
    assert asked == []
    held[0].fallback()
    await_answers(traffic, told, 1)
    expect(page.locator("#lost-text")).to_be_hidden()


def test_nothing_is_asked_while_nobody_looks_and_at_once_when_somebody_does(
    cluster: Cluster, told: ToldMaster, page: Page
) -> None:
    page.clock.install()
    traffic = TrafficPage(page, cluster.web).open()
    held = hold(page, cluster)
    page.evaluate(TURN, True)
    before = told.answers
    held[0].fallback()
    latest = page.locator("#events-list > li").first
    expect(latest).to_have_attribute("value", str(before))
    page.clock.run_for(600_000)
    assert told.answers == before + 1, "the one that was on its way"
    with page.expect_response("**/traffic/live?*"):
        page.evaluate(TURN, False)
    await_answers(traffic, told, 1)


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_a_phone_needs_no_pushing_sideways(cluster: Cluster, told: ToldMaster, page: Page, scheme: str) -> None:
    told.advance(3)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    traffic = TrafficPage(page, cluster.web).open()
    await_answers(traffic, told, 2)
    expect(page.locator("#chart-rate svg").first).to_be_visible()
    traffic.assert_fits()
    traffic.assert_no_violation()
