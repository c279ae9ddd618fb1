"""Traffic files on the Traffic page: uploaded by button or dropped, checked, chosen, sent, deleted."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from support.cluster import Cluster
from support.fake_api import FakeApi
from support.traffic_page import TrafficPage, web_cluster

BAD = {
    "a-number.json": ('[\n  {"name": "Ana"},\n  42\n]\n', "line 3, column 3", "record 1"),
    "not-closed.json": ('[\n  {"name": "Ana"', "line 2, column 17", "record 0"),
    "two-faults.jsonl": ('{"name": "Ana"}\n[1]\n{"name": "Bea"}\n"x"\n', "line 2", "line 4"),
}
DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  const drop = new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});
  document.querySelector('#drop').dispatchEvent(drop);
}"""


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with web_cluster(tmp_path_factory.mktemp("files"), api.url, 20) as made:
        yield made


@pytest.fixture
def traffic(cluster: Cluster, page: Page) -> TrafficPage:
    cluster.await_startable()
    made = TrafficPage(page, cluster.web).open()
    expect(made.page.locator("#file option").nth(1)).to_be_attached()
    return made


def chosen(traffic: TrafficPage) -> Locator:
    """What the chooser of the file shows."""
    return traffic.page.locator("#file option:checked")


def upload(traffic: TrafficPage, file: Path) -> None:
    with traffic.page.expect_file_chooser() as chooser:
        traffic.button("choose one to upload").click()
    chooser.value.set_files(file)


def good_file(folder: Path, name: str, count: int) -> Path:
    file = folder / name
    file.write_text(json.dumps([{"name": f"n{at}", "msg": "ü"} for at in range(count)]))
    return file


def test_the_files_beside_the_configured_one_can_be_chosen_with_their_sizes(traffic: TrafficPage) -> None:
    expect(traffic.page.locator("#file option", has_text="20.json")).to_contain_text(re.compile(r"\d+ bytes"))
    expect(chosen(traffic)).not_to_have_text("Another path on the master…")


def test_a_choice_that_is_made_while_the_files_are_listed_again_stays(traffic: TrafficPage, cluster: Cluster) -> None:
    page = traffic.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/traffic/files", hold)
    traffic.start()  # at the run's end the list is asked for again
    cluster.until(lambda: (page.wait_for_timeout(50), held)[1], "the files are asked for")
    page.get_by_label("Traffic file").select_option("Another path on the master…")
    page.get_by_label("Path on the master").fill("/here/mine.json")
    with page.expect_response("**/traffic/files"):
        held[0].continue_()
    expect(page.locator("#file option", has_text="20.json")).to_be_attached()
    expect(chosen(traffic)).to_have_text("Another path on the master…")
    expect(page.get_by_label("Path on the master")).to_have_value("/here/mine.json")


def test_a_good_file_is_uploaded_chosen_sent_and_deleted(
    traffic: TrafficPage, cluster: Cluster, api: FakeApi, tmp_path: Path
) -> None:
    upload(traffic, good_file(tmp_path, "mine und größer.json", 33))
    said = traffic.page.get_by_role("status")
    expect(said.filter(has_text="mine und größer.json is good: 33 records, a JSON array")).to_be_visible()
    expect(chosen(traffic)).to_contain_text("33 records")
    expect(chosen(traffic)).to_contain_text("uploaded")
    sent = api.count
    traffic.begin()
    traffic.await_state("completed")
    expect(traffic.count("delivered")).to_have_text("33")
    assert api.count == sent + 33
    cluster.until(lambda: not cluster.live["ending"], "the run has wound up")
    expect(chosen(traffic)).to_contain_text("mine und größer.json")
    traffic.button("Delete the file").click()
    dialog = traffic.page.get_by_role("dialog", name="Delete mine und größer.json?")
    traffic.assert_no_violation()
    dialog.get_by_role("button", name="Delete").click()
    expect(said.filter(has_text="is deleted")).to_be_visible()
    expect(traffic.page.locator("#file option", has_text="mine")).to_have_count(0)
    expect(chosen(traffic)).to_contain_text("20.json")
    traffic.open()  # a page that is opened now does not offer it either
    expect(chosen(traffic)).to_contain_text("20.json")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "a-number.json" else ()) for name in BAD]
)
def test_a_bad_file_is_not_taken_and_its_faults_are_listed_with_their_places(
    traffic: TrafficPage, tmp_path: Path, name: str
) -> None:
    text, *told = BAD[name]
    (tmp_path / name).write_text(text)
    upload(traffic, tmp_path / name)
    faults = traffic.page.locator("#upload-faults")
    expect(faults).to_contain_text(f"{name} was not taken:")
    expect(faults).to_be_focused()
    for part in told:
        expect(faults.get_by_role("listitem").filter(has_text=part)).not_to_have_count(0)
    traffic.assert_no_violation()
    expect(traffic.page.locator("#file option", has_text=name)).to_have_count(0)
    upload(traffic, good_file(tmp_path, name, 2))
    expect(traffic.page.get_by_role("status").filter(has_text=f"{name} is good: 2 records")).to_be_visible()
    expect(faults).to_be_hidden()


def test_a_file_can_be_dropped_and_its_content_is_never_markup(traffic: TrafficPage) -> None:
    name = "<b>dropped<b>.json"
    traffic.page.evaluate(DROP, [name, '[{"name": "Ana"}, "<img src=x onerror=alert(1)>"]'])
    faults = traffic.page.locator("#upload-faults")
    expect(faults).to_contain_text(f"{name} was not taken:")
    assert faults.locator("b, img").count() == 0
    traffic.page.evaluate(DROP, ["dropped.json", '[{"name": "Ana"}]'])
    expect(chosen(traffic)).to_contain_text("dropped.json (1 record")
    assert traffic.alarms == []


def test_a_file_that_is_not_listed_is_named_by_its_path(traffic: TrafficPage, cluster: Cluster) -> None:
    below = cluster.folder / "data" / "below"
    below.mkdir(exist_ok=True)
    unlisted = good_file(below, "unlisted.json", 5)
    traffic.page.get_by_label("Traffic file").select_option("Another path on the master…")
    traffic.page.get_by_label("Path on the master").fill(str(unlisted))
    traffic.begin()
    traffic.await_state("completed")
    expect(traffic.count("delivered")).to_have_text("5")
    cluster.until(lambda: not cluster.live["ending"], "the run has wound up")
