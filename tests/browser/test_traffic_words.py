"""What the page and the printed report say of a run, in which colour, and whether it can be read at every width."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from support.cluster import Cluster
from support.fake_api import fake_api
from support.stack import ROOT
from support.told import RUN, ToldMaster, running
from support.traffic_page import PHONE, TrafficPage, web_cluster
from traffic.core.master.verdict import verdict

DESKTOP = {"width": 1280, "height": 900}
WORKER = "ip-10-0-12-3.eu-central-1_" + "0123456789abcdef" * 2
# The longest that such an id may be is two lines; broken into letters it had dozens.
TWO_LINES_PX = 48
GREEN, AMBER, RED = "rgb(18, 112, 47)", "rgb(138, 80, 0)", "rgb(179, 38, 30)"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with fake_api() as api, web_cluster(tmp_path_factory.mktemp("words"), api.url, 10, workers=1) as made:
        yield made


@pytest.fixture
def told(page: Page) -> ToldMaster:
    """A master whose run has ended, with every record delivered."""
    made = ToldMaster(page, running(workers=2, records=1000))
    made.status |= {"state": "completed", "ended": "2026-01-02T03:05:05Z", "seconds": 60.0, "audit": None}
    made.status["counts"] |= {"pending": 0, "delivered": 1000, "attempts": 1000}
    page.route("**/traffic/runs", lambda route: answer_runs(route, made.status))
    return made


def answer_none(route: Route) -> None:
    answer_runs(route)


def answer_runs(route: Route, *accounts: dict[str, Any], resumable: bool = False) -> None:
    rows = [{**one, "resumable": resumable, "resendable": 0, "verdict": verdict(one)} for one in accounts]
    route.fulfill(status=200, content_type="application/json", body=json.dumps({"runs": rows}))


@pytest.mark.parametrize(
    ("more", "text", "colour"),
    [
        ({}, "completed", GREEN),
        ({"delivered": 400, "rejected": 600}, "completed, 600 rejected", AMBER),
        pytest.param({"delivered": 997, "in_doubt": 3}, "completed, 3 in doubt", AMBER, marks=pytest.mark.slow),
        ({"audit": {"stored": 5, "posts": 5, "agrees": False}}, "completed, audit disagrees", AMBER),
        ({"state": "failed", "delivered": 400, "rejected": 600}, "failed, 600 rejected", RED),
    ],
)
def test_header_and_past_runs_say_the_same_and_green_is_only_a_run_without_a_loss(
    cluster: Cluster, told: ToldMaster, page: Page, more: dict[str, Any], text: str, colour: str
) -> None:
    counts = {name: value for name, value in more.items() if name in told.status["counts"]}
    told.status["counts"] |= counts
    told.status |= {name: value for name, value in more.items() if name not in counts}
    traffic = TrafficPage(page, cluster.web).open()
    row = traffic.section("Past runs").get_by_role("row").filter(has_text=RUN)
    for chip in (traffic.state, row.locator(".chip")):
        expect(chip).to_have_text(text)
        expect(chip).to_have_css("color", colour)
    expect(page.locator("#glance-state")).to_have_text(text)
    expect(page).to_have_title(f"{text} · Traffic")
    traffic.assert_no_violation()
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    traffic.assert_fits()


@pytest.mark.parametrize(
    ("state", "was"), [pytest.param("stopped", "was stopped", marks=pytest.mark.slow), ("cut off", "was cut off")]
)
def test_a_run_of_an_earlier_master_is_shown_with_resume(
    cluster: Cluster, told: ToldMaster, page: Page, state: str, was: str
) -> None:
    left = {**told.status, "state": state, "counts": told.status["counts"] | {"delivered": 400, "unsent": 600}}
    page.unroute("**/traffic/runs")
    page.route("**/traffic/runs", lambda route: answer_runs(route, left, resumable=True))
    told.status |= {"run": None, "state": "ready", "workers": []}
    traffic = TrafficPage(page, cluster.web).open()
    said = f"Run {RUN} {was}, and 600 of 1,000 records are left: resume it, or start another."
    expect(page.locator("#run-reason")).to_contain_text(said)
    page.locator("#act-resume").click()
    expect(page.get_by_role("dialog", name=f"Resume run {RUN}?")).to_be_visible()
    assert traffic.alarms == []


def test_a_list_of_runs_that_could_not_be_loaded_is_asked_for_again(
    cluster: Cluster, told: ToldMaster, page: Page
) -> None:
    tries: list[Route] = []

    def answer(route: Route) -> None:
        tries.append(route)
        route.abort() if len(tries) == 1 else answer_runs(route, told.status)

    page.unroute("**/traffic/runs")
    page.route("**/traffic/runs", answer)
    runs = TrafficPage(page, cluster.web).open().section("Past runs")
    expect(runs.get_by_role("row").filter(has_text=RUN)).to_be_visible()
    expect(runs.get_by_text("No answer from the master")).to_be_hidden()
    assert len(tries) == 2


def test_where_no_run_can_be_resumed_none_is_offered(cluster: Cluster, told: ToldMaster, page: Page) -> None:
    told.status |= {"run": None, "state": "ready", "workers": []}
    page.unroute("**/traffic/runs")
    page.route("**/traffic/runs", answer_none)
    traffic = TrafficPage(page, cluster.web).open()
    expect(traffic.section("Past runs")).to_contain_text("None yet.")
    expect(page.locator("#run-reason")).to_have_text("Ready to start a run.")
    expect(page.locator("#act-resume")).to_be_hidden()


def a_report(folder: Path) -> str:
    """The page of a run with long ids, long reasons and long records."""
    reason = f"expected a number (see https://api.example.com/docs/{'must-be-a-number-' * 5})"
    record = json.dumps({"msg": "x" * 150})
    letter = {"index": 1_234_567, "outcome": "in_doubt", "attempts": 5, "status": 422, "reason": reason}
    (folder / "dead-letters.jsonl").write_text(json.dumps({**letter, "record": record}) + "\n")
    worker = {"id": WORKER, "slice": 1_300_000, "moved": -5000, "delivered": 1_299_990, "rejected": 0, "in_doubt": 1}
    counts = dict.fromkeys(("delivered", "rejected", "unsent", "attempts", "resent"), 0)
    made = running(workers=1, records=1_300_000) | {"state": "completed", "workers": [worker], "audit": None}
    made |= {"counts": {"records": 1_300_000, **counts, "in_doubt": 1}, "seconds": 1.0}
    return printed(made, folder)


def printed(report: dict[str, Any], folder: Path) -> str:
    """The page of a report; made in another process, because with it comes Locust, which patches this one's sockets."""
    script = """import json, pathlib, sys
from traffic.master.web.printable import printable
print(printable(json.loads(sys.stdin.read()), pathlib.Path(sys.argv[1])))"""
    said, command = json.dumps(report), [sys.executable, "-c", script, str(folder)]
    return subprocess.run(
        command, input=said, cwd=ROOT / "locust", capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_printed_report_breaks_no_word_into_letters(
    tmp_path: Path, page: Page, size: dict[str, int], scheme: str
) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_content(a_report(tmp_path))
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert height(page.get_by_role("cell", name=WORKER)) <= TWO_LINES_PX
    for heading in page.locator("th").all():
        assert height(heading) <= TWO_LINES_PX / 1.5, f"{heading.text_content()} is broken"
    words = page.locator("th, td.o, td.n").filter(has_text=re.compile(r"\S"))
    clipped = "cells => cells.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"
    assert words.evaluate_all(clipped) == []


def height(cell: Locator) -> float:
    box = cell.bounding_box()
    assert box is not None
    return box["height"]


def test_the_page_s_own_tables_break_no_worker_id_at_a_phone_s_width(
    cluster: Cluster, told: ToldMaster, page: Page
) -> None:
    told.status["workers"][0]["id"] = WORKER
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    TrafficPage(page, cluster.web).open()
    assert height(page.locator("#workers-table th[scope=row]").first) <= TWO_LINES_PX
    expect(page.locator("#runs-table")).to_be_visible()
    assert height(page.locator("#runs-table th[scope=row]").first) <= TWO_LINES_PX
