"""A run on the Traffic page, from Start to its end, on real processes: what a person sees and does."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from support.cluster import Cluster, records_file
from support.deadlines import until
from support.fake_api import FakeApi, Step, fake_api
from support.traffic_page import SLOW_MS, TrafficPage, web_cluster

RECORDS = 60
# A line from one point to others. (One that is level has no height, and is not "visible".)
DRAWN = re.compile(r"^M[^L]+L")


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with web_cluster(tmp_path_factory.mktemp("run"), api.url, RECORDS) as made:
        yield made


@pytest.fixture
def traffic(api: FakeApi, cluster: Cluster, page: Page) -> TrafficPage:
    if not cluster.live["acts"]["stop"]:
        cluster.stop()  # what another test has left
    cluster.await_startable()
    api.forget()
    records_file(cluster.folder / "data", RECORDS, mark=uuid4().hex)  # or one that a test has stopped were asked about
    return TrafficPage(page, cluster.web).open()


def test_a_run_that_is_started_here_moves_the_bar_to_its_end(
    traffic: TrafficPage, cluster: Cluster, api: FakeApi
) -> None:
    api.always(Step(delay=0.4))
    traffic.begin(users=4)
    traffic.await_state("running")
    traffic.await_some("delivered")
    seen = traffic.widths()
    assert 0 < seen["delivered"] < 1
    assert seen["pending"] + seen["leased"] > 0
    traffic.assert_no_violation()
    traffic.await_state("completed")
    expect(traffic.count("delivered")).to_have_text(str(RECORDS))
    expect(traffic.page.locator("#glance-settled")).to_have_text("100 %")
    assert traffic.widths() | {"delivered": 1} == dict.fromkeys(seen, 0) | {"delivered": 1}
    assert api.count == RECORDS
    for chart in ("#chart-rate", "#chart-remaining"):
        expect(traffic.page.locator(f"{chart} .scatterlayer path.js-line")).to_have_attribute("d", DRAWN)
    expect(traffic.page.locator("#charts-said")).to_contain_text(f"0 of {RECORDS} remaining")
    run = cluster.report["run"]
    expect(traffic.section("Past runs").get_by_role("rowheader", name=run)).to_be_visible()
    # A line is one trace, and of several paths if nothing was answered for a while.
    lines = traffic.page.locator("#chart-times .scatterlayer .trace")
    expect(lines).to_have_count(2)
    for number in range(2):
        expect(lines.nth(number).locator('path.js-line[d*="L"]')).not_to_have_count(0)  # some may be single points
    times = traffic.section("Response times").get_by_role("row", name=f"All {RECORDS}")
    expect(times).to_have_text(re.compile(rf"^All{RECORDS}(\d+\.?\d* m?s){{7}}$"))
    assert traffic.alarms == []


def test_while_a_run_is_live_the_form_is_away_and_at_its_end_it_is_back(traffic: TrafficPage, api: FakeApi) -> None:
    api.always(Step(delay=0.6))
    form = traffic.page.get_by_role("heading", name="Start a run")
    expect(form).to_be_visible()
    traffic.begin(users=4)
    traffic.await_state("running")
    expect(form).to_be_hidden()
    expect(traffic.page.get_by_role("heading", name="Run", exact=True)).to_be_focused()
    traffic.await_state("completed")
    expect(form).to_be_visible()


def test_an_act_that_cannot_be_done_says_why_to_everyone(traffic: TrafficPage) -> None:
    pause = traffic.button("Pause")
    expect(pause).to_have_attribute("aria-disabled", "true")
    expect(pause).to_have_accessible_description("No run is live.")
    pause.press("Enter")
    expect(traffic.page.get_by_role("status").filter(has_text="No run is live.")).to_be_visible()


def test_a_refused_start_says_why_beside_the_button(traffic: TrafficPage, api: FakeApi) -> None:
    traffic.start(Seed="seven")
    said = traffic.page.get_by_role("alert").filter(has_text="Seed must be a whole number")
    expect(said).to_be_visible()
    traffic.start(users=0, Seed="")
    expect(traffic.page.get_by_role("alert").filter(has_text="Users must be a whole number from 1 on")).to_be_visible()
    expect(traffic.page.locator("#users")).to_be_focused()
    assert api.count == 0


def test_start_is_sent_once_however_often_it_is_pressed(traffic: TrafficPage, cluster: Cluster, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    starts: list[str] = []
    traffic.page.on("request", lambda request: starts.append(request.url) if "/swarm" in request.url else None)
    expect(traffic.page.locator("#file option").nth(1)).to_be_attached()
    traffic.page.locator("#users").fill("2")  # or the run would be over before a busy machine presses Stop
    traffic.page.locator("#act-start").evaluate("button => { for (let n = 0; n < 5; n += 1) button.click() }")
    traffic.await_state("running")
    traffic.button("Stop").click()
    traffic.await_state("stopped")
    assert starts == [f"{cluster.web}/swarm"]


def test_a_stopped_run_is_resumed_and_says_since_when(traffic: TrafficPage, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    traffic.begin(users=2)
    traffic.await_some("delivered")
    traffic.button("Stop").click()
    traffic.await_state("stopped")
    traffic.await_some("unsent")
    traffic.button("Resume").click()
    dialog = traffic.page.get_by_role("dialog", name=re.compile("^Resume run"))
    expect(dialog).to_contain_text("records are left")
    traffic.assert_no_violation()
    dialog.get_by_label("Users (in all)").fill("20")
    dialog.get_by_role("button", name="Resume").click()
    expect(dialog).to_be_hidden(timeout=SLOW_MS)
    expect(traffic.page.locator("#run-title")).to_be_focused()
    expect(traffic.page.get_by_text(re.compile(r"^Resumed at [\d:]+, with \d+ settled$"))).to_be_visible()
    traffic.await_state("completed")
    expect(traffic.count("delivered")).to_have_text(str(RECORDS))
    assert len({post.index for post in api.posts()}) == RECORDS


def test_a_run_that_is_resumed_to_another_host_is_asked_about_and_the_header_has_its_host(
    traffic: TrafficPage, api: FakeApi
) -> None:
    with fake_api() as other:
        api.always(Step(delay=0.5))
        host = traffic.page.locator("#glance-host")
        traffic.begin(users=2)
        traffic.await_some("delivered")
        traffic.button("Stop").click()
        traffic.await_state("stopped")
        sent = api.count
        traffic.page.locator("#host").fill("http://127.0.0.1:9")  # the form's is for new runs
        traffic.button("Resume").click()
        dialog = traffic.page.get_by_role("dialog")
        expect(dialog.get_by_label("Host")).to_have_value(api.url)
        dialog.get_by_label("Host").fill(other.url)
        dialog.get_by_role("button", name="Resume").click()
        expect(dialog).to_contain_text(f"went to {api.url}, and would go on to {other.url}")
        expect(dialog).to_contain_text("has seen none of its keys")
        traffic.assert_no_violation()
        assert other.count == 0, "nothing is sent before the answer"
        dialog.get_by_role("button", name="Send to the other host").click()
        expect(dialog).to_be_hidden(timeout=SLOW_MS)
        traffic.await_state("completed")
        expect(host).to_have_text(other.url)
        expect(traffic.page.locator("#facts")).to_contain_text(f"POST {other.url}/")
        assert (api.count, other.count) == (sent, RECORDS - sent)
    # Another begins: the header is the new run's without a reload.
    traffic.page.locator("#host").fill(api.url)
    traffic.begin(users=8)
    expect(host).to_have_text(api.url)


def test_a_file_of_which_a_run_was_stopped_is_asked_about_and_resumed(traffic: TrafficPage, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    traffic.begin(users=2)
    traffic.await_some("delivered")
    traffic.button("Stop").click()
    traffic.await_state("stopped")
    sent = api.count
    dialog = traffic.page.get_by_role("dialog", name="Some of this file has been sent already")
    traffic.start(users=20)
    expect(dialog).to_contain_text(re.compile(rf"{sent} of {RECORDS} records were settled .*{RECORDS - sent} are left"))
    traffic.assert_no_violation()
    dialog.get_by_role("button", name="Cancel").click()
    expect(traffic.button("Start")).to_be_focused()
    assert api.count == sent
    traffic.start(users=20)
    dialog.get_by_role("button", name="Resume").click()
    expect(dialog).to_be_hidden(timeout=SLOW_MS)
    traffic.await_state("completed")
    assert api.count == RECORDS
    assert len({post.key for post in api.posts()}) == RECORDS


def test_a_file_of_which_a_run_was_stopped_can_be_sent_anew(traffic: TrafficPage, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    traffic.begin(users=2)
    traffic.await_some("delivered")
    traffic.button("Stop").click()
    traffic.await_state("stopped")
    sent = api.count
    api.always(Step())
    traffic.start(users=20)
    dialog = traffic.page.get_by_role("dialog", name="Some of this file has been sent already")
    dialog.get_by_role("button", name="Start anew").click()
    expect(dialog).to_be_hidden(timeout=SLOW_MS)
    traffic.await_state("completed")
    assert api.count == sent + RECORDS
    traffic.begin(users=20)  # it is asked about once
    traffic.await_state("completed")
    assert api.count == sent + 2 * RECORDS


def test_a_run_is_started_and_stopped_with_the_keyboard_alone(traffic: TrafficPage, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    page = traffic.page
    expect(page.locator("#file option").nth(1)).to_be_attached()
    _tab_to(page, "users")
    page.keyboard.press("Control+A")
    page.keyboard.type("3")
    _tab_to(page, "act-start")
    page.keyboard.press("Enter")
    traffic.await_state("running")
    expect(page.locator("#run-title")).to_be_focused()
    _tab_to(page, "act-stop")
    page.keyboard.press("Space")
    traffic.await_state("stopped")


def _tab_to(page: Page, wanted: str, most: int = 60) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == wanted:
            return
    raise AssertionError(f"#{wanted} is not reached by {most} times Tab")


def test_a_killed_worker_is_said_in_its_row_and_in_the_events(api: FakeApi, tmp_path: Path, page: Page) -> None:
    api.forget()
    api.always(Step(delay=1.5))
    with web_cluster(tmp_path, api.url, RECORDS, workers=3) as cluster:
        traffic = TrafficPage(page, cluster.web).open()
        traffic.begin(users=6)
        traffic.await_some("delivered")
        victim, others = cluster.workers[0].id, [worker.id for worker in cluster.workers[1:]]
        cluster.workers[0].kill()
        rows = traffic.section("Workers").get_by_role("row")
        expect(rows.filter(has_text=victim)).to_contain_text(re.compile("missing|gone"), timeout=SLOW_MS)
        for other in others:
            expect(rows.filter(has_text=other)).not_to_contain_text(re.compile("missing|gone"))
        expect(traffic.events().filter(has_text="is gone (not heard from")).to_have_count(1, timeout=SLOW_MS)
        api.always(Step())
        traffic.await_state("completed")
        expect(traffic.count("delivered")).to_have_text(str(RECORDS))


def test_a_run_is_paused_goes_on_and_is_finished(traffic: TrafficPage, api: FakeApi) -> None:
    api.always(Step(delay=0.5))
    traffic.begin(users=2)
    traffic.await_some("delivered")
    traffic.button("Pause").click()
    traffic.await_state("paused")
    expect(traffic.page.locator("#run-reason")).to_contain_text("Nothing is going out.")
    expect(traffic.button("Pause")).to_have_attribute("aria-disabled", "true")
    expect(traffic.events().filter(has_text="is paused")).not_to_have_count(0)
    traffic.assert_no_violation()
    traffic.button("Go on").click()
    traffic.await_state("running")
    traffic.await_state("completed")
    expect(traffic.count("delivered")).to_have_text(str(RECORDS))
    assert api.count == RECORDS


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("app.js", marks=pytest.mark.slow),
        pytest.param("poll.js", marks=pytest.mark.slow),
        "page.css",
        "*.*",
    ],
)
def test_a_page_of_which_a_part_could_not_be_loaded_loads_again(part: str, cluster: Cluster, page: Page) -> None:
    visits: list[bool] = []
    page.on("request", lambda request: visits.append(request.is_navigation_request()))
    page.route(f"**/static/{part}", lambda route: route.abort() if sum(visits) == 1 else route.continue_())
    page.goto(f"{cluster.web}/traffic", wait_until="commit")
    until(lambda: page.wait_for_timeout(20) or sum(visits) == 2, "the page loads again")
    expect(TrafficPage(page, cluster.web).state).not_to_have_text("…")


def test_the_rate_is_changed_on_the_page_while_the_run_goes(
    traffic: TrafficPage, cluster: Cluster, api: FakeApi
) -> None:
    traffic.begin(users=8, Rate="2/s")
    traffic.await_some("delivered")
    pace = traffic.page.locator("#pace-figures")
    expect(pace).to_contain_text("2/s, even")
    expect(traffic.page.locator("#chart-pace .scatterlayer path.js-line").first).to_have_attribute(
        "d", DRAWN, timeout=SLOW_MS
    )
    change = traffic.button("Change the rate")
    change.click()
    dialog = traffic.page.get_by_role("dialog", name="Change the rate")
    rate = dialog.get_by_label("Records a second, in all")
    expect(rate).to_have_value("2/s")
    expect(rate).to_be_focused()
    traffic.assert_no_violation()
    rate.fill("fast")
    dialog.get_by_role("button", name="Change", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("The rate must be a rate such as 500/s")
    rate.fill("40/s")
    rate.press("Enter")
    expect(dialog).to_be_hidden(timeout=SLOW_MS)
    expect(pace).to_contain_text("40/s, even")
    traffic.await_state("completed")
    expect(change).to_be_hidden()
    assert [one["profile"] for one in cluster.report["pace"]["changes"]] == ["40/s"]
    assert api.count == RECORDS
    assert traffic.alarms == []


def test_a_wait_for_the_api_is_shown_with_its_reason(traffic: TrafficPage, api: FakeApi) -> None:
    api.always(Step(429, retry_after="600"))
    traffic.begin(users=4)
    traffic.await_state("paused")
    expect(traffic.page.locator("#run-reason")).to_contain_text(re.compile(r"Held by the API until \d\d:\d\d:\d\d"))
    expect(traffic.page.locator("#pace-figures")).to_contain_text("Waited for the API")
    expect(traffic.button("Go on")).to_have_accessible_description(
        re.compile("^The run waits by itself: held by the API")
    )
    traffic.assert_no_violation()
    traffic.button("Stop").click()
    traffic.await_state("stopped")


def test_two_runs_are_compared(traffic: TrafficPage, cluster: Cluster, api: FakeApi) -> None:
    runs = []
    for step in (Step(), Step(404)):
        api.always(step)
        traffic.begin(users=4)
        traffic.await_state("completed")
        runs.append(cluster.report["run"])
        cluster.await_startable()
    past = traffic.section("Past runs")
    past.get_by_label("Compare run").select_option(runs[0])
    past.get_by_label("with run").select_option(runs[1])
    past.get_by_role("button", name="Compare", exact=True).click()
    shown = past.get_by_role("region", name="Comparison of two runs")
    expect(shown).to_be_focused()
    expect(shown.get_by_role("row", name=f"Delivered {RECORDS} 0 −{RECORDS}")).to_be_visible()
    expect(shown.get_by_role("row", name=re.compile(r"Response time, 99 % \d.* \d"))).to_be_visible()
    expect(shown).to_contain_text(
        f"{RECORDS} delivered before, rejected after: records 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"
    )
    traffic.assert_no_violation()
    assert traffic.alarms == []
