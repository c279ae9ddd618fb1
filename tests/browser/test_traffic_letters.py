"""Dead letters and reports on the Traffic page: found, opened, read as text, taken away as files."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from support.cluster import Cluster
from support.fake_api import FakeApi, Step
from support.traffic_page import SLOW_MS, TrafficPage, web_cluster

RECORDS = 130
DEAD = range(0, 120, 2)
ATTACK = '<img src=x onerror="document.title = 1"><script>document.title = 2</script>'
BIG = '{"name":"needle","msg":' + json.dumps(ATTACK) + ',"n":12345678901234567890,"again":1,"again":2,"none":[]}'


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With one finished run: the records of even indexes up to 118 are rejected; one of them is an attack."""
    with web_cluster(tmp_path_factory.mktemp("letters"), api.url, RECORDS) as made:
        file = made.folder / "data" / "attack.json"
        bodies = [json.dumps({"name": f"n{at}", "msg": f"m{at}"}) for at in range(RECORDS)]
        bodies[42] = BIG
        file.write_text("[" + ",\n".join(bodies) + "]")
        api.forget()
        said = {42: json.dumps({"error": ATTACK, "n": 12345678901234567890})}
        gone = json.dumps({"error": "no such person {n}"})
        api.script({index: [Step(404, body=said.get(index, gone))] for index in DEAD})
        assert made.swarm(traffic_file=file, host=api.url, traffic_order="file")["success"]
        made.await_state("completed")
        made.until(lambda: not made.live["ending"], "the run has wound up")
        yield made


@pytest.fixture
def traffic(cluster: Cluster, page: Page) -> TrafficPage:
    made = TrafficPage(page, cluster.web).open()
    expect(letters(made)).to_have_count(25)
    return made


def letters(traffic: TrafficPage) -> Locator:
    return traffic.page.locator("#letters-list > li")


def test_a_dead_letter_is_found_by_what_its_record_says_and_opened(traffic: TrafficPage) -> None:
    traffic.page.get_by_label("Search in records, answers, reasons, workers and keys").fill("needle")
    expect(letters(traffic)).to_have_count(1)
    expect(traffic.page.get_by_text("1 dead letter of 60 found.")).to_be_visible()
    summary = letters(traffic).locator("summary")
    for told in ("Record 42", "rejected", "status 404", "1 attempt"):
        expect(summary).to_contain_text(told)
    summary.click()
    body = traffic.page.get_by_role("region", name="Body of record 42")
    assert body.text_content() == (
        '{\n  "name": "needle",\n  "msg": ' + json.dumps(ATTACK) + ',\n  "n": 12345678901234567890,\n'
        '  "again": 1,\n  "again": 2,\n  "none": []\n}'
    ), "only white space was added"
    traffic.assert_no_violation()


def test_html_in_a_record_or_in_a_search_is_text_and_does_not_run(traffic: TrafficPage) -> None:
    traffic.page.get_by_label("Search in records, answers, reasons, workers and keys").fill("<script>")
    expect(letters(traffic)).to_have_count(1)
    letters(traffic).locator("summary").click()
    for shown in ("Body of record 42", "The API's answer to record 42"):
        text = traffic.page.get_by_role("region", name=shown)
        expect(text).to_contain_text("<script>document.title = 2</script>")
        expect(text).to_contain_text("12345678901234567890")
    assert letters(traffic).locator("pre > *").count() == 0
    assert traffic.page.locator("main script, main img, main iframe").count() == 0
    assert traffic.page.title() == f"{traffic.state.inner_text()} · Traffic"
    assert traffic.alarms == []


def test_a_group_is_shown_by_itself_and_offered_to_be_sent_again(traffic: TrafficPage) -> None:
    groups = traffic.page.get_by_role("list", name="Groups of dead letters").get_by_role("button")
    expect(groups).to_have_count(2)
    common, attack = groups.nth(0), groups.nth(1)
    expect(common).to_contain_text("59 ×")
    expect(common).to_contain_text('{"error": "no such person …"}')
    expect(attack).to_contain_text("<script>document.title = …</script>")
    expect(traffic.button("Send them again")).to_be_visible()
    attack.press("Enter")
    expect(letters(traffic)).to_have_count(1)
    expect(attack).to_be_focused()
    expect(attack).to_have_attribute("aria-pressed", "true")
    expect(traffic.page.get_by_text("1 dead letter of 60 found.")).to_be_visible()
    expect(traffic.button("Send these 1 again")).to_be_visible()
    traffic.assert_no_violation()
    attack.press("Enter")
    expect(letters(traffic)).to_have_count(25)
    expect(traffic.button("Send them again")).to_be_visible()


def test_dead_letters_come_in_pages_which_the_keyboard_turns(traffic: TrafficPage) -> None:
    pages = traffic.page.locator("#letters-range")
    expect(pages).to_have_text("1–25 of 60")
    expect(traffic.button("Previous")).to_be_disabled()
    traffic.button("Next").press("Enter")
    expect(pages).to_have_text("26–50 of 60")
    traffic.button("Next").press("Enter")
    expect(pages).to_have_text("51–60 of 60")
    expect(letters(traffic)).to_have_count(10)
    expect(traffic.page.locator("#letters-title")).to_be_focused()
    expect(traffic.button("Next")).to_be_disabled()
    traffic.button("Previous").press("Enter")
    expect(letters(traffic)).to_have_count(25)


def test_one_question_is_asked_for_what_is_typed_at_once(cluster: Cluster, page: Page) -> None:
    page.clock.install()
    traffic = TrafficPage(page, cluster.web).open()
    expect(letters(traffic)).to_have_count(25)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/search" in request.url else None)
    page.clock.pause_at(page.evaluate("Date.now() + 5000"))
    search = traffic.page.get_by_label("Search in records, answers, reasons, workers and keys")
    for typed in ("nee", "dle"):
        search.press_sequentially(typed)
        page.clock.run_for(200)
    assert asked == []
    page.clock.run_for(200)
    expect(letters(traffic)).to_have_count(1)
    assert [url.partition("q=")[2].partition("&")[0] for url in asked] == ["needle"]


@pytest.mark.parametrize("name", ["CSV", "JSON"])
def test_a_report_is_downloaded(traffic: TrafficPage, cluster: Cluster, name: str) -> None:
    run = cluster.report["run"]
    with traffic.page.expect_download() as caught:
        traffic.section("Past runs").get_by_role("link", name=f"Report as {name}, run {run}").click()
    text = Path(caught.value.path()).read_text()
    assert caught.value.suggested_filename == f"report-{run}.{name.lower()}"
    if name == "JSON":
        counts = json.loads(text)["counts"]
        assert (counts["delivered"], counts["rejected"]) == (RECORDS - len(DEAD), len(DEAD))
    else:
        assert [row["rejected"] for row in csv.DictReader(io.StringIO(text)) if row["what"] == "run"] == ["60"]


def test_the_report_to_print_opens_in_a_page_of_its_own(traffic: TrafficPage, cluster: Cluster) -> None:
    link = f"Report as a page to print, run {cluster.report['run']}, in a new tab"
    with traffic.page.expect_popup() as caught:
        traffic.section("Past runs").get_by_role("link", name=link).click()
    expect(caught.value.get_by_text(cluster.report["run"]).first).to_be_visible()
    assert caught.value.locator("script").count() == 0


def test_all_dead_letters_are_downloaded_as_lines(traffic: TrafficPage) -> None:
    with traffic.page.expect_download() as caught:
        traffic.section("Dead letters").get_by_role("link", name="Download").click()
    lines = Path(caught.value.path()).read_text().splitlines()
    assert sorted(json.loads(line)["index"] for line in lines) == list(DEAD)


def test_dead_letters_are_sent_again_with_the_same_keys(api: FakeApi, tmp_path: Path, page: Page) -> None:
    with web_cluster(tmp_path, api.url, 30) as cluster:
        api.forget()
        api.script({index: [Step(404)] for index in (3, 7, 21)})
        traffic = TrafficPage(page, cluster.web).open()
        traffic.begin()
        traffic.await_state("completed")
        expect(letters(traffic)).to_have_count(3)
        before = {post.index: post.key for post in api.posts() if post.status == 404}
        sent = api.count
        traffic.button("Send them again").click()
        dialog = traffic.page.get_by_role("dialog", name="Send 3 dead letters again?")
        expect(dialog).to_contain_text("with the same keys")
        traffic.assert_no_violation()
        dialog.get_by_label("Users (in all)").fill("4")
        dialog.get_by_role("button", name="Send again").click()
        expect(dialog).to_be_hidden(timeout=SLOW_MS)
        expect(traffic.count("delivered")).to_have_text("30", timeout=SLOW_MS)
        traffic.await_state("completed")
        assert {post.index: post.key for post in api.posts(sent)} == before


def test_a_storm_is_stopped_and_its_dead_letters_are_sent_again_by_one_press(
    api: FakeApi, tmp_path: Path, page: Page
) -> None:
    with web_cluster(tmp_path, api.url, 120) as cluster:
        api.forget()
        api.always(Step(401, body='{"error": "token expired"}'))
        traffic = TrafficPage(page, cluster.web).open()
        traffic.begin(users=4, Brake="10")
        traffic.await_state("paused")
        expect(traffic.page.locator("#run-reason")).to_contain_text("401")
        expect(traffic.page.locator("#letters-groups")).to_contain_text('{"error": "token expired"}')
        refused = api.count
        assert 10 <= refused < 60, "most of the file was not sent"
        api.always(Step())
        traffic.button("Stop, and send them again").click()
        dialog = traffic.page.get_by_role("dialog", name="Stop the run, and send its dead letters again?")
        traffic.assert_no_violation()
        dialog.get_by_role("button", name="Stop and send again").click()
        expect(dialog).to_be_hidden(timeout=SLOW_MS)
        expect(traffic.count("delivered")).to_have_text("120", timeout=SLOW_MS)
        traffic.await_state("completed")
        assert api.count == refused + 120
        assert traffic.alarms == []
