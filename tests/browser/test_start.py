"""Locust's page in a real browser, on plain processes: what a person reads there when they press Start."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.browser import fill, press_start
from support.cluster import Cluster, records_file
from support.fake_api import FakeApi
from support.traffic_page import SLOW_MS

BROKEN = '[\n  {"name": "Ana", "msg": "Hola"},\n  42\n]\n'


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    file = tmp_path_factory.getbasetemp() / "none.json"  # the form may name files of its folder: each test's own
    with Cluster(tmp_path_factory.mktemp("cluster"), api.url, workers=2, web=True, TRAFFIC_FILE=file) as made:
        made.await_web(2)
        yield made


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"trafficFile": "nothing.json"}, "there is no such file"),
        pytest.param({"trafficFile": "broken.json"}, "line 3, column 3", marks=pytest.mark.slow),
        ({"trafficSeed": "seven"}, "Seed must be a whole number"),
        pytest.param({"trafficWait": "3-1"}, "Wait between requests must be MIN-MAX", marks=pytest.mark.slow),
    ],
    ids=["missing", "broken", "seed", "wait"],
)
def test_a_refusal_is_shown_beside_start_and_nothing_is_sent(
    cluster: Cluster, api: FakeApi, page: Page, tmp_path: Path, form: dict[str, str], told: str
) -> None:
    (tmp_path / "broken.json").write_text(BROKEN)
    good = {"trafficFile": str(records_file(tmp_path, 20)), "trafficSeed": "", "trafficWait": "0"}
    if "trafficFile" in form:
        form = {"trafficFile": str(tmp_path / form["trafficFile"])}
    page.goto(cluster.web)
    before, sent = cluster.status, api.count
    fill(page, **{**good, **form})
    press_start(page)
    expect(page.get_by_text(told)).to_be_visible()
    expect(page.get_by_role("link", name="the Traffic page")).to_be_visible()
    assert cluster.status == before
    assert api.count == sent


def test_the_page_follows_a_run_to_its_end_and_shows_every_request(
    cluster: Cluster, api: FakeApi, page: Page, tmp_path: Path
) -> None:
    form = {"trafficFile": str(records_file(tmp_path, 60)), "trafficOrder": "file", "trafficWait": "0.1-0.5"}
    page.goto(cluster.web)
    sent = api.count
    for _ in range(2):
        fill(page, **form)
        press_start(page)
        # "New" is there only once the page knows that the test has stopped.
        expect(page.get_by_role("button", name="New", exact=True)).to_be_visible(timeout=SLOW_MS)
        row = page.get_by_role("row").filter(has_text="POST")
        expect(row.get_by_role("cell").nth(2)).to_have_text("60")
    assert api.count == sent + 120
    assert cluster.status["state"] == "completed"
    assert json.loads((cluster.state / "report.json").read_text())["counts"]["delivered"] == 60
